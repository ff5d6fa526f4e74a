#include "core/archives/event_line_reader.hpp"

#include <charconv>
#include <cstddef>

#include "core/error.hpp"
#include "core/event_time.hpp"
#include "core/archives/archive_format.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

int
HexDigit(char digit) {
	if (digit >= '0' && digit <= '9') {
		return digit - '0';
	}
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

class LineReader {
  public:
	explicit LineReader(std::string_view line) : line_(line) {
	}

	void
	Expect(std::string_view text) {
		if (line_.substr(at_, text.size()) != text) {
			Throw(std::string(text));
		}
		at_ += text.size();
	}

	bool
	Take(char character) {
		const bool is = at_ < line_.size() && line_[at_] == character;
		at_ += is ? 1 : 0;
		return is;
	}

	std::int64_t
	Number() {
		std::int64_t number = 0;
		const char *end = line_.data() + line_.size();
		const auto [stop, error] = std::from_chars(line_.data() + at_, end, number);
		if (error != std::errc() || number < 0) {
			Throw("a number");
		}
		at_ = static_cast<std::size_t>(stop - line_.data());
		return number;
	}

	// A string in its quotes, as the writer of the line escapes it.
	void
	String(std::string *text) {
		text->clear();
		if (!Take('"')) {
			Throw("a string");
		}
		for (;;) {
			const std::size_t end = line_.find_first_of("\"\\", at_);
			if (end == std::string_view::npos) {
				Throw("the end of a string");
			}
			text->append(line_.substr(at_, end - at_));
			at_ = end + 1;
			if (line_[end] == '"') {
				return;
			}
			Escape(text);
		}
	}

	// A JSON value, unread: up to the comma or the bracket that ends it.
	std::string_view
	Value() {
		const std::size_t start = at_;
		int depth = 0;
		for (; at_ < line_.size(); at_++) {
			const char character = line_[at_];
			if (character == '"') {
				SkipString();
			} else if (character == '{' || character == '[') {
				depth++;
			} else if (character == '}' || character == ']') {
				if (depth == 0) {
					break;
				}
				depth--;
			} else if (character == ',' && depth == 0) {
				break;
			}
		}
		if (at_ == start || depth != 0) {
			Throw("a JSON value");
		}
		return line_.substr(start, at_ - start);
	}

	void
	Id(EventId *id) {
		Expect("\"");
		for (std::size_t byte = 0; byte < id->size(); byte++) {
			if (byte == 4 || byte == 6 || byte == 8 || byte == 10) {
				Expect("-");
			}
			const int high = at_ + 1 < line_.size() ? HexDigit(line_[at_]) : -1;
			const int low = high < 0 ? -1 : HexDigit(line_[at_ + 1]);
			if (low < 0) {
				Throw("an event id");
			}
			(*id)[byte] = static_cast<std::uint8_t>(high * 16 + low);
			at_ += 2;
		}
		Expect("\"");
	}

	// "2026-11-28T02:35:55.123456Z"
	std::int64_t
	Time() {
		constexpr std::size_t kLength = 27;
		Expect("\"");
		const std::string_view text = line_.substr(at_, kLength);
		const auto micros = ParseEventTime(text);
		if (text.size() != kLength || text[10] != 'T' || text[19] != '.' || text[kLength - 1] != 'Z' || !micros) {
			Throw("a time");
		}
		at_ += kLength;
		Expect("\"");
		return *micros;
	}

	void
	ExpectEnd() {
		if (at_ != line_.size()) {
			Throw("the end of the line");
		}
	}

  private:
	[[noreturn]] void
	Throw(const std::string &expected) const {
		throw DomainError(kBadArchive, "a line of the archive is not that of an event",
		                  "At byte " + std::to_string(at_ + 1) + " of " + std::to_string(line_.size()) + " there should be " + expected + ".",
		                  "Fetch the file again from where it was written to, and compare its digest.");
	}

	void
	SkipString() {
		for (at_++; at_ < line_.size() && line_[at_] != '"'; at_++) {
			at_ += line_[at_] == '\\' ? 1 : 0;
		}
		if (at_ >= line_.size()) {
			Throw("the end of a string");
		}
	}

	void
	Escape(std::string *text) {
		constexpr std::string_view kLetters = "\"\\bfnrt";
		constexpr std::string_view kMeant = "\"\\\b\f\n\r\t";
		const char letter = at_ < line_.size() ? line_[at_] : '\0';
		const std::size_t which = kLetters.find(letter);
		if (letter != '\0' && which != std::string_view::npos) {
			*text += kMeant[which];
			at_++;
			return;
		}
		// nothing else is escaped but control characters
		unsigned code = 0;
		const bool is_code = letter == 'u' && at_ + 4 < line_.size();
		for (std::size_t i = 1; is_code && i <= 4; i++) {
			const int digit = HexDigit(line_[at_ + i]);
			code = digit < 0 ? 0x100 : code * 16 + static_cast<unsigned>(digit);
		}
		if (!is_code || code == 0 || code >= 0x80) {
			Throw("an escape of a control character");
		}
		*text += static_cast<char>(code);
		at_ += 5;
	}

	std::string_view line_;
	std::size_t at_ = 0;
};

void
ReadTags(LineReader *reader, std::vector<std::string> *tags) {
	reader->Expect("[");
	std::size_t count = 0;
	while (!reader->Take(']')) {
		if (count > 0) {
			reader->Expect(",");
		}
		if (count == tags->size()) {
			tags->emplace_back();
		}
		reader->String(&(*tags)[count++]);
	}
	tags->resize(count);
}

} // namespace

void
ReadEventLine(std::string_view line, EventOfLine *event) {
	LineReader reader(line);
	reader.Expect("{\"global_position\":");
	event->global_position = reader.Number();
	reader.Expect(",\"event_id\":");
	reader.Id(&event->event_id);
	reader.Expect(",\"tenant_id\":");
	reader.String(&event->tenant_id);
	reader.Expect(",\"stream_id\":");
	reader.String(&event->stream_id);
	reader.Expect(",\"stream_version\":");
	event->stream_version = reader.Number();
	reader.Expect(",\"event_type\":");
	reader.String(&event->event_type);
	reader.Expect(",\"event_data\":");
	event->event_data = reader.Value();
	reader.Expect(",\"metadata\":");
	event->metadata = reader.Value();
	reader.Expect(",\"created_at\":");
	event->created_at = reader.Time();
	reader.Expect(",\"created_by\":");
	reader.String(&event->created_by);
	reader.Expect(",\"tags\":");
	ReadTags(&reader, &event->tags);
	reader.Expect("}");
	reader.ExpectEnd();
}

} // namespace auren
