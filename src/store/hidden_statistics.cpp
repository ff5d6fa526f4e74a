#include "store/hidden_statistics.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "server/entry.hpp"
#include "store/tenant.hpp"

namespace auren::pg {

namespace {

get_relation_stats_hook_type next_hook = nullptr;

// Also where the extension is not in the database and its names are somebody's.
bool
IsStoreHere(Server) {
	const Oid schema = get_namespace_oid("events", true);
	return OidIsValid(schema) && OidIsValid(get_relname_relid("tenant_bindings", schema));
}

bool
IsOfStore(Server, Oid relid) {
	static const char *const kSchemas[] = {"events", "biometric", "analytics", "encrypted", "auren"};
	const char *schema = get_namespace_name(get_rel_namespace(relid));
	return schema != nullptr && std::any_of(std::begin(kSchemas), std::end(kSchemas), [=](const char *ours) { return std::strcmp(schema, ours) == 0; });
}

bool
AreHidden(Server server, Oid relid) {
	return relid >= FirstNormalObjectId && IsOfStore(server, relid) && !superuser() && IsStoreHere(server) &&
	       DatumGetBool(Entry([] { return BoolGetDatum(CallerIsKnownBound()); }));
}

// For the server.
bool
GiveStatistics(PlannerInfo *root, RangeTblEntry *rte, AttrNumber column, VariableStatData *found) {
	if (next_hook != nullptr && next_hook(root, rte, column, found)) {
		return true;
	}
	if (rte->rtekind != RTE_RELATION || !AreHidden(Server::Callback(), rte->relid)) {
		return false;
	}
	HeapTuple statistics = SearchSysCacheCopy3(STATRELATTINH, ObjectIdGetDatum(rte->relid), Int16GetDatum(column), BoolGetDatum(rte->inh));
	if (HeapTupleIsValid(statistics)) {
		auto *form = reinterpret_cast<Form_pg_statistic>(GETSTRUCT(statistics));
		form->stakind1 = form->stakind2 = form->stakind3 = form->stakind4 = form->stakind5 = 0;
		found->statsTuple = statistics;
		found->freefunc = heap_freetuple;
	}
	return true;
}

} // namespace

void
RegisterHiddenStatistics(Server) {
	next_hook = get_relation_stats_hook;
	get_relation_stats_hook = GiveStatistics;
}

} // namespace auren::pg
