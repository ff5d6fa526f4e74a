#include "months/carry.hpp"

#include <algorithm>
#include <optional>

#include "access/own_query.hpp"
#include "encrypted/kept_states.hpp"
#include "encrypted/personal_rules.hpp"
#include "metrics/carried_readings.hpp"
#include "server/arguments.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"
#include "server/wait_point.hpp"
#include "state/state.hpp"
#include "store/query.hpp"

namespace auren::pg {

namespace {

constexpr int kStreamsAStep = 500;
constexpr std::size_t kBytesAStep = 16 * 1024 * 1024;
constexpr int kEventsAStep = 5000;
constexpr int64 kPositionsAStep = 50000;

// A stream with events in the month, and the last version of them.
struct MonthStream {
	std::string tenant;
	std::string stream;
	int64 version;
	bool carried;
};

// The next page of them in their order, by the stream's index alone. What an earlier call carried that did not come to the drop is made anew where
// the reducers are others since and the stream's first event is still there.
std::vector<MonthStream>
ListStreams(const MonthFigures &month, const MonthStream &after) {
	const std::string sql = "WITH page AS MATERIALIZED (SELECT tenant_id, stream_id, max(stream_version) AS version FROM " + month.partition +
	                        " WHERE (tenant_id, stream_id) > ($1, $2) GROUP BY tenant_id, stream_id ORDER BY tenant_id, stream_id LIMIT " +
	                        std::to_string(kStreamsAStep) +
	                        ") SELECT p.tenant_id, p.stream_id, p.version, coalesce(o.stream_version >= p.version AND (o.reducers_version = "
	                        "events.reducers_version() OR r.first_month < $3::date), false) FROM page p "
	                        "LEFT JOIN auren.opening_states o ON o.tenant_id = p.tenant_id AND o.stream_id = p.stream_id "
	                        "LEFT JOIN auren.stream_rows r ON r.tenant_id = p.tenant_id AND r.stream_id = p.stream_id ORDER BY 1, 2";
	std::vector<MonthStream> streams;
	for (const TextRow &row : QueryAsOwner(sql, {after.tenant, after.stream, DateText(month.month)})) {
		streams.push_back({*row[0], *row[1], std::stoll(*row[2]), *row[3] == "t"});
	}
	return streams;
}

// The states of a step, as arrays for one statement.
struct StateColumns {
	Datum *tenants;
	Datum *streams;
	Datum *versions;
	Datum *times;
	Datum *states;
	Datum *personal; // NULL where `of_nobody` says so
	bool *of_nobody;
	int count;
};

constexpr const char *kInsertStates =
	"INSERT INTO auren.opening_states AS o (tenant_id, stream_id, stream_version, event_time, reducers_version, state, personal) "
	"SELECT c.tenant_id, c.stream_id, c.version, c.event_time, $6, c.state, c.personal "
	"FROM unnest($1, $2, $3, $4, $5, $7) AS c(tenant_id, stream_id, version, event_time, state, personal) "
	"ON CONFLICT (tenant_id, stream_id) DO UPDATE SET stream_version = excluded.stream_version, event_time = excluded.event_time, "
	"reducers_version = excluded.reducers_version, state = excluded.state, personal = excluded.personal WHERE o.stream_version <= "
	"excluded.stream_version";

void
WriteStates(Server server, const StateColumns &columns, pg_uuid_t *reducers_version) {
	Oid types[7] = {TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZARRAYOID, JSONBARRAYOID, UUIDOID, JSONBARRAYOID};
	int lengths[1] = {columns.count};
	int from[1] = {1};
	ArrayType *personal = construct_md_array(columns.personal, columns.of_nobody, 1, lengths, from, JSONBOID, -1, false, TYPALIGN_INT);
	const auto array = [&](Datum *items, Oid type, int length, bool by_value, char align) {
		return PointerGetDatum(construct_array(items, columns.count, type, length, by_value, align));
	};
	Datum values[7] = {array(columns.tenants, TEXTOID, -1, false, TYPALIGN_INT),
	                   array(columns.streams, TEXTOID, -1, false, TYPALIGN_INT),
	                   array(columns.versions, INT8OID, 8, true, TYPALIGN_DOUBLE),
	                   array(columns.times, TIMESTAMPTZOID, 8, true, TYPALIGN_DOUBLE),
	                   array(columns.states, JSONBOID, -1, false, TYPALIGN_INT),
	                   UUIDPGetDatum(reducers_version),
	                   PointerGetDatum(personal)};
	(void)ExecuteAsStore(server, kInsertStates, 7, types, values, nullptr);
}

StateColumns
RoomFor(std::size_t streams) {
	return Call([&] {
		const auto column = [&] {
			return static_cast<Datum *>(palloc(sizeof(Datum) * (streams + 1)));
		};
		return StateColumns{column(), column(), column(), column(), column(), column(), static_cast<bool *>(palloc(streams + 1)), 0};
	});
}

Datum
TextDatum(const std::string &text) {
	const char *bytes = text.data();
	const int length = static_cast<int>(text.size());
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(bytes, length)); });
}

// Folds the streams of a page that are not carried, of one tenant after the other, until the states are enough for a step. Returns how many of the
// page it dealt with.
class PageCarrier {
  public:
	explicit PageCarrier(const std::vector<MonthStream> &page) : page_(page), columns_(RoomFor(page.size())) {
	}
	std::size_t
	Carry() {
		std::size_t done = 0;
		while (done < page_.size() && bytes_ < kBytesAStep) {
			done = CarryTenant(done);
		}
		if (columns_.count > 0) {
			Call([this](Server server) { WriteStates(server, columns_, &reducers_version_); });
		}
		return done;
	}

  private:
	std::size_t
	CarryTenant(std::size_t first) {
		const std::string &id = page_[first].tenant;
		const Tenant tenant = {id, TextDatum(id)};
		StateReader reader(tenant, GetActiveSnapshot());
		reducers_version_ = reader.reducers_version();
		std::optional<StateReader> decrypted;
		if (HasPersonalRules(id)) {
			decrypted.emplace(tenant, GetActiveSnapshot(), PersonalData::kDecryptedToKeep);
		}
		std::size_t i = first;
		for (; i < page_.size() && page_[i].tenant == id && bytes_ < kBytesAStep; i++) {
			if (page_[i].carried) {
				continue;
			}
			const Text stream = TextOf(TextDatum(page_[i].stream));
			const State state = reader.Read(stream, page_[i].version);
			columns_.tenants[columns_.count] = tenant.text;
			columns_.streams[columns_.count] = stream.datum;
			columns_.versions[columns_.count] = Int64GetDatum(state.version);
			columns_.times[columns_.count] = TimestampTzGetDatum(state.event_time);
			columns_.states[columns_.count] = state.state;
			const Datum personal = decrypted ? Personal(&*decrypted, stream, page_[i].version) : 0;
			columns_.personal[columns_.count] = personal;
			columns_.of_nobody[columns_.count] = personal == 0;
			columns_.count++;
			bytes_ += VARSIZE_ANY(DatumGetPointer(state.state));
		}
		reader.End();
		if (decrypted) {
			decrypted->End();
		}
		return i;
	}
	// The state of decrypted events, encrypted again; 0 where none of them has an encrypted field.
	static Datum
	Personal(StateReader *reader, const Text &stream, int64 version) {
		const State state = reader->Read(stream, version);
		if (reader->persons().empty()) {
			return 0;
		}
		const Datum kept = KeepState({reader->tenant().id, stream.name.bytes, state.version}, reader->persons(), state.state);
		pfree(DatumGetPointer(state.state));
		return kept;
	}

	const std::vector<MonthStream> &page_;
	StateColumns columns_;
	std::size_t bytes_ = 0;
	pg_uuid_t reducers_version_ = {};
};

// Gives back what a step needed in memory.
class StepMemory {
  public:
	StepMemory()
		: context_(Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events carry", ALLOCSET_DEFAULT_SIZES); })),
		  before_(MemoryContextSwitchTo(context_)) {
	}
	~StepMemory() {
		MemoryContextSwitchTo(before_);
		MemoryContextDelete(context_);
	}
	StepMemory(const StepMemory &) = delete;
	StepMemory &operator=(const StepMemory &) = delete;

  private:
	MemoryContext context_;
	MemoryContext before_;
};

} // namespace

void
CarryStates(Steps *steps, const MonthFigures &month) {
	MonthStream after = {"", "", 0, false};
	int64 looked_at = 0;
	for (bool more = true; more;) {
		steps->Do([&] {
			const StepMemory memory;
			Call([&](Server server) { ContinueProgress(server, WorkPhase::kDropCarryingStates, 0, looked_at); });
			const std::vector<MonthStream> page = ListStreams(month, after);
			const std::size_t done = page.empty() ? 0 : PageCarrier(page).Carry();
			more = done > 0;
			looked_at += static_cast<int64>(done);
			if (more) {
				after = page[done - 1];
			}
		});
		Call([] { AUREN_WAIT_POINT("carry-step-done"); });
	}
}

void
CarryIds(Steps *steps, const MonthFigures &month) {
	const std::string sql = "WITH page AS MATERIALIZED (SELECT * FROM " + month.partition +
	                        " WHERE global_position > $1::bigint ORDER BY global_position LIMIT " + std::to_string(kEventsAStep) +
	                        "), written AS (INSERT INTO auren.dropped_ids (tenant_id, event_id, stream_version, content) "
	                        "SELECT p.tenant_id, p.event_id, p.stream_version, "
	                        "auren.content_digest(p.stream_id, p.event_type, p.event_data, p.metadata, p.created_by, p.tags) "
	                        "FROM page p JOIN auren.supplied_ids s ON s.event_id = p.event_id AND s.tenant_id = p.tenant_id ON CONFLICT DO NOTHING) "
	                        "SELECT max(global_position) FROM page";
	std::string after = "0";
	const int64 positions = month.last_position - month.first_position + 1;
	for (bool more = true; more;) {
		steps->Do([&] {
			const StepMemory memory;
			const int64 done = after == "0" ? 0 : std::stoll(after) - month.first_position + 1;
			Call([&](Server server) { ContinueProgress(server, WorkPhase::kDropCarryingIds, positions, done); });
			const std::vector<TextRow> last = QueryAsOwner(sql, {after});
			more = last[0][0].has_value();
			if (more) {
				after = *last[0][0];
			}
		});
	}
}

void
CarryReadings(Steps *steps, const MonthFigures &month) {
	// what a call before has carried that did not come to the drop
	steps->Do([&] { (void)QueryAsOwner("DELETE FROM auren.carried_readings WHERE month = $1::date", {DateText(month.month)}); });
	for (int64 after = month.first_position - 1; after < month.last_position; after += kPositionsAStep) {
		steps->Do([&] {
			const StepMemory memory;
			Call([&](Server server) {
				ContinueProgress(server, WorkPhase::kDropCarryingReadings, month.last_position - month.first_position + 1,
				                 after - month.first_position + 1);
			});
			CarryReadingsIn(month.month.StartDays(), {month.partition.c_str(), after, std::min(after + kPositionsAStep, month.last_position)});
		});
	}
}

void
RecordMonth(const MonthFigures &month) {
	(void)QueryAsOwner("INSERT INTO auren.dropped_tenants (tenant_id, month, last_position) SELECT tenant_id, $1::date, max(global_position) FROM " +
	                       month.partition +
	                       " GROUP BY tenant_id ON CONFLICT (tenant_id, month) DO UPDATE SET last_position = excluded.last_position",
	                   {DateText(month.month)});
	(void)QueryAsOwner(
		"INSERT INTO auren.month_records AS r (month, events, streams, first_position, last_position, first_event_at, last_event_at, bytes) "
		"SELECT $1::date, count(*), (SELECT count(*) FROM (SELECT DISTINCT tenant_id, stream_id FROM " +
			month.partition + ") d), min(global_position), max(global_position), min(created_at), max(created_at), pg_total_relation_size('" +
			month.partition + "'::regclass) FROM " + month.partition +
			" ON CONFLICT (month) DO UPDATE SET events = excluded.events, streams = excluded.streams, "
			"first_position = excluded.first_position, last_position = excluded.last_position, first_event_at = "
			"excluded.first_event_at, last_event_at = excluded.last_event_at, bytes = excluded.bytes",
		{DateText(month.month)});
}

} // namespace auren::pg
