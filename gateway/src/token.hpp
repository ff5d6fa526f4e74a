#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include "config.hpp"
#include "filter.hpp"

namespace auren::gateway {

// Whom a token speaks for, and what they may see.
struct Principal {
	std::string tenant;
	std::string role;
	Filter allowed;
	std::optional<Names> channels; // not given: every channel
	int64_t expires = 0;           // seconds since 1970; from then on the token is worth nothing
};

// A token cannot be taken: 401.
class BadToken : public std::runtime_error {
  public:
	using std::runtime_error::runtime_error;
};

// The claims of a token that was taken, and the same of a ticket. Throws BadToken when one is missing or of another type, or when the role is
// not one of the configured ones.
Principal PrincipalOf(const nlohmann::json &claims, const TokenConfig &config);
// The other way round: claims of which PrincipalOf makes this principal.
nlohmann::json ClaimsOf(const Principal &principal);

// HMAC with SHA-256.
std::string HmacSha256(std::string_view key, std::string_view text);
// Whether both are the same; the time it takes does not tell where they differ.
bool SameBytes(std::string_view one, std::string_view other);

// Takes JSON Web Tokens (RFC 7519) in their compact form. A token is signed by the key that its kid names, with the algorithm that the configuration
// gives that key, whatever the token says of itself.
class TokenVerifier {
  public:
	// Reads the keys' files. Throws BadInput when one cannot be used: a secret under 32 bytes, an RSA key under 2048 bits, a key of another kind.
	explicit TokenVerifier(const TokenConfig &config);

	// Throws BadToken, with a reason that may be shown to the caller.
	Principal Verify(std::string_view token, int64_t now) const;

  private:
	struct Key {
		std::string alg;
		std::string secret;
		std::shared_ptr<EVP_PKEY> public_key;
	};

	static Key LoadKey(const KeyConfig &config);
	const Key &KeyOf(const nlohmann::json &header) const;
	void CheckTimes(const nlohmann::json &claims, int64_t now) const;
	void CheckParties(const nlohmann::json &claims) const;
	static bool IsSigned(const Key &key, std::string_view text, std::string_view signature);

	const TokenConfig config_;
	std::map<std::string, Key> keys_;
};

} // namespace auren::gateway
