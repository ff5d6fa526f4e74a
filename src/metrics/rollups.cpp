#include "metrics/rollups.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/metrics/distinct.hpp"
#include "core/metrics/reading_time.hpp"
#include "metrics/relations.hpp"
#include "metrics/series.hpp"
#include "metrics/sources.hpp"
#include "metrics/table_readings.hpp"
#include "server/compat.hpp"
#include "server/guard.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/query.hpp"

namespace auren::pg {

namespace {

constexpr const char *kLevelNames[kLevels] = {"5min", "hourly", "daily"};
enum RollupColumn : int { kPeriod, kSeries, kBucket, kSummary, kRollupColumns };

// Days of a period, as a power of two: the more buckets a day has, the fewer.
constexpr int kPeriodShift[kLevels] = {0, 1, 3};

// Changes of one bucket of a level.
struct Group {
	int32 period;
	int64 bucket;
	std::size_t first;
	std::size_t end;
};

} // namespace

std::string_view
SummaryBytes(Server, Datum summary) {
	return TextBytes(PointerGetDatum(PG_DETOAST_DATUM_PACKED(summary)));
}

std::string_view
MergedFiveMinutes(Server server, int64 series, TimestampTz bucket, Snapshot snapshot) {
	const DateADT period = DayOf(bucket, nullptr) >> kPeriodShift[kFive];
	ScanKeyData keys[3];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(period));
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(series));
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, F_TIMESTAMPTZ_EQ, TimestampTzGetDatum(bucket));
	Relation heap = table_open(own::rollups[kFive].Get(server), AccessShareLock);
	Relation index = index_open(own::rollup_keys[kFive].Get(server), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, 3);
	index_rescan(scan, keys, 3, nullptr, 0);
	std::string_view bytes;
	if (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		bool isnull;
		bytes = SummaryBytes(server, datumCopy(slot_getattr(slot, kSummary + 1, &isnull), false, -1));
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return bytes;
}

Rollups::Rollups(Snapshot snapshot, int32 *counting) : snapshot_(snapshot), counting_(counting) {
	Call([this](Server server) { Open(server); });
	ReadPeriods();
}

void
Rollups::Apply(const std::vector<Change> &changes, int first_level) {
	const auto is_set = [](const Change &change) {
		return DistinctReadings::IsSet(change.bytes);
	};
	if (first_level == kFive && std::any_of(changes.begin(), changes.end(), is_set)) {
		std::vector<Change> plain;
		std::vector<Change> longer;
		std::deque<std::string> kept;
		ApplySets(changes, &plain, &longer, &kept);
		ApplyLevel(kFive, plain);
		ApplyLevel(kHourly, longer);
		ApplyLevel(kDaily, longer);
	} else {
		for (int level = first_level; level < kLevels; level++) {
			ApplyLevel(level, changes);
		}
	}
	// what the next round finds was written by a command before it
	Call([] { CommandCounterIncrement(); });
}

void
Rollups::ApplySets(const std::vector<Change> &changes, std::vector<Change> *plain, std::vector<Change> *longer, std::deque<std::string> *kept) {
	rollups_[kFive].leaf.valid = false;
	for (std::size_t i = 0; i < changes.size();) {
		const Change &change = changes[i];
		if (!DistinctReadings::IsSet(change.bytes)) {
			plain->push_back(change);
			longer->push_back(change);
			i++;
			continue;
		}
		std::size_t end = i + 1;
		while (end < changes.size() && changes[end].series == change.series && changes[end].bucket == change.bucket) {
			end++;
		}
		// where five minutes were dropped nobody knows which readings are new
		const std::optional<std::string> added = change.bucket < sets_from_ ? std::nullopt : ApplySet(&changes[i], &changes[0] + end);
		if (added) {
			kept->push_back(*added);
			longer->push_back({change.series, change.bucket, kept->back()});
		}
		i = end;
	}
	Call([&](Server server) { FlushRows(server, &rollups_[kFive].added); });
}

// What the readings that were not there yet come to; nothing where there are none.
std::optional<std::string>
Rollups::ApplySet(const Change *first, const Change *end) {
	const Rollup &rollup = rollups_[kFive];
	const BucketKey key = {kFive, first->series, first->bucket};
	MemoryContext before = nullptr;
	const bool found = Call([&](Server server) {
		CHECK_FOR_INTERRUPTS();
		const bool there = Find(server, key);
		MemoryContextReset(context_);
		before = MemoryContextSwitchTo(context_);
		return there;
	});
	DistinctReadings added = DistinctReadings::FromBytes(first->bytes);
	for (const Change *change = first + 1; change < end; change++) {
		added.Merge(DistinctReadings::FromBytes(change->bytes));
	}
	DistinctReadings whole(added.place());
	if (found) {
		whole = DistinctReadings::FromBytes(Call([&](Server server) { return SummaryBytes(server, rollup.found->tts_values[kSummary]); }));
	}
	added.TakeOut(whole);
	std::optional<std::string> result;
	if (added.size() > 0) {
		whole.Merge(added);
		const std::string bytes = whole.Bytes();
		found ? Update(key, bytes) : Insert(key, bytes);
		result = Summary::FromBytes(added.Bytes()).Bytes();
	}
	MemoryContextSwitchTo(before);
	return result;
}

void
Rollups::ApplyLevel(int level, const std::vector<Change> &changes) {
	std::vector<Group> groups;
	std::vector<Change> joined;
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
	const auto before = [&](const Group &a, const Group &b) {
		const int64 series[2] = {changes[a.first].series, changes[b.first].series};
		return a.period != b.period ? a.period < b.period : series[0] != series[1] ? series[0] < series[1] : a.bucket < b.bucket;
	};
	std::stable_sort(groups.begin(), groups.end(), before);
	Rollup *rollup = &rollups_[level];
	rollup->leaf.valid = false;
	for (std::size_t i = 0; i < groups.size();) {
		const Group &group = groups[i++];
		if (i == groups.size() || before(group, groups[i])) {
			ApplyTo(level, group.bucket, &changes[group.first], &changes[0] + group.end);
			continue;
		}
		// a clock was set back over midnight: the bucket came twice
		joined.assign(changes.begin() + static_cast<std::ptrdiff_t>(group.first), changes.begin() + static_cast<std::ptrdiff_t>(group.end));
		for (; i < groups.size() && !before(group, groups[i]); i++) {
			joined.insert(joined.end(), changes.begin() + static_cast<std::ptrdiff_t>(groups[i].first),
			              changes.begin() + static_cast<std::ptrdiff_t>(groups[i].end));
		}
		ApplyTo(level, group.bucket, joined.data(), joined.data() + joined.size());
	}
	Call([&](Server server) {
		FlushRows(server, &rollup->added);
		CHECK_FOR_INTERRUPTS();
	});
}

void
Rollups::Close() {
	Call([this](Server server) {
		for (Rollup &rollup : rollups_) {
			index_endscan(rollup.scan);
			table_index_fetch_end(rollup.fetch);
			ExecDropSingleTupleTableSlot(rollup.found);
			ExecDropSingleTupleTableSlot(rollup.row);
			index_close(rollup.key, NoLock);
			CloseWriter(server, &rollup.added);
		}
		MemoryContextDelete(context_);
	});
}

int32
Rollups::PeriodOf(int level, int64 bucket) {
	const DateADT day = level == kDaily ? static_cast<DateADT>(bucket) : DayOf(bucket, nullptr);
	return day >> kPeriodShift[level];
}

int64
Rollups::BucketOf(int level, TimestampTz five_minutes) {
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
Rollups::Open(Server server) {
	home_ = CurrentMemoryContext;
	zone_ = MetricZone(server, snapshot_);
	ReadRetention(server);
	for (int level = kFive; level < kLevels; level++) {
		Rollup &rollup = rollups_[level];
		OpenWriter(server, &rollup.added, own::rollups[level].Get(server));
		rollup.heap = rollup.added.heap;
		rollup.key = index_open(own::rollup_keys[level].Get(server), RowExclusiveLock);
		// only refreshes write here, one at a time: the newest version is the one
		rollup.scan = compat::BeginIndexScan(rollup.heap, rollup.key, SnapshotSelf, 3);
		rollup.fetch = table_index_fetch_begin(rollup.heap);
		rollup.found = table_slot_create(rollup.heap, nullptr);
		rollup.row = MakeSingleTupleTableSlot(RelationGetDescr(rollup.heap), &TTSOpsVirtual);
	}
	context_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events rollups", ALLOCSET_DEFAULT_SIZES);
}

namespace {

// Before when retention has dropped what, by level.
void
ReadDroppedBefore(Server server, Snapshot snapshot, TimestampTz *dropped_before) {
	std::fill(dropped_before, dropped_before + kLevels, DT_NOBEGIN);
	Relation retention = table_open(own::retention.Get(server), AccessShareLock);
	TableScanDesc scan = table_beginscan(retention, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(retention, nullptr);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		slot_getallattrs(slot);
		for (int level = kFive; level < kLevels; level++) {
			if (std::strcmp(TextDatumGetCString(slot->tts_values[0]), kLevelNames[level]) == 0) {
				dropped_before[level] = DatumGetTimestampTz(slot->tts_values[2]);
			}
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(retention, NoLock);
}

} // namespace

TimestampTz
FiveMinutesDroppedBefore(Server server, Snapshot snapshot) {
	TimestampTz dropped_before[kLevels];
	ReadDroppedBefore(server, snapshot, dropped_before);
	return dropped_before[kFive];
}

void
Rollups::ReadRetention(Server server) {
	ReadDroppedBefore(server, snapshot_, dropped_before_);
	sets_from_ = dropped_before_[kFive];
}

void
Rollups::DropOldFiveMinutes() {
	const TimestampTz before = dropped_before_[kFive];
	Call([&](Server server) {
		Oid types[2] = {TIMESTAMPTZOID, INT4OID};
		Datum values[2] = {TimestampTzGetDatum(before), Int32GetDatum(PeriodOf(kFive, before))};
		(void)ExecuteAsStore(server, "DELETE FROM auren.rollup_5min WHERE period OPERATOR(pg_catalog.<=) $2 AND bucket OPERATOR(pg_catalog.<) $1", 2,
		                     types, values, nullptr);
	});
}

bool
Rollups::Find(Server server, const BucketKey &wanted) {
	Rollup *rollup = &rollups_[wanted.level];
	const Datum key[3] = {Int32GetDatum(PeriodOf(wanted.level, wanted.bucket)), Int64GetDatum(wanted.series),
	                      BucketDatum(wanted.level, wanted.bucket)};
	ItemPointerData tid;
	switch (FindEntry(server, rollup->key, key, 3, &rollup->leaf, &tid)) {
	case Lookup::kAbsent:
		return false;
	case Lookup::kOne:
		if (Fetch(server, rollup, &tid) && rollup->found->tts_values[kPeriod] == key[0] && rollup->found->tts_values[kSeries] == key[1] &&
		    rollup->found->tts_values[kBucket] == key[2]) {
			return true;
		}
		break;
	case Lookup::kAsk:
		break;
	}
	ScanKeyData keys[3];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, key[0]);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, key[1]);
	ScanKeyInit(&keys[2], 3, BTEqualStrategyNumber, wanted.level == kDaily ? F_DATE_EQ : F_TIMESTAMPTZ_EQ, key[2]);
	index_rescan(rollup->scan, keys, 3, nullptr, 0);
	const bool found = NextIndexRow(server, rollup->scan, ForwardScanDirection, rollup->found, home_);
	if (found) {
		slot_getallattrs(rollup->found);
	}
	return found;
}

bool
Rollups::Fetch(Server, Rollup *rollup, ItemPointer tid) {
	bool call_again = false;
	bool all_dead = false;
	const bool live = table_index_fetch_tuple(rollup->fetch, tid, SnapshotSelf, rollup->found, &call_again, &all_dead);
	if (live) {
		slot_getallattrs(rollup->found);
	}
	return live;
}

Datum
Rollups::BucketDatum(int level, int64 bucket) {
	return level == kDaily ? DateADTGetDatum(static_cast<DateADT>(bucket)) : TimestampTzGetDatum(bucket);
}

void
Rollups::ApplyTo(int level, int64 bucket, const Change *first, const Change *end) {
	Rollup *rollup = &rollups_[level];
	const BucketKey key = {level, first->series, bucket};
	MemoryContext before = nullptr;
	const bool found = Call([&](Server server) {
		CHECK_FOR_INTERRUPTS();
		const bool there = Find(server, key);
		MemoryContextReset(context_);
		before = MemoryContextSwitchTo(context_);
		return there;
	});
	if (!found && end == first + 1 && first->bytes.size() == Summary::kOneValueBytes) {
		// one value that was added, as most of them are
		if (first->bytes[2] == 1) {
			Insert(key, first->bytes);
			MemoryContextSwitchTo(before);
			return;
		}
	}
	Summary summary;
	if (found) {
		summary = Summary::FromBytes(Call([&](Server server) { return SummaryBytes(server, rollup->found->tts_values[kSummary]); }));
	}
	for (const Change *change = first; change < end; change++) {
		summary.Merge(Summary::FromBytes(change->bytes));
	}
	summary.ResolveRange();
	if (summary.IsUnsure()) {
		CountExactly(key, &summary);
	}
	if (summary.IsEmpty()) {
		if (found) {
			Call([&](Server server) { Delete(server, rollup); });
			buckets_++;
		}
	} else {
		const std::string bytes = summary.Bytes();
		found ? Update(key, bytes) : Insert(key, bytes);
	}
	MemoryContextSwitchTo(before);
}

void
Rollups::Insert(const BucketKey &key, std::string_view bytes) {
	RowWriter *added = &rollups_[key.level].added;
	buckets_++;
	RecordPeriod(key.level, key.bucket);
	Call([&](Server server) {
		TupleTableSlot *row = NextRow(server, added);
		Fill(server, added->context, row, key, bytes);
	});
}

void
Rollups::Update(const BucketKey &key, std::string_view bytes) {
	Rollup *rollup = &rollups_[key.level];
	buckets_++;
	Call([&](Server server) {
		TupleTableSlot *row = ExecStoreVirtualTuple(ExecClearTuple(rollup->row));
		std::memset(row->tts_isnull, 0, sizeof(bool) * kRollupColumns);
		Fill(server, context_, row, key, bytes);
		bool needs_entries;
		ItemPointerData tid = rollup->found->tts_tid;
		if (compat::UpdateRow(rollup->heap, &tid, row, SnapshotSelf, &needs_entries) != TM_Ok) {
			ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("a row of the rollups was changed by somebody else"),
			                errhint("Only the extension's functions may change the tables of schema auren.")));
		}
		if (needs_entries && rollup->added.index != nullptr) {
			(void)index_insert(rollup->key, row->tts_values, row->tts_isnull, &row->tts_tid, rollup->heap, UNIQUE_CHECK_YES, false,
			                   rollup->added.info);
		} else if (needs_entries) {
			InsertIndexEntries(server, rollup->heap, nullptr, row);
		}
	});
}

void
Rollups::Fill(Server server, MemoryContext context, TupleTableSlot *row, const BucketKey &key, std::string_view bytes) {
	row->tts_values[kPeriod] = Int32GetDatum(PeriodOf(key.level, key.bucket));
	row->tts_values[kSeries] = Int64GetDatum(key.series);
	row->tts_values[kBucket] = BucketDatum(key.level, key.bucket);
	row->tts_values[kSummary] = BytesValue(server, context, bytes.data(), bytes.size());
}

void
Rollups::Delete(Server server, Rollup *rollup) {
	ItemPointerData tid = rollup->found->tts_tid;
	(void)DeleteRow(server, rollup->heap, &tid, SnapshotSelf);
}

void
RequireNewSnapshot(Server) {
	if (IsolationUsesXactSnapshot()) {
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("the readings of a source have to be counted by a new server snapshot"),
		                errhint("Refresh in a transaction at READ COMMITTED.")));
	}
}

void
Rollups::CountExactly(const BucketKey &key, Summary *summary) {
	Bucket whole = {Bucket::Kind::kSpan, key.bucket, kFiveMinutes, zone_};
	if (key.level != kFive) {
		whole.kind = key.level == kDaily ? Bucket::Kind::kDay : Bucket::Kind::kHour;
		if (Call([&](Server server) { return BoundsOf(server, whole); }).from >= dropped_before_[kFive]) {
			*summary = FromFiveMinutes(key.series, whole);
			return;
		}
	}
	const StoredSeries names = Call([&](Server server) { return FindSeries(server, key.series); });
	const Sources sources = Call([&](Server server) { return ReadSources(server, snapshot_); });
	for (int i = 0; i < sources.count; i++) {
		if (names.found && sources.items[i].id == names.source && OidIsValid(sources.items[i].relation)) {
			Call([&](Server server) {
				RequireNewSnapshot(server);
				PushActiveSnapshot(snapshot_);
			});
			NoteCounting(names.source);
			*summary = Recount(sources.items[i], names, whole);
			NoteCounting(0);
			Call([] { PopActiveSnapshot(); });
		}
	}
}

void
Rollups::NoteCounting(int32 source) {
	if (counting_ != nullptr) {
		*counting_ = source;
	}
}

Summary
Rollups::FromFiveMinutes(int64 series, const Bucket &whole) {
	Rollup *rollup = &rollups_[kFive];
	const Bounds bounds = Call([&](Server server) { return BoundsOf(server, whole); });
	Summary summary;
	for (int64 period = PeriodOf(kFive, bounds.from); period <= PeriodOf(kFive, bounds.to); period++) {
		Call([&] {
			ScanKeyData keys[4];
			ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(static_cast<int32>(period)));
			ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(series));
			ScanKeyInit(&keys[2], 3, BTGreaterEqualStrategyNumber, F_TIMESTAMPTZ_GE, TimestampTzGetDatum(bounds.from));
			ScanKeyInit(&keys[3], 3, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE, TimestampTzGetDatum(bounds.to));
			part_scan_ = compat::BeginIndexScan(rollup->heap, rollup->key, SnapshotSelf, 4);
			part_ = table_slot_create(rollup->heap, nullptr);
			index_rescan(part_scan_, keys, 4, nullptr, 0);
		});
		while (Call([&](Server server) {
			bool there;
			do {
				there = NextIndexRow(server, part_scan_, ForwardScanDirection, part_, home_);
				if (there) {
					slot_getallattrs(part_);
				}
			} while (there && !Holds(whole, DatumGetTimestampTz(part_->tts_values[kBucket])));
			return there;
		})) {
			summary.Merge(Summary::FromBytes(Call([&](Server server) { return SummaryBytes(server, part_->tts_values[kSummary]); })));
		}
		Call([&] {
			index_endscan(part_scan_);
			ExecDropSingleTupleTableSlot(part_);
		});
	}
	return summary;
}

void
Rollups::RecordPeriod(int level, int64 bucket) {
	const int32 period = PeriodOf(level, bucket);
	if (level == last_level_ && period == last_period_) {
		return;
	}
	if (periods_.insert({level, period}).second) {
		Call([&](Server server) {
			Relation heap = table_open(own::rollup_periods.Get(server), RowExclusiveLock);
			const Datum values[2] = {Int32GetDatum(level), Int32GetDatum(period)};
			const bool isnull[2] = {};
			InsertRow(server, heap, values, isnull);
			table_close(heap, NoLock);
		});
	}
	last_level_ = level;
	last_period_ = period;
}

void
Rollups::ReadPeriods() {
	Relation heap = nullptr;
	TableScanDesc scan = nullptr;
	TupleTableSlot *slot = nullptr;
	Call([&](Server server) {
		heap = table_open(own::rollup_periods.Get(server), AccessShareLock);
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

} // namespace auren::pg
