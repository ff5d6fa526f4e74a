#include "archives/archive_source.hpp"

#include <algorithm>

#include "access/own_query.hpp"
#include "archives/archive_seals.hpp"
#include "core/error.hpp"
#include "core/seals/canonical_line.hpp"
#include "feed/store_epoch.hpp"
#include "months/month_list.hpp"
#include "seals/event_line.hpp"
#include "server/progress.hpp"
#include "store/event_read.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

namespace {

void
RequireClosed(Month month) {
	const std::vector<MonthFigures> months = ListMonths();
	const auto found = std::find_if(months.begin(), months.end(), [&](const MonthFigures &of) { return of.month == month; });
	if (found == months.end()) {
		const bool dropped =
			!QueryAsOwner("SELECT FROM auren.month_records WHERE month = $1::date AND dropped_at IS NOT NULL", {DateText(month)}).empty();
		throw DomainError(dropped ? sqlstate::kNotInState : sqlstate::kUndefinedObject,
		                  "month " + MonthText(month) + (dropped ? " was dropped" : " is not one of the store"),
		                  dropped ? "Its events are not here any more." : "No partition of events.event_store holds it.",
		                  "The view events.months shows the months, and the archives that were made of them.");
	}
	if (!found->closed) {
		throw DomainError(sqlstate::kNotInState, "month " + MonthText(month) + " is not closed",
		                  "It is not over, or a transaction in flight can still write to it: an archive of it would lack events.",
		                  "Wait until events.months shows it as closed.");
	}
}

std::string
NowText() {
	return TimeText(Call([] { return GetCurrentTimestamp(); }));
}

} // namespace

std::string
StoreEpochText() {
	return Call([](Server server) {
		const pg_uuid_t epoch = StoreEpoch(server);
		return static_cast<const char *>(DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&epoch))));
	});
}

void
RequireMayArchive() {
	RequireUnbound("archive months or attach archives", "They hold the events of all tenants.");
	(void)CurrentTenantId();
	const bool hidden = Call([](Server server) {
		Relation events = table_open(own::events.Get(server), AccessShareLock);
		const bool applies = RowSecurityApplies(server, events);
		table_close(events, NoLock);
		return applies;
	});
	if (hidden) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "a policy on events.event_store applies to this role",
		                  "An archive holds every event of its month, those too that a policy hides.",
		                  "Ask a role to which none applies: one with BYPASSRLS, say.");
	}
}

ArchiveSource::ArchiveSource(Month month) {
	Call([] { PreventCommandDuringRecovery("making an archive"); });
	RequireClosed(month);
	snapshot_ = Call([] { return RegisterSnapshot(GetLatestSnapshot()); });
	const int64 lower = month.StartMicros();
	const int64 upper = month.Next().StartMicros();
	manifest_.month = month;
	Call([](Server server) { BeginProgress(server, WorkPhase::kArchiveCounting, 0); });
	Count(lower, upper);
	manifest_.store_epoch = StoreEpochText();
	manifest_.made_at = NowText();
	manifest_.extension_version = AUREN_VERSION;
	manifest_.seals = SealsOfMonth(month);
	Open(lower, upper);
	Call([&](Server server) { BeginProgress(server, WorkPhase::kArchiveWriting, manifest_.events); });
}

void
ArchiveSource::Count(int64 lower, int64 upper) {
	Oid types[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	const Datum bounds[2] = {TimestampTzGetDatum(lower), TimestampTzGetDatum(upper)};
	Call([&](Server server) {
		RunningQuery query = {};
		StartQuery(server, &query,
		           "SELECT pg_catalog.count(*), COALESCE(pg_catalog.min(global_position), 0), COALESCE(pg_catalog.max(global_position), 0) "
		           "FROM events.event_store WHERE created_at OPERATOR(pg_catalog.>=) $1 AND created_at OPERATOR(pg_catalog.<) $2",
		           2, types, bounds, snapshot_);
		const Datum *values;
		const bool *isnull;
		if (NextRow(server, &query, &values, &isnull)) {
			manifest_.events = DatumGetInt64(values[0]);
			manifest_.first_position = DatumGetInt64(values[1]);
			manifest_.last_position = DatumGetInt64(values[2]);
		}
		EndQuery(server, &query);
	});
}

void
ArchiveSource::Open(int64 lower, int64 upper) {
	Oid types[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	const Datum bounds[2] = {TimestampTzGetDatum(lower), TimestampTzGetDatum(upper)};
	Call([&](Server server) {
		each_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events line of an event", ALLOCSET_DEFAULT_SIZES);
		Relation events = table_open(own::events.Get(server), AccessShareLock);
		const char *sql = psprintf("SELECT %s FROM events.event_store WHERE created_at OPERATOR(pg_catalog.>=) $1 AND created_at "
		                           "OPERATOR(pg_catalog.<) $2 ORDER BY global_position",
		                           EventColumnList(server, events));
		table_close(events, NoLock);
		StartQuery(server, &query_, sql, 2, types, bounds, snapshot_);
	});
}

bool
ArchiveSource::Next() {
	EventLine event;
	const bool found = Call([&](Server server) {
		CHECK_FOR_INTERRUPTS();
		const Datum *values;
		const bool *isnull;
		if (!NextRow(server, &query_, &values, &isnull)) {
			return false;
		}
		MemoryContextReset(each_);
		MemoryContext before = MemoryContextSwitchTo(each_);
		EventRow row;
		std::copy(values, values + kEventColumns, row.values);
		event = ReadEventLine(server, row);
		MemoryContextSwitchTo(before);
		ReportProgress(server, ++events_);
		return true;
	});
	if (!found) {
		return false;
	}
	line_.clear();
	AppendLine(&line_, event);
	digest_.Update(line_);
	digest_.Update("\n");
	return true;
}

ArchiveTrailer
ArchiveSource::Trailer() {
	return {events_, Hex(BytesOf(digest_.Finish()))};
}

void
ArchiveSource::End() {
	Call([&](Server server) {
		EndQuery(server, &query_);
		MemoryContextDelete(each_);
		UnregisterSnapshot(snapshot_);
		EndProgress(server);
	});
}

} // namespace auren::pg
