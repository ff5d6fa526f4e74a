#include "core/seals/digest.hpp"

#include <algorithm>
#include <new>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

int
DigitOf(char c) {
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

[[noreturn]] void
ThrowRefused() {
	ERR_clear_error();
	throw DomainError("58000", "OpenSSL could not make a SHA-256 digest", "It refused or failed.", "Look at its configuration and providers.");
}

evp_md_ctx_st *
NewContext() {
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (context == nullptr) {
		throw std::bad_alloc();
	}
	if (EVP_DigestInit_ex(context, EVP_sha256(), nullptr) != 1) {
		EVP_MD_CTX_free(context);
		ThrowRefused();
	}
	return context;
}

} // namespace

Hasher::Hasher() : context_(NewContext()) {
}

Hasher::~Hasher() {
	EVP_MD_CTX_free(context_);
}

Digest
Hasher::Hash(std::string_view prefix, std::string_view first, std::string_view second) {
	Digest digest;
	// the algorithm is set already: to name it again would have it looked up again
	bool done = EVP_DigestInit_ex(context_, nullptr, nullptr) == 1;
	for (const std::string_view part : {prefix, first, second}) {
		done = done && EVP_DigestUpdate(context_, part.data(), part.size()) == 1;
	}
	if (!done || EVP_DigestFinal_ex(context_, digest.data(), nullptr) != 1) {
		ThrowRefused();
	}
	return digest;
}

Digest
Hasher::Leaf(std::string_view line) {
	return Hash(std::string_view("\0", 1), line, {});
}

Digest
Hasher::Node(const Digest &left, const Digest &right) {
	return Hash("\1", BytesOf(left), BytesOf(right));
}

Digest
Hasher::Plain(std::string_view text) {
	return Hash({}, text, {});
}

RunningDigest::RunningDigest() : context_(NewContext()) {
}

RunningDigest::~RunningDigest() {
	EVP_MD_CTX_free(context_);
}

void
RunningDigest::Update(std::string_view bytes) {
	if (EVP_DigestUpdate(context_, bytes.data(), bytes.size()) != 1) {
		ThrowRefused();
	}
}

Digest
RunningDigest::Finish() {
	Digest digest;
	if (EVP_DigestFinal_ex(context_, digest.data(), nullptr) != 1) {
		ThrowRefused();
	}
	return digest;
}

Digest
DigestOf(std::string_view bytes) {
	if (bytes.size() != kDigestBytes) {
		throw DomainError("XX001", "a digest does not have 32 bytes", "It has " + std::to_string(bytes.size()) + " bytes.",
		                  "Somebody has changed it: events.verify says more.");
	}
	Digest digest;
	std::copy(bytes.begin(), bytes.end(), digest.begin());
	return digest;
}

std::string
Hex(std::string_view bytes) {
	static const char kDigits[] = "0123456789abcdef";
	std::string text;
	text.reserve(2 * bytes.size());
	for (const char byte : bytes) {
		const auto value = static_cast<unsigned char>(byte);
		text += kDigits[value >> 4];
		text += kDigits[value & 15];
	}
	return text;
}

std::string
FromHex(std::string_view digits) {
	std::string bytes;
	bytes.reserve(digits.size() / 2);
	for (std::size_t i = 0; i + 1 < digits.size() && digits.size() % 2 == 0; i += 2) {
		const int high = DigitOf(digits[i]);
		const int low = DigitOf(digits[i + 1]);
		if (high < 0 || low < 0) {
			break;
		}
		bytes += static_cast<char>(high << 4 | low);
	}
	if (2 * bytes.size() != digits.size()) {
		throw DomainError(sqlstate::kInvalidParameter, "a text is not hexadecimal", "It must have two digits, 0 to 9 and a to f, for each byte.",
		                  "Give it as it was shown.");
	}
	return bytes;
}

} // namespace auren
