// Functions that read one stream: replay, state, version.

#include <string>
#include <unordered_set>

#include "core/error.hpp"
#include "core/names.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/event_read.hpp"
#include "pg/rows.hpp"
#include "pg/state.hpp"
#include "pg/stream_row.hpp"
#include "pg/tenant.hpp"

namespace auren {

namespace {

using pg::Call;

/*
 * A scan of a stream that an entry runs. It is ended on success only: after an error the transaction's end closes it.
 */
class Stream {
  public:
	Stream(const pg::Tenant &tenant, const pg::Text &stream, int64 from, int64 to, bool backward) {
		Call([&] { pg::BeginStreamScan(&scan_, tenant.text, stream.datum, from, to, backward, GetActiveSnapshot()); });
	}
	bool
	Next() {
		return Call([this] { return pg::NextEvent(&scan_, &row_); });
	}
	void
	End() {
		Call([this] { pg::EndStreamScan(&scan_); });
	}
	const pg::EventRow &
	row() const {
		return row_;
	}
	std::string_view
	event_type() const {
		const auto *type = DatumGetPointer(row_.values[pg::kEventType]);
		return {VARDATA_ANY(type), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(type))};
	}

  private:
	pg::StreamScan scan_;
	pg::EventRow row_;
};

pg::Text
StreamArgument(FunctionCallInfo fcinfo) {
	const pg::Text stream = pg::TextArgument(fcinfo, 0, "p_stream_id");
	CheckStreamId(stream.name);
	return stream;
}

int64
VersionArgument(FunctionCallInfo fcinfo, int argument, const char *parameter, int64 otherwise) {
	if (PG_ARGISNULL(argument)) {
		return otherwise;
	}
	const int64 version = PG_GETARG_INT64(argument);
	if (version < 0) {
		throw DomainError(sqlstate::kInvalidParameter, std::string(parameter) + " must not be negative",
		                  "The version given is " + std::to_string(version) + ".", "Versions of a stream are 1, 2, 3 and so on.");
	}
	return version;
}

// Columns of replay_stream and its kin.
void
PutEvent(const pg::Rows &rows, const pg::EventRow &row) {
	static const bool isnull[8] = {};
	const Datum values[8] = {row.values[pg::kEventId],   row.values[pg::kStreamVersion], row.values[pg::kEventType],
	                         row.values[pg::kEventData], row.values[pg::kCreatedAt],     row.values[pg::kMetadata],
	                         row.values[pg::kCreatedBy], row.values[pg::kGlobalPosition]};
	Call([&] { pg::PutRow(rows, values, isnull); });
}

} // namespace

AUREN_FUNCTION(auren_replay_stream) {
	const pg::Text stream = StreamArgument(fcinfo);
	pg::RequireNotNull(fcinfo, 1, "p_from_version");
	const int64 from = VersionArgument(fcinfo, 1, "p_from_version", 1);
	const int64 to = VersionArgument(fcinfo, 2, "p_to_version", PG_INT64_MAX);
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&] { return pg::BeginRows(fcinfo); });
	Stream events(tenant, stream, from, to, false);
	while (events.Next()) {
		PutEvent(rows, events.row());
	}
	events.End();
	return 0;
}

AUREN_FUNCTION(auren_replay_stream_backward) {
	const pg::Text stream = StreamArgument(fcinfo);
	const int64 from = VersionArgument(fcinfo, 1, "p_from_version", PG_INT64_MAX);
	int64 left = PG_INT64_MAX;
	if (!PG_ARGISNULL(2)) {
		left = PG_GETARG_INT32(2);
		if (left < 0) {
			throw DomainError(sqlstate::kInvalidParameter, "p_limit must not be negative",
			                  "The limit given is " + std::to_string(left) + ".", "NULL means all events.");
		}
	}
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&] { return pg::BeginRows(fcinfo); });
	Stream events(tenant, stream, 1, from, true);
	while (left-- > 0 && events.Next()) {
		PutEvent(rows, events.row());
	}
	events.End();
	return 0;
}

AUREN_FUNCTION(auren_last_event) {
	const pg::Text stream = StreamArgument(fcinfo);
	const auto type = pg::OptionalTextArgument(fcinfo, 1);
	if (type) {
		CheckEventType(type->name);
	}
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&] { return pg::BeginRows(fcinfo); });
	Stream events(tenant, stream, 1, PG_INT64_MAX, true);
	while (events.Next()) {
		if (!type || events.event_type() == type->name.bytes) {
			PutEvent(rows, events.row());
			break;
		}
	}
	events.End();
	return 0;
}

/*
 * Backward, so that the first event of a type is its latest one: only what ends up in the state is ever read from
 * TOAST, and memory is bounded by the state, not by the stream.
 */
AUREN_FUNCTION(auren_get_stream_state) {
	const pg::Text stream = StreamArgument(fcinfo);
	const int64 to = VersionArgument(fcinfo, 1, "p_to_version", PG_INT64_MAX);
	const pg::Tenant tenant = pg::CurrentTenant();

	std::unordered_set<std::string_view> seen;
	std::vector<pg::StateEntry> entries;
	Stream events(tenant, stream, 1, to, true);
	while (events.Next()) {
		if (seen.count(events.event_type()) != 0) {
			continue;
		}
		const pg::EventRow &row = events.row();
		const pg::StateEntry entry = Call([&] {
			return pg::StateEntry{PointerGetDatum(DatumGetTextPCopy(row.values[pg::kEventType])),
			                      JsonbPGetDatum(DatumGetJsonbPCopy(row.values[pg::kEventData]))};
		});
		seen.insert({VARDATA_ANY(DatumGetPointer(entry.key)),
		             static_cast<std::size_t>(VARSIZE_ANY_EXHDR(DatumGetPointer(entry.key)))});
		entries.push_back(entry);
	}
	events.End();
	return pg::ObjectOf(entries);
}

AUREN_FUNCTION(auren_stream_version) {
	const pg::Text stream = StreamArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	const int64 version = Call([&] { return pg::StreamVersion(tenant.text, stream.datum, GetActiveSnapshot()); });
	if (version == 0) {
		PG_RETURN_NULL();
	}
	return Int64GetDatum(version);
}

AUREN_FUNCTION(auren_stream_exists) {
	const pg::Text stream = StreamArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	return BoolGetDatum(Call([&] { return pg::StreamVersion(tenant.text, stream.datum, GetActiveSnapshot()); }) > 0);
}

AUREN_FUNCTION(auren_stream_summary) {
	const pg::Text stream = StreamArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	Datum values[3] = {};
	bool isnull[3] = {true, true, true};
	Stream newest(tenant, stream, 1, PG_INT64_MAX, true);
	if (newest.Next()) {
		values[0] = newest.row().values[pg::kStreamVersion];
		values[2] = newest.row().values[pg::kCreatedAt];
		Stream oldest(tenant, stream, 1, PG_INT64_MAX, false);
		if (oldest.Next()) {
			values[1] = oldest.row().values[pg::kCreatedAt];
			isnull[0] = isnull[1] = isnull[2] = false;
		}
		oldest.End();
	}
	newest.End();
	return Call([&] {
		TupleDesc descriptor;
		(void)get_call_result_type(fcinfo, nullptr, &descriptor);
		return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, isnull));
	});
}

} // namespace auren
