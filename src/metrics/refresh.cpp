#include "metrics/refresh.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/metrics/delta_pack.hpp"
#include "metrics/readings.hpp"
#include "metrics/refresh_snapshot.hpp"
#include "metrics/relations.hpp"
#include "metrics/rollups.hpp"
#include "metrics/seen_rows.hpp"
#include "metrics/series.hpp"
#include "metrics/source_scan.hpp"
#include "metrics/source_triggers.hpp"
#include "metrics/sources.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"
#include "server/subtransaction.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/query.hpp"

namespace auren::pg {

namespace {

enum PackColumn : int { kPackLot, kPackSource, kPackFirst, kPackLast, kPackCount, kPackDeltas };

// Deltas that one round takes: what it holds in memory is bounded.
constexpr std::size_t kMostChanges = 250000;

void
Sort(std::vector<Change> *changes) {
	std::sort(changes->begin(), changes->end(),
	          [](const Change &a, const Change &b) { return a.series != b.series ? a.series < b.series : a.bucket < b.bucket; });
}

// Source of a series: asked once for each.
class SourceOfSeries {
  public:
	int32
	Of(int64 series) {
		if (series != last_ || !known_) {
			source_ = Call([&](Server server) { return FindSeries(server, series).source; });
			last_ = series;
			known_ = true;
		}
		return source_;
	}

  private:
	int64 last_ = 0;
	int32 source_ = 0;
	bool known_ = false;
};

class FillSink : public ReadingSink {
  public:
	explicit FillSink(Rollups *rollups)
		: rollups_(rollups), context_(Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events fill", ALLOCSET_DEFAULT_SIZES); })) {
	}

	int64
	SeriesFor(const SeriesNames &names) override {
		return SeriesOf(names);
	}

	void
	Take(std::vector<Reading> *readings) override {
		counted_ += static_cast<int64>(readings->size());
		Call([this](Server server) { ReportProgress(server, counted_); });
		gathered_.insert(gathered_.end(), readings->begin(), readings->end());
		readings->clear();
		if (gathered_.size() >= kMostChanges) {
			Apply();
		}
	}

	void
	TakeSummary(const SeriesNames &names, TimestampTz bucket, std::string_view summary) override {
		carried_.push_back({SeriesOf(names), bucket, Kept(summary)});
		if (gathered_.size() + carried_.size() >= kMostChanges) {
			Apply();
		}
	}

	void
	Refuse(const Refused &refused) override {
		RecordRefusal(refused);
	}

	void
	Apply() {
		std::vector<Change> changes = std::move(carried_);
		ForEachSummary(&gathered_, [&](const Reading &of, std::string_view summary) { changes.push_back({of.series, of.bucket, Kept(summary)}); });
		Sort(&changes);
		rollups_->Apply(changes);
		gathered_.clear();
		carried_.clear();
		Call([&] { MemoryContextReset(context_); });
	}

  private:
	std::string_view
	Kept(std::string_view summary) {
		auto *copy = static_cast<char *>(Call([&] { return MemoryContextAlloc(context_, summary.size()); }));
		std::memcpy(copy, summary.data(), summary.size());
		return {copy, summary.size()};
	}

	Rollups *rollups_;
	MemoryContext context_;
	std::vector<Reading> gathered_;
	std::vector<Change> carried_;
	int64 counted_ = 0;
};

// The rollups of a source that was attached: of what it holds by the server snapshot. Its deltas of before are dropped, being counted.
int64
Fill(const Source &source, Snapshot snapshot) {
	Rollups rollups(snapshot);
	Call([&](Server server) {
		RequireNewSnapshot(server);
		if (OidIsValid(source.relation)) {
			RequireTriggers(server, source.relation);
			RecordPartitions(server, source.relation, source.id);
		}
		PushActiveSnapshot(snapshot);
		BeginProgress(server, WorkPhase::kRefreshCounting, OidIsValid(source.relation) ? EstimatedRows(server, source.relation) : 0);
	});
	FillSink sink(&rollups);
	if (source.once) {
		rollups.KeepOldSets();
	}
	ScanSource(source, &sink);
	sink.Apply();
	WriteReadings();
	if (source.once) {
		rollups.DropOldFiveMinutes();
	}
	const int64 buckets = rollups.buckets();
	rollups.Close();
	Call([&](Server server) {
		PopActiveSnapshot();
		const Datum id = Int32GetDatum(source.id);
		const bool isnull = false;
		Relation filled = table_open(own::filled_sources.Get(server), RowExclusiveLock);
		InsertRow(server, filled, &id, &isnull);
		table_close(filled, NoLock);
		Relation sources = table_open(own::sources.Get(server), AccessShareLock);
		CacheInvalidateRelcache(sources);
		table_close(sources, NoLock);
	});
	return buckets;
}

// Errors that are not a source's: somebody wants the session to stop, or the transaction has to be tried again.
bool
ConcernsSession(int code) {
	const int category = ERRCODE_TO_CATEGORY(code);
	return category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_TRANSACTION_ROLLBACK;
}

void
WarnAboutSource(Server, const Source &source, const ErrorData *error) {
	const char *table = OidIsValid(source.relation) ? get_rel_name(source.relation) : nullptr;
	const char *what =
		table != nullptr ? psprintf("table \"%s\"", table) : psprintf("events of type \"%s\"", source.event_type == nullptr ? "" : source.event_type);
	ereport(WARNING, (errcode(error->sqlerrcode), errmsg("readings of %s cannot be merged: %s", what, error->message),
	                  errdetail("The refresh passes them over."),
	                  error->hint != nullptr ? errhint("%s", error->hint)
	                                         : errhint("The metrics of its tenants cannot be read either. analytics.detach_source ends it.")));
}

/*
 * The same, but a source that cannot be read stops none of the others: it stays as it is, and the views go on reading it themselves.
 * How many buckets were written.
 */
int64
TryToFill(const Source &source, Snapshot snapshot) {
	int64 buckets = 0;
	Call([&](Server server) {
		ErrorData *error = TryInSubtransaction(server, [&] {
			(void)Entry([&] {
				buckets = Fill(source, snapshot);
				return Datum(0);
			});
		});
		if (error == nullptr) {
			return;
		}
		buckets = 0;
		if (ConcernsSession(error->sqlerrcode)) {
			ReThrowError(error);
		}
		WarnAboutSource(server, source, error);
	});
	return buckets;
}

// A table of deltas on its way into the rollups.
struct DeltaTable {
	SeenRows rows;
	std::vector<ItemPointerData> taken;
	bool more = true;
};

// Sources whose deltas are not merged as they are: those of one that was filled go, the rollups have them; those of one that is passed over stay.
struct ExceptedSources {
	std::vector<int32> filled;
	std::vector<int32> passed;
};

bool
IsIn(int32 source, const std::vector<int32> &sources) {
	return std::find(sources.begin(), sources.end(), source) != sources.end();
}

// The next row of auren.deltas.
void
TakeDelta(DeltaTable *each, const ExceptedSources &excepted, SourceOfSeries *source, std::vector<Change> *changes) {
	Change change;
	each->more = Call([&](Server server) { return NextChange(server, &each->rows, 0, &change); });
	if (!each->more || (!excepted.passed.empty() && IsIn(source->Of(change.series), excepted.passed))) {
		return;
	}
	each->taken.push_back(each->rows.slot->tts_tid);
	if (excepted.filled.empty() || !IsIn(source->Of(change.series), excepted.filled)) {
		changes->push_back(change);
	}
}

// The next row of auren.delta_packs.
void
TakePack(DeltaTable *packed, const ExceptedSources &excepted, std::vector<Change> *changes) {
	int32 source = 0;
	std::string_view bytes;
	packed->more = Call([&](Server server) {
		const bool there = NextSeenRow(server, &packed->rows);
		if (there) {
			source = DatumGetInt32(packed->rows.slot->tts_values[kPackSource]);
			bytes = KeptBytes(server, &packed->rows, kPackDeltas);
		}
		return there;
	});
	if (!packed->more || IsIn(source, excepted.passed)) {
		return;
	}
	packed->taken.push_back(packed->rows.slot->tts_tid);
	if (!IsIn(source, excepted.filled)) {
		const DeltaPackReader reader(bytes);
		for (std::size_t i = 0; i < reader.count(); i++) {
			const DeltaPackReader::Delta delta = reader.At(i);
			changes->push_back({delta.series, delta.bucket, delta.summary});
		}
	}
}

int64
MergeDeltas(Snapshot snapshot, const ExceptedSources &excepted, Rollups *rollups) {
	DeltaTable each;
	DeltaTable packed;
	Call([&](Server server) {
		OpenSeenRows(server, &each.rows, own::deltas.Get(server), RowExclusiveLock, snapshot);
		OpenSeenRows(server, &packed.rows, own::delta_packs.Get(server), RowExclusiveLock, snapshot);
		BeginProgress(server, WorkPhase::kRefreshMerging, 0);
	});
	SourceOfSeries source;
	int64 merged = 0;
	std::vector<Change> changes;
	while (each.more || packed.more) {
		changes.clear();
		while (each.more && changes.size() < kMostChanges) {
			TakeDelta(&each, excepted, &source, &changes);
		}
		while (packed.more && changes.size() < kMostChanges) {
			TakePack(&packed, excepted, &changes);
		}
		merged += static_cast<int64>(changes.size());
		Sort(&changes);
		rollups->Apply(changes);
		for (DeltaTable *pending : {&each, &packed}) {
			Call([&](Server server) {
				for (std::size_t i = 0; i < pending->taken.size(); i++) {
					(void)DeleteRow(server, pending->rows.heap, &pending->taken[i], SnapshotSelf);
				}
				MemoryContextReset(pending->rows.context);
				CHECK_FOR_INTERRUPTS();
			});
			pending->taken.clear();
		}
		Call([&](Server server) { ReportProgress(server, merged); });
	}
	Call([&](Server server) {
		CloseSeenRows(server, &each.rows);
		CloseSeenRows(server, &packed.rows);
	});
	return merged;
}

// A row of auren.refusals in the server snapshot's, with all that it says but the tenant's and the reason's bytes kept.
struct RefusalRow {
	int32 source;
	Datum tenant;
	Datum reason;
	int64 refused;
	bool has_position;
	int64 position;
};

RefusalRow
ReadRefusal(Server, SeenRows *rows) {
	TupleTableSlot *slot = rows->slot;
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	const RefusalRow row = {DatumGetInt32(slot->tts_values[0]),
	                        datumCopy(slot->tts_values[1], false, -1),
	                        datumCopy(slot->tts_values[2], false, -1),
	                        DatumGetInt64(slot->tts_values[3]),
	                        !slot->tts_isnull[4],
	                        slot->tts_isnull[4] ? 0 : DatumGetInt64(slot->tts_values[4])};
	MemoryContextSwitchTo(before);
	return row;
}

void
WriteRefusal(Server server, Relation heap, const RefusalRow &row) {
	const Datum values[5] = {Int32GetDatum(row.source), row.tenant, row.reason, Int64GetDatum(row.refused), Int64GetDatum(row.position)};
	const bool isnull[5] = {false, false, false, false, !row.has_position};
	InsertRow(server, heap, values, isnull);
}

bool
SameText(Datum a, Datum b) {
	return TextBytes(a) == TextBytes(b);
}

// Sums up the refusals that the server snapshot sees; those of some sources go, being counted or gone.
void
MergeRefusals(Snapshot snapshot, const std::vector<int32> &without) {
	std::vector<RefusalRow> sums;
	SeenRows rows;
	Call([&](Server server) { OpenSeenRows(server, &rows, own::refusals.Get(server), RowExclusiveLock, snapshot); });
	RefusalRow row;
	std::vector<ItemPointerData> taken;
	bool shrinks = false;
	while (Call([&](Server server) {
		const bool there = NextSeenRow(server, &rows);
		if (there) {
			row = ReadRefusal(server, &rows);
		}
		return there;
	})) {
		taken.push_back(rows.slot->tts_tid);
		if (std::find(without.begin(), without.end(), row.source) != without.end()) {
			shrinks = true;
			continue;
		}
		const auto same = std::find_if(sums.begin(), sums.end(), [&](const RefusalRow &sum) {
			return sum.source == row.source && SameText(sum.tenant, row.tenant) && SameText(sum.reason, row.reason);
		});
		if (same == sums.end()) {
			sums.push_back(row);
			continue;
		}
		shrinks = true;
		same->refused += row.refused;
		same->has_position |= row.has_position;
		same->position = std::max(same->position, row.position);
	}
	sums.erase(std::remove_if(sums.begin(), sums.end(), [](const RefusalRow &sum) { return sum.refused == 0; }), sums.end());
	Call([&](Server server) {
		for (std::size_t i = 0; shrinks && i < taken.size(); i++) {
			(void)DeleteRow(server, rows.heap, &taken[i], SnapshotSelf);
		}
		for (std::size_t i = 0; shrinks && i < sums.size(); i++) {
			WriteRefusal(server, rows.heap, sums[i]);
		}
		CloseSeenRows(server, &rows);
	});
}

// Deletes what a statement about a source's series says.
void
DeleteWithSource(Server server, int32 source, const char *sql) {
	Oid types[1] = {INT4OID};
	Datum values[1] = {Int32GetDatum(source)};
	(void)ExecuteAsStore(server, sql, 1, types, values, nullptr);
}

void
DeleteRollupsOf(const Source &source) {
	Call([&](Server server) {
		BeginProgress(server, WorkPhase::kRefreshClearing, 0);
		DeleteWithSource(server, source.id,
		                 "DELETE FROM auren.rollup_5min r USING auren.series s WHERE s.series_id OPERATOR(pg_catalog.=) r.series_id AND s.source_id "
		                 "OPERATOR(pg_catalog.=) $1");
		DeleteWithSource(server, source.id,
		                 "DELETE FROM auren.rollup_hourly r USING auren.series s WHERE s.series_id OPERATOR(pg_catalog.=) r.series_id AND "
		                 "s.source_id OPERATOR(pg_catalog.=) $1");
		DeleteWithSource(server, source.id,
		                 "DELETE FROM auren.rollup_daily r USING auren.series s WHERE s.series_id OPERATOR(pg_catalog.=) r.series_id AND s.source_id "
		                 "OPERATOR(pg_catalog.=) $1");
	});
}

void
DeleteSource(const Source &source) {
	Call([&](Server server) {
		BeginProgress(server, WorkPhase::kRefreshClearing, 0);
		DeleteWithSource(server, source.id, "DELETE FROM auren.series WHERE source_id OPERATOR(pg_catalog.=) $1");
		DeleteWithSource(server, source.id, "DELETE FROM auren.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1");
		if (OidIsValid(own::carried_readings.GetIfThere(server))) {
			DeleteWithSource(server, source.id, "DELETE FROM auren.carried_readings WHERE source_id OPERATOR(pg_catalog.=) $1");
		}
		DeleteWithSource(server, source.id, "DELETE FROM auren.source_partitions WHERE source_id OPERATOR(pg_catalog.=) $1");
		DeleteWithSource(server, source.id, "DELETE FROM analytics.sources WHERE source_id OPERATOR(pg_catalog.=) $1");
	});
}

// A row for this run; those before the last few go.
void
WriteRun(Server server, TimestampTz began, const Refreshed &refreshed) {
	constexpr int kRunsKept = 50;
	Relation runs = table_open(own::refresh_runs.Get(server), RowExclusiveLock);
	Relation index = index_open(own::refresh_runs_finished.Get(server), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(runs, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(runs, index, SnapshotSelf, 0);
	index_rescan(scan, nullptr, 0, nullptr, 0);
	for (int i = 1; index_getnext_slot(scan, BackwardScanDirection, slot); i++) {
		if (i >= kRunsKept) {
			(void)DeleteRow(server, runs, &slot->tts_tid, SnapshotSelf);
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	Interval duration;
	std::memset(&duration, 0, sizeof duration);
	const TimestampTz now = GetCurrentTimestamp();
	duration.time = now - began;
	const Datum values[4] = {TimestampTzGetDatum(now), IntervalPGetDatum(&duration), Int64GetDatum(refreshed.changes),
	                         Int64GetDatum(refreshed.buckets)};
	const bool isnull[4] = {};
	InsertRow(server, runs, values, isnull);
	table_close(runs, NoLock);
}

} // namespace

namespace {

// What one source raised while a bucket of it was counted anew for the merge; 0: nothing did.
struct Merged {
	int64 changes;
	int64 buckets;
	int32 failed;
	ErrorData *error;
};

// Merges the deltas, or nothing where counting a source's readings anew fails.
Merged
TryToMerge(Snapshot snapshot, const ExceptedSources &excepted) {
	Merged merged = {};
	Call([&](Server server) {
		int32 counting = 0;
		merged.error = TryInSubtransaction(server, [&] {
			(void)Entry([&] {
				Rollups rollups(snapshot, &counting);
				merged.changes = MergeDeltas(snapshot, excepted, &rollups);
				merged.buckets = rollups.buckets();
				rollups.Close();
				return Datum(0);
			});
		});
		const bool is_of_source = counting != 0 && !IsIn(counting, excepted.passed);
		if (merged.error != nullptr && (!is_of_source || ConcernsSession(merged.error->sqlerrcode))) {
			ReThrowError(merged.error);
		}
		merged.failed = counting;
	});
	return merged;
}

// Merges the deltas of all sources but those that are passed over, and passes over those that cannot be read.
Merged
MergeReadable(Snapshot snapshot, const Sources &sources, ExceptedSources *excepted) {
	for (;;) {
		const Merged merged = TryToMerge(snapshot, *excepted);
		if (merged.error == nullptr) {
			return merged;
		}
		Call([&](Server server) {
			for (int i = 0; i < sources.count; i++) {
				if (sources.items[i].id == merged.failed) {
					WarnAboutSource(server, sources.items[i], merged.error);
				}
			}
		});
		excepted->passed.push_back(merged.failed);
	}
}

// Sources that are counted as a whole, or gone.
std::vector<int32>
SourcesToFill(const Sources &sources, const ExceptedSources &excepted) {
	std::vector<int32> ids;
	for (int i = 0; i < sources.count; i++) {
		if (!sources.items[i].filled && !IsIn(sources.items[i].id, excepted.passed)) {
			ids.push_back(sources.items[i].id);
		}
	}
	return ids;
}

Refreshed
RefreshBy(Snapshot snapshot, const List *passed) {
	Refreshed refreshed = {};
	const TimestampTz began = GetCurrentTimestamp();
	ExceptedSources excepted;
	for (int i = 0; i < list_length(passed); i++) {
		excepted.passed.push_back(list_nth_int(passed, i));
	}
	const Sources sources = Call([&](Server server) { return ReadSources(server, snapshot); });
	MergeRefusals(snapshot, SourcesToFill(sources, excepted));
	for (int i = 0; i < sources.count; i++) {
		const Source &source = sources.items[i];
		if (source.filled || IsIn(source.id, excepted.passed)) {
			continue;
		}
		// what is left of one that was detached, or of the last time that it was filled
		DeleteRollupsOf(source);
		excepted.filled.push_back(source.id);
		if (!source.detached) {
			refreshed.buckets += TryToFill(source, snapshot);
		}
	}
	const Merged merged = MergeReadable(snapshot, sources, &excepted);
	for (int i = 0; i < sources.count; i++) {
		if (sources.items[i].detached) {
			DeleteSource(sources.items[i]);
		}
	}
	refreshed.changes = merged.changes;
	refreshed.buckets += merged.buckets;
	Call([&](Server server) {
		WriteRun(server, began, refreshed);
		EndProgress(server);
	});
	return refreshed;
}

// At REPEATABLE READ and above: all of it, or nothing where readings would have to be counted.
bool
TryToRefreshBy(Snapshot snapshot, Refreshed *refreshed) {
	return Call([&](Server server) {
		ErrorData *error = TryInSubtransaction(server, [&] {
			(void)Entry([&] {
				*refreshed = RefreshBy(snapshot, NIL);
				return Datum(0);
			});
		});
		if (error != nullptr && error->sqlerrcode != ERRCODE_T_R_SERIALIZATION_FAILURE) {
			ReThrowError(error);
		}
		return error == nullptr;
	});
}

} // namespace

Refreshed
Refresh() {
	WriteReadings();
	Call([] { CommandCounterIncrement(); });
	Refreshed refreshed = {};
	const List *passed = NIL;
	Snapshot snapshot = Call([&](Server server) -> Snapshot {
		if (!TryLockRollups(server)) {
			return nullptr;
		}
		Snapshot taken = TakeSnapshot(server, &passed);
		if (taken == nullptr) {
			UnlockRollups(server);
		}
		return taken;
	});
	if (snapshot == nullptr) {
		refreshed.busy = true;
		return refreshed;
	}
	if (!IsolationUsesXactSnapshot()) {
		refreshed = RefreshBy(snapshot, passed);
	} else if (!TryToRefreshBy(snapshot, &refreshed)) {
		refreshed = {0, 0, true};
	}
	Call([&] { UnregisterSnapshot(snapshot); });
	return refreshed;
}

void
RebuildDaysAndHours() {
	Snapshot snapshot = Call([] { return RegisterSnapshot(GetLatestSnapshot()); });
	Rollups rollups(snapshot);
	SeenRows five;
	Call([&](Server server) {
		const Oid heap = own::rollups[kFive].Get(server);
		BeginProgress(server, WorkPhase::kZoneCounting, EstimatedRows(server, heap));
		OpenSeenRows(server, &five, heap, AccessShareLock, snapshot);
	});
	int64 done = 0;
	std::vector<Change> changes;
	for (bool more = true; more;) {
		changes.clear();
		Change change;
		while (changes.size() < kMostChanges && (more = Call([&](Server server) { return NextChange(server, &five, 1, &change); }))) {
			changes.push_back(change);
		}
		Sort(&changes);
		rollups.Apply(changes, kHourly);
		done += static_cast<int64>(changes.size());
		Call([&](Server server) {
			MemoryContextReset(five.context);
			ReportProgress(server, done);
		});
	}
	rollups.Close();
	Call([&](Server server) {
		CloseSeenRows(server, &five);
		UnregisterSnapshot(snapshot);
		EndProgress(server);
	});
}

} // namespace auren::pg
