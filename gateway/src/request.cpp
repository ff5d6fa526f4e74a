#include "request.hpp"

#include <charconv>

#include "bad_input.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

constexpr size_t kMostNames = 100;
constexpr size_t kMostNameBytes = 1100;
constexpr JsonBounds kMessageBounds = {4096, 3};

int
HexValue(char c) {
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	const char lower = static_cast<char>(c | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void
CheckText(std::string_view text) {
	for (const char c : text) {
		if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
			throw BadInput("the request's target must have no control characters");
		}
	}
	if (!IsUtf8(text)) {
		throw BadInput("the request's target must be UTF-8");
	}
}

// Decodes %XX, and + where a blank is written so.
std::string
Decode(std::string_view text, char plus) {
	std::string out;
	for (size_t i = 0; i < text.size(); i++) {
		if (text[i] != '%') {
			out += text[i] == '+' ? plus : text[i];
			continue;
		}
		const int high = i + 2 < text.size() ? HexValue(text[i + 1]) : -1;
		const int low = high < 0 ? -1 : HexValue(text[i + 2]);
		if (low < 0) {
			throw BadInput("the request's target has a % without two hexadecimal digits");
		}
		out += static_cast<char>(high << 4 | low);
		i += 2;
	}
	CheckText(out);
	return out;
}

std::string
DecodePath(std::string_view path) {
	std::string out;
	for (const auto part : Split(path.substr(1), '/')) {
		const auto name = Decode(part, '+');
		if (name.empty() || name == "." || name == ".." || name.find_first_of("/\\") != std::string::npos) {
			throw BadInput("the path has an empty part, a dot part, or an encoded slash");
		}
		out += '/' + name;
	}
	return out.empty() ? "/" : out;
}

// All names of the values, each of which may be a list.
Names
NamesIn(const std::vector<std::string> &values, const std::string &parameter) {
	Names names;
	for (const auto &value : values) {
		for (const auto part : Split(value, ',')) {
			names.push_back(Decode(part, ' '));
			if (names.back().empty() || names.back().size() > kMostNameBytes || names.size() > kMostNames) {
				throw BadInput("the parameter " + parameter + " must have 1 to 100 names that are not empty");
			}
		}
	}
	if (names.empty()) {
		throw BadInput("the parameter " + parameter + " must not be empty");
	}
	return names;
}

std::string
OneOf(const std::vector<std::string> &values, const std::string &parameter) {
	if (values.size() != 1) {
		throw BadInput("the parameter " + parameter + " must stand once");
	}
	return Decode(values[0], ' ');
}

// Where a list of names goes; nullptr when there is no such parameter.
std::optional<Names> *
ListOf(FeedRequest &request, const std::string &parameter) {
	if (parameter == "types") {
		return &request.filter.types;
	}
	if (parameter == "category") {
		return &request.filter.categories;
	}
	if (parameter == "stream") {
		return &request.filter.streams;
	}
	return parameter == "channels" ? &request.channels : nullptr;
}

void
TakeParameter(FeedRequest &request, const std::string &parameter, const std::vector<std::string> &values) {
	if (auto *list = ListOf(request, parameter)) {
		*list = NamesIn(values, parameter);
	} else if (parameter == "tags") {
		request.filter.tags = NamesIn(values, parameter);
	} else if (parameter == "after") {
		request.after = ParseCursor(OneOf(values, parameter));
	} else if (parameter == "ticket") {
		request.ticket = OneOf(values, parameter);
	} else if (parameter == "wait") {
		if (OneOf(values, parameter) != "true") {
			throw BadInput("the parameter wait must be true where it is given");
		}
		request.waits = true;
	} else {
		throw BadInput("there is no parameter " + parameter.substr(0, 50));
	}
}

Names
NamesOf(const nlohmann::json &value, const std::string &key) {
	const auto list = value.is_array() ? value : nlohmann::json::array({value});
	Names names;
	for (const auto &item : list) {
		names.push_back(item.is_string() ? item.get<std::string>() : "");
		if (names.back().empty() || names.size() > kMostNames) {
			throw BadInput("the key " + key.substr(0, 50) + " must be a text or 1 to 100 texts that are not empty");
		}
	}
	if (names.empty()) {
		throw BadInput("the key " + key.substr(0, 50) + " must not be an empty array");
	}
	return names;
}

} // namespace

Cursor
ParseCursor(std::string_view text) {
	Cursor cursor;
	const size_t colon = text.rfind(':');
	auto digits = text;
	if (colon != std::string_view::npos) {
		cursor.epoch = text.substr(0, colon);
		digits = text.substr(colon + 1);
		if (cursor.epoch.size() != 36 || cursor.epoch.find_first_not_of("0123456789abcdef-") != std::string::npos) {
			throw BadInput("the epoch of an event's id must be a UUID");
		}
	}
	const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), cursor.position);
	if (error != std::errc() || end != digits.data() + digits.size() || cursor.position < 0) {
		throw BadInput("an event's id must be epoch:position, or a position, which is a whole number from 0");
	}
	return cursor;
}

std::string
PrintCursor(std::string_view epoch, int64_t position) {
	return std::string(epoch) + ':' + std::to_string(position);
}

Target
ParseTarget(std::string_view target) {
	if (target.empty() || target[0] != '/' || target.find('#') != std::string_view::npos) {
		throw BadInput("the request's target must be a path");
	}
	Target parsed;
	const size_t mark = target.find('?');
	parsed.path = DecodePath(target.substr(0, mark));
	if (mark == std::string_view::npos) {
		return parsed;
	}
	for (const auto pair : Split(target.substr(mark + 1), '&')) {
		const size_t equals = pair.find('=');
		const auto name = Decode(pair.substr(0, equals), ' ');
		const auto value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
		Decode(value, ' ');
		parsed.query[name].emplace_back(value);
		if (parsed.query.size() > kMostNames || parsed.query[name].size() > kMostNames) {
			throw BadInput("the query has too many parameters");
		}
	}
	return parsed;
}

FeedRequest
ReadFeedRequest(const Target &target, std::string_view last_event_id) {
	FeedRequest request;
	for (const auto &[parameter, values] : target.query) {
		TakeParameter(request, parameter, values);
	}
	if (!last_event_id.empty()) {
		request.after = ParseCursor(last_event_id);
	}
	return request;
}

FeedRequest
ReadFirstMessage(std::string_view text) {
	const auto message = ParseJson(text, kMessageBounds);
	if (!message.is_object()) {
		throw BadInput("the first message must be an object");
	}
	FeedRequest request;
	for (const auto &item : message.items()) {
		if (auto *list = ListOf(request, item.key())) {
			*list = NamesOf(item.value(), item.key());
		} else if (item.key() == "tags") {
			request.filter.tags = NamesOf(item.value(), item.key());
		} else if (item.key() == "after" && item.value().is_string()) {
			request.after = ParseCursor(item.value().get_ref<const std::string &>());
		} else {
			throw BadInput("the first message has a key that is unknown or not a text: " + item.key().substr(0, 50));
		}
	}
	return request;
}

std::string
CookieOf(std::string_view header, std::string_view name) {
	for (auto part : Split(header, ';')) {
		part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
		if (part.size() > name.size() && part.substr(0, name.size()) == name && part[name.size()] == '=') {
			return std::string(part.substr(name.size() + 1));
		}
	}
	return "";
}

} // namespace auren::gateway
