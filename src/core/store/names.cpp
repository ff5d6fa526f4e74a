#include "core/store/names.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

bool
IsControl(char c) {
	const auto byte = static_cast<unsigned char>(c);
	return byte < 0x20 || byte == 0x7F;
}

void
CheckLength(const Name &name, std::size_t limit, const char *what) {
	if (name.characters > limit) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(what) + " is too long",
		                  "It has " + std::to_string(name.characters) + " characters; at most " + std::to_string(limit) + " are allowed.",
		                  "Put what identifies the thing into the name, and the rest into event data or metadata.");
	}
}

void
CheckName(const Name &name, std::size_t limit, const char *what) {
	if (name.bytes.empty()) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(what) + " must not be empty", "The name given has no character.",
		                  "Give a name of 1 to " + std::to_string(limit) + " characters.");
	}
	CheckLength(name, limit, what);
	if (std::any_of(name.bytes.begin(), name.bytes.end(), IsControl)) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(what) + " contains a control character",
		                  "Bytes below 32 and byte 127 are not allowed in a name.", "Remove line ends and tabs from the name.");
	}
	if (name.bytes.front() == ' ' || name.bytes.back() == ' ') {
		throw DomainError(sqlstate::kInvalidParameter, std::string(what) + " begins or ends with a blank",
		                  "The name given is \"" + std::string(name.bytes) + "\".", "Trim the name.");
	}
}

bool
IsLower(char c) {
	return c >= 'a' && c <= 'z';
}

bool
IsDigit(char c) {
	return c >= '0' && c <= '9';
}

// a letter first, then letters, digits and single underscores between them
bool
IsSnakeCase(std::string_view text) {
	if (text.empty() || !IsLower(text.front()) || text.back() == '_') {
		return false;
	}
	char before = 'a';
	for (const char c : text) {
		if (!IsLower(c) && !IsDigit(c) && !(c == '_' && before != '_')) {
			return false;
		}
		before = c;
	}
	return true;
}

} // namespace

void
CheckStreamId(const Name &name) {
	CheckName(name, kMaxStreamIdCharacters, "stream id");
}

void
CheckEventType(const Name &name) {
	CheckName(name, kMaxEventTypeCharacters, "event type");
}

void
CheckTenantId(const Name &name) {
	CheckName(name, kMaxTenantIdCharacters, "tenant id");
}

void
CheckSubscriptionName(const Name &name) {
	CheckName(name, kMaxSubscriptionNameCharacters, "subscription name");
}

void
CheckConsumerName(const Name &name) {
	CheckName(name, kMaxConsumerNameCharacters, "consumer name");
}

void
CheckCreatedBy(const Name &name) {
	CheckLength(name, kMaxCreatedByCharacters, "created_by");
}

std::string_view
Category(std::string_view stream_id) {
	return stream_id.substr(0, stream_id.find(':'));
}

std::string
NamingFlawOfEventType(std::string_view event_type) {
	if (IsSnakeCase(event_type)) {
		return {};
	}
	return "Event type \"" + std::string(event_type) + "\" is not in snake_case, as \"device_connected\" is.";
}

std::string
NamingFlawOfStreamId(std::string_view stream_id) {
	const auto category = Category(stream_id);
	if (category.size() + 1 < stream_id.size() && IsSnakeCase(category)) {
		return {};
	}
	return "Stream id \"" + std::string(stream_id) + "\" has no prefix in snake_case before a colon, as \"user:123\" has.";
}

} // namespace auren
