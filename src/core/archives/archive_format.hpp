#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/month.hpp"

namespace auren {

/*
 * The file of an archived month (doc/archive.md): a manifest, a line for each event in order of position, a trailer. The manifest and the trailer are
 * JSON objects of one line each; an event's line is the canonical one that seals are made of (doc/seals.md). A file without its trailer was cut.
 *
 * What reads one throws DomainError 22P04 and says what is wrong with which line.
 */
inline constexpr const char *kArchiveFormat = "auren_events archive 1";
inline constexpr const char *kBadArchive = "22P04";

// A seal that covers events of the month. Digests, keys and signatures are hexadecimal, the time is a text.
struct ArchivedSeal {
	std::int64_t seal = 0;
	Month month;
	std::int64_t after_position = 0;
	std::int64_t up_to_position = 0;
	std::int64_t last_position = 0;
	std::int64_t events = 0;
	std::string root;
	std::string previous;
	std::string chain;
	std::string key_id;
	std::string signature;
	std::string sealed_at;
	std::string public_key;
};

struct ArchiveManifest {
	Month month;
	std::int64_t events = 0;
	std::int64_t first_position = 0; // 0: the month has no event
	std::int64_t last_position = 0;
	std::string store_epoch;
	std::string made_at;
	std::string extension_version;
	std::vector<ArchivedSeal> seals; // in their order
};

struct ArchiveTrailer {
	std::int64_t events = 0;
	std::string sha256; // of all lines of events with their line feeds, hexadecimal
};

// Without the line feed.
std::string ManifestLine(const ArchiveManifest &manifest);
std::string TrailerLine(const ArchiveTrailer &trailer);

ArchiveManifest ReadManifest(std::string_view line);
ArchiveTrailer ReadTrailer(std::string_view line);
// Whether a line after the manifest is the trailer.
bool IsTrailer(std::string_view line);

// Events that a seal covers.
std::int64_t SealedEvents(const ArchiveManifest &manifest);

} // namespace auren
