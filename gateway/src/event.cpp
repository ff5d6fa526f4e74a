#include "event.hpp"

#include <nlohmann/json.hpp>

#include "text.hpp"
#include "ws_frame.hpp"

namespace auren::gateway {
namespace {

void
AppendNullable(std::string &out, std::string_view value) {
	if (value.empty()) {
		out += "null";
	} else {
		AppendJsonString(out, value);
	}
}

void
AppendJson(std::string &out, const EventColumns &columns) {
	out += R"({"position":)";
	out += columns.position;
	out += R"(,"event_id":)";
	AppendJsonString(out, columns.event_id);
	out += R"(,"stream_id":)";
	AppendJsonString(out, columns.stream_id);
	out += R"(,"stream_version":)";
	out += columns.stream_version;
	out += R"(,"event_type":)";
	AppendJsonString(out, columns.event_type);
	out += R"(,"event_data":)";
	out += columns.event_data.empty() ? "null" : columns.event_data;
	out += R"(,"metadata":)";
	out += columns.metadata.empty() ? "null" : columns.metadata;
	out += R"(,"created_at":)";
	AppendJsonString(out, IsoTime(columns.created_at));
	out += R"(,"created_by":)";
	AppendNullable(out, columns.created_by);
	out += R"(,"tags":)";
	out += columns.tags.empty() ? "[]" : columns.tags;
	out += '}';
}

} // namespace

std::string
IsoTime(std::string_view printed) {
	std::string time(printed);
	const size_t space = time.find(' ');
	if (space != std::string::npos) {
		time[space] = 'T';
	}
	if (time.size() > 3 && time.compare(time.size() - 3, 3, "+00") == 0) {
		time += ":00";
	}
	return time;
}

EventPtr
MakeEvent(std::string_view epoch, const EventColumns &columns) {
	auto event = std::make_shared<Event>();
	event->position = std::stoll(std::string(columns.position));
	event->type = columns.event_type;
	event->stream = columns.stream_id;
	if (!columns.tags.empty() && columns.tags != "[]") {
		for (auto &tag : nlohmann::json::parse(columns.tags, nullptr, false)) {
			event->tags.push_back(tag.is_string() ? tag.get<std::string>() : std::string());
		}
	}
	auto &text = event->text;
	text.reserve(epoch.size() + columns.event_data.size() + columns.metadata.size() + columns.stream_id.size() + columns.event_type.size() +
	             columns.tags.size() + 320);
	text = "id: ";
	text += epoch;
	text += ':';
	text += columns.position;
	event->id_size = static_cast<uint32_t>(text.size() - Event::kIdBegin);
	text += "\ndata: ";
	event->json_begin = static_cast<uint32_t>(text.size());
	AppendJson(text, columns);
	text += "\n\n";
	const size_t size = kWsBegin.size() + event->id_size + kWsMiddle.size() + event->Json().size() + kWsEnd.size();
	event->ws_header = WsHeader(WsOpcode::kText, size);
	return event;
}

} // namespace auren::gateway
