#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/store/event_id.hpp"

namespace auren {

/*
 * An event as its canonical line has it: what can never change. Texts are UTF-8; data and metadata are the server's texts of jsonb, and go in as
 * they are. Times are microseconds since 2000-01-01 00:00 UTC.
 */
struct EventLine {
	std::int64_t global_position;
	EventId event_id;
	std::string_view tenant_id;
	std::string_view stream_id;
	std::int64_t stream_version;
	std::string_view event_type;
	std::string_view event_data;
	std::string_view metadata;
	std::int64_t created_at;
	std::string_view created_by;
	const std::string_view *tags;
	std::size_t tag_count;
};

/*
 * Appends the line to a text, without a line feed at its end: a JSON object whose members have one order and no blanks between them, so that there is
 * one line for an event. doc/seals.md writes it down; what it makes of an event never changes.
 */
void AppendLine(std::string *out, const EventLine &event);

// "2026-11-28T02:35:55.123456Z"
std::string TimeText(std::int64_t micros);

// The position that a line begins with; nothing where it is no such line.
std::optional<std::int64_t> PositionOfLine(std::string_view line);
// The same event at another position.
std::string LineAtPosition(std::string_view line, std::int64_t position);

} // namespace auren
