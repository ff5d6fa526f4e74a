#include "append/batch_arguments.hpp"

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/guard.hpp"
#include "server/rows.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "store/event_read.hpp"

namespace auren {

using pg::Call;
using pg::Server;

namespace {

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

Datum
EmptyObject() {
	return Call([] { return DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")); });
}

} // namespace

EventId
EventIdOf(Datum datum) {
	EventId id;
	std::memcpy(id.data(), DatumGetUUIDP(datum)->data, id.size());
	return id;
}

void
AddElement(pg::AppendRequest *request, const GivenEvent &event) {
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

pg::AppendRequest
ReadBatch(FunctionCallInfo fcinfo, const BatchArguments &arguments) {
	const pg::Elements streams = pg::ArrayArgument(fcinfo, arguments.stream_ids, "p_stream_ids", TEXTOID);
	const pg::Elements types = pg::ArrayArgument(fcinfo, arguments.types, "p_event_types", TEXTOID);
	const pg::Elements data = pg::ArrayArgument(fcinfo, arguments.data, "p_event_data", JSONBOID);
	RequireLength(types, streams.count, "p_event_types");
	RequireLength(data, streams.count, "p_event_data");
	RequireNoNull(streams, "p_stream_ids");
	RequireNoNull(types, "p_event_types");
	RequireNoNull(data, "p_event_data");

	pg::Elements metadata;
	if (!PG_ARGISNULL(arguments.metadata)) {
		metadata = pg::ArrayArgument(fcinfo, arguments.metadata, "p_metadata", JSONBOID);
		RequireLength(metadata, streams.count, "p_metadata");
		RequireNoNull(metadata, "p_metadata");
	}
	const Datum empty = metadata.values == nullptr ? EmptyObject() : 0;
	pg::Elements ids;
	if (!PG_ARGISNULL(arguments.ids)) {
		ids = pg::ArrayArgument(fcinfo, arguments.ids, "p_event_ids", UUIDOID);
		RequireLength(ids, streams.count, "p_event_ids");
	}

	pg::Elements tags;
	if (arguments.tags < PG_NARGS() && !PG_ARGISNULL(arguments.tags)) {
		tags = pg::ArrayArgument(fcinfo, arguments.tags, "p_tags", JSONBOID);
		RequireLength(tags, streams.count, "p_tags");
	}

	pg::AppendRequest request;
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

} // namespace auren
