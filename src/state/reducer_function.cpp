#include "state/reducer_function.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

bool
SetsSearchPath(Server, HeapTuple tuple) {
	bool isnull;
	const Datum config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (isnull) {
		return false;
	}
	Datum *settings;
	int count;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &settings, nullptr, &count);
	static const char kPrefix[] = "search_path=";
	for (int i = 0; i < count; i++) {
		if (std::strncmp(TextDatumGetCString(settings[i]), kPrefix, sizeof kPrefix - 1) == 0) {
			return true;
		}
	}
	return false;
}

} // namespace

void
CheckReducerFunction(Server server, Oid function, const char *name) {
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple)) {
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("reducer function %s does not exist", name),
		                errdetail("It was dropped or renamed after the reducer was declared."),
		                errhint("Make it again, or declare another reducer by events.set_reducer.")));
	}
	const auto *row = reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(tuple));
	if (row->provolatile != PROVOLATILE_IMMUTABLE) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION), errmsg("reducer function %s is not IMMUTABLE", name),
		                errdetail("A state is kept and given to others: it must depend on nothing but the events."),
		                errhint("ALTER FUNCTION %s IMMUTABLE, if that is true of it.", name)));
	}
	if (row->proretset || row->prokind != PROKIND_FUNCTION || row->prorettype != JSONBOID) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION), errmsg("reducer function %s does not return one jsonb", name),
		                errdetail("Its result is the state after the event."), errhint("Let it return jsonb.")));
	}
	if (!SetsSearchPath(server, tuple)) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION), errmsg("reducer function %s does not set its search_path", name),
		                errdetail("What it means by a name would depend on the session that reads the state."),
		                errhint("ALTER FUNCTION %s SET search_path = pg_catalog, pg_temp.", name)));
	}
	Relation events = table_open(own::events.Get(server), AccessShareLock);
	const Oid owner = events->rd_rel->relowner;
	table_close(events, NoLock);
	if (row->proowner != owner && !superuser_arg(row->proowner)) {
		ereport(ERROR,
		        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("reducer function %s belongs neither to the store's owner nor to a superuser", name),
		         errdetail("It runs for everyone who reads a state."), errhint("ALTER FUNCTION %s OWNER TO the store's owner.", name)));
	}
	ReleaseSysCache(tuple);
}

Oid
FunctionOfName(Server, const char *qualified_name) {
	const List *names = compat::QualifiedName(qualified_name);
	const Oid schema = list_length(names) == 2 ? get_namespace_oid(strVal(linitial(names)), true) : InvalidOid;
	if (!OidIsValid(schema)) {
		return InvalidOid;
	}
	const Oid arguments[3] = {JSONBOID, TEXTOID, JSONBOID};
	const oidvector *types = buildoidvector(arguments, 3);
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(strVal(lsecond(names))), PointerGetDatum(types),
	                       ObjectIdGetDatum(schema));
}

Oid
FindReducerFunction(Server server, const char *text, char **name) {
	const Oid arguments[3] = {JSONBOID, TEXTOID, JSONBOID};
	List *names = compat::QualifiedName(text);
	const Oid function = LookupFuncName(names, 3, arguments, true);
	if (!OidIsValid(function)) {
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION), errmsg("function %s(jsonb, text, jsonb) does not exist", text),
		                errdetail("None of that name takes these arguments."),
		                errhint("A reducer takes the state, the event type and the event data. Name the function with its schema.")));
	}
	if (isAnyTempNamespace(get_func_namespace(function))) {
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION), errmsg("reducer function %s is a temporary one", text),
		                errdetail("It ends with this session, and the events stay."), errhint("Make it in a schema that stays.")));
	}
	*name = quote_qualified_identifier(get_namespace_name(get_func_namespace(function)), get_func_name(function));
	CheckReducerFunction(server, function, *name);
	return function;
}

} // namespace auren::pg
