// What a DBA adds to the store's tables: written down by event triggers, made again after a restore.

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "server/as_owner.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/progress.hpp"
#include "server/rows.hpp"
#include "server/subtransaction.hpp"
#include "store/kept_objects.hpp"
#include "store/relations.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// Names that a definition holds change without a change of the table: a renamed function, a schema.
bool
ChangesNames(const Node *statement) {
	return IsA(statement, RenameStmt) || IsA(statement, AlterObjectSchemaStmt) || IsA(statement, CommentStmt);
}

// Months that come and go; making sixty of them in a restore need not look through the catalogs each time.
bool
IsOfMonths(const Node *statement) {
	if (!IsA(statement, AlterTableStmt)) {
		return false;
	}
	const List *commands = reinterpret_cast<const AlterTableStmt *>(statement)->cmds;
	for (int i = 0; i < list_length(commands); i++) {
		const AlterTableType type = static_cast<const AlterTableCmd *>(list_nth(commands, i))->subtype;
		if (type != AT_AttachPartition && type != AT_DetachPartition && type != AT_DetachPartitionFinalize) {
			return false;
		}
	}
	return true;
}

// The table on which a statement enables or disables triggers by their names; InvalidOid: it does not. pg_restore
// --disable-triggers names none.
Oid
TableOfNamedTrigger(Server, const Node *statement) {
	if (!IsA(statement, AlterTableStmt)) {
		return InvalidOid;
	}
	const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
	for (int i = 0; i < list_length(alter->cmds); i++) {
		const AlterTableType type = static_cast<const AlterTableCmd *>(list_nth(alter->cmds, i))->subtype;
		if (type == AT_EnableTrig || type == AT_EnableAlwaysTrig || type == AT_EnableReplicaTrig || type == AT_DisableTrig) {
			return RangeVarGetRelid(alter->relation, NoLock, true);
		}
	}
	return InvalidOid;
}

// ALTER TABLE with this one command.
bool
IsOnly(const AlterTableStmt *statement, AlterTableType type) {
	return list_length(statement->cmds) == 1 && static_cast<const AlterTableCmd *>(linitial(statement->cmds))->subtype == type;
}

/*
 * What a dump that is restored may say between its -s and its -a, while the rows of auren.kept_objects are still to come: pg_dump 18 writes down by
 * itself in which publications the store's tables are, and -a --disable-triggers alters each table before and after its rows. What would be recorded
 * now would be there twice when the rows come. After them, with the triggers of auren.kept_objects enabled again, everything is looked at.
 */
bool
ComesBeforeKeptRows(const Node *statement) {
	if (check_function_bodies || row_security) {
		return false; // every script of pg_dump sets both off
	}
	if (IsA(statement, AlterPublicationStmt)) {
		return true;
	}
	if (!IsA(statement, AlterTableStmt)) {
		return false;
	}
	const auto *alter = reinterpret_cast<const AlterTableStmt *>(statement);
	const bool kept = alter->relation->schemaname != nullptr && strcmp(alter->relation->schemaname, "auren") == 0 &&
	                  strcmp(alter->relation->relname, "kept_objects") == 0;
	return IsOnly(alter, AT_DisableTrigAll) || (IsOnly(alter, AT_EnableTrigAll) && !kept);
}

bool
IsInstalling(Server) {
	return creating_extension && CurrentExtensionObject == get_extension_oid("auren_events", true);
}

bool
IsMonth(Server server, Oid relid) {
	return get_rel_relispartition(relid) && get_partition_parent(relid, true) == pg::own::events.Get(server);
}

bool
IsConcerned(Server server, const Node *statement) {
	return !IsOfMonths(statement) && (ChangesNames(statement) || pg::TableObjectsMayDiffer(server));
}

// What a statement renamed or moved and is the extension's own; no row: nothing. The server's list of what the statement did says what it was.
constexpr const char *kRenamed =
	"SELECT pg_describe_object(c.classid, c.objid, 0) FROM pg_event_trigger_ddl_commands() c "
	"JOIN pg_depend d ON d.classid = c.classid AND d.objid = c.objid AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' "
	"JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'auren_events' "
	"WHERE c.object_type IN ('schema', 'table', 'view', 'sequence') LIMIT 1";

// CREATE EXTENSION, and so a restore, makes what is the extension's own under the names of its script.
void
RefuseNewName(const Node *statement) {
	if (!IsA(statement, RenameStmt) && !IsA(statement, AlterObjectSchemaStmt)) {
		return;
	}
	const std::string renamed = pg::RunAsTriggerOwner(kRenamed);
	if (!renamed.empty()) {
		throw DomainError("0A000", "what belongs to extension auren_events keeps its name and its schema",
		                  "It would be " + renamed + ", which a dump could not restore.", "Make a view or a function of that name over it.");
	}
}

void
RequireOwner(const char *function) {
	if (!Call([](Server server) { return pg::compat::OwnsRelation(GetUserId(), pg::own::events.Get(server)); })) {
		throw DomainError(sqlstate::kInsufficientPrivilege, std::string(function) + " is for the owner of the store",
		                  "It runs what is written in auren.kept_objects as that owner.",
		                  "Call it as the owner of events.event_store, or as a superuser.");
	}
}

struct Missing {
	const char *relation;
	const char *kind;
	const char *name;
	const char *definition;
	bool there; // under this name, in another form perhaps: it is left as it is
};

// Keys and indexes go before what uses them, rows are closed last.
constexpr const char *kMissing =
	"SELECT k.relation, k.kind, k.name, k.definition, k.kind NOT IN ('table setting', 'column setting', 'trigger state', 'row security', 'replica "
	"identity', 'comment') "
	"AND EXISTS (SELECT FROM auren.table_objects o WHERE o.relation = k.relation AND o.kind = k.kind AND o.name = k.name) "
	"FROM auren.kept_objects k WHERE NOT EXISTS (SELECT FROM auren.present_objects p WHERE p.relation = k.relation AND p.kind = k.kind AND p.name = "
	"k.name) "
	"ORDER BY array_position(ARRAY['table setting', 'column setting', 'index', 'constraint', 'foreign key', 'statistics', 'rule', 'trigger', "
	"'trigger state', 'policy', "
	"'row security', 'replica identity', 'publication', 'comment'], k.kind::text), k.relation, k.name";

const char *
Column(Server, uint64 row, int column, MemoryContext context) {
	const char *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
	return value == nullptr ? "" : MemoryContextStrdup(context, value);
}

// One at a time: the second waits, and finds nothing missing.
List *
ListMissing(Server server) {
	const pg::SavedUser before = pg::BecomeEventTriggerOwner(server);
	MemoryContext context = CurrentMemoryContext;
	SPI_connect();
	SPI_execute("LOCK TABLE auren.kept_objects IN SHARE ROW EXCLUSIVE MODE", false, 0);
	SPI_execute(kMissing, false, 0);
	List *all = NIL;
	MemoryContext spi = MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++) {
		auto *missing = static_cast<Missing *>(palloc(sizeof(Missing)));
		*missing = {Column(server, i, 1, context), Column(server, i, 2, context), Column(server, i, 3, context), Column(server, i, 4, context),
		            Column(server, i, 5, context)[0] == 't'};
		all = lappend(all, missing);
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	pg::SwitchBack(server, before);
	return all;
}

// Makes one as the owner of its table; what went wrong, or nullptr.
const char *
MakeObject(Server server, const Missing &missing) {
	ErrorData *error = pg::TryInSubtransaction(server, [&] {
		const Oid relid = RangeVarGetRelid(makeRangeVarFromNameList(pg::compat::QualifiedName(missing.relation)), NoLock, false);
		const pg::SavedUser before = pg::SwitchToOwner(server, relid);
		pg::FixDefinitionSettings(server);
		SPI_connect();
		SPI_execute(missing.definition, false, 0);
		SPI_finish();
		pg::SwitchBack(server, before);
	});
	if (error == nullptr) {
		return nullptr;
	}
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN) {
		ReThrowError(error);
	}
	return error->detail == nullptr ? error->message : psprintf("%s (%s)", error->message, error->detail);
}

} // namespace

AUREN_FUNCTION(auren_keep_objects) {
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.keep_objects is an event trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE EVENT TRIGGER.");
	}
	const Node *statement = reinterpret_cast<const EventTriggerData *>(fcinfo->context)->parsetree;
	if (pg::ObjectRecordingPause::Active() || Call([](Server server) { return IsInstalling(server); })) {
		PG_RETURN_NULL();
	}
	RefuseNewName(statement);
	if (!Call([](Server server) { return pg::HasObjectTables(server); })) {
		PG_RETURN_NULL();
	}
	const Oid table = Call([&](Server server) { return TableOfNamedTrigger(server, statement); });
	if (OidIsValid(table) && Call([&](Server server) { return IsMonth(server, table); })) {
		pg::RefuseMonthTrigger(table);
	}
	if (ComesBeforeKeptRows(statement) || !Call([&](Server server) { return IsConcerned(server, statement); })) {
		PG_RETURN_NULL();
	}
	pg::RefuseWhatCannotBeKept();
	pg::RecordObjects();
	PG_RETURN_NULL();
}

AUREN_FUNCTION(auren_objects_came) {
	if (!CALLED_AS_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.objects_came is a trigger function", "It was called as an ordinary function.",
		                  "Use it in CREATE TRIGGER.");
	}
	if (!pg::ObjectRecordingPause::Active() && Call([](Server server) { return pg::HasObjectTables(server); })) {
		pg::CloseWhenObjectsAreMissing();
	}
	return PointerGetDatum(nullptr);
}

AUREN_FUNCTION(auren_restore_objects) {
	RequireOwner("events.restore_objects");
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	const pg::ObjectRecordingPause at_work;
	const List *all = Call([](Server server) { return static_cast<const List *>(ListMissing(server)); });
	bool complete = true;
	for (int i = 0; i < list_length(all); i++) {
		const auto &missing = *static_cast<const Missing *>(list_nth(all, i));
		Call([&](Server server) { pg::ContinueProgress(server, pg::WorkPhase::kObjectsMaking, list_length(all), i); });
		const char *problem = missing.there ? nullptr : Call([&](Server server) { return MakeObject(server, missing); });
		if (problem != nullptr) {
			complete = false;
			Call([&](Server server) {
				const Datum values[4] = {CStringGetTextDatum(missing.relation), CStringGetTextDatum(missing.kind), CStringGetTextDatum(missing.name),
				                         CStringGetTextDatum(problem)};
				const bool nulls[4] = {false, false, false, false};
				pg::PutRow(server, rows, values, nulls);
			});
		}
	}
	if (complete) {
		(void)pg::RunAsTriggerOwner("INSERT INTO auren.present_objects SELECT relation, kind, name FROM auren.kept_objects ON CONFLICT DO NOTHING");
		pg::OpenTables();
	}
	pg::RecordObjects();
	Call([](Server server) { pg::EndProgress(server); });
	return static_cast<Datum>(0);
}

AUREN_FUNCTION(auren_give_up_objects) {
	RequireOwner("events.give_up_objects");
	const pg::ObjectRecordingPause at_work;
	const std::string count =
		pg::RunAsTriggerOwner("WITH gone AS (DELETE FROM auren.kept_objects k WHERE NOT EXISTS (SELECT FROM auren.present_objects p WHERE "
	                          "p.relation = k.relation AND p.kind = k.kind AND p.name = k.name) RETURNING 1) SELECT count(*) FROM gone");
	pg::OpenTables();
	pg::RecordObjects();
	PG_RETURN_INT64(std::stoll(count));
}

AUREN_FUNCTION(auren_require_restored) {
	pg::RequireStoreOpen();
	PG_RETURN_BOOL(true);
}

} // namespace auren
