#include "core/notify/notification.hpp"

#include <nlohmann/json.hpp>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

using nlohmann::json;

std::string
Quoted(const std::string &text) {
	return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

enum class Fields { kAll, kIdentifying };

std::string
Object(const std::vector<PayloadField> &fields, Fields told) {
	const bool truncated = told == Fields::kIdentifying;
	std::string object = "{";
	for (const PayloadField &field : fields) {
		if (truncated && !field.identifying) {
			continue;
		}
		if (object.size() > 1) {
			object += ", ";
		}
		object += Quoted(field.name) + ": ";
		switch (field.kind) {
		case PayloadField::Kind::kNull:
			object += "null";
			break;
		case PayloadField::Kind::kText:
			object += Quoted(field.text);
			break;
		case PayloadField::Kind::kLiteral:
			object += field.text;
			break;
		}
	}
	if (truncated) {
		object += object.size() > 1 ? ", \"truncated\": true" : "\"truncated\": true";
	}
	return object + "}";
}

// The longest prefix of at most `bytes` bytes that ends between two characters of UTF-8.
std::string
Prefix(const std::string &text, std::size_t bytes) {
	if (text.size() <= bytes) {
		return text;
	}
	std::size_t end = bytes;
	while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
		end--;
	}
	return text.substr(0, end);
}

} // namespace

std::string
ComposePayload(const std::vector<PayloadField> &fields, std::size_t limit) {
	std::string payload = Object(fields, Fields::kAll);
	if (payload.size() <= limit) {
		return payload;
	}
	payload = Object(fields, Fields::kIdentifying);
	if (payload.size() <= limit) {
		return payload;
	}
	// A name longer than the limit identifies nobody, but what is told must stay valid JSON. An escape can make six
	// bytes of one, so the lengths are halved until the object fits.
	std::vector<PayloadField> cut = fields;
	for (std::size_t bytes = limit / 2; payload.size() > limit; bytes /= 2) {
		for (PayloadField &field : cut) {
			if (field.kind == PayloadField::Kind::kLiteral && field.text.size() > bytes) {
				field.kind = PayloadField::Kind::kText; // a number cut short would be another number
			}
			field.text = Prefix(field.text, bytes);
		}
		payload = Object(cut, Fields::kIdentifying);
		if (bytes == 0) {
			break;
		}
	}
	return payload;
}

bool
IsJsonNumber(const std::string &text) {
	// by hand: a parser that makes a double of it refuses 1e400, which JSON allows
	const char *at = text.c_str();
	const auto digits = [&at] {
		const char *first = at;
		while (*at >= '0' && *at <= '9') {
			at++;
		}
		return at - first;
	};
	if (*at == '-') {
		at++;
	}
	const bool leading_zero = *at == '0';
	const auto whole = digits();
	if (whole == 0 || (leading_zero && whole > 1)) {
		return false;
	}
	if (*at == '.') {
		at++;
		if (digits() == 0) {
			return false;
		}
	}
	if (*at == 'e' || *at == 'E') {
		at++;
		if (*at == '+' || *at == '-') {
			at++;
		}
		if (digits() == 0) {
			return false;
		}
	}
	return at == text.c_str() + text.size();
}

} // namespace auren
