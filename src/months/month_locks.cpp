#include "months/month_locks.hpp"

#include "access/own_query.hpp"
#include "server/as_owner.hpp"
#include "server/run_sql.hpp"
#include "server/subtransaction.hpp"
#include "store/kept_objects.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// For what is dropped, and for the parents. Together with the drop itself that is the longest that anybody waits.
constexpr int kLockMilliseconds = 40;

// With another lock_timeout until the end of the caller's level of settings.
void
LockWithin(Server, Oid relid, int milliseconds) {
	if (OidIsValid(relid)) {
		char value[16];
		(void)snprintf(value, sizeof value, "%d", Max(1, milliseconds));
		(void)set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		LockRelationOid(relid, AccessExclusiveLock);
	}
}

} // namespace

int64
DropPatience() {
	return LockTimeout > 0 ? static_cast<int64>(LockTimeout) * 1000 : 60 * USECS_PER_SEC;
}

/*
 * Takes the locks or none. What is dropped comes first: others wait for it while the parents are waited for, and nobody waits for a parent longer
 * than for its own part of the time. Whoever holds a parent and wants what goes makes this session give up, before anything looks like a deadlock.
 */
bool
TryLockTables(Server server, const DroppedTables &tables) {
	ErrorData *error = TryInSubtransaction(server, [&] {
		const int level = NewGUCNestLevel();
		int64 start = GetCurrentTimestamp();
		const auto left = [&] {
			return kLockMilliseconds - static_cast<int>((GetCurrentTimestamp() - start) / 1000);
		};
		LockWithin(server, tables.month, left());
		LockWithin(server, tables.tags, left());
		start = GetCurrentTimestamp();
		LockWithin(server, OidIsValid(tables.tags) ? own::event_tags.Get(server) : InvalidOid, left());
		LockWithin(server, own::events.Get(server), left());
		AtEOXact_GUC(false, level);
	});
	if (error == nullptr) {
		return true;
	}
	if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE && error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED) {
		ReThrowError(error);
	}
	FreeErrorData(error);
	return false;
}

std::string
DescribeHolders(const DroppedTables &tables) {
	std::string text;
	for (const TextRow &row : QueryAsOwner(
			 "SELECT DISTINCT coalesce('process ' || l.pid || coalesce(' (' || nullif(a.application_name, '') || ')', '') || "
			 "coalesce(', since ' || a.xact_start, '') || coalesce(': ' || left(a.query, 100), ''), 'a prepared transaction') "
			 "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM "
			 "pg_backend_pid() AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation IN "
			 "($1::oid, $2::oid, 'events.event_store'::regclass, 'auren.event_tags'::regclass) ORDER BY 1 LIMIT 10",
			 {std::to_string(tables.month), std::to_string(tables.tags)})) {
		text += (text.empty() ? "" : "; ") + *row[0];
	}
	return text.empty() ? "Those who were in the way have ended since." : "In the way: " + text + ".";
}

void
DropMonthTables(const std::string &partition, Month month, const DroppedTables &tables) {
	std::string sql = "DROP TABLE " + partition + ";";
	if (OidIsValid(tables.tags)) {
		sql += "DROP TABLE auren.event_tags_" + month.Suffix() + ";";
	}
	const char *statements = sql.c_str();
	const ObjectRecordingPause at_work;
	Call([&](Server server) {
		const SavedUser before = SwitchToOwner(server, own::events.Get(server));
		RunSql(server, statements);
		SwitchBack(server, before);
	});
}

} // namespace auren::pg
