#include "token.hpp"

#include <cmath>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include "bad_input.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

using Json = nlohmann::json;

constexpr JsonBounds kHeaderBounds = {1024, 2};
constexpr JsonBounds kClaimBounds = {8192, 4};
constexpr size_t kMostTokenBytes = 12288;
constexpr size_t kMostTenantBytes = 1020;

const Json *
Find(const Json &object, const char *key) {
	const auto found = object.find(key);
	return found == object.end() ? nullptr : &*found;
}

// A claim of NumericDate.
double
DateOf(const Json &claims, const char *key) {
	const Json *value = Find(claims, key);
	if (value == nullptr || !value->is_number() || !std::isfinite(value->get<double>())) {
		throw BadToken(std::string("the token's ") + key + " must be a number of seconds");
	}
	return value->get<double>();
}

std::string
TextOf(const Json &claims, const char *key) {
	const Json *value = Find(claims, key);
	if (value == nullptr || !value->is_string() || value->get_ref<const std::string &>().empty()) {
		throw BadToken(std::string("the token must have a text ") + key);
	}
	return value->get<std::string>();
}

std::optional<Names>
NamesOf(const Json &claims, const char *key) {
	const Json *value = Find(claims, key);
	if (value == nullptr) {
		return std::nullopt;
	}
	Names names;
	for (const auto &item : value->is_array() ? *value : Json::array({nullptr})) {
		if (!item.is_string()) {
			throw BadToken(std::string("the token's ") + key + " must be an array of texts");
		}
		names.push_back(item.get<std::string>());
	}
	return names;
}

void
PutNames(Json &claims, const char *key, const std::optional<Names> &names) {
	if (names) {
		claims[key] = *names;
	}
}

Json
PartOf(std::string_view part, const JsonBounds &bounds) {
	try {
		auto value = ParseJson(DecodeBase64Url(part), bounds);
		if (value.is_object()) {
			return value;
		}
	} catch (const BadInput &) {
	}
	throw BadToken("the token is not a JSON Web Token of a few claims");
}

bool
Lists(const Json &value, const std::string &name) {
	if (value.is_array()) {
		for (const auto &item : value) {
			if (item == name) {
				return true;
			}
		}
		return false;
	}
	return value == name;
}

bool
VerifyDigest(EVP_PKEY *key, const EVP_MD *digest, std::string_view text, std::string_view signature) {
	const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
	const auto bytes = [](std::string_view view) {
		return reinterpret_cast<const unsigned char *>(view.data());
	};
	return context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
	       EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text), text.size()) == 1;
}

} // namespace

Principal
PrincipalOf(const Json &claims, const TokenConfig &config) {
	Principal principal;
	principal.tenant = TextOf(claims, "tenant");
	for (const char c : principal.tenant) {
		if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
			throw BadToken("the token's tenant must have no control characters");
		}
	}
	if (principal.tenant.size() > kMostTenantBytes) {
		throw BadToken("the token's tenant is too long");
	}
	principal.role = TextOf(claims, "role");
	if (config.roles.count(principal.role) == 0) {
		throw BadToken("the token's role is not one that this gateway serves");
	}
	principal.allowed.types = NamesOf(claims, "types");
	principal.allowed.categories = NamesOf(claims, "categories");
	principal.allowed.streams = NamesOf(claims, "streams");
	principal.channels = NamesOf(claims, "channels");
	if (!principal.channels && principal.allowed.types) {
		// whoever may see some types of events only has not been given channels
		principal.channels = Names();
	}
	const double expires = DateOf(claims, "exp");
	principal.expires = expires > 9e15 ? static_cast<int64_t>(9e15) : expires < 0 ? 0 : static_cast<int64_t>(expires);
	return principal;
}

Json
ClaimsOf(const Principal &principal) {
	Json claims = {{"tenant", principal.tenant}, {"role", principal.role}, {"exp", principal.expires}};
	PutNames(claims, "types", principal.allowed.types);
	PutNames(claims, "categories", principal.allowed.categories);
	PutNames(claims, "streams", principal.allowed.streams);
	PutNames(claims, "channels", principal.channels);
	return claims;
}

std::string
HmacSha256(std::string_view key, std::string_view text) {
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size = 0;
	if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char *>(text.data()), text.size(), digest,
	         &size) == nullptr) {
		throw std::runtime_error("OpenSSL computes no HMAC");
	}
	return {reinterpret_cast<const char *>(digest), size};
}

bool
SameBytes(std::string_view one, std::string_view other) {
	return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

TokenVerifier::TokenVerifier(const TokenConfig &config) : config_(config) {
	for (const auto &key : config_.keys) {
		keys_.emplace(key.kid, LoadKey(key));
	}
}

TokenVerifier::Key
TokenVerifier::LoadKey(const KeyConfig &config) {
	Key key;
	key.alg = config.alg;
	key.secret = ReadSecret(config.file);
	const auto refuse = [&](const char *why) {
		throw BadInput("the key " + config.kid + " in " + config.file + " " + why);
	};
	if (key.alg == "HS256") {
		if (key.secret.size() < 32) {
			refuse("must have 32 bytes or more");
		}
		if (key.secret.compare(0, 10, "-----BEGIN") == 0) {
			refuse("is a public key, and must not be a secret of HS256");
		}
		return key;
	}
	const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(key.secret.data(), static_cast<int>(key.secret.size())), BIO_free);
	key.public_key.reset(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
	key.secret.clear();
	const int wanted = key.alg == "RS256" ? EVP_PKEY_RSA : EVP_PKEY_ED25519;
	if (!key.public_key || EVP_PKEY_base_id(key.public_key.get()) != wanted) {
		refuse(wanted == EVP_PKEY_RSA ? "must be a public RSA key in PEM" : "must be a public Ed25519 key in PEM");
	}
	if (wanted == EVP_PKEY_RSA && EVP_PKEY_bits(key.public_key.get()) < 2048) {
		refuse("must have 2048 bits or more");
	}
	return key;
}

const TokenVerifier::Key &
TokenVerifier::KeyOf(const Json &header) const {
	if (header.contains("crit")) {
		throw BadToken("the token asks for extensions that nobody here knows");
	}
	const std::string alg = TextOf(header, "alg");
	const auto found = header.contains("kid") ? keys_.find(TextOf(header, "kid")) : keys_.size() == 1 ? keys_.begin() : keys_.end();
	if (found == keys_.end()) {
		throw BadToken("the token names no key that is known here");
	}
	if (found->second.alg != alg) {
		throw BadToken("the token's algorithm is not the one of its key");
	}
	return found->second;
}

bool
TokenVerifier::IsSigned(const Key &key, std::string_view text, std::string_view signature) {
	if (key.alg == "HS256") {
		return SameBytes(HmacSha256(key.secret, text), signature);
	}
	return VerifyDigest(key.public_key.get(), key.alg == "RS256" ? EVP_sha256() : nullptr, text, signature);
}

void
TokenVerifier::CheckTimes(const Json &claims, int64_t now) const {
	if (DateOf(claims, "exp") <= static_cast<double>(now)) {
		throw BadToken("the token has expired");
	}
	for (const char *key : {"nbf", "iat"}) {
		if (claims.contains(key) && DateOf(claims, key) > static_cast<double>(now + config_.leeway_seconds)) {
			throw BadToken("the token is not valid yet");
		}
	}
}

void
TokenVerifier::CheckParties(const Json &claims) const {
	const Json *audience = Find(claims, "aud");
	if (audience == nullptr || !Lists(*audience, config_.audience)) {
		throw BadToken("the token is for another audience");
	}
	const Json *issuer = Find(claims, "iss");
	if (!config_.issuer.empty() && (issuer == nullptr || *issuer != config_.issuer)) {
		throw BadToken("the token is of another issuer");
	}
}

Principal
TokenVerifier::Verify(std::string_view token, int64_t now) const {
	const auto parts = token.size() > kMostTokenBytes ? std::vector<std::string_view>() : Split(token, '.');
	if (parts.size() != 3) {
		throw BadToken("the token is not a JSON Web Token of a few claims");
	}
	const Key &key = KeyOf(PartOf(parts[0], kHeaderBounds));
	std::string signature;
	try {
		signature = DecodeBase64Url(parts[2]);
	} catch (const BadInput &) {
		throw BadToken("the token's signature is not base64url");
	}
	if (!IsSigned(key, token.substr(0, parts[0].size() + 1 + parts[1].size()), signature)) {
		throw BadToken("the token's signature is wrong");
	}
	const Json claims = PartOf(parts[1], kClaimBounds);
	CheckTimes(claims, now);
	CheckParties(claims);
	return PrincipalOf(claims, config_);
}

} // namespace auren::gateway
