// State of streams: get_stream_state and its kin, reducers, snapshots.

#include <string>

#include "core/error.hpp"
#include "core/json/json_diff.hpp"
#include "core/state/reducer.hpp"
#include "core/store/names.hpp"
#include "counts/counts.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/jsonb_writer.hpp"
#include "server/progress.hpp"
#include "server/rows.hpp"
#include "state/reducer_function.hpp"
#include "state/state.hpp"
#include "store/dropped_months.hpp"
#include "store/event_arguments.hpp"
#include "store/query.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

/*
 * Puts the states of streams into a function's result, with what each needed in memory given back.
 */
class StateRows {
  public:
	explicit StateRows(FunctionCallInfo fcinfo)
		: rows_(Call([&](Server server) { return pg::BeginRows(server, fcinfo); })), reader_(pg::CurrentTenant(), GetActiveSnapshot()),
		  context_(Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events state", ALLOCSET_DEFAULT_SIZES); })) {
	}
	// A row for a stream, one without events too.
	void
	Put(const pg::Text &stream) {
		PutState(stream, 0);
	}
	// A row for a stream that has events. Returns whether there is a row.
	bool
	PutUnlessEmpty(const pg::Text &stream) {
		return PutState(stream, 1);
	}
	void
	End() {
		reader_.End();
	}
	pg::StateReader &
	reader() {
		return reader_;
	}

  private:
	// A row for a stream that has at least this version. Returns whether there is a row.
	bool
	PutState(const pg::Text &stream, int64 least_version) {
		MemoryContext old = MemoryContextSwitchTo(context_);
		const pg::State state = reader_.Read(stream, PG_INT64_MAX);
		const bool put = state.version >= least_version;
		const Datum values[3] = {stream.datum, Int64GetDatum(state.version), state.state};
		const bool isnull[3] = {};
		MemoryContextSwitchTo(old);
		Call([&](Server server) {
			if (put) {
				pg::PutRow(server, rows_, values, isnull);
			}
			MemoryContextReset(context_);
		});
		return put;
	}

	pg::Rows rows_;
	pg::StateReader reader_;
	MemoryContext context_;
};

// Opening balances that other reducers made go on as they are: there are no events to make them anew of. Whoever changes reducers is told.
void
TellOfOpeningStates() {
	const pg_uuid_t version = pg::DeclaredReducers()->version;
	Call([&](Server server) {
		const int64 others = pg::CountOpeningStatesOfOthers(server, &version);
		if (others > 0) {
			ereport(WARNING, (errmsg("the opening balances of " INT64_FORMAT " streams were made by other reducers", others),
			                  errdetail("Months of these streams were dropped, so that their states begin with the balances as they are."),
			                  errhint("The reducers that are declared now apply to the events that are left.")));
		}
	});
}

// Changes auren.declared_reducers; returns how many rows. The right to call our function is enough.
uint64
ChangeReducers(const char *sql, int count, Oid *types, Datum *values) {
	return Call([&](Server server) {
		PreventCommandIfReadOnly("a change of the reducers");
		return pg::ExecuteAsStore(server, sql, count, types, values, nullptr);
	});
}

} // namespace

AUREN_FUNCTION(auren_get_stream_state) {
	const pg::Text stream = StreamArgument(fcinfo);
	const int64 to = VersionArgument(fcinfo, 1, "p_to_version", PG_INT64_MAX);
	pg::StateReader reader(pg::CurrentTenant(), GetActiveSnapshot());
	const pg::State state = reader.Read(stream, to);
	reader.End();
	return state.state;
}

AUREN_FUNCTION(auren_get_stream_states) {
	const pg::Elements ids = pg::ArrayArgument(fcinfo, 0, "p_stream_ids", TEXTOID);
	for (int i = 0; i < ids.count; i++) {
		if (ids.isnull[i]) {
			throw DomainError(sqlstate::kInvalidParameter, "p_stream_ids must not hold NULL", "Element " + std::to_string(i + 1) + " is NULL.",
			                  "Leave it out.");
		}
	}
	StateRows rows(fcinfo);
	for (int i = 0; i < ids.count; i++) {
		const pg::Text stream = pg::TextOf(ids.values[i]);
		CheckStreamId(stream.name);
		rows.Put(stream);
	}
	rows.End();
	return 0;
}

AUREN_FUNCTION(auren_get_category_states) {
	constexpr int kPage = 500;
	const pg::Text category = CategoryArgument(fcinfo, 0);
	const auto after = pg::OptionalTextArgument(fcinfo, 1);
	int64 left = LimitArgument(fcinfo, 2);
	StateRows rows(fcinfo);
	Datum page[kPage];
	Datum last = after ? after->datum : 0;
	while (left > 0) {
		const int asked = static_cast<int>(Min(left, static_cast<int64>(kPage)));
		const int found = Call([&](Server server) {
			return pg::ListStreams(server, rows.reader().stream_rows(), {rows.reader().tenant().text, category.datum, last, asked},
			                       GetActiveSnapshot(), page);
		});
		for (int i = 0; i < found; i++) {
			// a stream whose events are hidden from the caller is not there
			left -= rows.PutUnlessEmpty(pg::TextOf(page[i])) ? 1 : 0;
		}
		if (found < asked) {
			break;
		}
		last = page[found - 1];
	}
	rows.End();
	return 0;
}

AUREN_FUNCTION(auren_state_diff) {
	const pg::Text stream = StreamArgument(fcinfo);
	pg::RequireNotNull(fcinfo, 1, "p_from_version");
	const int64 from = VersionArgument(fcinfo, 1, "p_from_version", 0);
	const int64 to = VersionArgument(fcinfo, 2, "p_to_version", PG_INT64_MAX);
	pg::StateReader reader(pg::CurrentTenant(), GetActiveSnapshot());
	const pg::State before = reader.Read(stream, from);
	const pg::State after = reader.Read(stream, to);
	reader.End();
	const pg::ServerJson json;
	return pg::WriteJsonb(Diff(pg::JsonOf(before.state), pg::JsonOf(after.state), json));
}

AUREN_FUNCTION(auren_take_snapshot) {
	const pg::Text stream = StreamArgument(fcinfo);
	pg::StateReader reader(pg::CurrentTenant(), GetActiveSnapshot());
	if (reader.row_security()) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "a snapshot cannot be taken under row level security",
		                  "A policy on events.event_store applies to this role, and others would be given what it sees.",
		                  "Take it as a role to which no policy applies.");
	}
	Call([] { PreventCommandIfReadOnly("events.take_snapshot()"); });
	const pg::State state = reader.Read(stream, PG_INT64_MAX);
	bool written = true;
	if (state.version > 0) {
		const pg_uuid_t version = reader.reducers_version();
		written = Call([&](Server server) {
			return pg::WriteSnapshot(server, reader.tenant().text, stream.datum, state.version, state.event_time, &version, state.state);
		});
	}
	Count(pg::Work::kSnapshotsTaken, state.version > 0 && written ? 1 : 0);
	reader.End();
	if (!written) {
		throw DomainError("55P03", "auren.stream_snapshots is locked", "Another session holds a lock that stands against a write.",
		                  "Try again when it has ended.");
	}
	if (state.version == 0) {
		PG_RETURN_NULL();
	}
	return Int64GetDatum(state.version);
}

AUREN_FUNCTION(auren_drop_snapshots) {
	const auto stream = pg::OptionalTextArgument(fcinfo, 0);
	if (stream) {
		CheckStreamId(stream->name);
	}
	const pg::Tenant tenant = pg::CurrentTenant();
	return Int64GetDatum(Call([&](Server server) {
		PreventCommandIfReadOnly("events.drop_snapshots()");
		pg::BeginProgress(server, pg::WorkPhase::kSnapshotsDropping, 0);
		const int64 dropped = pg::DropSnapshots(server, tenant.text, stream ? stream->datum : 0);
		pg::EndProgress(server);
		return dropped;
	}));
}

AUREN_FUNCTION(auren_reducers_version) {
	const auto reducers = pg::DeclaredReducers();
	return Call([&] {
		auto *version = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
		*version = reducers->version;
		return UUIDPGetDatum(version);
	});
}

namespace {

// A jsonb as text, in the caller's memory context.
const char *
TextOfJsonb(Datum datum) {
	return Call([&] {
		Jsonb *jsonb = DatumGetJsonbP(datum);
		return static_cast<const char *>(JsonbToCString(nullptr, &jsonb->root, static_cast<int>(VARSIZE(jsonb))));
	});
}

/*
 * A reducer's options as its row holds them: without the category, which has a column of its own, and with the function's name in its
 * schema, so that what the name means does not depend on the session that reads the state.
 */
Datum
OptionsToStore(Datum options, const ReducerOptions &declared) {
	const pg::ServerJson json;
	Json kept = json.Expand(pg::JsonOf(options).document().bytes);
	kept.object().erase("category");
	if (declared.reducer.kind == ReducerKind::kFunction) {
		const char *name = declared.reducer.function.c_str();
		kept.object()["function"].SetString(Call([&](Server server) {
			char *qualified;
			(void)pg::FindReducerFunction(server, name, &qualified);
			return qualified;
		}));
	}
	return pg::WriteJsonb(kept);
}

} // namespace

AUREN_FUNCTION(auren_set_reducer) {
	pg::RequireUnbound("set reducers", "They fold the streams of all tenants.");
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	CheckEventType(type.name);
	const pg::Text kind = pg::TextArgument(fcinfo, 1, "p_kind");
	pg::RequireNotNull(fcinfo, 2, "p_options");
	const Datum options = pg::JsonbOf(PG_GETARG_DATUM(2));
	const ReducerOptions declared =
		pg::ParseDeclaration(std::string(type.name.bytes).c_str(), std::string(kind.name.bytes).c_str(), TextOfJsonb(options));
	const Datum category =
		Call([&] { return PointerGetDatum(cstring_to_text_with_len(declared.category.data(), static_cast<int>(declared.category.size()))); });
	Oid types[4] = {TEXTOID, TEXTOID, TEXTOID, JSONBOID};
	Datum values[4] = {type.datum, category, kind.datum, OptionsToStore(options, declared)};
	(void)ChangeReducers("INSERT INTO auren.declared_reducers (event_type, category, kind, options) VALUES ($1, $2, $3, $4) "
	                     "ON CONFLICT (event_type, category) DO UPDATE SET kind = EXCLUDED.kind, options = EXCLUDED.options, "
	                     "declared_by = EXCLUDED.declared_by, declared_at = EXCLUDED.declared_at",
	                     4, types, values);
	TellOfOpeningStates();
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_drop_reducer) {
	pg::RequireUnbound("drop reducers", "They fold the streams of all tenants.");
	const pg::Text type = pg::TextArgument(fcinfo, 0, "p_event_type");
	const auto category = pg::OptionalTextArgument(fcinfo, 1);
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {type.datum, category ? category->datum : Call([] { return PointerGetDatum(cstring_to_text("")); })};
	const uint64 rows = ChangeReducers(
		"DELETE FROM auren.declared_reducers WHERE event_type OPERATOR(pg_catalog.=) $1 AND category OPERATOR(pg_catalog.=) $2", 2, types, values);
	if (rows == 0) {
		throw DomainError(sqlstate::kUndefinedObject,
		                  "there is no reducer for event type \"" + std::string(type.name.bytes) + "\"" +
		                      (category ? " in category \"" + std::string(category->name.bytes) + "\"" : ""),
		                  category ? "" : "One of a category is dropped by naming the category.", "events.reducers lists them.");
	}
	TellOfOpeningStates();
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_get_stream_state_decrypted) {
	const pg::Text stream = StreamArgument(fcinfo);
	const int64 to = VersionArgument(fcinfo, 1, "p_to_version", PG_INT64_MAX);
	pg::StateReader reader(pg::CurrentTenant(), GetActiveSnapshot(), pg::PersonalData::kDecrypted);
	const pg::State state = reader.Read(stream, to);
	reader.End();
	return state.state;
}

} // namespace auren
