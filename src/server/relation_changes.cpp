#include "server/relation_changes.hpp"

namespace auren::pg {

namespace {

constexpr int kMostFunctions = 16;
void (*functions[kMostFunctions])(Oid);
int count = 0;

void
CallAll(Datum, Oid relid) {
	for (int i = 0; i < count; i++) {
		functions[i](relid);
	}
}

} // namespace

void
OnRelationChange(Server, void (*function)(Oid relid)) {
	if (count == 0) {
		CacheRegisterRelcacheCallback(CallAll, 0);
	}
	if (count == kMostFunctions) {
		elog(ERROR, "too many functions want to hear of changed relations");
	}
	functions[count++] = function;
}

} // namespace auren::pg
