#include "store/months.hpp"

#include <string>

#include "core/error.hpp"
#include "server/as_owner.hpp"
#include "server/guard.hpp"
#include "server/lock_classes.hpp"
#include "server/progress.hpp"
#include "server/run_sql.hpp"
#include "server/wait_point.hpp"
#include "store/kept_objects.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

bool
MonthExists(Month month) {
	const int64 start = month.StartMicros();
	return Call([&](Server server) {
		Relation events = table_open(own::events.Get(server), AccessShareLock);
		const bool exists = OidIsValid(FindPartition(server, events, start).relid);
		table_close(events, NoLock);
		return exists;
	});
}

// How the store's owner had the parent made: what months are made with too, whatever the session that makes them has set.
struct ParentShape {
	Oid owner;
	const char *tablespace; // "" is the database's own
	const char *access_method;
};

// Names are quoted.
ParentShape
ShapeOf(Server, Oid relid) {
	Relation relation = table_open(relid, AccessShareLock);
	const FormData_pg_class *parent = relation->rd_rel;
	ParentShape shape = {parent->relowner, "", "heap"};
	if (OidIsValid(parent->reltablespace)) {
		shape.tablespace = quote_identifier(get_tablespace_name(parent->reltablespace));
	}
	if (OidIsValid(parent->relam)) {
		shape.access_method = quote_identifier(get_am_name(parent->relam));
	}
	table_close(relation, NoLock);
	return shape;
}

// "CREATE TABLE ... (LIKE parent)" as the owner had the parent made.
std::string
TableScript(const std::string &table, const char *like, const ParentShape &parent) {
	const std::string tablespace = parent.tablespace;
	return (tablespace.empty() ? "" : "SET LOCAL default_tablespace = " + tablespace + ";") + "CREATE TABLE " + table + " (LIKE " + like +
	       " INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION) USING " + parent.access_method + ";";
}

// What a month has of its own beside its rows.
std::string
MonthObjectsScript(const std::string &suffix) {
	const std::string table = "events.event_store_" + suffix;
	const auto index = [&](const char *unique, const char *name, const char *definition) {
		return std::string("CREATE ") + unique + "INDEX idx_event_store_" + name + "_" + suffix + " ON " + table + " " + definition + ";";
	};
	const auto trigger = [&](const char *name, const char *when) {
		return std::string("CREATE TRIGGER ") + name + " BEFORE " + when + " ON " + table + " FOR EACH " +
		       (std::string(when) == "TRUNCATE" ? "STATEMENT" : "ROW") + " EXECUTE FUNCTION auren.refuse_change();" + "ALTER TABLE " + table +
		       " ENABLE ALWAYS TRIGGER " + name + ";";
	};
	return index("UNIQUE ", "stream", "(tenant_id, stream_id, stream_version)") + index("UNIQUE ", "event_id", "(event_id, tenant_id)") +
	       index("UNIQUE ", "position", "(global_position)") + index("", "created_at", "(created_at)") +
	       index("", "type_time", "(tenant_id, event_type, created_at)") +
	       index("", "event_data_gin", "USING gin (event_data pg_catalog.jsonb_path_ops)") +
	       index("", "metadata_gin", "USING gin (metadata pg_catalog.jsonb_path_ops)") + trigger("refuse_truncate", "TRUNCATE") +
	       trigger("refuse_row_change", "UPDATE OR DELETE");
}

std::string
MonthAttachScript(Month month) {
	return "ALTER TABLE events.event_store ATTACH PARTITION events.event_store_" + month.Suffix() + " FOR VALUES FROM ('" + month.StartText() +
	       "') TO ('" + month.Next().StartText() + "');";
}

/*
 * The statements of one month. The partition is made complete before it is attached: CREATE TABLE ... PARTITION OF
 * would take a lock on the parent that stops appends. The parent's row trigger is cloned at ATTACH and goes with DETACH, hence a row
 * trigger of the month's own.
 */
std::string
MonthScript(Month month, const ParentShape &parent) {
	const std::string suffix = month.Suffix();
	return TableScript("events.event_store_" + suffix, "events.event_store", parent) + MonthObjectsScript(suffix) + MonthAttachScript(month);
}

std::string
TagMonthObjectsScript(const std::string &suffix) {
	const std::string table = "auren.event_tags_" + suffix;
	const std::string index = "idx_event_tags_" + suffix;
	return "CREATE UNIQUE INDEX " + index + " ON " + table + " (tag_hash, global_position) INCLUDE (event_at);ALTER TABLE ONLY " + table +
	       " REPLICA IDENTITY USING INDEX " + index + ";";
}

// The first day, in quotes: what a partition of the index of tags holds.
std::string
TagMonthValue(Month month) {
	return "'" + month.StartText().substr(0, 10) + "'";
}

std::string
TagMonthAttachScript(Month month) {
	return "ALTER TABLE auren.event_tags ATTACH PARTITION auren.event_tags_" + month.Suffix() + " FOR VALUES IN (" + TagMonthValue(month) + ");";
}

/*
 * The statements of one month of the index of tags, attached when it is complete too.
 */
std::string
TagMonthScript(Month month, const ParentShape &parent) {
	const std::string suffix = month.Suffix();
	return TableScript("auren.event_tags_" + suffix, "auren.event_tags", parent) + TagMonthObjectsScript(suffix) + TagMonthAttachScript(month);
}

// The table's owner runs the script.
void
RunAsOwner(Server server, const char *script, Oid owner) {
	Oid user;
	int security;
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
	RunSql(server, script);
	SetUserIdAndSecContext(user, security);
}

/*
 * Statements that take from everybody but its owner what default privileges gave on a new month: whoever reads events does so
 * through the parent, whose policies and bindings count.
 */
const char *
RevokesOf(Server, const char *schema, const char *month) {
	StringInfoData sql;
	initStringInfo(&sql);
	const Oid relid = get_relname_relid(month, get_namespace_oid(schema, false));
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool isnull;
	const Datum rights = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relacl, &isnull);
	const Oid owner = reinterpret_cast<const FormData_pg_class *>(GETSTRUCT(tuple))->relowner;
	if (!isnull) {
		Acl *acl = DatumGetAclPCopy(rights);
		for (int i = 0; i < ACL_NUM(acl); i++) {
			const Oid grantee = ACL_DAT(acl)[i].ai_grantee;
			if (grantee != owner) {
				appendStringInfo(&sql, "REVOKE ALL ON %s.%s FROM %s CASCADE;", schema, month,
				                 grantee == ACL_ID_PUBLIC ? "PUBLIC" : quote_identifier(GetUserNameFromId(grantee, false)));
			}
		}
	}
	ReleaseSysCache(tuple);
	return sql.data;
}

// A table that is partitioned by month.
struct Monthly {
	OwnRelation &parent;
	const char *schema;
	const char *name;
	std::string (*script)(Month month, const ParentShape &parent);
};
const Monthly kEvents = {own::events, "events", "event_store", MonthScript};
const Monthly kTagIndex = {own::event_tags, "auren", "event_tags", TagMonthScript};

bool
HeldOpenBySession(const Monthly &monthly) {
	return Call([&](Server server) {
		Relation relation = table_open(monthly.parent.Get(server), AccessShareLock);
		const bool held = relation->rd_refcnt != 1 || AfterTriggerPendingOnRel(RelationGetRelid(relation));
		table_close(relation, NoLock);
		return held;
	});
}

std::string
NameOf(const Monthly &monthly) {
	return std::string(monthly.schema) + "." + monthly.name;
}

void
RequireNotHeldOpen(Month month, const Monthly &monthly) {
	if (HeldOpenBySession(monthly)) {
		throw DomainError(sqlstate::kObjectInUse, "month " + month.Suffix() + " of " + NameOf(monthly) + " cannot be made now",
		                  "It is missing, and a query of this session that is still running holds the table open.",
		                  "Call events.create_monthly_partitions() in a statement of its own first.");
	}
}

void
RequireNameIsFree(Month month, const Monthly &monthly) {
	const std::string table = std::string(monthly.name) + "_" + month.Suffix();
	const char *name = table.c_str();
	if (Call([&] { return OidIsValid(get_relname_relid(name, get_namespace_oid(monthly.schema, false))); })) {
		throw DomainError(sqlstate::kNotInState, "month " + month.Suffix() + " of " + NameOf(monthly) + " cannot be made",
		                  "A relation " + std::string(monthly.schema) + "." + table + " exists and is not a partition of " + NameOf(monthly) + ".",
		                  "Attach it again if it was detached, else move it to another schema.");
	}
}

ParentShape
ParentShapeOf(const Monthly &monthly) {
	return Call([&](Server server) { return ShapeOf(server, monthly.parent.Get(server)); });
}

// As the owner of the parent, with what default privileges gave on a new table taken away.
void
RunMonthScript(Month month, const Monthly &monthly, const std::string &script) {
	const ParentShape parent = ParentShapeOf(monthly);
	const std::string table = std::string(monthly.name) + "_" + month.Suffix();
	const char *name = table.c_str();
	const char *text = script.c_str();
	Call([&](Server server) {
		RunAsOwner(server, text, parent.owner);
		const char *taken = RevokesOf(server, monthly.schema, name);
		if (taken[0] != '\0') {
			RunAsOwner(server, taken, parent.owner);
		}
	});
}

void
MakeMonth(Month month, const Monthly &monthly) {
	RequireNotHeldOpen(month, monthly);
	RequireNameIsFree(month, monthly);
	const ObjectRecordingPause at_work;
	Call([] { AUREN_WAIT_POINT("month-before-script"); });
	RunMonthScript(month, monthly, monthly.script(month, ParentShapeOf(monthly)));
	Call([] { AUREN_WAIT_POINT("month-made"); });
}

// The SQL objects of 0.1.0 have no index of tags.
bool
LacksTagMonth(Month month) {
	return Call([&](Server server) { return HasTagIndex(server) && !OidIsValid(FindTagMonth(server, month)); });
}

bool
MissingMonths(Month first, int count) {
	for (int i = 0; i < count; i++) {
		const Month month = Month::FromIndex(first.index() + i);
		if (!MonthExists(month) || LacksTagMonth(month)) {
			return true;
		}
	}
	return false;
}

enum class WhileOtherMakes { kWait, kGiveUp };

// Makes what is missing of a month; whether anything was.
bool
CompleteMonth(Month month) {
	bool made = false;
	if (!MonthExists(month)) {
		MakeMonth(month, kEvents);
		made = true;
	}
	if (LacksTagMonth(month)) {
		MakeMonth(month, kTagIndex);
		made = true;
	}
	return made;
}

// For how many it made anything. An append that makes its month is not shown.
int
MakeAll(Month first, int count) {
	int made = 0;
	for (int i = 0; i < count; i++) {
		if (count > 1) {
			Call([&](Server server) { ContinueProgress(server, WorkPhase::kMonthsMaking, count, i); });
		}
		made += CompleteMonth(Month::FromIndex(first.index() + i)) ? 1 : 0;
	}
	if (count > 1) {
		Call([](Server server) { EndProgress(server); });
	}
	return made;
}

// One maker at a time: the others wait here for its transaction and then find the months made. Returns for how many
// it made anything, -1 where it gives up because another transaction makes months.
int
MakeUnderLock(Month first, int count, WhileOtherMakes behaviour) {
	const bool locked = Call([behaviour] {
		LOCKTAG tag;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kMonthLockClass);
		AUREN_WAIT_POINT("months-before-lock");
		const LockAcquireResult result = LockAcquire(&tag, ExclusiveLock, false, behaviour == WhileOtherMakes::kGiveUp);
		AcceptInvalidationMessages();
		return result != LOCKACQUIRE_NOT_AVAIL;
	});
	if (!locked) {
		return -1;
	}
	return MakeAll(first, count);
}

} // namespace

int
MakeMonths(Month first, int count) {
	return MissingMonths(first, count) ? MakeUnderLock(first, count, WhileOtherMakes::kWait) : 0;
}

bool
MakeMonthsUnlessBusy(Month first, int count) {
	return MakeUnderLock(first, count, WhileOtherMakes::kGiveUp) >= 0;
}

namespace {

// A check that says what ATTACH wants to know of each row: with it no row is read again.
std::string
BoundScript(const std::string &table, const std::string &condition) {
	return "ALTER TABLE " + table + " ADD CONSTRAINT of_month CHECK (" + condition + ");";
}

std::string
UnboundScript(const std::string &table) {
	return "ALTER TABLE " + table + " DROP CONSTRAINT of_month;";
}

Oid
RelationOf(const Monthly &monthly, Month month) {
	const std::string table = std::string(monthly.name) + "_" + month.Suffix();
	const char *name = table.c_str();
	return Call([&] { return get_relname_relid(name, get_namespace_oid(monthly.schema, false)); });
}

} // namespace

UnattachedMonth
MakeUnattachedMonth(Month month) {
	const std::string suffix = month.Suffix();
	const ObjectRecordingPause at_work;
	for (const Monthly *monthly : {&kEvents, &kTagIndex}) {
		RequireNotHeldOpen(month, *monthly);
		RequireNameIsFree(month, *monthly);
		const std::string table = NameOf(*monthly) + "_" + suffix;
		const std::string condition = monthly == &kEvents
		                                  ? "created_at >= '" + month.StartText() + "' AND created_at < '" + month.Next().StartText() + "'"
		                                  : "month = " + TagMonthValue(month);
		RunMonthScript(month, *monthly, TableScript(table, NameOf(*monthly).c_str(), ParentShapeOf(*monthly)) + BoundScript(table, condition));
	}
	return {RelationOf(kEvents, month), RelationOf(kTagIndex, month)};
}

void
AttachFilledMonth(Month month, const std::string &more) {
	const std::string suffix = month.Suffix();
	const ObjectRecordingPause at_work;
	RunMonthScript(month, kEvents, MonthObjectsScript(suffix) + more);
	RunMonthScript(month, kTagIndex, TagMonthObjectsScript(suffix));
	// from here on appends that need a new month wait for the end of this transaction
	Call([] {
		LOCKTAG tag;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kMonthLockClass);
		(void)LockAcquire(&tag, ExclusiveLock, false, false);
		AcceptInvalidationMessages();
	});
	RunMonthScript(month, kTagIndex, TagMonthAttachScript(month) + UnboundScript("auren.event_tags_" + suffix));
	RunMonthScript(month, kEvents, MonthAttachScript(month) + UnboundScript("events.event_store_" + suffix));
}

} // namespace auren::pg
