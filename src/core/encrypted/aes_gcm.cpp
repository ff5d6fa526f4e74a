#include "core/encrypted/aes_gcm.hpp"

#include <climits>
#include <string>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#include <openssl/core_names.h>
#include <openssl/params.h>
#endif

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

const unsigned char *
BytesOf(std::string_view text) {
	return reinterpret_cast<const unsigned char *>(text.data());
}

[[noreturn]] void
ThrowRefused(const char *what) {
	char text[256] = "no reason given";
	const unsigned long code = ERR_get_error();
	if (code != 0) {
		ERR_error_string_n(code, text, sizeof text);
	}
	ERR_clear_error();
	throw DomainError("58000", std::string("OpenSSL could not ") + what, std::string("OpenSSL says: ") + text + ".",
	                  "Look whether its configuration and providers offer AES-256-GCM.");
}

void
Require(bool done, const char *what) {
	if (!done) {
		ThrowRefused(what);
	}
}

[[noreturn]] void
ThrowTooLarge(std::size_t size) {
	throw DomainError("54000", "a value is too large to be encrypted", "It has " + std::to_string(size) + " bytes.", "Encrypt less at a time.");
}

void
RequireSize(std::size_t size) {
	if (size > INT_MAX - 64) {
		ThrowTooLarge(size);
	}
}

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
// The tag as the library's documented parameter: EVP_CIPHER_CTX_ctrl makes the same one of a number, and costs more.
OSSL_PARAM
TagParameter(std::uint8_t *tag) {
	return OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, AesGcm::kTagBytes);
}

bool
ReadTag(EVP_CIPHER_CTX *context, std::uint8_t *tag) {
	OSSL_PARAM parameters[] = {TagParameter(tag), OSSL_PARAM_construct_end()};
	return EVP_CIPHER_CTX_get_params(context, parameters) == 1;
}

bool
ExpectTag(EVP_CIPHER_CTX *context, const std::uint8_t *tag) {
	const OSSL_PARAM parameters[] = {TagParameter(const_cast<std::uint8_t *>(tag)), OSSL_PARAM_construct_end()};
	return EVP_CIPHER_CTX_set_params(context, parameters) == 1;
}
#else
bool
ReadTag(EVP_CIPHER_CTX *context, std::uint8_t *tag) {
	return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, AesGcm::kTagBytes, tag) == 1;
}

bool
ExpectTag(EVP_CIPHER_CTX *context, const std::uint8_t *tag) {
	return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, AesGcm::kTagBytes, const_cast<std::uint8_t *>(tag)) == 1;
}
#endif

} // namespace

AesGcm::~AesGcm() {
	EVP_CIPHER_CTX_free(context_);
}

void
AesGcm::SetKey(const std::uint8_t *key) {
	// the cipher's length of a nonce is 12 bytes, and of a tag 16; to look it up again at each key costs more than the key
	const EVP_CIPHER *cipher = nullptr;
	if (context_ == nullptr) {
		context_ = EVP_CIPHER_CTX_new();
		Require(context_ != nullptr, "make a cipher");
		cipher = EVP_aes_256_gcm();
	}
	has_key_ = false;
	const int done = direction_ == Direction::kSeal ? EVP_EncryptInit_ex(context_, cipher, nullptr, key, nullptr)
	                                                : EVP_DecryptInit_ex(context_, cipher, nullptr, key, nullptr);
	if (done != 1) {
		EVP_CIPHER_CTX_free(context_);
		context_ = nullptr;
	}
	Require(done == 1, "set a key for AES-256-GCM");
	has_key_ = true;
}

void
AesGcm::Forget() noexcept {
	if (has_key_) {
		// another key takes the place of the expanded one
		static const std::uint8_t nothing[kKeyBytes] = {};
		const int done = direction_ == Direction::kSeal ? EVP_EncryptInit_ex(context_, nullptr, nullptr, nothing, nullptr)
		                                                : EVP_DecryptInit_ex(context_, nullptr, nullptr, nothing, nullptr);
		if (done != 1) {
			EVP_CIPHER_CTX_free(context_); // which wipes what it had
			context_ = nullptr;
			ERR_clear_error();
		}
	}
	has_key_ = false;
}

void
AesGcm::Seal(const std::uint8_t *nonce, std::string_view associated, std::string_view plain, std::uint8_t *out) {
	RequireSize(plain.size());
	RequireSize(associated.size());
	int length = 0;
	int end = 0;
	bool done = EVP_EncryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1;
	if (!associated.empty()) {
		done = done && EVP_EncryptUpdate(context_, nullptr, &length, BytesOf(associated), static_cast<int>(associated.size())) == 1;
	}
	length = 0;
	if (!plain.empty()) {
		done = done && EVP_EncryptUpdate(context_, out, &length, BytesOf(plain), static_cast<int>(plain.size())) == 1;
	}
	done = done && EVP_EncryptFinal_ex(context_, out + length, &end) == 1;
	done = done && ReadTag(context_, out + plain.size());
	Require(done, "encrypt a value");
}

bool
AesGcm::Open(const std::uint8_t *nonce, std::string_view associated, std::string_view sealed, std::uint8_t *out) {
	if (sealed.size() < kTagBytes) {
		return false;
	}
	RequireSize(sealed.size());
	RequireSize(associated.size());
	const std::string_view cipher = sealed.substr(0, sealed.size() - kTagBytes);
	int length = 0;
	bool done = EVP_DecryptInit_ex(context_, nullptr, nullptr, nullptr, nonce) == 1;
	if (!associated.empty()) {
		done = done && EVP_DecryptUpdate(context_, nullptr, &length, BytesOf(associated), static_cast<int>(associated.size())) == 1;
	}
	if (!cipher.empty()) {
		done = done && EVP_DecryptUpdate(context_, out, &length, BytesOf(cipher), static_cast<int>(cipher.size())) == 1;
	}
	done = done && ExpectTag(context_, BytesOf(sealed) + cipher.size());
	Require(done, "decrypt a value");
	if (EVP_DecryptFinal_ex(context_, out + cipher.size(), &length) == 1) {
		return true;
	}
	ERR_clear_error();
	OPENSSL_cleanse(out, cipher.size()); // what was not what it claims to be is shown to nobody
	return false;
}

} // namespace auren
