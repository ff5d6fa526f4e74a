#include "store/query.hpp"

#include "server/as_owner.hpp"
#include "server/compat.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// Keeps the slot that the executor hands over: it stays valid until the executor goes on.
struct RowReceiver {
	DestReceiver base;
	TupleTableSlot *row;
};

bool
ReceiveSlot(TupleTableSlot *slot, DestReceiver *receiver) {
	reinterpret_cast<RowReceiver *>(receiver)->row = slot;
	return true;
}

void
Startup(DestReceiver *, int, TupleDesc) {
}

void
Shutdown(DestReceiver *) {
}

DestReceiver *
MakeReceiver(Server) {
	auto *receiver = static_cast<RowReceiver *>(palloc0(sizeof(RowReceiver)));
	receiver->base.receiveSlot = ReceiveSlot;
	receiver->base.rStartup = Startup;
	receiver->base.rShutdown = Shutdown;
	receiver->base.rDestroy = Shutdown;
	receiver->base.mydest = DestNone;
	return &receiver->base;
}

// In a statement that names them at the top or in a WITH query; what a policy adds keeps its rights.
void
WaiveRights(Server server, Query *query) {
	compat::WaiveTableRights(query, own::events.Get(server));
	compat::WaiveTableRights(query, own::readings.Get(server));
	ListCell *cell;
	foreach (cell, query->cteList) {
		WaiveRights(server, castNode(Query, lfirst_node(CommonTableExpr, cell)->ctequery));
	}
}

} // namespace

SPIPlanPtr
PrepareWithRightsWaived(Server server, const char *sql, int argument_count, Oid *argument_types, int cursor_options) {
	SPIPlanPtr plan = SPI_prepare_cursor(sql, argument_count, argument_types, cursor_options);
	if (plan == nullptr) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not prepare a statement: %s", SPI_result_code_string(SPI_result))));
	}
	// The plan is not saved, so that no invalidation analyses it anew before it is executed.
	ListCell *source_cell;
	foreach (source_cell, SPI_plan_get_plan_sources(plan)) {
		auto *source = static_cast<CachedPlanSource *>(lfirst(source_cell));
		ListCell *query_cell;
		foreach (query_cell, source->query_list) {
			WaiveRights(server, lfirst_node(Query, query_cell));
		}
	}
	return plan;
}

void
StartQuery(Server server, RunningQuery *query, const char *sql, int parameter_count, Oid *types, const Datum *values, Snapshot snapshot) {
	query->context = AllocSetContextCreate(CurrentMemoryContext, "auren_events query", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(query->context);
	sql = pstrdup(sql);
	auto *raw = linitial_node(RawStmt, pg_parse_query(sql));
	auto *analyzed = linitial_node(Query, pg_analyze_and_rewrite_fixedparams(raw, sql, types, parameter_count, nullptr));
	WaiveRights(server, analyzed);
	ParamListInfo parameters = makeParamList(parameter_count);
	for (int i = 0; i < parameter_count; i++) {
		parameters->params[i].value = values[i];
		parameters->params[i].isnull = false;
		parameters->params[i].pflags = PARAM_FLAG_CONST;
		parameters->params[i].ptype = types[i];
	}
	PlannedStmt *plan = pg_plan_query(analyzed, sql, 0, parameters);
	// The executor runs under the snapshot that it was given: functions that a policy calls see what the scan sees.
	PushActiveSnapshot(snapshot);
	query->desc = CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot, MakeReceiver(server), parameters, nullptr, 0);
	query->row = nullptr;
	ExecutorStart(query->desc, EXEC_FLAG_SKIP_TRIGGERS);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

bool
NextRow(Server, RunningQuery *query, const Datum **values, const bool **isnull) {
	auto *receiver = reinterpret_cast<RowReceiver *>(query->desc->dest);
	receiver->row = nullptr;
	PushActiveSnapshot(query->desc->snapshot);
	compat::RunForOneRow(query->desc);
	PopActiveSnapshot();
	query->row = receiver->row;
	if (query->row == nullptr) {
		return false;
	}
	slot_getallattrs(query->row);
	*values = query->row->tts_values;
	*isnull = query->row->tts_isnull;
	return true;
}

void
EndQuery(Server, RunningQuery *query) {
	ExecutorFinish(query->desc);
	ExecutorEnd(query->desc);
	FreeQueryDesc(query->desc);
	query->desc = nullptr;
	MemoryContextDelete(query->context);
}

uint64
ExecuteWithRightsWaived(Server server, const char *sql, int argument_count, Oid *argument_types, Datum *values, const char *nulls) {
	SPI_connect();
	SPIPlanPtr plan = PrepareWithRightsWaived(server, sql, argument_count, argument_types, 0);
	const int result = SPI_execute_plan(plan, values, nulls, false, 0);
	if (result < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a statement failed: %s", SPI_result_code_string(result))));
	}
	const uint64 rows = SPI_processed;
	SPI_finish();
	return rows;
}

uint64
ExecuteAsStore(Server server, const char *sql, int argument_count, Oid *argument_types, Datum *values, const char *nulls) {
	const SavedUser before = SwitchToOwner(server, own::stream_rows.Get(server));
	SPI_connect();
	const int result = SPI_execute_with_args(sql, argument_count, argument_types, values, nulls, false, 0);
	if (result < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a statement failed: %s", SPI_result_code_string(result))));
	}
	const uint64 rows = SPI_processed;
	SPI_finish();
	SwitchBack(server, before);
	return rows;
}

} // namespace auren::pg
