#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

// as <openssl/types.h> has it
struct evp_pkey_st;

namespace auren {

inline constexpr std::size_t kPublicKeyBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;

// What names a key: the first 16 hexadecimal digits of the SHA-256 of its public half.
std::string SealKeyId(std::string_view public_key);

/*
 * An Ed25519 key with its private half, in memory that OpenSSL wipes when it gives it back.
 */
class SealKey {
  public:
	/*
	 * The keys of a text with PEM blocks (PKCS #8, as `openssl genpkey -algorithm ed25519` writes it), in their order; what stands between the blocks
	 * is passed over. Throws DomainError F0000 where there is none, or one of another kind; errors name `source`, and never what is in it.
	 */
	static std::vector<SealKey> Parse(std::string_view text, const std::string &source);

	const std::string &
	id() const {
		return id_;
	}
	// 32 bytes
	const std::string &
	public_key() const {
		return public_key_;
	}
	// 64 bytes. Throws DomainError 58000 where OpenSSL refuses.
	std::string Sign(std::string_view text) const;

  private:
	struct Free {
		void operator()(evp_pkey_st *key) const;
	};
	explicit SealKey(evp_pkey_st *key);

	std::unique_ptr<evp_pkey_st, Free> key_;
	std::string public_key_;
	std::string id_;
};

// Whether a signature is that of the key over the text; false too where one of them has not the right length.
bool IsSignedBy(std::string_view public_key, std::string_view text, std::string_view signature);

// What the key before signs when it endorses another one.
std::string EndorsementText(std::string_view public_key, const std::string &endorsed_by);

} // namespace auren
