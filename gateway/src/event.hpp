#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace auren::gateway {

// The columns of an event as PostgreSQL prints them; times in UTC and the ISO style, tags as a JSON array.
struct EventColumns {
	std::string_view position;
	std::string_view event_id;
	std::string_view stream_id;
	std::string_view stream_version;
	std::string_view event_type;
	std::string_view event_data;
	std::string_view metadata; // empty: null
	std::string_view created_at;
	std::string_view created_by; // empty: null
	std::string_view tags;       // empty: none
};

// An event as all clients get it: serialised once. The text is a whole message of server-sent events; a WebSocket's message is made of parts of it.
struct Event {
	int64_t position = 0;
	std::string type;
	std::string stream;
	std::vector<std::string> tags;
	std::string text;
	std::string ws_header;   // of the WebSocket frame
	uint32_t id_size = 0;    // of epoch:position, which begins at kIdBegin
	uint32_t json_begin = 0; // of the JSON, which ends two bytes before the end of the text
	static constexpr size_t kIdBegin = 4;

	std::string_view
	Id() const {
		return std::string_view(text).substr(kIdBegin, id_size);
	}
	std::string_view
	Json() const {
		return std::string_view(text).substr(json_begin, text.size() - json_begin - 2);
	}
	// What it takes in memory, nearly.
	size_t
	Bytes() const {
		return sizeof(Event) + text.capacity() + type.capacity() + stream.capacity() + tags.size() * 48;
	}
};

using EventPtr = std::shared_ptr<const Event>;

// What stands around id and JSON in a WebSocket's message.
constexpr std::string_view kWsBegin = R"({"event":"event","id":")";
constexpr std::string_view kWsMiddle = R"(","data":)";
constexpr std::string_view kWsEnd = "}";

// Throws std::invalid_argument when the position is not a number.
EventPtr MakeEvent(std::string_view epoch, const EventColumns &columns);

// A timestamptz as PostgreSQL prints it in UTC, as ISO 8601 has it: 2026-11-24T10:00:00.5+00:00.
std::string IsoTime(std::string_view printed);

} // namespace auren::gateway
