// Moving in: events.import_events, events.import_store, events.rehearse_import, auren.view_all_tenants.

#include <string>

#include "append/append.hpp"
#include "append/batch_arguments.hpp"
#include "core/error.hpp"
#include "core/store/names.hpp"
#include "imports/import_store.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/rows.hpp"
#include "server/text.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

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

namespace {

// An import of a store reads and writes the events of all tenants.
void
RequireWholeStore(const char *what) {
	pg::RequireUnbound(what, "They are of all tenants.");
	(void)pg::CurrentTenantId();
	if (Call([](Server server) {
			Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
			const bool applies = pg::RowSecurityApplies(server, events);
			table_close(events, NoLock);
			return applies;
		})) {
		throw DomainError(sqlstate::kInsufficientPrivilege, std::string("a role under row level security may not ") + what,
		                  "A policy on events.event_store applies to it, and may hide some of them.", "Use a role to which no policy applies.");
	}
}

std::optional<std::string>
KindArgument(FunctionCallInfo fcinfo) {
	const auto kind = pg::OptionalTextArgument(fcinfo, 1);
	return kind ? std::optional(std::string(kind->name.bytes)) : std::nullopt;
}

int
BatchArgument(FunctionCallInfo fcinfo) {
	pg::RequireNotNull(fcinfo, 2, "p_batch");
	const int32 batch = PG_GETARG_INT32(2);
	if (batch < 1 || batch > 100000) {
		throw DomainError(sqlstate::kInvalidParameter, "p_batch must be between 1 and 100000", "It is " + std::to_string(batch) + ".",
		                  "A thousand events in a transaction are a good number.");
	}
	return batch;
}

void
PutRehearsed(const pg::Rows &rows, const pg::FetchedRow &row, const std::optional<pg::ImportRefusal> &refusal) {
	const std::string changes = refusal ? refusal->reason : pg::ChangesOf(row);
	const char *reason = changes.c_str();
	const char *to_do = refusal ? refusal->to_do.c_str() : nullptr;
	Call([&](Server server) {
		static const pg::PlanColumn columns[8] = {pg::kPlanTenant,  pg::kPlanStream,  pg::kPlanOldVersion, pg::kPlanOldId,
		                                          pg::kPlanOldTime, pg::kPlanVersion, pg::kPlanId,         pg::kPlanTime};
		Datum values[10];
		bool isnull[10] = {};
		for (int i = 0; i < 8; i++) {
			values[i] = row.values[columns[i]];
			isnull[i] = row.isnull[columns[i]];
		}
		values[8] = CStringGetTextDatum(reason);
		values[9] = to_do == nullptr ? 0 : CStringGetTextDatum(to_do);
		isnull[9] = to_do == nullptr;
		pg::PutRow(server, rows, values, isnull);
	});
}

} // namespace

AUREN_FUNCTION(auren_view_all_tenants) {
	RequireWholeStore("see what was imported");
	PG_RETURN_BOOL(true);
}

AUREN_FUNCTION(auren_rehearse_import) {
	pg::RequireNotNull(fcinfo, 0, "p_table");
	const std::optional<std::string> kind = KindArgument(fcinfo);
	RequireWholeStore("rehearse an import");
	const pg::ImportSource source = pg::FindImportSource(PG_GETARG_OID(0), kind);
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	Call([] { SPI_connect(); });
	pg::RehearseImport(source, [&](const pg::FetchedRow &row, const std::optional<pg::ImportRefusal> &refusal) { PutRehearsed(rows, row, refusal); });
	Call([] { SPI_finish(); });
	return 0;
}

AUREN_FUNCTION(auren_import_store) {
	pg::RequireNotNull(fcinfo, 0, "p_table");
	const Oid table = PG_GETARG_OID(0);
	const std::optional<std::string> kind = KindArgument(fcinfo);
	const int batch = BatchArgument(fcinfo);
	RequireWholeStore("import a store");
	Call([] { PreventCommandIfReadOnly("events.import_store()"); });
	pg::Procedure procedure(fcinfo, "events.import_store()");
	pg::ImportStore(&procedure, table, kind, batch);
	pg::Procedure::End();
	PG_RETURN_VOID();
}

} // namespace auren
