#include "state/reducers.hpp"

#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "server/cached.hpp"
#include "server/encoding.hpp"
#include "server/guard.hpp"
#include "server/relation_changes.hpp"
#include "server/table_row.hpp"
#include "state/reducer_function.hpp"
#include "state/relations.hpp"

namespace auren::pg {

namespace {

Cached<Reducers> declared(own::reducers);

// A row of auren.declared_reducers, in the caller's memory context.
struct Row {
	const char *event_type;
	const char *category;
	const char *kind;
	const char *options;
	// what its function does, for a reducer of that kind
	Oid function;
	const char *body;
};

// A body of standard SQL is kept as a tree with oids in it: its text is the same in another database, with
// names that do not depend on the caller's search path.
const char *
SqlBodyOf(Server, Oid function) {
	const int level = NewGUCNestLevel();
	(void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	const char *body = TextDatumGetCString(OidFunctionCall1(F_PG_GET_FUNCTION_SQLBODY, ObjectIdGetDatum(function)));
	AtEOXact_GUC(true, level);
	return body;
}

// What decides on the result of a function, as far as its catalog row says it.
const char *
BodyOf(Server server, Oid function) {
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple)) {
		return "";
	}
	StringInfoData body;
	initStringInfo(&body);
	for (const AttrNumber column : {Anum_pg_proc_prosrc, Anum_pg_proc_probin, Anum_pg_proc_prosqlbody}) {
		bool isnull;
		const Datum value = SysCacheGetAttr(PROCOID, tuple, column, &isnull);
		if (!isnull) {
			appendStringInfoString(&body, column == Anum_pg_proc_prosqlbody ? SqlBodyOf(server, function) : TextDatumGetCString(value));
		}
		appendStringInfoChar(&body, '\n');
	}
	// what its names mean, and what its arguments are called
	for (const AttrNumber column : {Anum_pg_proc_proconfig, Anum_pg_proc_proargnames}) {
		bool isnull;
		const Datum value = SysCacheGetAttr(PROCOID, tuple, column, &isnull);
		if (!isnull) {
			appendStringInfoString(&body, OidOutputFunctionCall(F_ARRAY_OUT, value));
		}
		appendStringInfoChar(&body, '\n');
	}
	const Oid language = reinterpret_cast<const FormData_pg_proc *>(GETSTRUCT(tuple))->prolang;
	appendStringInfoString(&body, get_language_name(language, false));
	ReleaseSysCache(tuple);
	return body.data;
}

int
ReadRows(Server server, Oid relid, Row **rows) {
	return ReadAllRows(server, relid, rows, [](HeapTuple tuple, TupleDesc descriptor, Row *row) {
		bool isnull;
		row->event_type = TextDatumGetCString(heap_getattr(tuple, 1, descriptor, &isnull));
		row->category = TextDatumGetCString(heap_getattr(tuple, 2, descriptor, &isnull));
		row->kind = TextDatumGetCString(heap_getattr(tuple, 3, descriptor, &isnull));
		Jsonb *options = DatumGetJsonbP(heap_getattr(tuple, 4, descriptor, &isnull));
		row->options = JsonbToCString(nullptr, &options->root, static_cast<int>(VARSIZE(options)));
		row->function = InvalidOid;
		row->body = "";
	});
}

Reducers
Load(Oid relid) {
	MemoryContext context = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events reducers", ALLOCSET_SMALL_SIZES); });
	MemoryContext old = MemoryContextSwitchTo(context);
	Row *rows = nullptr;
	const int count = Call([&](Server server) { return ReadRows(server, relid, &rows); });
	Reducers loaded;
	std::map<std::pair<std::string, std::string>, std::string> texts;
	for (int i = 0; i < count; i++) {
		Row *row = &rows[i];
		ReducerOptions options = ParseDeclaration(row->event_type, row->kind, row->options);
		if (options.reducer.kind == ReducerKind::kFunction) {
			const char *name = options.reducer.function.c_str();
			Call([&](Server server) {
				// one that is not there any more is an error when an event needs it
				row->function = FunctionOfName(server, name);
				row->body = BodyOf(server, row->function);
			});
			options.reducer.function_oid = row->function;
		}
		std::string &text = texts[{row->event_type, row->category}];
		for (const char *part : {row->event_type, row->category, row->kind, row->options, row->body}) {
			text.append(part).push_back('\0');
		}
		loaded.set.Declare(row->event_type, row->category, std::move(options.reducer));
	}
	std::string all;
	for (const auto &entry : texts) {
		all += entry.second;
	}
	for (uint64 half = 0; half < 2; half++) {
		const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(all.data()), static_cast<int>(all.size()), half);
		std::memcpy(loaded.version.data + half * sizeof hash, &hash, sizeof hash);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return loaded;
}

void
ForgetOnRelation(Oid relid) {
	declared.ForgetOn(relid);
}

void
ForgetOnFunction(Datum, int, uint32) {
	declared.Forget();
}

} // namespace

std::shared_ptr<const Reducers>
DeclaredReducers() {
	Call([] { AcceptInvalidationMessages(); });
	return declared.Get(Load);
}

ReducerOptions
ParseDeclaration(const char *event_type, const char *kind, const char *options) {
	ReducerOptions parsed = ParseReducer(ToUtf8(event_type), ToUtf8(kind), ToUtf8(options));
	Reducer &reducer = parsed.reducer;
	if (reducer.into) {
		reducer.into = FromUtf8(*reducer.into);
	}
	for (std::string &field : reducer.fields) {
		field = FromUtf8(field);
	}
	reducer.function = FromUtf8(reducer.function);
	parsed.category = FromUtf8(parsed.category);
	return parsed;
}

void
RegisterReducerCallbacks(Server server) {
	OnRelationChange(server, ForgetOnRelation);
	CacheRegisterSyscacheCallback(PROCOID, ForgetOnFunction, 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetOnFunction, 0); // its name is kept with its schema's
}

} // namespace auren::pg
