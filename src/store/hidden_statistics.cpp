#include "store/hidden_statistics.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "server/entry.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

namespace {

get_relation_stats_hook_type next_hook = nullptr;
get_index_stats_hook_type next_index_hook = nullptr;
get_relation_info_hook_type next_info_hook = nullptr;

// Also where the extension is not in the database and its names are somebody's.
bool
IsStoreHere(Server) {
	const Oid schema = get_namespace_oid("events", true);
	return OidIsValid(schema) && OidIsValid(get_relname_relid("tenant_bindings", schema));
}

// A table of the extension's schemas or an index of one, or a month that somebody has moved to another schema.
bool
IsOfStore(Server server, Oid relid) {
	static const char *const kSchemas[] = {"events", "biometric", "analytics", "encrypted", "auren"};
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	if (schema != nullptr &&
	    std::any_of(std::begin(kSchemas), std::end(kSchemas), [=](const char *ours) { return std::strcmp(schema, ours) == 0; })) {
		return true;
	}
	const Oid table = get_rel_relkind(relid) == RELKIND_INDEX ? IndexGetRelation(relid, true) : relid;
	return get_rel_relispartition(table) && get_partition_parent(table, true) == own::events.Get(server);
}

bool
StatisticsAreHidden(Server server, Oid relid) {
	return relid >= FirstNormalObjectId && !superuser() && IsStoreHere(server) &&
	       DatumGetBool(Entry([] { return BoolGetDatum(CallerIsKnownBound()); })) && IsOfStore(server, relid);
}

// How many different values there are and how wide they are, and none of them.
void
GiveWithoutValues(Server, Oid relid, AttrNumber column, bool inherits, VariableStatData *found) {
	HeapTuple statistics = SearchSysCacheCopy3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(column), BoolGetDatum(inherits));
	if (HeapTupleIsValid(statistics)) {
		auto *form = reinterpret_cast<Form_pg_statistic>(GETSTRUCT(statistics));
		form->stakind1 = form->stakind2 = form->stakind3 = form->stakind4 = form->stakind5 = 0;
		found->statsTuple = statistics;
		found->freefunc = heap_freetuple;
	}
}

// For the server.
bool
GiveStatistics(PlannerInfo *root, RangeTblEntry *rte, AttrNumber column, VariableStatData *found) {
	if (next_hook != nullptr && next_hook(root, rte, column, found)) {
		return true;
	}
	if (rte->rtekind != RTE_RELATION || !StatisticsAreHidden(Server::Callback(), rte->relid)) {
		return false;
	}
	GiveWithoutValues(Server::Callback(), rte->relid, column, rte->inh, found);
	return true;
}

// For the server: those of an index on an expression.
bool
GiveIndexStatistics(PlannerInfo *root, Oid index, AttrNumber column, VariableStatData *found) {
	if (next_index_hook != nullptr && next_index_hook(root, index, column, found)) {
		return true;
	}
	if (!StatisticsAreHidden(Server::Callback(), index)) {
		return false;
	}
	GiveWithoutValues(Server::Callback(), index, column, false, found);
	return true;
}

// For the server: those of CREATE STATISTICS, which the planner finds by itself, are taken from it.
void
TakeExtendedStatistics(PlannerInfo *root, Oid relid, bool inherits, RelOptInfo *relation) {
	if (next_info_hook != nullptr) {
		next_info_hook(root, relid, inherits, relation);
	}
	if (relation->statlist != NIL && StatisticsAreHidden(Server::Callback(), relid)) {
		relation->statlist = NIL;
	}
}

} // namespace

void
RegisterHiddenStatistics(Server) {
	next_hook = get_relation_stats_hook;
	get_relation_stats_hook = GiveStatistics;
	next_index_hook = get_index_stats_hook;
	get_index_stats_hook = GiveIndexStatistics;
	next_info_hook = get_relation_info_hook;
	get_relation_info_hook = TakeExtendedStatistics;
}

} // namespace auren::pg
