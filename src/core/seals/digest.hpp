#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// as <openssl/types.h> has it
struct evp_md_ctx_st;

namespace auren {

inline constexpr std::size_t kDigestBytes = 32;
using Digest = std::array<std::uint8_t, kDigestBytes>;

/*
 * SHA-256 as the trees of RFC 9162 use it, by OpenSSL; one context for many digests. Throws DomainError 58000 where the library refuses.
 */
class Hasher {
  public:
	Hasher();
	Hasher(const Hasher &) = delete;
	Hasher &operator=(const Hasher &) = delete;
	~Hasher();

	// SHA-256(0x00 || line)
	Digest Leaf(std::string_view line);
	// SHA-256(0x01 || left || right)
	Digest Node(const Digest &left, const Digest &right);
	// SHA-256(text)
	Digest Plain(std::string_view text);

  private:
	Digest Hash(std::string_view prefix, std::string_view first, std::string_view second);

	evp_md_ctx_st *context_;
};

/*
 * A SHA-256 over what comes piece by piece, a file's lines for one.
 */
class RunningDigest {
  public:
	RunningDigest();
	RunningDigest(const RunningDigest &) = delete;
	RunningDigest &operator=(const RunningDigest &) = delete;
	~RunningDigest();

	void Update(std::string_view bytes);
	// Once, at the end.
	Digest Finish();

  private:
	evp_md_ctx_st *context_;
};

inline std::string_view
BytesOf(const Digest &digest) {
	return {reinterpret_cast<const char *>(digest.data()), digest.size()};
}
// Bytes that are a digest's; throws DomainError XX001 where there are more or fewer.
Digest DigestOf(std::string_view bytes);

// Lower case, two digits a byte.
std::string Hex(std::string_view bytes);
// Throws DomainError 22023 where it is no such text.
std::string FromHex(std::string_view digits);

} // namespace auren
