#pragma once

#include <cstdint>
#include <string_view>

namespace auren {

/*
 * What stands for a tag, and for a tenant, in the index of tags and in locks: 64 bits, the same in every version and on every machine. Two names may
 * have one key, so whoever finds an event by it looks at the event's own tags.
 *
 * FNV-1a of 64 bits (Fowler, Noll, Vo), with the last mixing of MurmurHash3 (Appleby): without it names that differ at their end alone have keys
 * that lie close together.
 */
constexpr std::int64_t
NameKey(std::string_view name) noexcept {
	std::uint64_t hash = 14695981039346656037U;
	for (const char byte : name) {
		hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211U;
	}
	hash ^= hash >> 33U;
	hash *= 0xff51afd7ed558ccdU;
	hash ^= hash >> 33U;
	hash *= 0xc4ceb9fe1a85ec53U;
	hash ^= hash >> 33U;
	return static_cast<std::int64_t>(hash);
}

} // namespace auren
