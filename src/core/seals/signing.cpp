#include "core/seals/signing.hpp"

#include <climits>
#include <new>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core/error.hpp"
#include "core/seals/digest.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

const unsigned char *
Unsigned(std::string_view text) {
	return reinterpret_cast<const unsigned char *>(text.data());
}

struct FreeBio {
	void
	operator()(BIO *bio) const {
		BIO_free(bio);
	}
};
struct FreeContext {
	void
	operator()(EVP_MD_CTX *context) const {
		EVP_MD_CTX_free(context);
	}
};

// A key that is locked by a passphrase is not asked for: the server has nobody to ask.
int
NoPassphrase(char *, int, int, void *) {
	return -1;
}

[[noreturn]] void
ThrowBadKey(const std::string &source, const std::string &detail) {
	throw DomainError("F0000", source + " does not hold a key for seals", detail, "Make one with scripts/make_seal_key.");
}

// The next PEM block of a text, which is taken off it; empty where there is none.
std::string_view
TakeBlock(std::string_view *text) {
	constexpr std::string_view kEnd = "-----END ";
	const std::size_t begin = text->find("-----BEGIN ");
	if (begin == std::string_view::npos) {
		return {};
	}
	const std::size_t end = text->find(kEnd, begin);
	const std::size_t line = end == std::string_view::npos ? end : text->find('\n', end);
	const std::string_view block = text->substr(begin, line == std::string_view::npos ? line : line + 1 - begin);
	text->remove_prefix(begin + block.size());
	return block;
}

EVP_PKEY *
ReadKey(std::string_view block) {
	const std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(block.data(), static_cast<int>(block.size())));
	if (!bio) {
		throw std::bad_alloc();
	}
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr);
	ERR_clear_error();
	return key;
}

} // namespace

void
SealKey::Free::operator()(evp_pkey_st *key) const {
	EVP_PKEY_free(key);
}

SealKey::SealKey(evp_pkey_st *key) : key_(key) {
	unsigned char bytes[kPublicKeyBytes];
	std::size_t size = sizeof bytes;
	if (EVP_PKEY_get_raw_public_key(key, bytes, &size) != 1 || size != sizeof bytes) {
		ERR_clear_error();
		throw DomainError("58000", "OpenSSL could not tell the public half of a key", "It failed.", "Look at its configuration and providers.");
	}
	public_key_.assign(reinterpret_cast<const char *>(bytes), size);
	id_ = SealKeyId(public_key_);
}

std::vector<SealKey>
SealKey::Parse(std::string_view text, const std::string &source) {
	std::vector<SealKey> keys;
	if (text.size() > INT_MAX) {
		ThrowBadKey(source, "It is too long.");
	}
	for (std::string_view block = TakeBlock(&text); !block.empty(); block = TakeBlock(&text)) {
		const std::string which = "Key " + std::to_string(keys.size() + 1) + " in it ";
		EVP_PKEY *key = ReadKey(block);
		if (key == nullptr) {
			ThrowBadKey(source, which + "cannot be read: it is not a private key in PEM, or has a passphrase.");
		}
		if (EVP_PKEY_id(key) != EVP_PKEY_ED25519) {
			EVP_PKEY_free(key);
			ThrowBadKey(source, which + "is not an Ed25519 key.");
		}
		keys.push_back(SealKey(key));
	}
	if (keys.empty()) {
		ThrowBadKey(source, "There is no private key in it.");
	}
	return keys;
}

std::string
SealKey::Sign(std::string_view text) const {
	const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
	unsigned char signature[kSignatureBytes];
	std::size_t size = sizeof signature;
	if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
	    EVP_DigestSign(context.get(), signature, &size, Unsigned(text), text.size()) != 1) {
		ERR_clear_error();
		throw DomainError("58000", "OpenSSL could not sign", "It failed with Ed25519.", "Look at its configuration and providers.");
	}
	return {reinterpret_cast<const char *>(signature), size};
}

std::string
SealKeyId(std::string_view public_key) {
	Hasher hasher;
	return Hex(BytesOf(hasher.Plain(public_key))).substr(0, 16);
}

bool
IsSignedBy(std::string_view public_key, std::string_view text, std::string_view signature) {
	if (public_key.size() != kPublicKeyBytes || signature.size() != kSignatureBytes) {
		return false;
	}
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Unsigned(public_key), public_key.size());
	const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
	const bool good = key != nullptr && context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
	                  EVP_DigestVerify(context.get(), Unsigned(signature), signature.size(), Unsigned(text), text.size()) == 1;
	EVP_PKEY_free(key);
	ERR_clear_error();
	return good;
}

std::string
EndorsementText(std::string_view public_key, const std::string &endorsed_by) {
	return "auren_events seal key v1\nkey: " + Hex(public_key) + "\nendorsed_by: " + endorsed_by + "\n";
}

} // namespace auren
