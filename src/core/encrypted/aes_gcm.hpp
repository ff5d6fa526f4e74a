#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

struct evp_cipher_ctx_st;

namespace auren {

/*
 * AES-256-GCM by OpenSSL's EVP, of whatever provider the library is configured for. A cipher keeps the expanded key of the
 * last SetKey until Forget, or its end, wipes it. What OpenSSL refuses is a DomainError (58000).
 */
class AesGcm {
  public:
	static constexpr std::size_t kKeyBytes = 32;
	static constexpr std::size_t kNonceBytes = 12;
	static constexpr std::size_t kTagBytes = 16;
	enum class Direction : std::uint8_t { kSeal, kOpen };

	explicit AesGcm(Direction direction) : direction_(direction) {
	}
	~AesGcm();
	AesGcm(const AesGcm &) = delete;
	AesGcm &operator=(const AesGcm &) = delete;

	void SetKey(const std::uint8_t *key);
	bool
	has_key() const {
		return has_key_;
	}
	void Forget() noexcept;

	// Ciphertext and tag to `out`, which has room for both: plain.size() + kTagBytes.
	void Seal(const std::uint8_t *nonce, std::string_view associated, std::string_view plain, std::uint8_t *out);
	// The plain value of ciphertext and tag to `out` (sealed.size() - kTagBytes); false where they are not what was sealed.
	bool Open(const std::uint8_t *nonce, std::string_view associated, std::string_view sealed, std::uint8_t *out);

  private:
	const Direction direction_;
	evp_cipher_ctx_st *context_ = nullptr;
	bool has_key_ = false;
};

} // namespace auren
