#include "core/archives/archive_format.hpp"

#include <limits>

#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "core/event_time.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

using Object = nlohmann::ordered_json;

constexpr std::string_view kTrailerStart = "{\"end\":";

[[noreturn]] void
ThrowBadObject(const char *what, const std::string &detail) {
	throw DomainError(kBadArchive, std::string("this is not the ") + what + " of an archive", detail,
	                  "Give a file as events.archive_month, events.archive_lines or scripts/archive_month write it.");
}

Object
ReadObject(std::string_view line, const char *what) {
	Object object = Object::parse(line.begin(), line.end(), nullptr, false);
	if (!object.is_object()) {
		ThrowBadObject(what, "The line is not a JSON object.");
	}
	return object;
}

// The value of a member that must be there.
const Object &
Member(const Object &object, const char *name, const char *what) {
	const auto member = object.find(name);
	if (member == object.end()) {
		ThrowBadObject(what, std::string("It has no member \"") + name + "\".");
	}
	return *member;
}

std::int64_t
Number(const Object &object, const char *name, const char *what) {
	const Object &value = Member(object, name, what);
	if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
		ThrowBadObject(what, std::string("Its member \"") + name + "\" is not a whole number.");
	}
	return value.get<std::int64_t>();
}

// A position of a month that may have no event.
std::int64_t
Position(const Object &object, const char *name, const char *what) {
	return Member(object, name, what).is_null() ? 0 : Number(object, name, what);
}

std::string
Text(const Object &object, const char *name, const char *what) {
	const Object &value = Member(object, name, what);
	if (!value.is_string()) {
		ThrowBadObject(what, std::string("Its member \"") + name + "\" is not a string.");
	}
	return value.get<std::string>();
}

Month
FirstDay(const Object &object, const char *what) {
	const std::string text = Text(object, "month", what);
	const auto micros = ParseEventTime(text);
	if (!micros || Month::FromMicros(*micros).StartText().substr(0, 10) != text) {
		ThrowBadObject(what, "Its member \"month\" is not the first day of a month.");
	}
	return Month::FromMicros(*micros);
}

void
RequireFormat(const Object &object, const char *member, const char *what) {
	const auto format = object.find(member);
	if (format == object.end() || *format != kArchiveFormat) {
		ThrowBadObject(what, std::string("Its member \"") + member + "\" is not \"" + kArchiveFormat + "\".");
	}
}

// As times stand in the lines of events.
std::string
StartOf(Month month) {
	return month.StartText().substr(0, 10) + "T00:00:00.000000Z";
}

Object
ObjectOf(const ArchivedSeal &seal) {
	return {{"seal", seal.seal},
	        {"month", seal.month.StartText().substr(0, 10)},
	        {"after_position", seal.after_position},
	        {"up_to_position", seal.up_to_position},
	        {"last_position", seal.last_position},
	        {"events", seal.events},
	        {"root", seal.root},
	        {"previous", seal.previous},
	        {"chain", seal.chain},
	        {"key_id", seal.key_id},
	        {"signature", seal.signature},
	        {"sealed_at", seal.sealed_at},
	        {"public_key", seal.public_key}};
}

ArchivedSeal
SealOf(const Object &object) {
	constexpr const char *kWhat = "manifest";
	if (!object.is_object()) {
		ThrowBadObject(kWhat, "One of its seals is not an object.");
	}
	ArchivedSeal seal;
	seal.seal = Number(object, "seal", kWhat);
	seal.month = FirstDay(object, kWhat);
	seal.after_position = Number(object, "after_position", kWhat);
	seal.up_to_position = Number(object, "up_to_position", kWhat);
	seal.last_position = Number(object, "last_position", kWhat);
	seal.events = Number(object, "events", kWhat);
	seal.root = Text(object, "root", kWhat);
	seal.previous = Text(object, "previous", kWhat);
	seal.chain = Text(object, "chain", kWhat);
	seal.key_id = Text(object, "key_id", kWhat);
	seal.signature = Text(object, "signature", kWhat);
	seal.sealed_at = Text(object, "sealed_at", kWhat);
	seal.public_key = Text(object, "public_key", kWhat);
	return seal;
}

Object
PositionOrNull(const ArchiveManifest &manifest, std::int64_t position) {
	return manifest.events == 0 ? Object() : Object(position);
}

} // namespace

std::int64_t
SealedEvents(const ArchiveManifest &manifest) {
	std::int64_t sealed = 0;
	for (const ArchivedSeal &seal : manifest.seals) {
		sealed += seal.events;
	}
	return sealed;
}

std::string
ManifestLine(const ArchiveManifest &manifest) {
	Object seals = Object::array();
	for (const ArchivedSeal &seal : manifest.seals) {
		seals.push_back(ObjectOf(seal));
	}
	const Object object = {{"format", kArchiveFormat},
	                       {"month", manifest.month.StartText().substr(0, 10)},
	                       {"from", StartOf(manifest.month)},
	                       {"to", StartOf(manifest.month.Next())},
	                       {"events", manifest.events},
	                       {"first_position", PositionOrNull(manifest, manifest.first_position)},
	                       {"last_position", PositionOrNull(manifest, manifest.last_position)},
	                       {"store_epoch", manifest.store_epoch},
	                       {"made_at", manifest.made_at},
	                       {"extension_version", manifest.extension_version},
	                       {"leaves", SealedEvents(manifest)},
	                       {"seals", std::move(seals)}};
	return object.dump();
}

ArchiveManifest
ReadManifest(std::string_view line) {
	constexpr const char *kWhat = "manifest";
	const Object object = ReadObject(line, kWhat);
	RequireFormat(object, "format", kWhat);
	ArchiveManifest manifest;
	manifest.month = FirstDay(object, kWhat);
	manifest.events = Number(object, "events", kWhat);
	manifest.first_position = Position(object, "first_position", kWhat);
	manifest.last_position = Position(object, "last_position", kWhat);
	manifest.store_epoch = Text(object, "store_epoch", kWhat);
	manifest.made_at = Text(object, "made_at", kWhat);
	manifest.extension_version = Text(object, "extension_version", kWhat);
	const Object &seals = Member(object, "seals", kWhat);
	if (!seals.is_array()) {
		ThrowBadObject(kWhat, "Its member \"seals\" is not an array.");
	}
	for (const Object &seal : seals) {
		manifest.seals.push_back(SealOf(seal));
	}
	return manifest;
}

std::string
TrailerLine(const ArchiveTrailer &trailer) {
	const Object object = {{"end", kArchiveFormat}, {"events", trailer.events}, {"sha256", trailer.sha256}};
	return object.dump();
}

bool
IsTrailer(std::string_view line) {
	return line.substr(0, kTrailerStart.size()) == kTrailerStart;
}

ArchiveTrailer
ReadTrailer(std::string_view line) {
	constexpr const char *kWhat = "trailer";
	const Object object = ReadObject(line, kWhat);
	RequireFormat(object, "end", kWhat);
	return {Number(object, "events", kWhat), Text(object, "sha256", kWhat)};
}

} // namespace auren
