// Metrics: the triggers that record readings, the refresh, and what the views are made of.

#include <cstring>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/error.hpp"
#include "core/freshness.hpp"
#include "core/metrics/delta_pack.hpp"
#include "core/metrics/distinct.hpp"
#include "core/metrics/summary.hpp"
#include "counts/counts.hpp"
#include "metrics/bucket_parts.hpp"
#include "metrics/buckets.hpp"
#include "metrics/metrics_functions.hpp"
#include "metrics/readings.hpp"
#include "metrics/refresh.hpp"
#include "metrics/relations.hpp"
#include "metrics/series.hpp"
#include "metrics/series_numbers.hpp"
#include "metrics/source_scan.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/relation_changes.hpp"
#include "server/rows.hpp"
#include "server/text.hpp"
#include "store/relations.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// ---- recording -------------------------------------------------------------------------------------------------------

// How rows are read, for each trigger that has fired in this session.
struct KeptColumns {
	Freshness freshness;
	Oid relid = InvalidOid;
	MemoryContext context = nullptr;
	pg::ReadingColumns columns = {};
};
std::unordered_map<Oid, KeptColumns> kept_columns;

void
ForgetOnRelation(Oid relid) {
	for (auto &[trigger, kept] : kept_columns) {
		if (relid == kept.relid || pg::own::sources.MayBe(relid)) {
			kept.freshness.Forget();
		}
	}
}

void
Find(KeptColumns *kept, Relation relation) {
	Call([&](Server server) {
		if (kept->context == nullptr) {
			kept->context = AllocSetContextCreate(CacheMemoryContext, "auren_events source", ALLOCSET_SMALL_SIZES);
		}
		MemoryContextReset(kept->context);
		kept->columns.source = 0;
		const pg::Source *source = pg::SourceOf(server, RelationGetRelid(relation));
		if (source != nullptr) {
			pg::FindColumns(server, &kept->columns, RelationGetDescr(relation), RelationGetRelationName(relation), *source, kept->context);
		}
	});
}

const pg::ReadingColumns &
ColumnsOf(const TriggerData *trigger) {
	KeptColumns &kept = kept_columns[trigger->tg_trigger->tgoid];
	const Relation relation = trigger->tg_relation;
	kept.freshness.Refresh([&] {
		kept.relid = RelationGetRelid(relation);
		Find(&kept, relation);
	});
	return kept.columns;
}

bool
SameReading(const pg::Reading &a, const pg::Reading &b) {
	// by their bits: NaN is the same as NaN
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
	return a.series == b.series && a.bucket == b.bucket && a.null == b.null && std::memcmp(&a.value, &b.value, sizeof a.value) == 0;
}

struct CommandAsked {
	LocalTransactionId transaction;
	CommandId command;
	Oid outer_user;
	Oid user;

	bool
	operator==(const CommandAsked &other) const {
		return transaction == other.transaction && command == other.command && outer_user == other.outer_user && user == other.user;
	}
};
CommandAsked last_asked = {InvalidLocalTransactionId, 0, InvalidOid, InvalidOid};
std::string last_written;

/*
 * The table's column of the tenant decides whose reading it is. A role that is bound to tenants cannot name another tenant there.
 */
void
RequireTenant(std::string_view written) {
	// The rows of a command mostly have one tenant, which is asked for once.
	const CommandAsked now = {pg::compat::CurrentLocalTransaction(), GetCurrentCommandId(false), GetOuterUserId(), GetUserId()};
	if (now == last_asked && written == last_written) {
		return;
	}
	// the session's role, that of SET ROLE, and that of the function which writes
	const bool is_bound_to_another =
		written != pg::TenantIdOfWriter() && (pg::IsBound(GetSessionUserId()) || pg::IsBound(GetOuterUserId()) || pg::IsBound(GetUserId()));
	if (is_bound_to_another) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "this role may not write readings of another tenant",
		                  "The reading's tenant is not the one that app.tenant_id names, and the role is bound to tenants.",
		                  "Leave tenant_id to its default.");
	}
	last_asked = now;
	last_written = written;
}

// The extension's own table takes only rows that are readings.
void
RequireReadingTime(const pg::ReadingColumns &columns, pg::Refusal refusal) {
	if (columns.source == pg::kOwnSource && refusal == pg::Refusal::kTime) {
		throw DomainError("22008", "the time of a reading is out of range",
		                  "Readings are of the years from 4713 BC to 294275, or their time is infinite: nearer to the ends of the server's calendar "
		                  "the day of some "
		                  "time zone is outside it.",
		                  "Correct column \"timestamp\".");
	}
}

// Reads what a row of the trigger's table says, where that is a reading that its writer may write; counts it where it is none.
bool
Read(const pg::ReadingColumns &columns, TupleTableSlot *row, pg::Reading *reading) {
	pg::SeriesNames names;
	const pg::Refusal refusal = pg::ReadingOf(columns, row, reading, &names);
	if (columns.tenant != 0) {
		RequireTenant(names.tenant);
	}
	if (refusal != pg::Refusal::kNone) {
		if (!reading->taken) {
			RequireReadingTime(columns, refusal);
		}
		pg::RecordRefusal(pg::RefusedRow(columns, names, refusal, reading->taken ? pg::Counting::kTake : pg::Counting::kAdd));
		return false;
	}
	reading->series = pg::SeriesOf(names);
	return true;
}

void
RecordRow(const TriggerData *trigger) {
	const pg::ReadingColumns &columns = ColumnsOf(trigger);
	if (columns.source == 0) {
		return; // a table that a restore has filled before it knows of its source: that is counted as a whole, then
	}
	const bool inserted = TRIGGER_FIRED_BY_INSERT(trigger->tg_event);
	const bool deleted = TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
	pg::Reading old_reading = {};
	pg::Reading reading = {};
	old_reading.taken = true;
	const bool taken = !inserted && Read(columns, trigger->tg_trigslot, &old_reading);
	const bool added = !deleted && Read(columns, inserted ? trigger->tg_trigslot : trigger->tg_newslot, &reading);
	if (taken && added && SameReading(old_reading, reading)) {
		return;
	}
	if (taken) {
		pg::RecordReading(old_reading);
	}
	if (added) {
		pg::RecordReading(reading);
	}
}

// ---- sources that are not in the rollups yet -------------------------------------------------------------------------

// Names a source's series for one call: nothing is written for a query.
class NamingSink : public pg::ReadingSink {
  public:
	explicit NamingSink(std::string_view tenant) : tenant_(tenant) {
	}

	int64
	SeriesFor(const pg::SeriesNames &names) override {
		if (names.tenant != tenant_) {
			return -1;
		}
		return series_.NumberOf(names);
	}

	void
	Take(std::vector<pg::Reading> *readings) override {
		for (const pg::Reading &reading : *readings) {
			if (reading.series >= 0) {
				gathered_.push_back(reading);
			}
		}
		readings->clear();
		if (gathered_.size() >= 100000) {
			Put();
		}
	}

	void
	Refuse(const pg::Refused &) override {
	}

	void
	TakeSummary(const pg::SeriesNames &names, TimestampTz bucket, std::string_view summary) override {
		const int64 series = SeriesFor(names);
		if (series >= 0) {
			PutSummary(series_.At(series), bucket, summary);
		}
	}

	void
	Put() {
		pg::ForEachSummary(&gathered_,
		                   [&](const pg::Reading &of, std::string_view summary) { PutSummary(series_.At(of.series), of.bucket, summary); });
		gathered_.clear();
	}

	pg::Rows rows = {};

  private:
	void
	PutSummary(const pg::SeriesNumbers::Named &named, TimestampTz bucket, std::string_view summary) {
		Call([&](Server server) {
			const auto text_of = [](const std::string &name) {
				return PointerGetDatum(cstring_to_text_with_len(name.data(), static_cast<int>(name.size())));
			};
			const std::optional<std::string> *optional[3] = {&named.user, &named.device, &named.metric};
			Datum values[6];
			bool isnull[6] = {};
			values[0] = text_of(named.tenant);
			for (int i = 0; i < 3; i++) {
				isnull[i + 1] = !optional[i]->has_value();
				values[i + 1] = isnull[i + 1] ? 0 : text_of(**optional[i]);
			}
			values[4] = TimestampTzGetDatum(bucket);
			auto *bytes = static_cast<bytea *>(palloc(VARHDRSZ + summary.size()));
			SET_VARSIZE(bytes, VARHDRSZ + summary.size());
			std::memcpy(VARDATA(bytes), summary.data(), summary.size());
			values[5] = PointerGetDatum(bytes);
			pg::PutRow(server, rows, values, isnull);
			pfree(bytes);
		});
	}

	std::string tenant_;
	pg::SeriesNumbers series_;
	std::vector<pg::Reading> gathered_;
};

// ---- the aggregate ---------------------------------------------------------------------------------------------------

// What the views give for the minutes of a day, and of an hour as the zone has them.
constexpr int kDay = 0;
constexpr int kHourOfZone = -1;

// The first summary of a group is kept as it came: most groups have no other.
struct State {
	bytea *first;
	pg::SummaryOrigin first_origin;
	TimestampTz bucket;
	bool has_bucket;
	int minutes;
	pg::BucketParts *parts;
};

void
DropParts(void *argument) {
	delete static_cast<State *>(argument)->parts;
}

std::string_view
BytesOf(const bytea *bytes) {
	return {VARDATA_ANY(bytes), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(bytes))};
}

// Which bucket of the views it is.
pg::Bucket
BucketOf(const State &state) {
	return Call([&](Server server) {
		pg::Bucket b = {pg::Bucket::Kind::kSpan, state.bucket, state.minutes * USECS_PER_MINUTE, pg::MetricZone(server, GetActiveSnapshot())};
		if (state.minutes == kDay) {
			b.kind = pg::Bucket::Kind::kDay;
			b.start = pg::DayOf(state.bucket, b.zone);
		} else if (state.minutes == kHourOfZone) {
			b.kind = pg::Bucket::Kind::kHour;
		}
		return b;
	});
}

// From the second summary of a group on, which are gathered until the context of the aggregate goes.
void
StartParts(MemoryContext context, State *state) {
	Call([&] {
		auto *callback = static_cast<MemoryContextCallback *>(MemoryContextAllocZero(context, sizeof(MemoryContextCallback)));
		callback->func = DropParts;
		callback->arg = state;
		MemoryContextRegisterResetCallback(context, callback);
	});
	state->parts = new pg::BucketParts();
	state->parts->Add(state->first_origin, BytesOf(state->first));
}

void
AddSummary(MemoryContext context, State *state, Datum summary, const pg::SummaryOrigin &origin) {
	if (state->first == nullptr) {
		Call([&] {
			MemoryContext before = MemoryContextSwitchTo(context);
			state->first = DatumGetByteaPCopy(summary);
			MemoryContextSwitchTo(before);
		});
		state->first_origin = origin;
		return;
	}
	if (state->parts == nullptr) {
		StartParts(context, state);
	}
	const bytea *bytes = Call([&] { return reinterpret_cast<const bytea *>(PG_DETOAST_DATUM_PACKED(summary)); });
	state->parts->Add(origin, BytesOf(bytes));
}

Summary
Whole(const State &state) {
	const auto bucket = [&] {
		return BucketOf(state);
	};
	pg::BucketParts one;
	if (state.parts == nullptr) {
		// as most are: known without the rest
		if (!DistinctReadings::IsSet(BytesOf(state.first))) {
			Summary summary = Summary::FromBytes(BytesOf(state.first));
			summary.ResolveRange();
			if (!summary.IsUnsure() || !state.first_origin.in_rollups) {
				return summary;
			}
		}
		one.Add(state.first_origin, BytesOf(state.first));
	}
	pg::BucketParts &parts = state.parts == nullptr ? one : *state.parts;
	if (state.minutes == kDay || state.minutes == kHourOfZone) {
		parts.KeepUnmergedSets();
	}
	return parts.Whole(bucket);
}

} // namespace

void
RequireNoPolicies() {
	const pg::Tenant tenant = pg::CurrentTenant();
	const char *name = Call([&](Server server) -> const char * {
		const pg::Sources sources = pg::ReadSources(server, GetActiveSnapshot());
		for (int i = 0; i < sources.count; i++) {
			const pg::Source &source = sources.items[i];
			const bool concerns = !source.detached && (source.tenant_column != nullptr || tenant.id == source.tenant);
			const Oid relid = OidIsValid(source.relation) ? source.relation : pg::own::events.Get(server);
			if (concerns && check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED) {
				return get_rel_name(relid);
			}
		}
		return nullptr;
	});
	if (name != nullptr) {
		throw DomainError(sqlstate::kInsufficientPrivilege, "the metrics are closed to this role by row level security",
		                  "Row level security of \"" + std::string(name) +
		                      "\", whose readings they count, applies to the role, and the metrics would pass it by.",
		                  "Read the readings themselves, or ask the owner of the table.");
	}
}

void
RegisterMetricCallbacks(Server server) {
	pg::OnRelationChange(server, ForgetOnRelation);
}

AUREN_FUNCTION(auren_record_change) {
	if (!CALLED_AS_TRIGGER(fcinfo)) {
		throw DomainError(sqlstate::kTriggerProtocol, "auren.record_change is a trigger function", "It was called as an ordinary function.",
		                  "analytics.attach_source makes the triggers.");
	}
	const auto *trigger = reinterpret_cast<const TriggerData *>(fcinfo->context);
	const char *name = TRIGGER_FIRED_FOR_ROW(trigger->tg_event)       ? pg::kRowTrigger
	                   : TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event) ? pg::kTruncateTrigger
	                                                                  : pg::kStatementTrigger;
	if (std::strcmp(trigger->tg_trigger->tgname, name) != 0) {
		throw DomainError(sqlstate::kTriggerProtocol, "trigger \"" + std::string(trigger->tg_trigger->tgname) + "\" is none of a source of readings",
		                  "auren.record_change would count its rows twice.", "analytics.attach_source makes the triggers.");
	}
	if (TRIGGER_FIRED_FOR_ROW(trigger->tg_event)) {
		RecordRow(trigger);
	} else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)) {
		const Oid relid = RelationGetRelid(trigger->tg_relation);
		const pg::Source *source = Call([&](Server server) { return pg::SourceOf(server, relid); });
		if (source != nullptr) {
			pg::RecordTable(relid, *source, pg::Counting::kTake);
		}
	} else {
		pg::WriteReadings();
	}
	return PointerGetDatum(nullptr);
}

AUREN_FUNCTION(auren_refresh_user_metrics) {
	Call([] {
		PreventCommandIfReadOnly("analytics.refresh_user_metrics()");
		PreventCommandIfParallelMode("analytics.refresh_user_metrics()");
	});
	const TimestampTz began = GetCurrentTimestamp();
	const pg::Refreshed refreshed = pg::Refresh();
	if (!refreshed.busy) {
		pg::CountWhenCommitted(pg::Committed::kRefreshes);
		pg::CountWhenCommitted(pg::Committed::kRefreshMicroseconds, Max(GetCurrentTimestamp() - began, INT64CONST(0)));
	}
	PG_RETURN_INT64(refreshed.changes);
}

AUREN_FUNCTION(auren_add_summary) {
	MemoryContext context;
	if (!AggCheckCallContext(fcinfo, &context)) {
		throw DomainError("0A000", "auren.add_summary is of an aggregate", "It was called as an ordinary function.", "Call auren.metric_values.");
	}
	auto *state = PG_ARGISNULL(0) ? nullptr : reinterpret_cast<State *>(PG_GETARG_POINTER(0));
	if (state == nullptr) {
		state = Call([&] { return static_cast<State *>(MemoryContextAllocZero(context, sizeof(State))); });
		state->minutes = PG_ARGISNULL(4) ? 0 : PG_GETARG_INT32(4);
	}
	if (!PG_ARGISNULL(3)) {
		state->bucket = PG_GETARG_TIMESTAMPTZ(3);
		state->has_bucket = true;
	}
	if (PG_ARGISNULL(1)) {
		PG_RETURN_POINTER(state);
	}
	const bool in_rollups = !PG_ARGISNULL(2);
	AddSummary(context, state, PG_GETARG_DATUM(1), {in_rollups ? PG_GETARG_INT64(2) : 0, in_rollups});
	PG_RETURN_POINTER(state);
}

AUREN_FUNCTION(auren_summary_metrics) {
	const auto *state = PG_ARGISNULL(0) ? nullptr : reinterpret_cast<const State *>(PG_GETARG_POINTER(0));
	if (state == nullptr || state->first == nullptr) {
		PG_RETURN_NULL();
	}
	const Summary whole = Whole(*state);
	Datum values[pg::kMetricColumns];
	bool isnull[pg::kMetricColumns];
	pg::PutMetrics(whole, values, isnull);
	return Call([&] {
		auto descriptor = static_cast<TupleDesc>(fcinfo->flinfo->fn_extra);
		if (descriptor == nullptr) {
			MemoryContext before = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
			descriptor = lookup_rowtype_tupdesc_copy(get_func_rettype(fcinfo->flinfo->fn_oid), -1);
			MemoryContextSwitchTo(before);
			fcinfo->flinfo->fn_extra = descriptor;
		}
		return HeapTupleGetDatum(heap_form_tuple(descriptor, values, isnull));
	});
}

AUREN_FUNCTION(auren_unfilled_readings) {
	RequireNoPolicies();
	const pg::Tenant tenant = pg::CurrentTenant();
	NamingSink sink(tenant.id);
	sink.rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	const pg::Sources sources = Call([](Server server) { return pg::ReadSources(server, GetActiveSnapshot()); });
	for (int i = 0; i < sources.count; i++) {
		const pg::Source &source = sources.items[i];
		// one that is another tenant's has nothing of this one
		if (!source.filled && !source.detached && (source.tenant_column != nullptr || tenant.id == source.tenant)) {
			pg::ScanSource(source, &sink);
		}
	}
	sink.Put();
	return 0;
}

AUREN_FUNCTION(auren_delta_lots) {
	Datum lots[kLotSizes];
	int count = 0;
	for (const int lot : LotsOf(PG_GETARG_INT64(0))) {
		lots[count++] = Int32GetDatum(lot);
	}
	return Call([&] { return PointerGetDatum(construct_array(lots, count, INT4OID, sizeof(int32), true, TYPALIGN_INT)); });
}

AUREN_FUNCTION(auren_has_deltas) {
	const bytea *pack = Call([&] { return static_cast<const bytea *>(PG_GETARG_BYTEA_PP(0)); });
	const DeltaPackReader reader(BytesOf(pack));
	const int64 series = PG_GETARG_INT64(1);
	const std::size_t first = reader.FirstOf(series);
	PG_RETURN_BOOL(first < reader.count() && reader.At(first).series == series);
}

AUREN_FUNCTION(auren_unpack_deltas) {
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	const bytea *pack = Call([&] { return static_cast<const bytea *>(PG_GETARG_BYTEA_PP(0)); });
	const DeltaPackReader reader(BytesOf(pack));
	for (std::size_t i = 0; i < reader.count(); i++) {
		const DeltaPackReader::Delta delta = reader.At(i);
		Call([&](Server server) {
			Datum values[3];
			static const bool isnull[3] = {};
			values[0] = Int64GetDatum(delta.series);
			values[1] = TimestampTzGetDatum(delta.bucket);
			values[2] = PointerGetDatum(cstring_to_text_with_len(delta.summary.data(), static_cast<int>(delta.summary.size())));
			pg::PutRow(server, rows, values, isnull);
		});
	}
	return 0;
}

AUREN_FUNCTION(auren_filled_sources) {
	RequireNoPolicies();
	return Call([](Server server) {
		const pg::Sources sources = pg::ReadSources(server, GetActiveSnapshot());
		auto *ids = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(sources.count + 1)));
		int count = 0;
		for (int i = 0; i < sources.count; i++) {
			if (sources.items[i].filled) {
				ids[count++] = Int32GetDatum(sources.items[i].id);
			}
		}
		return PointerGetDatum(construct_array(ids, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	});
}

} // namespace auren
