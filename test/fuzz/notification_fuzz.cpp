// Whatever the fields hold, a payload is one valid JSON object of at most the limit, and says of each field what it was
// given: all of it when there is room, else of the identifying ones the beginning.

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/notify/notification.hpp"
#include "fuzz/bytes.hpp"
#include "fuzz/require.hpp"

using namespace auren;
using namespace auren::test;
using nlohmann::json;

namespace {

// The position behind the digits that stand at `at`, and how many they are.
std::size_t
Digits(const std::string &text, std::size_t at, std::size_t *count) {
	const std::size_t end = std::min(text.find_first_not_of("0123456789", at), text.size());
	*count = end - std::min(at, end);
	return end;
}

// RFC 8259, section 6, from the right: exponent, fraction, whole number, sign.
bool
IsNumber(const std::string &text) {
	const std::size_t e = text.find_first_of("eE");
	std::string mantissa = text.substr(0, e);
	if (e != std::string::npos) {
		std::string exponent = text.substr(e + 1);
		if (!exponent.empty() && (exponent[0] == '+' || exponent[0] == '-')) {
			exponent.erase(0, 1);
		}
		std::size_t count;
		if (Digits(exponent, 0, &count) != exponent.size() || count == 0) {
			return false;
		}
	}
	if (!mantissa.empty() && mantissa[0] == '-') {
		mantissa.erase(0, 1);
	}
	const std::size_t point = mantissa.find('.');
	if (point != std::string::npos) {
		std::size_t count;
		if (Digits(mantissa, point + 1, &count) != mantissa.size() || count == 0) {
			return false;
		}
	}
	const std::string whole = mantissa.substr(0, point);
	std::size_t count;
	return Digits(whole, 0, &count) == whole.size() && count > 0 && (count == 1 || whole[0] != '0');
}

// What is read of a text: the text, with what is no UTF-8 replaced.
std::string
AsRead(const std::string &text) {
	return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

bool
BeginsWith(const std::string &text, const std::string &part) {
	return text.compare(0, part.size(), part) == 0;
}

// Splits off a field's value as it stands; every name and separator is known here, so that only values are looked for.
std::string
TakeValue(const std::string &payload, std::size_t *at) {
	std::size_t end = *at;
	if (payload.at(end) == '"') {
		for (end++; payload.at(end) != '"'; end++) {
			end += payload.at(end) == '\\';
		}
		end++;
	} else {
		end = payload.find_first_of(",}", end);
		Require(end != std::string::npos);
	}
	const std::string value = payload.substr(*at, end - *at);
	*at = end;
	return value;
}

void
CheckPayload(const std::vector<PayloadField> &fields, const std::string &payload, std::size_t limit) {
	Require(payload.size() <= limit);
	const bool truncated = payload.size() >= 18 && payload.substr(payload.size() - 18) == "\"truncated\": true}";
	std::size_t at = 0;
	Require(payload.at(at++) == '{');
	for (const PayloadField &field : fields) {
		if (truncated && !field.identifying) {
			continue;
		}
		const std::string frame = (at > 1 ? ", \"" : "\"") + field.name + "\": ";
		Require(payload.compare(at, frame.size(), frame) == 0);
		at += frame.size();
		const std::string value = TakeValue(payload, &at);
		if (field.kind == PayloadField::Kind::kNull) {
			Require(value == "null");
		} else if (field.kind == PayloadField::Kind::kLiteral && value[0] != '"') {
			Require(value == field.text); // digit by digit
		} else {
			const std::string text = json::parse(value).get<std::string>();
			Require(truncated || field.kind == PayloadField::Kind::kText);
			Require(truncated ? BeginsWith(AsRead(field.text), text) : text == AsRead(field.text));
		}
	}
	const std::string end = truncated ? (at > 1 ? ", \"truncated\": true}" : "\"truncated\": true}") : "}";
	Require(payload.substr(at) == end);
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const std::size_t limit = 100 + bytes.Byte();
	std::vector<PayloadField> fields;
	while (!bytes.empty() && fields.size() < 6) {
		const std::uint8_t what = bytes.Byte();
		PayloadField field;
		field.name = "f" + std::to_string(fields.size());
		field.identifying = what & 1;
		field.text = what & 2 ? bytes.TextOf("0123456789-+.eE0", 24) : bytes.Text(64);
		if (what & 8) {
			field.text = bytes.Repeated(field.text, 40);
		}
		Require(IsJsonNumber(field.text) == IsNumber(field.text));
		if (what & 4) {
			field.kind = PayloadField::Kind::kText;
		} else if (IsJsonNumber(field.text)) {
			field.kind = PayloadField::Kind::kLiteral;
		}
		fields.push_back(field);
	}
	CheckPayload(fields, ComposePayload(fields, limit), limit);
	return 0;
}
