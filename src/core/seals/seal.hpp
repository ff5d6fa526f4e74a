#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/seals/digest.hpp"
#include "core/store/month.hpp"

namespace auren {

/*
 * What a seal says.
 */
struct Seal {
	std::int64_t seal = 0; // its number: 1, 2, 3
	Month month;
	std::int64_t after_position = 0; // it covers the month's events after this position
	std::int64_t up_to_position = 0; // up to this one
	std::int64_t last_position = 0;
	std::int64_t events = 0;
	Digest root = {};
	Digest previous = {}; // chain of the seal before; zeros for the first one
	std::string key_id;
	std::int64_t sealed_at = 0; // microseconds since 2000
};

// The text that is signed, whose SHA-256 is the seal's chain; doc/seals.md writes it down.
std::string StatementOf(const Seal &seal);

/*
 * A seal with its signature, as it is published: a JSON object in one line, whose members' order says nothing.
 */
struct PublishedSeal {
	Seal seal;
	std::string signature; // 64 bytes
};
std::string ToJson(const PublishedSeal &published);
// Throws DomainError 22023 where the text is no such object.
PublishedSeal PublishedSealOf(std::string_view json);

/*
 * What shows, together with an event's canonical line, that the event is under a seal.
 */
struct Proof {
	PublishedSeal published; // without the root, which follows from the line and the path
	std::string public_key;  // 32 bytes
	std::int64_t leaf = 0;   // place of the event among those of the seal, from 0
	std::vector<Digest> path;
};
std::string ToJson(const Proof &proof);
Proof ProofOf(std::string_view json);

// What is wrong with a proof of a line; empty where nothing is. Whether the key is to be trusted is the caller's to know.
std::string FaultOf(const Proof &proof, std::string_view line);
// The chain of the seal that the proof speaks of, given the line.
std::optional<Digest> ChainOf(Proof proof, std::string_view line);

} // namespace auren
