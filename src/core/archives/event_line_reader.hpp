#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/event_id.hpp"

namespace auren {

// An event as its canonical line says it. Texts are UTF-8.
struct EventOfLine {
	std::int64_t global_position = 0;
	EventId event_id = {};
	std::string tenant_id;
	std::string stream_id;
	std::int64_t stream_version = 0;
	std::string event_type;
	std::string_view event_data; // JSON text, within the line
	std::string_view metadata;
	std::int64_t created_at = 0; // microseconds since 2000
	std::string created_by;
	std::vector<std::string> tags;
};

/*
 * Reads a canonical line (doc/seals.md) and is strict about it: members, their order and the blanks are those that the line is written with. The JSON
 * of event_data and metadata is found, and not looked into. Throws DomainError 22P04 that says what was expected and where. What is in `event` is
 * used again, memory included.
 */
void ReadEventLine(std::string_view line, EventOfLine *event);

} // namespace auren
