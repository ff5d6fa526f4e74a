#include "pg/rollups.hpp"

#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "core/delta_pack.hpp"
#include "core/error.hpp"
#include "core/summary.hpp"
#include "pg/btree.hpp"
#include "pg/buckets.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/lock_classes.hpp"
#include "pg/query.hpp"
#include "pg/readings.hpp"
#include "pg/row_writer.hpp"
#include "pg/series.hpp"
#include "pg/sources.hpp"
#include "pg/store.hpp"
#include "pg/table_row.hpp"
#include "pg/text.hpp"

namespace auren::pg {

namespace {

enum Level : int { kFive, kHourly, kDaily, kLevels };
constexpr const char *kLevelNames[kLevels] = {"5min", "hourly", "daily"};
enum RollupColumn : int { kPeriod, kSeries, kBucket, kSummary, kRollupColumns };
enum DeltaColumn : int { kDeltaSeries, kDeltaBucket, kDeltaSummary };
enum PackColumn : int { kPackLot, kPackSource, kPackFirst, kPackLast, kPackCount, kPackDeltas };

// Days of a period, as a power of two: the more buckets a day has, the fewer.
constexpr int kPeriodShift[kLevels] = {0, 1, 3};

// Deltas that one round takes: what it holds in memory is bounded.
constexpr std::size_t kMostChanges = 250000;

// A summary on its way into a bucket. The bytes live as long as the round.
struct Change {
	int64 series;
	TimestampTz bucket;
	const char *bytes;
	uint32 length;
};

// Those of one bucket of a level.
struct Group {
	int32 period;
	int64 bucket;
	std::size_t first;
	std::size_t end;
};

std::string_view
BytesOf(Datum summary) {
	return TextBytes(PointerGetDatum(PG_DETOAST_DATUM_PACKED(summary)));
}

// A level of the rollups, open for writing. Server side but for what is said.
struct Rollup {
	Relation heap;
	Relation key;
	IndexScanDesc scan;
	IndexFetchTableData *fetch;
	TupleTableSlot *found;
	TupleTableSlot *row; // that takes its place
	RowWriter added;
	LeafCopy leaf;
};

class Rollups {
  public:
	explicit Rollups(Snapshot snapshot) : snapshot_(snapshot) {
		Call([this] { Open(); });
		ReadPeriods();
	}

	int64
	buckets() const {
		return buckets_;
	}

	// Changes in the order of series and bucket.
	void
	Apply(const std::vector<Change> &changes, int first_level = kFive) {
		std::vector<Group> groups;
		for (int level = first_level; level < kLevels; level++) {
			groups.clear();
			for (std::size_t i = 0; i < changes.size();) {
				const int64 bucket = BucketOf(level, changes[i].bucket);
				std::size_t end = i + 1;
				while (end < changes.size() && changes[end].series == changes[i].series && BucketOf(level, changes[end].bucket) == bucket) {
					end++;
				}
				if (changes[i].bucket >= dropped_before_[level]) {
					groups.push_back({PeriodOf(level, bucket), bucket, i, end});
				}
				i = end;
			}
			// in the order of the key, so that one leaf of its index is done with before the next
			std::stable_sort(groups.begin(), groups.end(), [](const Group &a, const Group &b) { return a.period < b.period; });
			Rollup *rollup = &rollups_[level];
			rollup->leaf.valid = false;
			for (const Group &group : groups) {
				ApplyTo(level, group.bucket, &changes[group.first], &changes[0] + group.end);
			}
			Call([&] {
				FlushRows(&rollup->added);
				CHECK_FOR_INTERRUPTS();
			});
		}
		// what the next round finds was written by a command before it
		Call([] { CommandCounterIncrement(); });
	}

	void
	Close() {
		Call([this] {
			for (Rollup &rollup : rollups_) {
				index_endscan(rollup.scan);
				table_index_fetch_end(rollup.fetch);
				ExecDropSingleTupleTableSlot(rollup.found);
				ExecDropSingleTupleTableSlot(rollup.row);
				index_close(rollup.key, NoLock);
				CloseWriter(&rollup.added);
			}
			MemoryContextDelete(context_);
		});
	}

  private:
	// Behind the days of the calendar there are those of infinite times.
	static int32
	PeriodOf(int level, int64 bucket) {
		const DateADT day = level == kDaily ? static_cast<DateADT>(bucket) : DayOf(bucket, nullptr);
		return day >> kPeriodShift[level];
	}

	// A day as a number, a time as it is.
	int64
	BucketOf(int level, TimestampTz five_minutes) {
		switch (level) {
		case kFive:
			return five_minutes;
		case kHourly:
			return HourOf(five_minutes, zone_);
		default:
			return DayOf(five_minutes, zone_);
		}
	}

	void
	Open() {
		home_ = CurrentMemoryContext;
		zone_ = MetricZone(snapshot_);
		ReadRetention();
		for (int level = kFive; level < kLevels; level++) {
			Rollup &rollup = rollups_[level];
			OpenWriter(&rollup.added, Oids().rollups[level]);
			rollup.heap = rollup.added.heap;
			rollup.key = index_open(Oids().rollup_keys[level], RowExclusiveLock);
			// only refreshes write here, one at a time: the newest version is the one
			rollup.scan = compat::BeginIndexScan(rollup.heap, rollup.key, SnapshotSelf, 3);
			rollup.fetch = table_index_fetch_begin(rollup.heap);
			rollup.found = table_slot_create(rollup.heap, nullptr);
			rollup.row = MakeSingleTupleTableSlot(RelationGetDescr(rollup.heap), &TTSOpsVirtual);
		}
		context_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events rollups", ALLOCSET_DEFAULT_SIZES);
	}

	void
	ReadRetention() {
		for (TimestampTz &before : dropped_before_) {
			before = DT_NOBEGIN;
		}
		Relation retention = table_open(Oids().retention, AccessShareLock);
		TableScanDesc scan = table_beginscan(retention, snapshot_, 0, nullptr);
		TupleTableSlot *slot = table_slot_create(retention, nullptr);
		while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
			slot_getallattrs(slot);
			for (int level = kFive; level < kLevels; level++) {
				if (std::strcmp(TextDatumGetCString(slot->tts_values[0]), kLevelNames[level]) == 0) {
					dropped_before_[level] = DatumGetTimestampTz(slot->tts_values[2]);
				}
			}
		}
		ExecDropSingleTupleTableSlot(slot);
		table_endscan(scan);
		table_close(retention, NoLock);
	}

	// Server side.
	bool
	Find(Rollup *rollup, int level, int64 series, int64 bucket) {
		const Datum key[3] = {Int32GetDatum(PeriodOf(level, bucket)), Int64GetDatum(series), BucketDatum(level, bucket)};
		ItemPointerData tid;
		switch (FindEntry(rollup->key, key, 3, &rollup->leaf, &tid)) {
		case Entry::kAbsent:
			return false;
		case Entry::kOne:
			if (Fetch(rollup, &tid) && rollup->found->tts_values[kPeriod] == key[0] && rollup->found->tts_values[kSeries] == key[1] &&
			    rollup->found->tts_values[kBucket] == key[2]) {
				return true;
			}
			break;
		case Entry::kAsk:
			break;
		}
		ScanKeyData keys[3];
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, key[0]);
		ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, key[1]);
		ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, level == kDaily ? F_DATE_EQ : F_TIMESTAMPTZ_EQ, key[2]);
		index_rescan(rollup->scan, keys, 3, nullptr, 0);
		const bool found = NextIndexRow(rollup->scan, ForwardScanDirection, rollup->found, home_);
		if (found) {
			slot_getallattrs(rollup->found);
		}
		return found;
	}

	static bool
	Fetch(Rollup *rollup, ItemPointer tid) {
		bool call_again = false;
		bool all_dead = false;
		const bool live = table_index_fetch_tuple(rollup->fetch, tid, SnapshotSelf, rollup->found, &call_again, &all_dead);
		if (live) {
			slot_getallattrs(rollup->found);
		}
		return live;
	}

	static Datum
	BucketDatum(int level, int64 bucket) {
		return level == kDaily ? DateADTGetDatum(static_cast<DateADT>(bucket)) : TimestampTzGetDatum(bucket);
	}

	void
	ApplyTo(int level, int64 bucket, const Change *first, const Change *end) {
		Rollup *rollup = &rollups_[level];
		MemoryContext before = nullptr;
		const int64 series = first->series;
		const bool found = Call([&] {
			const bool there = Find(rollup, level, series, bucket);
			MemoryContextReset(context_);
			before = MemoryContextSwitchTo(context_);
			return there;
		});
		if (!found && end == first + 1 && first->length == Summary::kOneValueBytes) {
			// one value that was added, as most of them are
			if (first->bytes[2] == 1) {
				Put(rollup, level, series, bucket, {first->bytes, first->length}, false);
				MemoryContextSwitchTo(before);
				return;
			}
		}
		Summary summary;
		if (found) {
			summary = Summary::FromBytes(Call([&] { return BytesOf(rollup->found->tts_values[kSummary]); }));
		}
		for (const Change *change = first; change < end; change++) {
			summary.Merge(Summary::FromBytes({change->bytes, change->length}));
		}
		summary.Settle();
		if (summary.Unsure()) {
			MakeSure(level, series, bucket, &summary);
		}
		if (summary.Empty()) {
			if (found) {
				Call([&] { Delete(rollup); });
				buckets_++;
			}
		} else {
			const std::string bytes = summary.Bytes();
			Put(rollup, level, series, bucket, bytes, found);
		}
		MemoryContextSwitchTo(before);
	}

	void
	Put(Rollup *rollup, int level, int64 series, int64 bucket, std::string_view bytes, bool update) {
		buckets_++;
		if (!update) {
			KnowPeriod(level, bucket);
			Call([&] {
				TupleTableSlot *row = NextRow(&rollup->added);
				Fill(rollup->added.context, row, level, series, bucket, bytes);
			});
			return;
		}
		Call([&] {
			TupleTableSlot *row = ExecStoreVirtualTuple(ExecClearTuple(rollup->row));
			std::memset(row->tts_isnull, 0, sizeof(bool) * kRollupColumns);
			Fill(context_, row, level, series, bucket, bytes);
			bool needs_entries;
			ItemPointerData tid = rollup->found->tts_tid;
			if (compat::UpdateRow(rollup->heap, &tid, row, SnapshotSelf, &needs_entries) != TM_Ok) {
				ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("a row of the rollups was changed by somebody else"),
				                errhint("Only the extension's functions may change the tables of schema analytics.")));
			}
			if (needs_entries && rollup->added.index != nullptr) {
				(void)index_insert(rollup->key, row->tts_values, row->tts_isnull, &row->tts_tid, rollup->heap, UNIQUE_CHECK_YES, false, rollup->added.info);
			} else if (needs_entries) {
				InsertIndexEntries(rollup->heap, nullptr, row);
			}
		});
	}

	static void
	Fill(MemoryContext context, TupleTableSlot *row, int level, int64 series, int64 bucket, std::string_view bytes) {
		row->tts_values[kPeriod] = Int32GetDatum(PeriodOf(level, bucket));
		row->tts_values[kSeries] = Int64GetDatum(series);
		row->tts_values[kBucket] = BucketDatum(level, bucket);
		row->tts_values[kSummary] = BytesValue(context, bytes.data(), bytes.size());
	}

	static void
	Delete(Rollup *rollup) {
		ItemPointerData tid = rollup->found->tts_tid;
		(void)DeleteRow(rollup->heap, &tid, SnapshotSelf);
	}

	/*
	 * Only the readings know: a day's and an hour's are asked of the five minutes in them, which are settled by now; five minutes'
	 * of the source.
	 */
	void
	MakeSure(int level, int64 series, int64 bucket, Summary *summary) {
		TimestampTz from = bucket;
		TimestampTz to = bucket;
		Call([&] {
			if (level == kDaily) {
				from = StartOfDay(static_cast<DateADT>(bucket), zone_);
				to = DATE_NOT_FINITE(static_cast<DateADT>(bucket)) ? from : StartOfDay(static_cast<DateADT>(bucket) + 1, zone_);
			} else if (!TIMESTAMP_NOT_FINITE(bucket)) {
				to = bucket + (level == kHourly ? USECS_PER_HOUR : 5 * USECS_PER_MINUTE);
			}
		});
		if (level != kFive && from >= dropped_before_[kFive]) {
			*summary = FromFiveMinutes(series, from, to);
			return;
		}
		const StoredSeries names = Call([&] { return FindSeries(series); });
		const Sources sources = Call([&] { return ReadSources(snapshot_); });
		for (int i = 0; i < sources.count; i++) {
			if (names.found && sources.items[i].id == names.source && OidIsValid(sources.items[i].relation)) {
				Call([&] { PushActiveSnapshot(snapshot_); });
				*summary = Recount(sources.items[i], names.tenant, names.user, names.device, names.metric, from, to);
				Call([] { PopActiveSnapshot(); });
			}
		}
	}

	Summary
	FromFiveMinutes(int64 series, TimestampTz from, TimestampTz to) {
		Rollup *rollup = &rollups_[kFive];
		Summary whole;
		for (int64 period = PeriodOf(kFive, from); period <= PeriodOf(kFive, from == to ? to : to - 1); period++) {
			Call([&] {
				ScanKeyData keys[4];
				ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(static_cast<int32>(period)));
				ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(series));
				ScanKeyInit(&keys[2], 3, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE, TimestampTzGetDatum(from));
				ScanKeyInit(&keys[3], 3, from == to ? BTLessEqualStrategyNumber : BTLessStrategyNumber, from == to ? F_TIMESTAMPTZ_LE : F_TIMESTAMPTZ_LT,
				            TimestampTzGetDatum(to));
				part_scan_ = compat::BeginIndexScan(rollup->heap, rollup->key, SnapshotSelf, 4);
				part_ = table_slot_create(rollup->heap, nullptr);
				index_rescan(part_scan_, keys, 4, nullptr, 0);
			});
			while (Call([&] { return NextIndexRow(part_scan_, ForwardScanDirection, part_, home_); })) {
				whole.Merge(Summary::FromBytes(Call([&] {
					slot_getallattrs(part_);
					return BytesOf(part_->tts_values[kSummary]);
				})));
			}
			Call([&] {
				index_endscan(part_scan_);
				ExecDropSingleTupleTableSlot(part_);
			});
		}
		return whole;
	}

	// Writes down that there are rows in a period.
	void
	KnowPeriod(int level, int64 bucket) {
		const int32 period = PeriodOf(level, bucket);
		if (level == last_level_ && period == last_period_) {
			return;
		}
		if (periods_.insert({level, period}).second) {
			Call([&] {
				Relation heap = table_open(Oids().rollup_periods, RowExclusiveLock);
				const Datum values[2] = {Int32GetDatum(level), Int32GetDatum(period)};
				const bool isnull[2] = {};
				InsertRow(heap, values, isnull);
				table_close(heap, NoLock);
			});
		}
		last_level_ = level;
		last_period_ = period;
	}

	void
	ReadPeriods() {
		Relation heap = nullptr;
		TableScanDesc scan = nullptr;
		TupleTableSlot *slot = nullptr;
		Call([&] {
			heap = table_open(Oids().rollup_periods, AccessShareLock);
			scan = table_beginscan(heap, SnapshotSelf, 0, nullptr);
			slot = table_slot_create(heap, nullptr);
		});
		while (Call([&] {
			const bool more = table_scan_getnextslot(scan, ForwardScanDirection, slot);
			if (more) {
				slot_getallattrs(slot);
			}
			return more;
		})) {
			periods_.insert({DatumGetInt32(slot->tts_values[0]), DatumGetInt32(slot->tts_values[1])});
		}
		Call([&] {
			ExecDropSingleTupleTableSlot(slot);
			table_endscan(scan);
			table_close(heap, NoLock);
		});
	}

	std::set<std::pair<int, int32>> periods_;
	int last_level_ = -1;
	int32 last_period_ = 0;
	IndexScanDesc part_scan_ = nullptr;
	TupleTableSlot *part_ = nullptr;
	Snapshot snapshot_;
	pg_tz *zone_ = nullptr;
	TimestampTz dropped_before_[kLevels];
	Rollup rollups_[kLevels];
	MemoryContext home_ = nullptr;    // of the scans, not that of a query which reads a source
	MemoryContext context_ = nullptr; // of what one bucket needs
	int64 buckets_ = 0;
};

bool
TryLockRollups() {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kRefreshLockClass);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

// Server side. Whether a refresh was committed that a snapshot does not see.
bool
RefreshedSince(Snapshot snapshot) {
	Relation runs = table_open(Oids().refresh_runs, AccessShareLock);
	TableScanDesc scan = table_beginscan(runs, SnapshotSelf, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(runs, nullptr);
	bool since = false;
	while (!since && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		since = !table_tuple_satisfies_snapshot(runs, slot, snapshot);
		bool isnull;
		const TransactionId xmin = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
		since = since && !TransactionIdIsCurrentTransactionId(xmin);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(runs, NoLock);
	return since;
}

/*
 * Rows of a table that the snapshot sees. Read with SnapshotSelf and then asked one by one, which leaves no trace at
 * SERIALIZABLE: to move a delta is no use of what it says. Server side.
 */
struct SeenRows {
	Relation heap;
	TableScanDesc scan;
	TupleTableSlot *slot;
	Snapshot snapshot;
	MemoryContext context; // of what is kept of them
};

void
OpenRows(SeenRows *rows, Oid table, LOCKMODE lock, Snapshot snapshot) {
	rows->heap = table_open(table, lock);
	rows->scan = table_beginscan(rows->heap, SnapshotSelf, 0, nullptr);
	rows->slot = table_slot_create(rows->heap, nullptr);
	rows->snapshot = snapshot;
	rows->context = AllocSetContextCreate(CurrentMemoryContext, "auren_events changes", ALLOCSET_DEFAULT_SIZES);
}

bool
NextSeen(SeenRows *rows) {
	while (table_scan_getnextslot(rows->scan, ForwardScanDirection, rows->slot)) {
		// An own one, of a command later than the snapshot's, is seen too.
		if (!table_tuple_satisfies_snapshot(rows->heap, rows->slot, rows->snapshot)) {
			bool isnull;
			const TransactionId xmin = DatumGetTransactionId(slot_getsysattr(rows->slot, MinTransactionIdAttributeNumber, &isnull));
			if (!TransactionIdIsCurrentTransactionId(xmin)) {
				continue;
			}
		}
		slot_getallattrs(rows->slot);
		return true;
	}
	return false;
}

// The bytes of a column, kept.
std::string_view
KeptBytes(SeenRows *rows, int column) {
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	const std::string_view bytes = BytesOf(rows->slot->tts_values[column]);
	auto *copy = static_cast<char *>(palloc(bytes.size()));
	std::memcpy(copy, bytes.data(), bytes.size());
	MemoryContextSwitchTo(before);
	return {copy, bytes.size()};
}

// The next row as a change; `first` is the column of its series.
bool
NextChange(SeenRows *rows, int first, Change *change) {
	if (!NextSeen(rows)) {
		return false;
	}
	const std::string_view bytes = KeptBytes(rows, first + kDeltaSummary);
	change->series = DatumGetInt64(rows->slot->tts_values[first + kDeltaSeries]);
	change->bucket = DatumGetTimestampTz(rows->slot->tts_values[first + kDeltaBucket]);
	change->bytes = bytes.data();
	change->length = static_cast<uint32>(bytes.size());
	return true;
}

void
CloseRows(SeenRows *rows) {
	table_endscan(rows->scan);
	ExecDropSingleTupleTableSlot(rows->slot);
	table_close(rows->heap, NoLock);
	MemoryContextDelete(rows->context);
}

void
Sort(std::vector<Change> *changes) {
	std::sort(changes->begin(), changes->end(),
	          [](const Change &a, const Change &b) { return a.series != b.series ? a.series < b.series : a.bucket < b.bucket; });
}

// Source of a series: asked once for each.
class SourceOfSeries {
  public:
	bool
	IsIn(int64 series, const std::vector<int32> &sources) {
		if (series != last_ || !known_) {
			source_ = Call([&] { return FindSeries(series).source; });
			last_ = series;
			known_ = true;
		}
		for (const int32 source : sources) {
			if (source == source_) {
				return true;
			}
		}
		return false;
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
		gathered_.insert(gathered_.end(), readings->begin(), readings->end());
		readings->clear();
		if (gathered_.size() >= kMostChanges) {
			Apply();
		}
	}

	void
	Apply() {
		std::vector<Change> changes;
		ForEachSummary(&gathered_, [&](const Reading &of, std::string_view summary) {
			auto *copy = static_cast<char *>(Call([&] { return MemoryContextAlloc(context_, summary.size()); }));
			std::memcpy(copy, summary.data(), summary.size());
			changes.push_back({of.series, of.bucket, copy, static_cast<uint32>(summary.size())});
		});
		rollups_->Apply(changes);
		gathered_.clear();
		Call([&] { MemoryContextReset(context_); });
	}

  private:
	Rollups *rollups_;
	MemoryContext context_;
	std::vector<Reading> gathered_;
};

// The rollups of a source that was attached: of what it holds by the snapshot. Its deltas of before are dropped, being counted.
void
Fill(const Source &source, Snapshot snapshot, Rollups *rollups) {
	Call([&] { PushActiveSnapshot(snapshot); });
	FillSink sink(rollups);
	ScanSource(source, &sink);
	sink.Apply();
	Call([&] {
		PopActiveSnapshot();
		const Datum id = Int32GetDatum(source.id);
		const bool isnull = false;
		Relation filled = table_open(Oids().filled_sources, RowExclusiveLock);
		InsertRow(filled, &id, &isnull);
		table_close(filled, NoLock);
		Relation sources = table_open(Oids().sources, AccessShareLock);
		CacheInvalidateRelcache(sources);
		table_close(sources, NoLock);
	});
}

// A table of deltas on its way into the rollups.
struct Pending {
	SeenRows rows;
	std::vector<ItemPointerData> taken;
	bool more = true;
};

// The next row of analytics.deltas.
void
TakeDelta(Pending *each, const std::vector<int32> &filled, SourceOfSeries *source, std::vector<Change> *changes) {
	Change change;
	each->more = Call([&] { return NextChange(&each->rows, 0, &change); });
	if (each->more) {
		each->taken.push_back(each->rows.slot->tts_tid);
		if (filled.empty() || !source->IsIn(change.series, filled)) {
			changes->push_back(change);
		}
	}
}

// The next row of analytics.delta_packs.
void
TakePack(Pending *packed, const std::vector<int32> &filled, std::vector<Change> *changes) {
	int32 source = 0;
	std::string_view bytes;
	packed->more = Call([&] {
		const bool there = NextSeen(&packed->rows);
		if (there) {
			source = DatumGetInt32(packed->rows.slot->tts_values[kPackSource]);
			bytes = KeptBytes(&packed->rows, kPackDeltas);
		}
		return there;
	});
	if (!packed->more) {
		return;
	}
	packed->taken.push_back(packed->rows.slot->tts_tid);
	if (std::find(filled.begin(), filled.end(), source) == filled.end()) {
		const DeltaPackReader reader(bytes);
		for (std::size_t i = 0; i < reader.count(); i++) {
			const DeltaPackReader::Delta delta = reader.At(i);
			changes->push_back({delta.series, delta.bucket, delta.summary.data(), static_cast<uint32>(delta.summary.size())});
		}
	}
}

int64
MergeDeltas(Snapshot snapshot, const std::vector<int32> &filled, Rollups *rollups) {
	Pending each;
	Pending packed;
	Call([&] {
		OpenRows(&each.rows, Oids().deltas, RowExclusiveLock, snapshot);
		OpenRows(&packed.rows, Oids().delta_packs, RowExclusiveLock, snapshot);
	});
	SourceOfSeries source;
	int64 merged = 0;
	std::vector<Change> changes;
	while (each.more || packed.more) {
		changes.clear();
		while (each.more && changes.size() < kMostChanges) {
			TakeDelta(&each, filled, &source, &changes);
		}
		while (packed.more && changes.size() < kMostChanges) {
			TakePack(&packed, filled, &changes);
		}
		merged += static_cast<int64>(changes.size());
		Sort(&changes);
		rollups->Apply(changes);
		for (Pending *pending : {&each, &packed}) {
			Call([&] {
				for (std::size_t i = 0; i < pending->taken.size(); i++) {
					(void)DeleteRow(pending->rows.heap, &pending->taken[i], SnapshotSelf);
				}
				MemoryContextReset(pending->rows.context);
				CHECK_FOR_INTERRUPTS();
			});
			pending->taken.clear();
		}
	}
	Call([&] {
		CloseRows(&each.rows);
		CloseRows(&packed.rows);
	});
	return merged;
}

// Server side. Deletes what a statement about a source's series says.
void
DeleteOf(int32 source, const char *sql) {
	Oid types[1] = {INT4OID};
	Datum values[1] = {Int32GetDatum(source)};
	(void)ExecuteWaived(sql, 1, types, values, nullptr);
}

void
Clear(const Source &source) {
	Call([&] {
		DeleteOf(source.id, "DELETE FROM analytics.rollup_5min r USING analytics.series s WHERE s.series_id OPERATOR(pg_catalog.=) r.series_id AND s.source_id OPERATOR(pg_catalog.=) $1");
		DeleteOf(source.id, "DELETE FROM analytics.rollup_hourly r USING analytics.series s WHERE s.series_id OPERATOR(pg_catalog.=) r.series_id AND s.source_id OPERATOR(pg_catalog.=) $1");
		DeleteOf(source.id, "DELETE FROM analytics.rollup_daily r USING analytics.series s WHERE s.series_id OPERATOR(pg_catalog.=) r.series_id AND s.source_id OPERATOR(pg_catalog.=) $1");
	});
}

void
ClearSeries(const Source &source) {
	Call([&] {
		DeleteOf(source.id, "DELETE FROM analytics.series WHERE source_id OPERATOR(pg_catalog.=) $1");
		DeleteOf(source.id, "DELETE FROM analytics.filled_sources WHERE source_id OPERATOR(pg_catalog.=) $1");
		DeleteOf(source.id, "DELETE FROM analytics.sources WHERE source_id OPERATOR(pg_catalog.=) $1");
	});
}

// Server side. A row for this run; those before the last few go.
void
WriteRun(TimestampTz began, const Refreshed &refreshed) {
	constexpr int kRunsKept = 50;
	Relation runs = table_open(Oids().refresh_runs, RowExclusiveLock);
	Relation index = index_open(Oids().refresh_runs_finished, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(runs, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(runs, index, SnapshotSelf, 0);
	index_rescan(scan, nullptr, 0, nullptr, 0);
	for (int i = 1; index_getnext_slot(scan, BackwardScanDirection, slot); i++) {
		if (i >= kRunsKept) {
			(void)DeleteRow(runs, &slot->tts_tid, SnapshotSelf);
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	Interval duration;
	std::memset(&duration, 0, sizeof duration);
	const TimestampTz now = GetCurrentTimestamp();
	duration.time = now - began;
	const Datum values[4] = {TimestampTzGetDatum(now), IntervalPGetDatum(&duration), Int64GetDatum(refreshed.changes), Int64GetDatum(refreshed.buckets)};
	const bool isnull[4] = {};
	InsertRow(runs, values, isnull);
	table_close(runs, NoLock);
}

} // namespace

Refreshed
Refresh() {
	WriteReadings();
	Call([] { CommandCounterIncrement(); });
	Refreshed refreshed = {};
	const TimestampTz began = GetCurrentTimestamp();
	Snapshot snapshot = Call([&]() -> Snapshot {
		if (!TryLockRollups()) {
			return nullptr;
		}
		// at READ COMMITTED a snapshot from behind the lock: what the last refresh did is seen
		Snapshot taken = RegisterSnapshot(IsolationUsesXactSnapshot() ? GetActiveSnapshot() : GetLatestSnapshot());
		if (IsolationUsesXactSnapshot() && RefreshedSince(taken)) {
			UnregisterSnapshot(taken);
			return nullptr;
		}
		return taken;
	});
	if (snapshot == nullptr) {
		refreshed.busy = true;
		return refreshed;
	}
	Rollups rollups(snapshot);
	std::vector<int32> filled;
	const Sources sources = Call([&] { return ReadSources(snapshot); });
	for (int i = 0; i < sources.count; i++) {
		if (!sources.items[i].filled) {
			// what is left of one that was detached, or of the last time that it was filled
			Clear(sources.items[i]);
			filled.push_back(sources.items[i].id);
		}
		if (!sources.items[i].filled && !sources.items[i].detached) {
			Fill(sources.items[i], snapshot, &rollups);
		}
	}
	refreshed.changes = MergeDeltas(snapshot, filled, &rollups);
	for (int i = 0; i < sources.count; i++) {
		if (sources.items[i].detached) {
			ClearSeries(sources.items[i]);
		}
	}
	refreshed.buckets = rollups.buckets();
	rollups.Close();
	Call([&] {
		WriteRun(began, refreshed);
		UnregisterSnapshot(snapshot);
	});
	return refreshed;
}

void
LockRollups() {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kRefreshLockClass);
	(void)LockAcquire(&tag, ExclusiveLock, false, false);
}

void
RebuildDaysAndHours() {
	Snapshot snapshot = Call([] { return RegisterSnapshot(GetLatestSnapshot()); });
	Rollups rollups(snapshot);
	SeenRows five;
	Call([&] { OpenRows(&five, Oids().rollups[kFive], AccessShareLock, snapshot); });
	std::vector<Change> changes;
	for (bool more = true; more;) {
		changes.clear();
		Change change;
		while (changes.size() < kMostChanges && (more = Call([&] { return NextChange(&five, kSeries, &change); }))) {
			changes.push_back(change);
		}
		Sort(&changes);
		rollups.Apply(changes, kHourly);
		Call([&] { MemoryContextReset(five.context); });
	}
	rollups.Close();
	Call([&] {
		CloseRows(&five);
		UnregisterSnapshot(snapshot);
	});
}

} // namespace auren::pg
