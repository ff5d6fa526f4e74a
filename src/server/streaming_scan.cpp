#include "server/streaming_scan.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/entry.hpp"

namespace auren::pg {

PGFunction streaming_support = nullptr;

namespace {

constexpr int kMaxFunctions = 8;

const StreamingFunction *functions = nullptr;
int function_count = 0;
OwnRelation *read_table = nullptr; // whose rows they give
set_rel_pathlist_hook_type next_pathlist_hook = nullptr;

CustomPathMethods path_methods[kMaxFunctions];
CustomScanMethods scan_methods[kMaxFunctions];
CustomExecMethods exec_methods[kMaxFunctions];

/*
 * A running scan. `css` comes first: the executor knows the node by it.
 */
struct StreamingScan {
	CustomScanState css;
	const StreamingFunction *function;
	FuncExpr *call;
	List *arguments;         // ExprState
	ScanDirection direction; // against the function's own order where it is backward
	bool whole_row;
	Index rti;          // in the whole statement
	TupleDesc row_type; // of the function's rows
	MemoryContext context;
	RowSource *source; // nullptr until the first row is asked for
};

// ---- planning ------------------------------------------------------------------------------------------------------

// The streaming function that a call calls, or -1.
int
FunctionOf(Server, const FuncExpr *call) {
	const Oid support = get_func_support(call->funcid);
	if (!OidIsValid(support)) {
		return -1;
	}
	FmgrInfo info;
	fmgr_info(support, &info);
	if (info.fn_addr != streaming_support) {
		return -1;
	}
	fmgr_info(call->funcid, &info);
	for (int i = 0; i < function_count; i++) {
		if (functions[i].function == info.fn_addr || functions[i].released == info.fn_addr) {
			return i;
		}
	}
	return -1;
}

enum class Order { kAscending, kDescending, kUnknown };

// The order in which a call gives its rows.
Order
OrderOfCall(const StreamingFunction &function, const FuncExpr *call) {
	bool descending = function.descending;
	if (function.backwards_argument > 0) {
		const auto *argument = static_cast<const Node *>(list_nth(call->args, function.backwards_argument));
		const auto *constant = reinterpret_cast<const Const *>(argument);
		if (!IsA(argument, Const) || constant->constisnull) {
			return Order::kUnknown;
		}
		descending = descending != DatumGetBool(constant->constvalue);
	}
	return descending ? Order::kDescending : Order::kAscending;
}

// The pathkeys of the function's order, as far as the query has a use for them.
List *
OrderOf(Server, PlannerInfo *root, RelOptInfo *rel, const StreamingFunction &function, ScanDirection direction) {
	List *pathkeys = NIL;
	const RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	const Order order = OrderOfCall(function, reinterpret_cast<const FuncExpr *>(linitial_node(RangeTblFunction, rte->functions)->funcexpr));
	if (order == Order::kUnknown) {
		return NIL;
	}
	for (const AttrNumber column : function.order) {
		Var *found = nullptr;
		ListCell *cell;
		foreach (cell, rel->reltarget->exprs) {
			auto *var = static_cast<Var *>(lfirst(cell));
			if (column != 0 && IsA(var, Var) && var->varattno == column && var->varno == static_cast<int>(rel->relid) && var->varlevelsup == 0) {
				found = var;
			}
		}
		if (found == nullptr) {
			break;
		}
		const TypeCacheEntry *type = lookup_type_cache(found->vartype, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
		const Oid op = (order == Order::kDescending) != ScanDirectionIsBackward(direction) ? type->gt_opr : type->lt_opr;
		List *key = compat::PathkeysOf(root, reinterpret_cast<Expr *>(found), op, rel->relids);
		if (key == NIL) {
			break;
		}
		pathkeys = list_concat(pathkeys, key);
	}
	return pathkeys;
}

void
AddPath(Server server, PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte, int index, ScanDirection direction) {
	const StreamingFunction &function = functions[index];
	List *pathkeys = OrderOf(server, root, rel, function, direction);
	if (ScanDirectionIsBackward(direction) && pathkeys == NIL) {
		return;
	}
	auto *path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = get_baserel_parampathinfo(root, rel, rel->lateral_relids);
	path->path.parallel_safe = rel->consider_parallel;
	path->path.rows = path->path.param_info != nullptr ? path->path.param_info->ppi_rows : rel->rows;
	QualCost cost;
	cost_qual_eval_node(&cost, linitial_node(RangeTblFunction, rte->functions)->funcexpr, root);
	path->path.startup_cost = cost.startup + cost.per_tuple + rel->baserestrictcost.startup;
	path->path.total_cost = path->path.startup_cost + path->path.rows * (cpu_tuple_cost + cpu_index_tuple_cost + rel->baserestrictcost.per_tuple);
	path->path.pathkeys = pathkeys;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_private = list_make1(makeInteger(direction));
	path->methods = &path_methods[index];
	add_path(rel, &path->path);
}

void
OfferStreaming(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte) {
	const Server server = Server::Callback();
	if (next_pathlist_hook != nullptr) {
		next_pathlist_hook(root, rel, rti, rte);
	}
	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality || list_length(rte->functions) != 1 || is_dummy_rel(rel)) {
		return;
	}
	const auto *call = reinterpret_cast<FuncExpr *>(linitial_node(RangeTblFunction, rte->functions)->funcexpr);
	if (!IsA(call, FuncExpr)) {
		return;
	}
	const int index = FunctionOf(server, call);
	if (index < 0 || contain_volatile_functions(reinterpret_cast<Node *>(call->args))) {
		return;
	}
	// A plan must not outlive a change of the table.
	root->glob->relationOids = lappend_oid(root->glob->relationOids, read_table->Get(server));
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	AddPath(server, root, rel, rte, index, ForwardScanDirection);
	if (functions[index].reversible) {
		AddPath(server, root, rel, rte, index, BackwardScanDirection);
	}
}

// What a call gives, as a row: a function may return a set of single values.
TupleDesc
RowTypeOf(Server, Node *call) {
	Oid type;
	TupleDesc row_type;
	if (get_expr_result_type(call, &type, &row_type) == TYPEFUNC_SCALAR) {
		row_type = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(row_type, 1, "value", type, -1, 0);
		TupleDescInitEntryCollation(row_type, 1, exprCollation(call));
	}
	return row_type;
}

// What a clause says that a position is above, a constant or a parameter; nullptr where it says nothing of the kind.
Node *
LowerBoundIn(Server, const Node *clause, int relid, AttrNumber column) {
	const auto *operation = reinterpret_cast<const OpExpr *>(clause);
	if (!IsA(clause, OpExpr) || list_length(operation->args) != 2) {
		return nullptr;
	}
	const RegProcedure code = get_opcode(operation->opno);
	const bool above = code == F_INT8GT || code == F_INT84GT;
	if (!above && code != F_INT8LT && code != F_INT48LT) {
		return nullptr;
	}
	auto *position = static_cast<Node *>(above ? linitial(operation->args) : lsecond(operation->args));
	auto *bound = static_cast<Node *>(above ? lsecond(operation->args) : linitial(operation->args));
	const auto *var = reinterpret_cast<const Var *>(position);
	if (!IsA(position, Var) || var->varno != relid || var->varattno != column || (!IsA(bound, Const) && !IsA(bound, Param))) {
		return nullptr;
	}
	if (exprType(bound) == INT8OID) {
		return bound;
	}
	return reinterpret_cast<Node *>(makeFuncExpr(F_INT8_INT4, INT8OID, list_make1(bound), InvalidOid, InvalidOid, COERCE_EXPLICIT_CAST));
}

/*
 * The call as it is made. Where the query wants rows above a position, and all of them, the call begins there rather than at its own argument: a view
 * over the whole feed, asked for what comes after a checkpoint, reads no more than that.
 */
FuncExpr *
CallFromBound(Server server, FuncExpr *call, const List *clauses, int relid, AttrNumber column) {
	const auto *from = static_cast<const Node *>(linitial(call->args));
	const auto *limit = reinterpret_cast<const Const *>(lsecond(call->args));
	if (!IsA(from, Const) || reinterpret_cast<const Const *>(from)->constisnull || !IsA(limit, Const) || limit->constisnull ||
	    DatumGetInt32(limit->constvalue) != PG_INT32_MAX) {
		return call;
	}
	List *bounds = NIL;
	ListCell *cell;
	foreach (cell, clauses) {
		Node *bound = LowerBoundIn(server, static_cast<Node *>(lfirst(cell)), relid, column);
		bounds = bound == nullptr ? bounds : lappend(bounds, copyObjectImpl(bound));
	}
	if (bounds == NIL) {
		return call;
	}
	auto *moved = static_cast<FuncExpr *>(copyObjectImpl(call));
	auto *greatest = makeNode(MinMaxExpr);
	greatest->minmaxtype = INT8OID;
	greatest->op = IS_GREATEST;
	greatest->args = lcons(linitial(moved->args), bounds);
	greatest->location = -1;
	linitial(moved->args) = greatest;
	return moved;
}

Plan *
PlanStreaming(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *targets, List *clauses, List *) {
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	auto *call = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	const auto index = static_cast<int>(path->methods - path_methods);

	auto *scan = makeNode(CustomScan);
	scan->scan.plan.targetlist = targets;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->scan.scanrelid = 0; // the executor would open a relation of that number
	scan->flags = path->flags;
	// The whole call, not just its arguments: so the plan is known to depend on the function.
	if (functions[index].position_column != 0) {
		call = reinterpret_cast<Node *>(CallFromBound(Server::Callback(), castNode(FuncExpr, call), scan->scan.plan.qual,
		                                              static_cast<int>(rel->relid), functions[index].position_column));
	}
	scan->custom_exprs = list_make1(call);
	scan->methods = &scan_methods[index];

	TupleDesc row_type = RowTypeOf(Server::Callback(), call);
	for (int i = 0; i < row_type->natts; i++) {
		const FormData_pg_attribute *column = TupleDescAttr(row_type, i);
		Var *var =
			makeVar(static_cast<int>(rel->relid), static_cast<AttrNumber>(i + 1), column->atttypid, column->atttypmod, column->attcollation, 0);
		scan->custom_scan_tlist =
			lappend(scan->custom_scan_tlist, makeTargetEntry(reinterpret_cast<Expr *>(var), static_cast<AttrNumber>(i + 1), nullptr, false));
	}
	// the target list itself may come later, when a projection is put upon this node
	Bitmapset *used = nullptr;
	pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &used);
	pull_varattnos(reinterpret_cast<Node *>(targets), rel->relid, &used);
	pull_varattnos(reinterpret_cast<Node *>(scan->scan.plan.qual), rel->relid, &used);
	const bool whole_row = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	if (whole_row) {
		Var *var = makeWholeRowVar(rte, static_cast<int>(rel->relid), 0, false);
		scan->custom_scan_tlist = lappend(
			scan->custom_scan_tlist, makeTargetEntry(reinterpret_cast<Expr *>(var), static_cast<AttrNumber>(row_type->natts + 1), nullptr, false));
	}
	scan->custom_private = list_make2(linitial(path->custom_private), makeInteger(whole_row ? 1 : 0));
	return &scan->scan.plan;
}

// ---- running ---------------------------------------------------------------------------------------------------------

StreamingScan *
ScanOf(CustomScanState *node) {
	return reinterpret_cast<StreamingScan *>(node);
}

Node *
CreateScan(CustomScan *plan) {
	auto *scan = static_cast<StreamingScan *>(palloc0(sizeof(StreamingScan)));
	NodeSetTag(scan, T_CustomScanState);
	const auto index = static_cast<int>(plan->methods - scan_methods);
	scan->css.methods = &exec_methods[index];
	scan->function = &functions[index];
	scan->call = linitial_node(FuncExpr, plan->custom_exprs);
	scan->direction = static_cast<ScanDirection>(intVal(linitial(plan->custom_private)));
	scan->whole_row = intVal(lsecond(plan->custom_private)) != 0;
	// Not from custom_private: the planner keeps this set right where it puts a sub-query's relations after those of the whole statement.
	scan->rti = static_cast<Index>(bms_singleton_member(plan->custom_relids));
	return reinterpret_cast<Node *>(scan);
}

// Rights are asked when the plan is started, as the executor does it for a function.
void
BeginScan(CustomScanState *node, EState *estate, int) {
	StreamingScan *scan = ScanOf(node);
	const Oid function = scan->call->funcid;
	if (!compat::MayExecute(GetUserId(), function)) {
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(function));
	}
	InvokeFunctionExecuteHook(function);
	// Indexes in a plan that was put into the whole statement's range table.
	scan->arguments = ExecInitExprList(scan->call->args, &node->ss.ps);
	scan->row_type = BlessTupleDesc(CreateTupleDescCopy(RowTypeOf(Server::Callback(), reinterpret_cast<Node *>(scan->call))));
	scan->context = AllocSetContextCreate(estate->es_query_cxt, "auren_events streaming scan", ALLOCSET_DEFAULT_SIZES);
}

void
CloseSource(Server server, StreamingScan *scan) {
	if (scan->source != nullptr) {
		scan->source->end(server, scan->source);
		scan->source = nullptr;
	}
}

void
OpenRowSourceOf(Server, StreamingScan *scan) {
	MemoryContextReset(scan->context);
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	const int count = list_length(scan->arguments);
	auto fcinfo = static_cast<FunctionCallInfo>(palloc0(SizeForFunctionCallInfo(count)));
	InitFunctionCallInfoData(*fcinfo, nullptr, static_cast<short>(count), scan->call->inputcollid, nullptr, nullptr);
	ExprContext *expression_context = scan->css.ss.ps.ps_ExprContext;
	for (int i = 0; i < count; i++) {
		auto *argument = static_cast<ExprState *>(list_nth(scan->arguments, i));
		NullableDatum *value = &fcinfo->args[i];
		value->value = ExecEvalExpr(argument, expression_context, &value->isnull);
		if (!value->isnull) {
			int16 length;
			bool by_value;
			get_typlenbyval(exprType(static_cast<Node *>(list_nth(scan->call->args, i))), &length, &by_value);
			value->value = datumCopy(value->value, by_value, length);
		}
	}
	Snapshot snapshot = scan->css.ss.ps.state->es_snapshot;
	scan->source = reinterpret_cast<RowSource *>(Entry([&] { return PointerGetDatum(scan->function->open(fcinfo, snapshot, scan->direction)); }));
	MemoryContextSwitchTo(old);
}

// Fills the scan's slot; an empty slot is the end.
TupleTableSlot *
FetchRow(Server server, StreamingScan *scan, TupleTableSlot *slot) {
	if (scan->source == nullptr) {
		OpenRowSourceOf(server, scan);
	}
	ExecClearTuple(slot);
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	// a row source gives all columns that it knows; the function may have been declared when there were fewer
	Datum values[kMaxRowSourceColumns];
	bool isnull[kMaxRowSourceColumns];
	const bool found = scan->source->next(server, scan->source, values, isnull);
	MemoryContextSwitchTo(old);
	if (!found) {
		return slot;
	}
	const auto columns = static_cast<std::size_t>(scan->row_type->natts);
	std::memcpy(slot->tts_values, values, sizeof(Datum) * columns);
	std::memcpy(slot->tts_isnull, isnull, sizeof(bool) * columns);
	if (scan->whole_row) {
		old = MemoryContextSwitchTo(scan->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
		HeapTuple tuple = heap_form_tuple(scan->row_type, slot->tts_values, slot->tts_isnull);
		slot->tts_values[scan->row_type->natts] = HeapTupleGetDatum(tuple);
		slot->tts_isnull[scan->row_type->natts] = false;
		MemoryContextSwitchTo(old);
	}
	return ExecStoreVirtualTuple(slot);
}

TupleTableSlot *
NextOfScan(ScanState *node) {
	const Server server = Server::Callback();
	return FetchRow(server, reinterpret_cast<StreamingScan *>(node), node->ss_ScanTupleSlot);
}

/*
 * A concurrent update makes the executor look at a row again: with the row that was seen, which it keeps whole, or, where
 * this scan stands in a part of the plan that is run anew, with the scan's own next row.
 */
bool
RecheckRow(ScanState *node, TupleTableSlot *slot) {
	const Server server = Server::Callback();
	auto *scan = reinterpret_cast<StreamingScan *>(node);
	EPQState *recheck = node->ps.state->es_epq_active;
	const Index rti = scan->rti;
	if (recheck->relsubs_done[rti - 1]) {
		return false;
	}
	if (recheck->relsubs_slot[rti - 1] == nullptr && recheck->relsubs_rowmark[rti - 1] == nullptr) {
		return !TupIsNull(FetchRow(server, scan, slot));
	}
	recheck->relsubs_done[rti - 1] = true;
	TupleTableSlot *seen = recheck->relsubs_slot[rti - 1];
	// until the scan is asked again
	MemoryContext old = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
	TupleTableSlot *own = nullptr;
	if (seen == nullptr) {
		own = MakeSingleTupleTableSlot(scan->row_type, &TTSOpsHeapTuple);
		seen = EvalPlanQualFetchRowMark(recheck, rti, own) ? own : nullptr;
	}
	HeapTuple copy = TupIsNull(seen) ? nullptr : ExecCopySlotHeapTuple(seen);
	if (own != nullptr) {
		ExecDropSingleTupleTableSlot(own);
	}
	ExecClearTuple(slot);
	if (copy != nullptr) {
		heap_deform_tuple(copy, scan->row_type, slot->tts_values, slot->tts_isnull);
		if (scan->whole_row) {
			slot->tts_values[scan->row_type->natts] = heap_copy_tuple_as_datum(copy, scan->row_type);
			slot->tts_isnull[scan->row_type->natts] = false;
		}
		(void)ExecStoreVirtualTuple(slot);
	}
	MemoryContextSwitchTo(old);
	return copy != nullptr;
}

TupleTableSlot *
ExecuteScan(CustomScanState *node) {
	return ExecScan(&node->ss, NextOfScan, RecheckRow);
}

void
EndScan(CustomScanState *node) {
	const Server server = Server::Callback();
	CloseSource(server, ScanOf(node));
}

void
RescanScan(CustomScanState *node) {
	const Server server = Server::Callback();
	CloseSource(server, ScanOf(node));
	ExecScanReScan(&node->ss);
}

void
ExplainScan(CustomScanState *node, List *ancestors, ExplainState *es) {
	List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	const bool qualified = list_length(es->rtable) > 1 || es->verbose;
	ExplainPropertyText("Function Call", deparse_expression(reinterpret_cast<Node *>(ScanOf(node)->call), context, qualified, false), es);
	if (ScanDirectionIsBackward(ScanOf(node)->direction)) {
		ExplainPropertyText("Order", "backward", es);
	}
}

} // namespace

void
RegisterStreamingScans(Server, const StreamingFunction *all, int count, OwnRelation *table) {
	Assert(count <= kMaxFunctions);
	functions = all;
	function_count = count;
	read_table = table;
	for (int i = 0; i < count; i++) {
		path_methods[i].CustomName = all[i].name;
		path_methods[i].PlanCustomPath = PlanStreaming;
		scan_methods[i].CustomName = all[i].name;
		scan_methods[i].CreateCustomScanState = CreateScan;
		exec_methods[i].CustomName = all[i].name;
		exec_methods[i].BeginCustomScan = BeginScan;
		exec_methods[i].ExecCustomScan = ExecuteScan;
		exec_methods[i].EndCustomScan = EndScan;
		exec_methods[i].ReScanCustomScan = RescanScan;
		exec_methods[i].ExplainCustomScan = ExplainScan;
		RegisterCustomScanMethods(&scan_methods[i]);
	}
	next_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = OfferStreaming;
}

/*
 * How many rows a call gives, as far as its arguments say it: an upper bound given by versions or by a limit. That the
 * planner asks is what loads the module.
 */
Datum
SupportStreaming(Server, FunctionCallInfo fcinfo) {
	auto *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
	if (!IsA(request, SupportRequestRows)) {
		return PointerGetDatum(nullptr);
	}
	auto *rows = reinterpret_cast<SupportRequestRows *>(request);
	if (!is_funcclause(rows->node)) {
		return PointerGetDatum(nullptr);
	}
	const auto *call = reinterpret_cast<FuncExpr *>(rows->node);
	double bound = -1;
	int64 from = 1;
	ListCell *cell;
	foreach (cell, call->args) {
		Node *argument = estimate_expression_value(rows->root, static_cast<Node *>(lfirst(cell)));
		if (!IsA(argument, Const) || reinterpret_cast<Const *>(argument)->constisnull) {
			continue;
		}
		const auto *constant = reinterpret_cast<Const *>(argument);
		if (constant->consttype == INT4OID) {
			bound = DatumGetInt32(constant->constvalue); // a limit
		} else if (constant->consttype == INT8OID && foreach_current_index(cell) == 1) {
			from = Max(1, DatumGetInt64(constant->constvalue));
		} else if (constant->consttype == INT8OID && foreach_current_index(cell) == 2) {
			bound = static_cast<double>(DatumGetInt64(constant->constvalue)) - static_cast<double>(from) + 1;
		}
	}
	if (bound < 0 || bound >= 1000) {
		return PointerGetDatum(nullptr); // as CREATE FUNCTION says
	}
	rows->rows = Max(bound, 1.0);
	return PointerGetDatum(request);
}

} // namespace auren::pg
