// Triggers and the event trigger that keep the store as it is: auren.refuse_change, auren.guard_drop.

#include <string>

#include "core/error.hpp"
#include "core/store/month.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/settings.hpp"
#include "store/kept_objects.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"
#include "store/tag_months.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr const char *kExtension = "auren_events";

void
RequireTrigger(FunctionCallInfo fcinfo, const char *function) {
	if (!CALLED_AS_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, std::string(function) + " is a trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE TRIGGER.");
	}
}

// Whether a statement drops the extension: by its name, or with everything that its owner has.
bool
DropsExtension(Server server, const Node *statement) {
	ListCell *cell;
	if (IsA(statement, DropStmt)) {
		const auto *drop = reinterpret_cast<const DropStmt *>(statement);
		if (drop->removeType != OBJECT_EXTENSION) {
			return false;
		}
		foreach (cell, drop->objects) {
			if (strcmp(strVal(lfirst(cell)), kExtension) == 0) {
				return true;
			}
		}
		return false;
	}
	if (IsA(statement, DropOwnedStmt)) {
		Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
		const Oid owner = events->rd_rel->relowner;
		table_close(events, AccessShareLock);
		foreach (cell, reinterpret_cast<const DropOwnedStmt *>(statement)->roles) {
			if (get_rolespec_oid(lfirst_node(RoleSpec, cell), true) == owner) {
				return true;
			}
		}
	}
	return false;
}

bool
HasRows(Server, Oid relid) {
	Relation relation = table_open(relid, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	const bool any = table_scan_getnextslot(scan, ForwardScanDirection, slot);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, NoLock);
	return any;
}

// The tables that a statement takes away: those that it drops, or a partition that it detaches from the index of tags.
List *
TablesTaken(Server server, const Node *statement) {
	List *tables = NIL;
	if (IsA(statement, DropStmt) && reinterpret_cast<const DropStmt *>(statement)->removeType == OBJECT_TABLE) {
		const List *objects = reinterpret_cast<const DropStmt *>(statement)->objects;
		for (int i = 0; i < list_length(objects); i++) {
			RangeVar *name = makeRangeVarFromNameList(static_cast<List *>(list_nth(objects, i)));
			tables = lappend_oid(tables, RangeVarGetRelid(name, NoLock, true));
		}
	} else if (IsA(statement, AlterTableStmt)) {
		const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
		const auto *part = linitial_node(AlterTableCmd, alter->cmds);
		if (part->subtype == AT_DetachPartition && RangeVarGetRelid(alter->relation, NoLock, true) == pg::own::event_tags.Get(server)) {
			tables = lappend_oid(tables, RangeVarGetRelid(reinterpret_cast<const PartitionCmd *>(part->def)->name, NoLock, true));
		}
	}
	return tables;
}

/*
 * Whether a statement of the owner takes a month of the index of tags away whose events stay: queries and conditions would go without them and not
 * say so.
 */
bool
TakesTagsOfEvents(Server server, const Node *statement, Month *month) {
	if (!pg::HasTagIndex(server)) {
		return false;
	}
	const List *taken = TablesTaken(server, statement);
	for (int i = 0; i < list_length(taken); i++) {
		const Oid relid = list_nth_oid(taken, i);
		if (!OidIsValid(relid) || !pg::MonthOfTags(server, relid, month) || !pg::compat::OwnsRelation(GetUserId(), relid)) {
			continue;
		}
		Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
		const Oid month_of_events = pg::FindPartition(server, events, month->StartMicros()).relid;
		table_close(events, AccessShareLock);
		if (OidIsValid(month_of_events) && !list_member_oid(taken, month_of_events) && HasRows(server, month_of_events)) {
			return true;
		}
	}
	return false;
}

void
RefuseToTakeTags(const Node *statement) {
	Month month;
	if (!Call([&](Server server) { return TakesTagsOfEvents(server, statement, &month); })) {
		return;
	}
	throw DomainError(
		"0A000", "month " + month.Suffix() + " of auren.event_tags is neither dropped nor detached while its events are there",
		"Queries and conditions about tags would not find the events of that month any more, and not say so.",
		"Drop the month of events.event_store first, or both in one statement. SET auren_events.allow_drop = on lets it go all the same.");
}

/*
 * The name of the table that a statement attaches to events.event_store where that is a month of 0.1.0: it has no column of tags. nullptr for any
 * other statement.
 */
const char *
OlderMonthAttached(Server server, const Node *statement) {
	if (!IsA(statement, AlterTableStmt) || !pg::HasTagIndex(server)) {
		return nullptr;
	}
	const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
	const auto *part = linitial_node(AlterTableCmd, alter->cmds);
	if (part->subtype != AT_AttachPartition || RangeVarGetRelid(alter->relation, NoLock, true) != pg::own::events.Get(server)) {
		return nullptr;
	}
	const Oid month = RangeVarGetRelid(reinterpret_cast<const PartitionCmd *>(part->def)->name, NoLock, true);
	if (!OidIsValid(month) || get_attnum(month, "tags") != InvalidAttrNumber) {
		return nullptr;
	}
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(month)), get_rel_name(month));
}

// The server's own error would not say what to do about a dump of an older version.
void
RefuseOlderMonth(const Node *statement) {
	const char *month = Call([&](Server server) { return OlderMonthAttached(server, statement); });
	if (month == nullptr) {
		return;
	}
	throw DomainError(
		sqlstate::kNotInState, std::string(month) + " is a month of 0.1.0 and cannot be attached as it is",
		"It lacks the column tags, which came with 0.2.0. A dump of 0.1.0 makes such months.",
		"To restore a dump of 0.1.0, begin anew with a fresh database: CREATE EXTENSION auren_events VERSION '0.1.0', then pg_restore, then "
		"ALTER EXTENSION auren_events UPDATE. To attach a month that was detached before an update, give it the column first: ALTER TABLE " +
			std::string(month) + " ADD COLUMN tags text[] COLLATE \"C\" NOT NULL DEFAULT '{}'.");
}

// A stream's row is there exactly when an event is.
bool
HoldsSomething(Server server) {
	return HasRows(server, pg::own::stream_rows.Get(server)) || HasRows(server, pg::own::readings.Get(server));
}

// The OIDs of what a DROP INDEX CONCURRENTLY names, as a list for SQL; nullptr for any other statement.
const char *
IndexesDroppedConcurrently(Server, const Node *statement) {
	if (!IsA(statement, DropStmt)) {
		return nullptr;
	}
	const auto *drop = reinterpret_cast<const DropStmt *>(statement);
	if (drop->removeType != OBJECT_INDEX || !drop->concurrent) {
		return nullptr;
	}
	StringInfoData oids;
	initStringInfo(&oids);
	appendStringInfoString(&oids, "0");
	for (int i = 0; i < list_length(drop->objects); i++) {
		RangeVar *name = makeRangeVarFromNameList(static_cast<List *>(list_nth(drop->objects, i)));
		appendStringInfo(&oids, ", %u", RangeVarGetRelid(name, NoLock, true));
	}
	return oids.data;
}

/*
 * DROP INDEX CONCURRENTLY commits that the index is dead before an event trigger is told of the drop: what the store cannot do without is
 * refused before it begins.
 */
void
RefuseToDropIndex(const Node *statement) {
	const char *oids = Call([&](Server server) { return IndexesDroppedConcurrently(server, statement); });
	if (oids == nullptr) {
		return;
	}
	const std::string index = pg::RunAsTriggerOwner(
		"SELECT concat_ws(' ', 'index', quote_ident(s.name), 'of', s.relation) FROM auren.shipped_objects s "
		"JOIN pg_class i ON i.relname = s.name JOIN pg_index x ON x.indexrelid = i.oid AND x.indrelid = to_regclass(s.relation) "
		"WHERE s.kind = 'index' AND s.relation <> 'biometric.biometric_events' AND i.oid IN (" +
		std::string(oids) + ") LIMIT 1");
	if (!index.empty()) {
		pg::ThrowObjectIsNeeded(index);
	}
}

} // namespace

AUREN_FUNCTION(auren_refuse_change) {
	RequireTrigger(fcinfo, "auren.refuse_change");
	const auto *trigger = reinterpret_cast<const TriggerData *>(fcinfo->context);
	const char *what = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? "UPDATE" : TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "DELETE" : "TRUNCATE";
	throw DomainError(sqlstate::kImmutable, "events are immutable",
	                  std::string(what) + " of \"" + RelationGetRelationName(trigger->tg_relation) + "\" is refused, for its owner too.",
	                  "Append a compensating event.");
}

AUREN_FUNCTION(auren_refuse_audit_change) {
	RequireTrigger(fcinfo, "auren.refuse_audit_change");
	throw DomainError(sqlstate::kImmutable, "the audit is immutable", "Rows are added to it and never changed, by its owner neither.",
	                  "Keep it for as long as the law asks.");
}

AUREN_FUNCTION(auren_tell_sessions) {
	RequireTrigger(fcinfo, "auren.tell_sessions");
	const Relation changed = reinterpret_cast<const TriggerData *>(fcinfo->context)->tg_relation;
	Call([&] { CacheInvalidateRelcache(changed); });
	return PointerGetDatum(nullptr);
}

AUREN_FUNCTION(auren_guard_drop) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.guard_drop is an event trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE EVENT TRIGGER.");
	}
	const auto *data = reinterpret_cast<const EventTriggerData *>(fcinfo->context);
	RefuseToDropIndex(data->parsetree);
	RefuseOlderMonth(data->parsetree);
	if (pg::AllowDrop()) {
		PG_RETURN_NULL();
	}
	RefuseToTakeTags(data->parsetree);
	if (!Call([&](Server server) { return DropsExtension(server, data->parsetree); })) {
		PG_RETURN_NULL();
	}
	if (!Call([](Server server) { return HoldsSomething(server); })) {
		if (!Call([](Server server) { return HasRows(server, pg::own::data_keys.Get(server)); })) {
			PG_RETURN_NULL();
		}
		throw DomainError(sqlstate::kObjectInUse, "extension auren_events holds data keys and would take them with it",
		                  "Without them no encrypted value can be read, in the application's tables either.",
		                  "Dump the database first; then SET auren_events.allow_drop = on and drop again.");
	}
	throw DomainError(sqlstate::kObjectInUse, "extension auren_events holds events or readings and would take them with it",
	                  "Dropping the extension drops events.event_store with all its months, and biometric.biometric_events.",
	                  "Dump the database first; then SET auren_events.allow_drop = on and drop again.");
}

} // namespace auren
