// events.append_event, events.append_events, events.append_if

#include <cstring>
#include <optional>
#include <string>

#include "conditions/query_argument.hpp"
#include "core/error.hpp"
#include "core/store/names.hpp"
#include "append/append.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "store/event_read.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

EventId
EventIdOf(Datum datum) {
	EventId id;
	std::memcpy(id.data(), DatumGetUUIDP(datum)->data, id.size());
	return id;
}

// auren_events.naming: off, a warning, or 22023
void
EnforceNaming(std::string_view stream_id, std::string_view event_type) {
	const pg::Naming mode = pg::NamingMode();
	if (mode == pg::Naming::kOff) {
		return;
	}
	static const char hint[] = "auren_events.naming asks for event types in snake_case and stream ids such as user:123.";
	for (const std::string &flaw : {NamingFlawOfEventType(event_type), NamingFlawOfStreamId(stream_id)}) {
		if (flaw.empty()) {
			continue;
		}
		if (mode == pg::Naming::kError) {
			throw DomainError(sqlstate::kInvalidParameter, "name does not follow the naming practice", flaw, hint);
		}
		const char *detail = flaw.c_str();
		Call([&] { ereport(WARNING, (errmsg("name does not follow the naming practice"), errdetail_internal("%s", detail), errhint("%s", hint))); });
	}
}

// An event as the arguments have it.
struct Given {
	pg::Text stream;
	pg::Text type;
	Datum data;
	Datum metadata;
	std::optional<EventId> id;
	pg::TagSet tags;
};

void
AddElement(pg::AppendRequest *request, const Given &event) {
	CheckStreamId(event.stream.name);
	CheckEventType(event.type.name);
	EnforceNaming(event.stream.name.bytes, event.type.name.bytes);
	request->elements.push_back({event.stream.name.bytes, event.type.name.bytes, pg::TextBytes(event.data), pg::TextBytes(event.metadata), event.id,
	                             pg::TextBytes(event.tags.array)});
	request->datums.push_back({event.stream.datum, event.type.datum, event.data, event.metadata});
	if (event.tags.tags.count > 0 || !request->tags.empty()) {
		request->tags.resize(request->elements.size() - 1, {pg::NoTags(), {nullptr, 0}});
		request->tags.push_back(event.tags);
	}
}

Datum
EmptyObject() {
	return Call([] { return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")); });
}

void
RequireLength(const pg::Elements &elements, int expected, const char *parameter) {
	if (elements.count != expected) {
		throw DomainError(sqlstate::kInvalidParameter, "the arrays of a batch must have one length",
		                  "p_stream_ids has " + std::to_string(expected) + " elements, " + parameter + " has " + std::to_string(elements.count) + ".",
		                  "Give one element per event in each array.");
	}
}

void
RequireNoNull(const pg::Elements &elements, const char *parameter) {
	for (int i = 0; i < elements.count; i++) {
		if (elements.isnull[i]) {
			throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must not contain NULL",
			                  "Element " + std::to_string(i + 1) + " is NULL.", "Give a value for each event.");
		}
	}
}

// The arguments of append_events, in their order. Those of append_if begin with its own.
enum Argument { kStreamIds, kTypes, kData, kCreatedBy, kMetadatas, kExpectedVersions, kIds, kTags };
constexpr int kConditionArguments = 2;

// The batch whose arguments begin with `first`.
pg::AppendRequest
ReadBatch(FunctionCallInfo fcinfo, int first) {
	const pg::Elements streams = pg::ArrayArgument(fcinfo, first + kStreamIds, "p_stream_ids", TEXTOID);
	const pg::Elements types = pg::ArrayArgument(fcinfo, first + kTypes, "p_event_types", TEXTOID);
	const pg::Elements data = pg::ArrayArgument(fcinfo, first + kData, "p_event_data", JSONBOID);
	const pg::Text created_by = pg::TextArgument(fcinfo, first + kCreatedBy, "p_created_by");
	CheckCreatedBy(created_by.name);
	RequireLength(types, streams.count, "p_event_types");
	RequireLength(data, streams.count, "p_event_data");
	RequireNoNull(streams, "p_stream_ids");
	RequireNoNull(types, "p_event_types");
	RequireNoNull(data, "p_event_data");

	pg::Elements metadata;
	if (!PG_ARGISNULL(first + kMetadatas)) {
		metadata = pg::ArrayArgument(fcinfo, first + kMetadatas, "p_metadata", JSONBOID);
		RequireLength(metadata, streams.count, "p_metadata");
		RequireNoNull(metadata, "p_metadata");
	}
	const Datum empty = metadata.values == nullptr ? EmptyObject() : 0;
	pg::Elements ids;
	if (!PG_ARGISNULL(first + kIds)) {
		ids = pg::ArrayArgument(fcinfo, first + kIds, "p_event_ids", UUIDOID);
		RequireLength(ids, streams.count, "p_event_ids");
	}

	pg::Elements tags;
	if (first + kTags < PG_NARGS() && !PG_ARGISNULL(first + kTags)) {
		tags = pg::ArrayArgument(fcinfo, first + kTags, "p_tags", JSONBOID);
		RequireLength(tags, streams.count, "p_tags");
	}

	pg::AppendRequest request;
	request.created_by = created_by.datum;
	request.elements.reserve(static_cast<std::size_t>(streams.count));
	request.datums.reserve(static_cast<std::size_t>(streams.count));
	for (int i = 0; i < streams.count; i++) {
		std::optional<EventId> id;
		if (ids.values != nullptr && !ids.isnull[i]) {
			id = EventIdOf(ids.values[i]);
		}
		try {
			const bool tagged = tags.values != nullptr && !tags.isnull[i];
			AddElement(&request, {pg::TextOf(streams.values[i]), pg::TextOf(types.values[i]), data.values[i],
			                      metadata.values == nullptr ? empty : metadata.values[i], id,
			                      tagged ? pg::TagsOfJson(tags.values[i]) : pg::TagSet{pg::NoTags(), {nullptr, 0}}});
		} catch (const DomainError &error) {
			throw DomainError(error.sqlstate().c_str(), error.message(),
			                  error.detail() + " It is element " + std::to_string(i + 1) + " of the batch.", error.hint());
		}
	}
	if (!PG_ARGISNULL(first + kExpectedVersions)) {
		const pg::Elements expected = pg::ArrayArgument(fcinfo, first + kExpectedVersions, "p_expected_versions", INT8OID);
		RequireLength(expected, streams.count, "p_expected_versions");
		for (int i = 0; i < expected.count; i++) {
			request.expectations.push_back(expected.isnull[i] ? ExpectedVersion() : ExpectedVersion::FromNumber(DatumGetInt64(expected.values[i])));
		}
	}
	return request;
}

// Appends a batch; a row of the result for each element.
Datum
AppendBatch(FunctionCallInfo fcinfo, const pg::AppendRequest &request) {
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	if (request.elements.empty()) {
		return 0;
	}
	const std::vector<pg::AppendedEvent> appended = pg::Append(request);
	for (std::size_t i = 0; i < appended.size(); i++) {
		static const bool isnull[4] = {};
		const Datum values[4] = {PointerGetDatum(appended[i].id.data()), request.datums[i].stream_id, Int64GetDatum(appended[i].version),
		                         Int64GetDatum(appended[i].position)};
		Call([&](Server server) { pg::PutRow(server, rows, values, isnull); });
	}
	return 0;
}

} // namespace

AUREN_RELEASED_FUNCTION(auren_append_event, auren_append_event_with_tags)
AUREN_FUNCTION(auren_append_event_with_tags) {
	const pg::Text stream = pg::TextArgument(fcinfo, 0, "p_stream_id");
	const pg::Text type = pg::TextArgument(fcinfo, 1, "p_event_type");
	pg::RequireNotNull(fcinfo, 2, "p_event_data");
	const pg::Text created_by = pg::TextArgument(fcinfo, 3, "p_created_by");
	pg::RequireNotNull(fcinfo, 4, "p_metadata");
	CheckCreatedBy(created_by.name);

	pg::AppendRequest request;
	request.created_by = created_by.datum;
	std::optional<EventId> id;
	if (!PG_ARGISNULL(6)) {
		id = EventIdOf(PG_GETARG_DATUM(6));
	}
	AddElement(&request, {stream, type, pg::JsonbOf(PG_GETARG_DATUM(2)), pg::JsonbOf(PG_GETARG_DATUM(4)), id, pg::TagsArgument(fcinfo, 7)});
	if (!PG_ARGISNULL(5)) {
		request.expectations.push_back(ExpectedVersion::FromNumber(PG_GETARG_INT64(5)));
	}
	const EventId appended = pg::Append(request).front().id;
	return Call([&] {
		auto *result = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
		memcpy(result->data, appended.data(), appended.size());
		return UUIDPGetDatum(result);
	});
}

AUREN_RELEASED_FUNCTION(auren_append_events, auren_append_events_with_tags)
AUREN_FUNCTION(auren_append_events_with_tags) {
	return AppendBatch(fcinfo, ReadBatch(fcinfo, 0));
}

AUREN_FUNCTION(auren_append_if) {
	const QueryView query = QueryArgument(fcinfo, 0, Versions::kAllowed);
	const int64 after = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	if (after < 0) {
		throw DomainError(sqlstate::kInvalidParameter, "p_after must not be negative", "The position given is " + std::to_string(after) + ".",
		                  "Give the position up to which you have read, or NULL where no event at all may match.");
	}
	pg::AppendRequest request = ReadBatch(fcinfo, kConditionArguments);
	pg::Condition condition(query, after);
	request.condition = &condition;
	return AppendBatch(fcinfo, request);
}

} // namespace auren
