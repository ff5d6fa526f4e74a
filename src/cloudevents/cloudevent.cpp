#include "cloudevents/cloudevent.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/cloudevents/attributes.hpp"
#include "core/cloudevents/trace_context.hpp"
#include "core/cloudevents/uri.hpp"
#include "core/json/json.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/guard.hpp"
#include "server/jsonb.hpp"
#include "server/jsonb_writer.hpp"

namespace auren::pg {

namespace {

bool
IsPrintableAscii(std::string_view text) {
	return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

// A text of the database as a String attribute.
std::string
StringAttribute(std::string text) {
	if (IsPrintableAscii(text)) {
		return text;
	}
	const std::string utf8 = ToUtf8(text.c_str());
	return IsCloudEventString(utf8) ? text : FromUtf8(CloudEventString(utf8));
}

std::string
UuidText(const pg_uuid_t *uuid) {
	const char *text = Call([&] { return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid))); });
	return text;
}

void
Put(Json::Object *attributes, const char *name, std::string value) {
	attributes->emplace(name, Json(std::move(value)));
}

// The members of an event's metadata that are attributes of a CloudEvent; nullptr where it has none of that name, or one that is not a text.
struct KnownMetadata {
	std::optional<std::string> traceparent;
	std::optional<std::string> tracestate;
	std::optional<std::string> correlation_id;
	std::optional<std::string> causation_id;
	std::optional<std::string> dataschema;
};

std::optional<std::string> *
MemberOf(KnownMetadata *known, std::string_view key) {
	if (key == "traceparent") {
		return &known->traceparent;
	}
	if (key == "tracestate") {
		return &known->tracestate;
	}
	if (key == "correlation_id") {
		return &known->correlation_id;
	}
	if (key == "causation_id") {
		return &known->causation_id;
	}
	return key == "dataschema" ? &known->dataschema : nullptr;
}

KnownMetadata
ReadMetadata(Datum metadata) {
	KnownMetadata known;
	const JsonbView view(reinterpret_cast<const Jsonb *>(DatumGetPointer(JsonbOf(metadata))));
	if (view.kind() != Json::Kind::kObject) {
		return known;
	}
	view.ForEachMember([&](std::string_view key, const JsonbView &value) {
		std::optional<std::string> *member = MemberOf(&known, key);
		if (member != nullptr && value.kind() == Json::Kind::kString && !value.bytes().empty()) {
			*member = std::string(value.bytes());
		}
	});
	return known;
}

// What the metadata says, where it is valid: a receiver would refuse the whole event for one attribute that is not.
void
PutMetadata(Json::Object *attributes, Datum metadata) {
	const KnownMetadata known = ReadMetadata(metadata);
	if (known.traceparent && IsTraceParent(*known.traceparent)) {
		Put(attributes, "traceparent", *known.traceparent);
		if (known.tracestate && IsTraceState(*known.tracestate)) {
			Put(attributes, "tracestate", *known.tracestate);
		}
	}
	if (known.correlation_id) {
		Put(attributes, "correlationid", StringAttribute(*known.correlation_id));
	}
	if (known.causation_id) {
		Put(attributes, "causationid", StringAttribute(*known.causation_id));
	}
	if (known.dataschema && IsUri(*known.dataschema)) {
		Put(attributes, "dataschema", *known.dataschema);
	}
}

} // namespace

Datum
WriteCloudEvent(const CloudEventOrigin &origin, const ShownEvent &event) {
	Json cloudevent;
	Json::Object &attributes = cloudevent.SetObject();
	Put(&attributes, "specversion", "1.0");
	Put(&attributes, "id", UuidText(event.id));
	Put(&attributes, "source", std::string(origin.source));
	Put(&attributes, "type", StringAttribute(std::string(origin.type_prefix).append(event.event_type)));
	const std::string subject = StringAttribute(std::string(event.stream_id));
	Put(&attributes, "subject", subject);
	Put(&attributes, "partitionkey", subject);
	Put(&attributes, "datacontenttype", "application/json");
	attributes.emplace("data", JsonOf(event.event_data));
	if (!TIMESTAMP_NOT_FINITE(event.created_at)) {
		if (auto time = CloudEventTime(event.created_at)) {
			Put(&attributes, "time", std::move(*time));
		}
	}
	if (event.stream_version >= 0) {
		Put(&attributes, "streamversion", std::to_string(event.stream_version));
	}
	if (event.global_position >= 0) {
		Put(&attributes, "sequence", CloudEventSequence(event.global_position));
	}
	if (event.metadata != 0) {
		PutMetadata(&attributes, event.metadata);
	}
	return WriteJsonb(cloudevent);
}

} // namespace auren::pg
