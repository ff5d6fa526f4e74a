// Events as CloudEvents: events.as_cloudevents, events.as_cloudevent.

#include "cloudevents/cloudevents_functions.hpp"

#include <cstring>
#include <string>
#include <string_view>

#include "cloudevents/cloudevent.hpp"
#include "core/cloudevents/uri.hpp"
#include "core/error.hpp"
#include "feed/store_epoch.hpp"
#include "server/arguments.hpp"
#include "server/encoding.hpp"
#include "server/entry.hpp"
#include "server/text.hpp"
#include "store/read_functions.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// A text that lives as long as the caller's memory context.
std::string_view
Kept(const std::string &text) {
	const char *bytes = text.data();
	const std::size_t size = text.size();
	const char *kept = Call([&] { return pnstrdup(bytes, size); });
	return {kept, size};
}

/*
 * The source of a call's events. The default one differs by tenant: an id that a caller supplied is unique within its tenant only, and source and id
 * together name an event.
 */
std::string_view
SourceArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Tenant tenant = pg::CurrentTenant();
	const auto given = pg::OptionalTextArgument(fcinfo, argument);
	if (!given) {
		const char *epoch = Call([](Server server) {
			pg_uuid_t uuid = pg::StoreEpoch(server);
			return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid)));
		});
		return Kept("urn:uuid:" + std::string(epoch) + "#" + PercentEncoded(pg::ToUtf8(std::string(tenant.id).c_str())));
	}
	if (!IsUriReference(given->name.bytes)) {
		throw DomainError(
			sqlstate::kInvalidParameter, "p_source must be a URI-reference", "The source given is \"" + std::string(given->name.bytes) + "\".",
			"Give an absolute URI such as https://example.com/orders with what is not ASCII percent-encoded, or NULL for one that is made "
			"of the store's epoch and the tenant.");
	}
	return given->name.bytes;
}

pg::CloudEventOrigin
OriginArguments(FunctionCallInfo fcinfo, int source) {
	const auto prefix = pg::OptionalTextArgument(fcinfo, source + 1);
	return {SourceArgument(fcinfo, source), prefix ? prefix->name.bytes : std::string_view()};
}

// The columns of read_all.
enum FeedColumn { kId, kPosition, kStream, kVersion, kType, kData, kMetadata, kCreatedAt };

struct CloudEventSource {
	pg::RowSource base;
	pg::RowSource *feed;
	pg::CloudEventOrigin origin;
	MemoryContext row; // of the event that was given last
};

bool
NextCloudEvent(Server server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<CloudEventSource *>(base);
	Datum columns[pg::kMaxRowSourceColumns];
	bool nulls[pg::kMaxRowSourceColumns];
	if (!source->feed->next(server, source->feed, columns, nulls)) {
		return false;
	}
	MemoryContextReset(source->row);
	MemoryContext old = MemoryContextSwitchTo(source->row);
	const pg::ShownEvent event = {
		DatumGetUUIDP(columns[kId]), pg::TextBytes(columns[kStream]),          pg::TextBytes(columns[kType]),    columns[kData],
		columns[kMetadata],          DatumGetTimestampTz(columns[kCreatedAt]), DatumGetInt64(columns[kVersion]), DatumGetInt64(columns[kPosition])};
	values[0] = columns[kPosition];
	values[1] = pg::Entry([&] { return pg::WriteCloudEvent(source->origin, event); });
	isnull[0] = isnull[1] = false;
	MemoryContextSwitchTo(old);
	return true;
}

void
EndCloudEvents(Server server, pg::RowSource *base) {
	auto *source = reinterpret_cast<CloudEventSource *>(base);
	source->feed->end(server, source->feed);
	MemoryContextDelete(source->row);
}

// The arguments of as_cloudevents: those of read_all, then these.
constexpr int kSourceOfAll = 7;

// The arguments of as_cloudevent.
enum Argument { kEventId, kStreamId, kEventType, kEventData, kTime, kEventMetadata, kStreamVersion, kGlobalPosition, kSource };

// An attribute of a CloudEvent is not empty.
pg::Text
NameArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	const pg::Text name = pg::TextArgument(fcinfo, argument, parameter);
	if (name.name.bytes.empty()) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must not be empty", "A CloudEvent has no empty attributes.",
		                  "Give what the event's row has.");
	}
	return name;
}

int64
NumberArgument(FunctionCallInfo fcinfo, int argument, const char *parameter) {
	if (PG_ARGISNULL(argument)) {
		return -1;
	}
	const int64 number = PG_GETARG_INT64(argument);
	if (number < 0) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must not be negative",
		                  "The number given is " + std::to_string(number) + ".", "Give what the event's row has, or NULL.");
	}
	return number;
}

} // namespace

pg::RowSource *
OpenAsCloudevents(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction) {
	const pg::CloudEventOrigin origin = OriginArguments(fcinfo, kSourceOfAll);
	pg::RowSource *feed = OpenReadAll(fcinfo, snapshot, direction);
	return Call([&] {
		auto *source = static_cast<CloudEventSource *>(palloc(sizeof(CloudEventSource)));
		source->base = {NextCloudEvent, EndCloudEvents};
		source->feed = feed;
		source->origin = origin;
		source->row = AllocSetContextCreate(CurrentMemoryContext, "CloudEvent", ALLOCSET_DEFAULT_SIZES);
		return &source->base;
	});
}

AUREN_FUNCTION(auren_as_cloudevents) {
	return pg::Materialize(fcinfo, OpenAsCloudevents);
}

AUREN_FUNCTION(auren_as_cloudevent) {
	pg::RequireNotNull(fcinfo, kEventId, "p_event_id");
	const pg::Text stream = NameArgument(fcinfo, kStreamId, "p_stream_id");
	const pg::Text type = NameArgument(fcinfo, kEventType, "p_event_type");
	pg::RequireNotNull(fcinfo, kEventData, "p_event_data");
	const pg::CloudEventOrigin origin = OriginArguments(fcinfo, kSource);
	return pg::WriteCloudEvent(
		origin, {PG_GETARG_UUID_P(kEventId), stream.name.bytes, type.name.bytes, PG_GETARG_DATUM(kEventData),
	             PG_ARGISNULL(kEventMetadata) ? 0 : PG_GETARG_DATUM(kEventMetadata), PG_ARGISNULL(kTime) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(kTime),
	             NumberArgument(fcinfo, kStreamVersion, "p_stream_version"), NumberArgument(fcinfo, kGlobalPosition, "p_global_position")});
}

} // namespace auren
