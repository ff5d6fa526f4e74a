// DDL on the tables of sources: the event trigger that follows partitions and tables which come and go.

#include <cstring>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "metrics/source_changes.hpp"
#include "metrics/source_triggers.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

const pg::Source *
SourceOf(Oid relid) {
	return OidIsValid(relid) ? Call([&](Server server) { return pg::SourceOf(server, relid); }) : nullptr;
}

// Tables were attached to one of a source: those below it that were not written down.
void
FollowAttach(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	const List *known = Call([&](Server server) { return pg::RecordedPartitions(server, source->id); });
	const List *children = Call([&] { return static_cast<const List *>(find_inheritance_children(relid, NoLock)); });
	for (int i = 0; i < list_length(children); i++) {
		const Oid one = list_nth_oid(children, i);
		if (list_member_oid(known, one)) {
			continue;
		}
		RefuseForeign(one);
		AsEventTriggerOwner([&] {
			Call([&](Server server) {
				if (!pg::HasStatementTrigger(server, one)) {
					pg::MakeStatementTriggers(server, one);
				}
				pg::RecordPartitions(server, one, source->id);
			});
		});
		pg::RecordTable(one, *source, pg::Counting::kAdd);
	}
}

// Drops what a table of a source had for that; the row trigger went with the partition.
void
EndPartition(Oid relid) {
	AsEventTriggerOwner([&] {
		Call([&](Server server) {
			pg::DropStatementTriggers(server, relid);
			pg::ForgetPartitions(server, relid);
		});
	});
}

// Tables were detached from one of a source: those that were written down and are not below it any more.
void
FollowDetach(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	const List *known = Call([&](Server server) { return pg::RecordedPartitions(server, source->id); });
	for (int i = 0; i < list_length(known); i++) {
		const Oid one = list_nth_oid(known, i);
		const char kind = Call([&] { return get_rel_relkind(one); });
		const pg::Source *now = kind == '\0' ? source : SourceOf(one);
		if (now != nullptr && now->id == source->id) {
			continue;
		}
		EndPartition(one);
		if (kind == RELKIND_RELATION) {
			pg::RecordTable(one, *source, pg::Counting::kTake);
		}
	}
}

// A column that a source is read by keeps its name and can still be read: else the next write would find out.
void
RequireColumns(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source == nullptr) {
		return;
	}
	Call([&](Server server) {
		Relation relation = table_open(relid, AccessShareLock);
		pg::ReadingColumns found;
		pg::FindColumns(server, &found, RelationGetDescr(relation), RelationGetRelationName(relation), *source, CurrentMemoryContext);
		table_close(relation, NoLock);
	});
}

void
RefuseInheritance() {
	throw DomainError("0A000", "a table cannot inherit from a source of readings", "No trigger of the source would see its rows.",
	                  "Partition the source instead.");
}

// Values of a column became others without a trigger: the next refresh counts them all. The views do until then.
void
CountAnew(Oid relid) {
	const pg::Source *source = SourceOf(relid);
	if (source != nullptr) {
		AsEventTriggerOwner([&] {
			Oid types[1] = {INT4OID};
			Datum values[1] = {Int32GetDatum(source->id)};
			(void)ChangeAsStore("DELETE FROM auren.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1", 1, types, values);
		});
	}
}

void
RefuseWhileSource(Oid relid, const char *detail) {
	if (SourceOf(relid) != nullptr) {
		throw DomainError("0A000", NameOf(relid) + " is a source of readings", detail, "analytics.detach_source ends that.");
	}
}

// Tables above one, partitioned or not.
const List *
ParentsOf(Server, Oid relid) {
	ScanKeyData key;
	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
	Relation inherits = table_open(InheritsRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
	List *parents = NIL;
	for (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple); tuple = systable_getnext(scan)) {
		parents = lappend_oid(parents, reinterpret_cast<const FormData_pg_inherits *>(GETSTRUCT(tuple))->inhparent);
	}
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return parents;
}

// A table was made, or inherits from another one now.
void
FollowInheritance(Oid relid) {
	const List *parents = Call([&](Server server) { return ParentsOf(server, relid); });
	for (int i = 0; i < list_length(parents); i++) {
		const pg::Source *source = SourceOf(list_nth_oid(parents, i));
		if (source == nullptr) {
			continue;
		}
		if (!Call([&] { return get_rel_relispartition(relid); })) {
			RefuseInheritance();
		}
		RefuseForeign(relid);
		if (!Call([&](Server server) { return pg::HasStatementTrigger(server, relid); })) {
			AsEventTriggerOwner([&] {
				Call([&](Server server) {
					pg::MakeStatementTriggers(server, relid);
					pg::RecordPartitions(server, relid, source->id);
				});
			});
		}
	}
}

// Whether a part of ALTER TABLE enables or disables triggers.
bool
SwitchesTriggers(const AlterTableCmd *command) {
	switch (command->subtype) {
	case AT_EnableTrig:
	case AT_EnableAlwaysTrig:
	case AT_EnableReplicaTrig:
	case AT_EnableTrigAll:
	case AT_EnableTrigUser:
	case AT_DisableTrig:
	case AT_DisableTrigAll:
	case AT_DisableTrigUser:
		return true;
	default:
		return false;
	}
}

/*
 * Triggers of the extension fire always or not at all. A source one of whose triggers may have been disabled for a while is counted
 * anew: by the views until the triggers are enabled, and by the first refresh from then on.
 */
void
FollowTriggerSwitch(Oid relid, const AlterTableCmd *command) {
	Call([&](Server server) { pg::FireAlways(server, relid); });
	const char *name = command->name;
	if (name == nullptr || std::strcmp(name, pg::kRowTrigger) == 0 || std::strcmp(name, pg::kStatementTrigger) == 0 ||
	    std::strcmp(name, pg::kTruncateTrigger) == 0) {
		CountAnew(relid);
	}
}

// What a part of ALTER TABLE did to a table.
void
FollowAlterTablePart(Oid relid, const AlterTableCmd *command) {
	const AlterTableType type = command->subtype;
	if (type == AT_AttachPartition) {
		FollowAttach(relid);
	} else if (type == AT_DetachPartition || type == AT_DetachPartitionFinalize) {
		FollowDetach(relid);
	} else if (type == AT_ChangeOwner && SourceOf(relid) != nullptr) {
		GrantRecordingToOwner(relid);
	} else if (pg::compat::ChangesValues(type)) {
		CountAnew(relid);
	} else if (type == AT_SetUnLogged || type == AT_ForceRowSecurity) {
		RefuseWhileSource(relid, type == AT_SetUnLogged ? "Its metrics would outlive its readings in a crash."
		                                                : "The metrics are counted on behalf of its owner.");
	} else if (type == AT_AddInherit) {
		FollowInheritance(relid);
	} else if (SwitchesTriggers(command)) {
		FollowTriggerSwitch(relid, command);
	}
}

/*
 * What the statement did, with the OIDs of what it did it to: the names in it may be another table's by now, a nested
 * statement's included. Read as the follower, since the right to ask may be taken from everybody.
 */
const List *
CollectedCommands(Server) {
	MemoryContext context = CurrentMemoryContext;
	List *commands = NIL;
	SPI_connect();
	if (SPI_execute("SELECT command FROM pg_catalog.pg_event_trigger_ddl_commands()", true, 0) != SPI_OK_SELECT) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read what a command did")));
	}
	for (uint64 i = 0; i < SPI_processed; i++) {
		bool isnull;
		const Datum command = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext before = MemoryContextSwitchTo(context);
		commands = isnull ? commands : lappend(commands, DatumGetPointer(command));
		MemoryContextSwitchTo(before);
	}
	SPI_finish();
	return commands;
}

void
FollowCommand(const CollectedCommand *command) {
	if (command->type == SCT_AlterTable) {
		const Oid relid = command->d.alterTable.objectId;
		RequireColumns(relid);
		for (int i = 0; i < list_length(command->d.alterTable.subcmds); i++) {
			const auto *part = static_cast<const CollectedATSubcmd *>(list_nth(command->d.alterTable.subcmds, i));
			if (IsA(part->parsetree, AlterTableCmd)) {
				FollowAlterTablePart(relid, reinterpret_cast<const AlterTableCmd *>(part->parsetree));
			}
		}
	} else if (command->type == SCT_Simple && command->d.simple.address.classId == RelationRelationId) {
		const Oid relid = command->d.simple.address.objectId;
		if (IsA(command->parsetree, CreateStmt) || IsA(command->parsetree, CreateForeignTableStmt)) {
			FollowInheritance(relid);
		} else {
			RequireColumns(relid);
		}
	}
}

void
FollowCommands() {
	const List *commands = nullptr;
	AsEventTriggerOwner([&] { commands = Call([](Server server) { return CollectedCommands(server); }); });
	for (int i = 0; i < list_length(commands); i++) {
		FollowCommand(static_cast<const CollectedCommand *>(list_nth(commands, i)));
	}
}

void
EndSource(Oid relid) {
	AsEventTriggerOwner([&] {
		Oid types[1] = {REGCLASSOID};
		Datum values[1] = {ObjectIdGetDatum(relid)};
		(void)ChangeAsStore("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation OPERATOR(pg_catalog.=) $1", 1, types,
		                    values);
	});
	RevokeRecordingFromOwner(relid);
}

// Its owner, and that of its schema.
bool
MayDrop(Server, Oid relid) {
	return pg::compat::OwnsRelation(GetUserId(), relid) || pg::compat::OwnsSchema(GetUserId(), get_rel_namespace(relid));
}

bool
AnyOf(const List *some, const List *all) {
	for (int i = 0; i < list_length(some); i++) {
		if (list_member_oid(all, list_nth_oid(some, i))) {
			return true;
		}
	}
	return false;
}

// The tables that a statement is about to drop, those of it that the role may; a partition of one goes with it.
List *
TablesOf(Server server, const DropStmt *statement) {
	List *all = NIL;
	for (int i = 0; i < list_length(statement->objects); i++) {
		const List *object = static_cast<const List *>(list_nth(statement->objects, i));
		const Oid relid = RangeVarGetRelid(makeRangeVarFromNameList(const_cast<List *>(object)), NoLock, true);
		if (OidIsValid(relid) && MayDrop(server, relid)) {
			all = list_append_unique_oid(all, relid);
		}
	}
	List *tables = NIL;
	for (int i = 0; i < list_length(all); i++) {
		const Oid relid = list_nth_oid(all, i);
		List *above = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
		if (!AnyOf(above, all)) {
			tables = lappend_oid(tables, relid);
		}
	}
	return tables;
}

// Partitions whose readings were taken since the statement names them, until it is done.
std::vector<Oid> taken_tables;

// Before tables are dropped: a source's own ends it, a partition's readings leave it.
void
FollowDrop(const DropStmt *statement) {
	if (statement->removeType != OBJECT_TABLE) {
		return;
	}
	const List *tables = Call([&](Server server) { return static_cast<const List *>(TablesOf(server, statement)); });
	taken_tables.clear();
	for (int i = 0; i < list_length(tables); i++) {
		const Oid relid = list_nth_oid(tables, i);
		const pg::Source *source = SourceOf(relid);
		if (source == nullptr) {
			continue;
		}
		if (source->relation == relid) {
			EndSource(relid);
			continue;
		}
		Call([&] {
			// the parent first, as DROP TABLE does
			LockRelationOid(get_partition_parent(relid, true), AccessExclusiveLock);
			LockRelationOid(relid, AccessExclusiveLock);
			(void)find_all_inheritors(relid, AccessExclusiveLock, nullptr);
		});
		AsEventTriggerOwner([&] { Call([&](Server server) { pg::ForgetPartitions(server, relid); }); });
		pg::RecordTable(relid, *source, pg::Counting::kTake);
		taken_tables.push_back(relid);
	}
}

// After tables were dropped: a name may have come to mean another table between the look at it and the drop.
void
FollowDropped() {
	std::vector<Oid> taken;
	taken.swap(taken_tables);
	for (const Oid relid : taken) {
		if (Call([&] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)); })) {
			CountAnew(relid);
		}
	}
}

/*
 * Sources whose table went with something else: DROP SCHEMA, DROP OWNED. Those that lost a partition that way are counted anew: the OIDs
 * of partitions were written down, and nothing goes by the names of what was dropped, which anybody can give.
 */
void
EndSourcesWithoutTable() {
	const bool there = Call([] {
		const Oid analytics = get_namespace_oid("analytics", true);
		const Oid schema = get_namespace_oid("auren", true);
		return OidIsValid(analytics) && OidIsValid(schema) && OidIsValid(get_relname_relid("sources", analytics)) &&
		       OidIsValid(get_relname_relid("retention", schema));
	});
	if (!there) {
		return;
	}
	struct Found {
		bool lost;
		bool partitioned;
	};
	const Found found = Call([](Server server) {
		Found f = {false, false};
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		const pg::Sources sources = pg::ReadSources(server, snapshot);
		UnregisterSnapshot(snapshot);
		for (int i = 0; i < sources.count; i++) {
			const pg::Source &source = sources.items[i];
			f.lost |= source.detached;
			f.partitioned |= OidIsValid(source.relation) && get_rel_relkind(source.relation) == RELKIND_PARTITIONED_TABLE;
		}
		return f;
	});
	if (found.lost) {
		AsEventTriggerOwner([] {
			(void)ChangeAsStore("UPDATE analytics.sources SET detached = true, relation = NULL WHERE relation IS NOT NULL AND NOT EXISTS (SELECT "
			                    "FROM pg_catalog.pg_class c "
			                    "WHERE c.oid OPERATOR(pg_catalog.=) relation)",
			                    0, nullptr, nullptr);
		});
	}
	if (found.partitioned) {
		AsEventTriggerOwner([] {
			(void)ChangeAsStore("DELETE FROM auren.filled_sources f USING auren.source_partitions p, pg_catalog.pg_event_trigger_dropped_objects() d "
			                    "WHERE f.source_id OPERATOR(pg_catalog.=) p.source_id AND p.relation OPERATOR(pg_catalog.=) d.objid AND d.classid "
			                    "OPERATOR(pg_catalog.=) 1259",
			                    0, nullptr, nullptr);
			(void)ChangeAsStore("DELETE FROM auren.source_partitions p USING pg_catalog.pg_event_trigger_dropped_objects() d WHERE p.relation "
			                    "OPERATOR(pg_catalog.=) d.objid "
			                    "AND d.classid OPERATOR(pg_catalog.=) 1259",
			                    0, nullptr, nullptr);
		});
	}
}

// Whether the tables that are made and altered are this extension's own, on their way into the database.
bool
IsInstalling(Server) {
	return creating_extension && CurrentExtensionObject == get_extension_oid("auren_events", true);
}

} // namespace

AUREN_FUNCTION(auren_follow_tables) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.follow_tables is an event trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE EVENT TRIGGER.");
	}
	const auto *data = reinterpret_cast<const EventTriggerData *>(fcinfo->context);
	const Node *statement = data->parsetree;
	if (Call([](Server server) { return IsInstalling(server); })) {
		PG_RETURN_NULL();
	}
	if (std::strcmp(data->event, "sql_drop") == 0) {
		EndSourcesWithoutTable();
	} else if (std::strcmp(data->event, "ddl_command_start") == 0) {
		if (IsA(statement, DropStmt)) {
			FollowDrop(reinterpret_cast<const DropStmt *>(statement));
		}
	} else {
		FollowDropped();
		FollowCommands();
	}
	PG_RETURN_NULL();
}

} // namespace auren
