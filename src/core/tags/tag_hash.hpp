#pragma once

#include <cstdint>
#include <string_view>

namespace auren {

/*
 * What stands for a tag of a tenant in the index of tags and in locks: 64 bits, the same in every version and on every machine. Two tags may have one
 * hash, of two tenants also, so whoever finds an event by it looks at the event's own tenant and tags.
 *
 * FNV-1a of 64 bits (Fowler, Noll, Vo) of tenant, a zero byte and tag, with the last mixing of MurmurHash3 (Appleby): without it tags that differ at
 * their end alone have hashes that lie close together.
 */
class TagHash {
  public:
	constexpr explicit TagHash(std::string_view tenant) noexcept : of_tenant_(Add(kStart, tenant) * kPrime) {
	}

	constexpr std::int64_t
	Of(std::string_view tag) const noexcept {
		std::uint64_t hash = Add(of_tenant_, tag);
		hash ^= hash >> 33U;
		hash *= 0xff51afd7ed558ccdU;
		hash ^= hash >> 33U;
		hash *= 0xc4ceb9fe1a85ec53U;
		hash ^= hash >> 33U;
		return static_cast<std::int64_t>(hash);
	}

  private:
	static constexpr std::uint64_t kStart = 14695981039346656037U;
	static constexpr std::uint64_t kPrime = 1099511628211U;

	static constexpr std::uint64_t
	Add(std::uint64_t hash, std::string_view bytes) noexcept {
		for (const char byte : bytes) {
			hash = (hash ^ static_cast<unsigned char>(byte)) * kPrime;
		}
		return hash;
	}

	std::uint64_t of_tenant_; // with the zero byte
};

} // namespace auren
