// events.import_events

#include <string>

#include "append/append.hpp"
#include "append/batch_arguments.hpp"
#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/text.hpp"

namespace auren {

namespace {

using pg::Call;

enum Argument { kStreamIds, kTypes, kData, kIds, kCreatedAt, kCreatedBy, kMetadata, kTags };

// The creator of each element: that of p_created_by, or 'system' where it is NULL.
void
ReadCreators(FunctionCallInfo fcinfo, pg::ImportedEvents *events, int count) {
	if (PG_ARGISNULL(kCreatedBy)) {
		const Datum system = Call([] { return PointerGetDatum(cstring_to_text("system")); });
		events->created_by.assign(static_cast<std::size_t>(count), system);
		return;
	}
	const pg::Elements creators = pg::ArrayArgument(fcinfo, kCreatedBy, "p_created_by", TEXTOID);
	RequireLength(creators, count, "p_created_by");
	RequireNoNull(creators, "p_created_by");
	for (int i = 0; i < count; i++) {
		const pg::Text creator = pg::TextOf(creators.values[i]);
		CheckCreatedBy(creator.name);
		events->created_by.push_back(creator.datum);
	}
}

pg::ImportedEvents
ReadImport(FunctionCallInfo fcinfo, int count) {
	const pg::Elements ids = pg::ArrayArgument(fcinfo, kIds, "p_event_ids", UUIDOID);
	RequireNoNull(ids, "p_event_ids");
	const pg::Elements times = pg::ArrayArgument(fcinfo, kCreatedAt, "p_created_at", TIMESTAMPTZOID);
	RequireLength(times, count, "p_created_at");
	RequireNoNull(times, "p_created_at");
	pg::ImportedEvents events;
	ReadCreators(fcinfo, &events, count);
	events.elements.reserve(static_cast<std::size_t>(count));
	for (int i = 0; i < count; i++) {
		events.elements.push_back({DatumGetTimestampTz(times.values[i]), pg::TextBytes(events.created_by[static_cast<std::size_t>(i)])});
	}
	return events;
}

} // namespace

AUREN_FUNCTION(auren_import_events) {
	pg::RequireNotNull(fcinfo, kIds, "p_event_ids");
	pg::RequireNotNull(fcinfo, kCreatedAt, "p_created_at");
	pg::AppendRequest request = ReadBatch(fcinfo, {kStreamIds, kTypes, kData, kMetadata, kIds, kTags});
	const pg::ImportedEvents events = ReadImport(fcinfo, static_cast<int>(request.elements.size()));
	request.import = &events;
	return AppendBatch(fcinfo, request);
}

} // namespace auren
