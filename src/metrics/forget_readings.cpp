#include "metrics/forget_readings.hpp"

#include "metrics/refresh.hpp"
#include "metrics/relations.hpp"
#include "server/as_owner.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"
#include "server/text.hpp"
#include "store/partitions.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// The tenant and the person, as parameters of the statements.
struct Person {
	Datum values[2];
	const char *user;
};

uint64
Execute(Server server, const char *sql, Person *person) {
	Oid types[2] = {TEXTOID, TEXTOID};
	return ExecuteAsStore(server, sql, 2, types, person->values, nullptr);
}

// Readings go as the caller's doing: triggers and rules of the table see the caller.
uint64
ExecuteOnReadings(Server server, const char *sql, Person *person) {
	Oid types[2] = {TEXTOID, TEXTOID};
	return ExecuteWithRightsWaived(server, sql, 2, types, person->values, nullptr);
}

void
RequireReadCommitted(Server) {
	if (IsolationUsesXactSnapshot()) {
		ereport(ERROR,
		        (errcode(ERRCODE_INVALID_TRANSACTION_STATE), errmsg("readings are forgotten at READ COMMITTED only"),
		         errdetail("This transaction's server snapshot does not show readings that were committed after it was taken, so they would stay."),
		         errhint("Call encrypted.forget_user() in a transaction of that isolation level.")));
	}
}

// For a role that is bound to tenants: it must not stop the writers of others for longer than a statement.
void
RequireShortLock(Server) {
	if (IsTransactionBlock()) {
		ereport(ERROR,
		        (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION), errmsg("a role that is bound to tenants forgets readings outside a transaction block only"),
		         errdetail("Until the transaction ends, nobody else can write to table biometric.biometric_events."),
		         errhint("Call encrypted.forget_user() as a statement by itself.")));
	}
}

void
LockReadings(Server server) {
	Relation readings = table_open(own::readings.Get(server), ShareRowExclusiveLock);
	if (RowSecurityApplies(server, readings)) {
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("row security of table biometric.biometric_events applies to this role"),
		                errdetail("Readings of the person that a policy hides from it would stay."),
		                errhint("Ask a role with BYPASSRLS, or forget the person without the readings.")));
	}
	table_close(readings, NoLock);
	LockRollups(server);
}

uint64
DeleteReadings(Server server, Person *person) {
	const uint64 deleted = ExecuteOnReadings(
		server, "DELETE FROM biometric.biometric_events WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND user_id OPERATOR(pg_catalog.=) $2", person);
	CommandCounterIncrement();
	if (ExecuteOnReadings(
			server, "SELECT FROM biometric.biometric_events WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND user_id OPERATOR(pg_catalog.=) $2 LIMIT 1",
			person) > 0) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("readings of user \"%s\" cannot be deleted", person->user),
		                errdetail("A trigger or a rule on table biometric.biometric_events kept some."),
		                errhint("Disable it while the person is forgotten.")));
	}
	return deleted;
}

// Raises 55000 where a delta of the table is not merged; nobody can write to the table meanwhile. A pack may hold other people's deltas too.
void
RequireMerged(Server server, Person *person) {
	const uint64 pending =
		Execute(server,
	            "SELECT FROM auren.deltas d, auren.series s WHERE d.series_id OPERATOR(pg_catalog.=) s.series_id AND s.source_id "
	            "OPERATOR(pg_catalog.=) 1 AND s.tenant_id OPERATOR(pg_catalog.=) $1 AND s.user_id OPERATOR(pg_catalog.=) $2 LIMIT 1",
	            person);
	if (pending > 0 || Execute(server, "SELECT FROM auren.delta_packs WHERE source_id OPERATOR(pg_catalog.=) 1 LIMIT 1", person) > 0) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the metrics of user \"%s\" cannot be merged now", person->user),
		                errdetail("What the person's deleted readings change is still pending."),
		                errhint("Call analytics.refresh_user_metrics(): its warning says why. Then forget the person again.")));
	}
}

#define AUREN_OF_PERSON "s.source_id OPERATOR(pg_catalog.=) 1 AND s.tenant_id OPERATOR(pg_catalog.=) $1 AND s.user_id OPERATOR(pg_catalog.=) $2"
#define AUREN_ROLLUPS_OF_PERSON                                                                                                                      \
	" r USING auren.series s, auren.rollup_periods p WHERE r.period OPERATOR(pg_catalog.=) p.period AND r.series_id OPERATOR(pg_catalog.=) "         \
	"s.series_id AND " AUREN_OF_PERSON " AND p.level OPERATOR(pg_catalog.=) "

// Deletes the person's series and the rows of rollups that are left: of buckets that retention has dropped, or that a merge does not empty.
void
DeleteSeries(Server server, Person *person) {
	(void)Execute(server, "DELETE FROM auren.rollup_5min" AUREN_ROLLUPS_OF_PERSON "0", person);
	(void)Execute(server, "DELETE FROM auren.rollup_hourly" AUREN_ROLLUPS_OF_PERSON "1", person);
	(void)Execute(server, "DELETE FROM auren.rollup_daily" AUREN_ROLLUPS_OF_PERSON "2", person);
	(void)Execute(server, "DELETE FROM auren.series s WHERE " AUREN_OF_PERSON, person);
	// no session keeps the numbers
	CacheInvalidateRelcacheByRelid(own::series.Get(server));
	CommandCounterIncrement();
}

#undef AUREN_ROLLUPS_OF_PERSON
#undef AUREN_OF_PERSON

// The other sources with series of the person, one after the other; empty where there are none.
char *
OtherSources(Server server, Person *person) {
	Oid types[2] = {TEXTOID, TEXTOID};
	StringInfoData list;
	initStringInfo(&list);
	const SavedUser before = SwitchToOwner(server, own::series.Get(server));
	RunningQuery query;
	PushActiveSnapshot(GetLatestSnapshot());
	StartQuery(server, &query,
	           "SELECT CASE WHEN o.event_type IS NULL THEN pg_catalog.format('table %s', o.relation) ELSE pg_catalog.format('events of type \"%s\"', "
	           "o.event_type) END, "
	           "pg_catalog.count(*) FROM auren.series s, analytics.sources o WHERE o.source_id OPERATOR(pg_catalog.=) s.source_id "
	           "AND o.source_id OPERATOR(pg_catalog.<>) 1 AND NOT o.detached AND s.tenant_id OPERATOR(pg_catalog.=) $1 AND s.user_id "
	           "OPERATOR(pg_catalog.=) $2 "
	           "GROUP BY o.source_id, 1 ORDER BY o.source_id",
	           2, types, person->values, GetActiveSnapshot());
	const Datum *values;
	const bool *isnull;
	while (NextRow(server, &query, &values, &isnull)) {
		appendStringInfo(&list, "%s%s (%lld series)", list.len > 0 ? ", " : "", TextDatumGetCString(values[0]),
		                 static_cast<long long>(DatumGetInt64(values[1])));
	}
	EndQuery(server, &query);
	PopActiveSnapshot();
	SwitchBack(server, before);
	return list.data;
}

void
ReportDeleted(Server server, uint64 deleted, Person *person) {
	const char *others = OtherSources(server, person);
	ereport(NOTICE, (errmsg("%llu readings of user \"%s\" were deleted", static_cast<unsigned long long>(deleted), person->user),
	                 others[0] == '\0' ? 0 : errdetail("Readings of the person in other sources stay, and so do their metrics: %s.", others),
	                 others[0] == '\0' ? 0
	                                   : errhint("Delete rows in the table, and detach and attach the source again: that takes the names of its "
	                                             "series away. Events do not change; a source of events can be detached.")));
}

} // namespace

void
ForgetReadings(const Tenant &tenant, const Text &user) {
	const bool is_bound = CallerIsBound();
	Person person = {{tenant.text, user.datum}, nullptr};
	const uint64 deleted = Call([&](Server server) {
		person.user = TextDatumGetCString(user.datum);
		RequireReadCommitted(server);
		if (is_bound) {
			RequireShortLock(server);
		}
		LockReadings(server);
		BeginProgress(server, WorkPhase::kForgetDeleting, 0);
		return DeleteReadings(server, &person);
	});
	Call([](Server server) { BeginProgress(server, WorkPhase::kForgetMerging, 0); });
	const OuterProgress outer;
	(void)Refresh();
	Call([&](Server server) {
		BeginProgress(server, WorkPhase::kForgetClearing, 0);
		RequireMerged(server, &person);
		DeleteSeries(server, &person);
		ReportDeleted(server, deleted, &person);
		EndProgress(server);
	});
}

} // namespace auren::pg
