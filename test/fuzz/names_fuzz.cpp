// Every check of a name refuses exactly what its rule says, with 22023 and all fields; the naming practice likewise.

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "fuzz/bytes.hpp"
#include "fuzz/require.hpp"

using namespace auren;
using namespace auren::test;

namespace {

bool
Taken(void (*check)(const Name &), const Name &name) {
	try {
		check(name);
	} catch (const DomainError &error) {
		Require(error.sqlstate() == "22023" && !error.message().empty() && !error.detail().empty() && !error.hint().empty());
		return false;
	}
	return true;
}

bool
IsName(const std::string &text) {
	for (const char c : text) {
		if ((c >= 0 && c < ' ') || c == '\x7F') {
			return false;
		}
	}
	return !text.empty() && text[0] != ' ' && text[text.size() - 1] != ' ';
}

// words of small letters and digits, joined by one underscore each, the first beginning with a letter
bool
IsSnakeCase(const std::string &text) {
	std::size_t word = 0;
	for (std::size_t i = 0; i <= text.size(); i++) {
		const char c = i < text.size() ? text[i] : '_';
		if (c == '_') {
			if (word == 0) {
				return false;
			}
			word = 0;
		} else if ((c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9')) {
			return false;
		} else {
			word++;
		}
	}
	return true;
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const std::size_t characters = bytes.Byte() + bytes.Byte(); // a text of many bytes may have few
	const std::string text = bytes.Byte() % 2 == 0 ? bytes.Text(255) : bytes.TextOf("az09__: Z~", 24);
	const Name name{text, characters};
	Require(Taken(CheckStreamId, name) == (IsName(text) && characters <= 255));
	Require(Taken(CheckTenantId, name) == (IsName(text) && characters <= 255));
	Require(Taken(CheckEventType, name) == (IsName(text) && characters <= 100));
	Require(Taken(CheckCreatedBy, name) == (characters <= 255));

	const std::size_t colon = text.find(':');
	const std::string category = text.substr(0, colon);
	Require(Category(text) == category);
	const bool prefixed = colon != std::string::npos && colon + 1 < text.size() && IsSnakeCase(category);
	Require(NamingFlawOfEventType(text).empty() == IsSnakeCase(text));
	Require(NamingFlawOfStreamId(text).empty() == prefixed);
	return 0;
}
