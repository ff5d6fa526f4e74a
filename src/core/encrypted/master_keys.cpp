#include "core/encrypted/master_keys.hpp"

#include <utility>

#include "core/encrypted/aes_gcm.hpp"
#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::size_t kLongestId = 64;

bool
IsSpace(char c) {
	return c == ' ' || c == '\t' || c == '\r';
}

std::string_view
Trimmed(std::string_view text) {
	while (!text.empty() && IsSpace(text.front())) {
		text.remove_prefix(1);
	}
	while (!text.empty() && IsSpace(text.back())) {
		text.remove_suffix(1);
	}
	return text;
}

int
HexDigit(char c) {
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool
IsId(std::string_view id) {
	for (const char c : id) {
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.')) {
			return false;
		}
	}
	return !id.empty() && id.size() <= kLongestId;
}

[[noreturn]] void
ThrowBadLine(const std::string &source, std::size_t line, const std::string &detail) {
	throw DomainError("F0000", "line " + std::to_string(line) + " of " + source + " is not a master key", detail,
	                  "Write each key as \"<id> <64 hexadecimal digits>\"; scripts/make_master_key adds such a line.");
}

} // namespace

MasterKeys
MasterKeys::Parse(std::string_view text, const std::string &source) {
	MasterKeys keys;
	for (std::size_t line = 1; !text.empty(); line++) {
		const std::size_t end = text.find('\n');
		const std::string_view whole = Trimmed(text.substr(0, end));
		text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
		if (whole.empty() || whole.front() == '#') {
			continue;
		}
		std::size_t space = 0;
		while (space < whole.size() && !IsSpace(whole[space])) {
			space++;
		}
		const std::string_view id = whole.substr(0, space);
		const std::string_view digits = Trimmed(whole.substr(space));
		// an id that is none may be a key that stands without one: it is not shown
		if (!IsId(id) || digits.empty()) {
			ThrowBadLine(source, line, "It does not begin with an id: 1 to 64 letters, digits, \"_\", \"-\" or \".\", then a space.");
		}
		if (digits.size() != 2 * AesGcm::kKeyBytes) {
			ThrowBadLine(source, line, "Its key has " + std::to_string(digits.size()) + " characters and not 64.");
		}
		Key key;
		key.bytes = Secret(AesGcm::kKeyBytes);
		for (std::size_t i = 0; i < AesGcm::kKeyBytes; i++) {
			const int high = HexDigit(digits[2 * i]);
			const int low = HexDigit(digits[2 * i + 1]);
			if (high < 0 || low < 0) {
				ThrowBadLine(source, line, "Its key has a character that is not a hexadecimal digit.");
			}
			key.bytes.data()[i] = static_cast<std::uint8_t>(high << 4 | low);
		}
		if (keys.Find(id) != nullptr) {
			ThrowBadLine(source, line, "An earlier line has the same id.");
		}
		key.id = id;
		keys.keys_.push_back(std::move(key));
	}
	if (keys.keys_.empty()) {
		throw DomainError("F0000", "there is not a master key in " + source, "It has no line with a key.", "Add one with scripts/make_master_key.");
	}
	return keys;
}

const MasterKeys::Key *
MasterKeys::Find(std::string_view id) const {
	for (const Key &key : keys_) {
		if (key.id == id) {
			return &key;
		}
	}
	return nullptr;
}

} // namespace auren
