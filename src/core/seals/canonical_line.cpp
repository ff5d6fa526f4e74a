#include "core/seals/canonical_line.hpp"

#include <charconv>

#include "core/store/month.hpp"
#include "core/no_postgres.hpp"

namespace auren {

namespace {

constexpr std::int64_t kMicrosPerSecond = 1'000'000;
constexpr std::int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
constexpr std::string_view kStart = "{\"global_position\":";

void
AppendNumber(std::string *out, std::int64_t number) {
	char digits[24];
	const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
	out->append(digits, end);
}

// As many digits as are asked for, at least, with zeros before them.
void
AppendPadded(std::string *out, std::int64_t number, std::size_t digits) {
	const std::string text = std::to_string(number);
	out->append(text.size() < digits ? digits - text.size() : 0, '0');
	*out += text;
}

char
ShortEscape(char c) {
	switch (c) {
	case '"':
		return '"';
	case '\\':
		return '\\';
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	default:
		return '\0';
	}
}

// A JSON text: what RFC 8259 says must be escaped is, by the short form where there is one, and nothing else.
void
AppendText(std::string *out, std::string_view text) {
	static const char kDigits[] = "0123456789abcdef";
	*out += '"';
	std::size_t plain = 0;
	for (std::size_t i = 0; i < text.size(); i++) {
		const auto byte = static_cast<unsigned char>(text[i]);
		if (byte >= 0x20 && byte != '"' && byte != '\\') {
			continue;
		}
		out->append(text, plain, i - plain);
		plain = i + 1;
		*out += '\\';
		const char escape = ShortEscape(text[i]);
		if (escape != '\0') {
			*out += escape;
		} else {
			*out += "u00";
			*out += kDigits[byte >> 4];
			*out += kDigits[byte & 15];
		}
	}
	out->append(text, plain, text.size() - plain);
	*out += '"';
}

void
AppendId(std::string *out, const EventId &id) {
	static const char kDigits[] = "0123456789abcdef";
	for (std::size_t i = 0; i < id.size(); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10) {
			*out += '-';
		}
		*out += kDigits[id[i] >> 4];
		*out += kDigits[id[i] & 15];
	}
}

std::int64_t
FloorDiv(std::int64_t a, std::int64_t b) {
	return a / b - (a % b < 0);
}

} // namespace

std::string
TimeText(std::int64_t micros) {
	const std::int64_t days = FloorDiv(micros, kMicrosPerDay);
	const std::int64_t of_day = micros - days * kMicrosPerDay;
	const std::int64_t seconds = of_day / kMicrosPerSecond;
	const Month month = Month::FromDays(static_cast<std::int32_t>(days));
	std::string text;
	AppendPadded(&text, month.Year(), 4);
	text += '-';
	AppendPadded(&text, month.MonthOfYear(), 2);
	text += '-';
	AppendPadded(&text, days - month.StartDays() + 1, 2);
	text += 'T';
	AppendPadded(&text, seconds / 3600, 2);
	text += ':';
	AppendPadded(&text, seconds / 60 % 60, 2);
	text += ':';
	AppendPadded(&text, seconds % 60, 2);
	text += '.';
	AppendPadded(&text, of_day % kMicrosPerSecond, 6);
	text += 'Z';
	return text;
}

void
AppendLine(std::string *out, const EventLine &event) {
	*out += kStart;
	AppendNumber(out, event.global_position);
	*out += ",\"event_id\":\"";
	AppendId(out, event.event_id);
	*out += "\",\"tenant_id\":";
	AppendText(out, event.tenant_id);
	*out += ",\"stream_id\":";
	AppendText(out, event.stream_id);
	*out += ",\"stream_version\":";
	AppendNumber(out, event.stream_version);
	*out += ",\"event_type\":";
	AppendText(out, event.event_type);
	*out += ",\"event_data\":";
	*out += event.event_data;
	*out += ",\"metadata\":";
	*out += event.metadata;
	*out += ",\"created_at\":\"";
	*out += TimeText(event.created_at);
	*out += "\",\"created_by\":";
	AppendText(out, event.created_by);
	*out += ",\"tags\":[";
	for (std::size_t i = 0; i < event.tag_count; i++) {
		if (i > 0) {
			*out += ',';
		}
		AppendText(out, event.tags[i]);
	}
	*out += "]}";
}

std::optional<std::int64_t>
PositionOfLine(std::string_view line) {
	if (line.substr(0, kStart.size()) != kStart) {
		return std::nullopt;
	}
	std::int64_t position = 0;
	const char *begin = line.data() + kStart.size();
	const char *end = line.data() + line.size();
	const auto result = std::from_chars(begin, end, position);
	if (result.ec != std::errc() || result.ptr == end || *result.ptr != ',') {
		return std::nullopt;
	}
	return position;
}

std::string
LineAtPosition(std::string_view line, std::int64_t position) {
	std::string other(kStart);
	AppendNumber(&other, position);
	other += line.substr(line.find(','));
	return other;
}

} // namespace auren
