#include "pg/readings.hpp"

#include <algorithm>
#include <cstring>

#include "pg/compat.hpp"
#include "pg/entry.hpp"
#include "pg/guard.hpp"
#include "pg/store.hpp"
#include "pg/table_row.hpp"

namespace auren::pg {

namespace {

constexpr std::size_t kMostGathered = 50000;
constexpr int kRowsAtOnce = 200;
enum DeltaColumn : int { kSeries, kBucket, kSummary, kDeltaColumns };

// What each part of the transaction gathered: the running subtransaction is the last.
struct Gathered {
	SubTransactionId level;
	std::vector<Reading> readings;
};
std::vector<Gathered> gathered;

Gathered &
OfThisLevel() {
	const SubTransactionId level = GetCurrentSubTransactionId();
	if (gathered.empty() || gathered.back().level != level) {
		gathered.push_back({level, {}});
	}
	return gathered.back();
}

// Deltas on their way to the table. Server side.
struct DeltaWriter {
	Relation heap;
	Relation index;
	IndexInfo *info;
	TupleTableSlot **slots;
	int made;
	int count;
	MemoryContext context; // of the summaries
};

void
Open(DeltaWriter *writer) {
	std::memset(writer, 0, sizeof *writer);
	writer->heap = table_open(Oids().deltas, RowExclusiveLock);
	writer->context = AllocSetContextCreate(CurrentMemoryContext, "auren_events deltas", ALLOCSET_SMALL_SIZES);
	writer->slots = static_cast<TupleTableSlot **>(palloc0(sizeof(TupleTableSlot *) * kRowsAtOnce));
	// more than one while REINDEX CONCURRENTLY makes another: then each row goes the general way
	List *indexes = RelationGetIndexList(writer->heap);
	if (list_length(indexes) == 1) {
		writer->index = index_open(linitial_oid(indexes), RowExclusiveLock);
		writer->info = BuildIndexInfo(writer->index);
		if (!writer->info->ii_ReadyForInserts) {
			index_close(writer->index, NoLock);
			writer->index = nullptr;
		}
	}
	list_free(indexes);
}

void
Flush(DeltaWriter *writer) {
	if (writer->count == 0) {
		return;
	}
	if (writer->count == 1) {
		table_tuple_insert(writer->heap, writer->slots[0], GetCurrentCommandId(true), 0, nullptr);
	} else {
		table_multi_insert(writer->heap, writer->slots, writer->count, GetCurrentCommandId(true), 0, nullptr);
	}
	for (int i = 0; i < writer->count; i++) {
		TupleTableSlot *slot = writer->slots[i];
		if (writer->index != nullptr) {
			(void)index_insert(writer->index, slot->tts_values, slot->tts_isnull, &slot->tts_tid, writer->heap, UNIQUE_CHECK_NO, false,
			                   writer->info);
		} else {
			InsertIndexEntries(writer->heap, nullptr, slot);
		}
		ExecClearTuple(slot);
	}
	writer->count = 0;
	MemoryContextReset(writer->context);
}

void
Put(DeltaWriter *writer, int64 series, TimestampTz bucket, std::string_view summary) {
	if (writer->count == kRowsAtOnce) {
		CHECK_FOR_INTERRUPTS();
		Flush(writer);
	}
	if (writer->count == writer->made) {
		writer->slots[writer->made++] = MakeSingleTupleTableSlot(RelationGetDescr(writer->heap), &TTSOpsVirtual);
	}
	TupleTableSlot *slot = writer->slots[writer->count++];
	auto *bytes = static_cast<bytea *>(MemoryContextAlloc(writer->context, VARHDRSZ + summary.size()));
	SET_VARSIZE(bytes, VARHDRSZ + summary.size());
	std::memcpy(VARDATA(bytes), summary.data(), summary.size());
	slot->tts_values[kSeries] = Int64GetDatum(series);
	slot->tts_values[kBucket] = TimestampTzGetDatum(bucket);
	slot->tts_values[kSummary] = PointerGetDatum(bytes);
	std::memset(slot->tts_isnull, 0, sizeof(bool) * kDeltaColumns);
	ExecStoreVirtualTuple(slot);
}

void
Close(DeltaWriter *writer) {
	Flush(writer);
	for (int i = 0; i < writer->made; i++) {
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	}
	if (writer->index != nullptr) {
		compat::EndIndexInserts(writer->index, writer->info);
		index_close(writer->index, NoLock);
	}
	table_close(writer->heap, NoLock);
	MemoryContextDelete(writer->context);
}

void
Write(std::vector<Reading> *readings) {
	DeltaWriter writer;
	Call([&] { Open(&writer); });
	ForEachSummary(readings, [&](int64 series, TimestampTz bucket, std::string_view summary) {
		Call([&] { Put(&writer, series, bucket, summary); });
	});
	Call([&] { Close(&writer); });
	readings->clear();
	if (readings->capacity() > 10000) {
		readings->shrink_to_fit();
	}
}

void
OnTransaction(XactEvent event, void *) {
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && !gathered.empty()) {
		(void)Entry([] {
			WriteReadings();
			return Datum(0);
		});
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
		gathered.clear();
	}
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId parent, void *) {
	if (gathered.empty()) {
		return;
	}
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		gathered.erase(std::remove_if(gathered.begin(), gathered.end(), [&](const Gathered &g) { return g.level >= level; }), gathered.end());
	} else if (event == SUBXACT_EVENT_COMMIT_SUB) {
		for (Gathered &part : gathered) {
			part.level = part.level == level ? parent : part.level;
		}
	}
}

} // namespace

namespace internal {

void
SortReadings(std::vector<Reading> *readings) {
	const auto before = [](const Reading &a, const Reading &b) { return a.series != b.series ? a.series < b.series : a.bucket < b.bucket; };
	if (!std::is_sorted(readings->begin(), readings->end(), before)) {
		std::stable_sort(readings->begin(), readings->end(), before);
	}
}

} // namespace internal

void
RecordReading(const Reading &reading) {
	Gathered &part = OfThisLevel();
	part.readings.push_back(reading);
	if (part.readings.size() >= kMostGathered) {
		Write(&part.readings);
	}
}

void
WriteReadings() {
	const SubTransactionId level = GetCurrentSubTransactionId();
	for (std::size_t i = 0; i < gathered.size(); i++) {
		// what an outer part gathered stays its own: a rollback of this one must not take it along
		if (gathered[i].level == level && !gathered[i].readings.empty()) {
			Write(&gathered[i].readings);
		}
	}
	gathered.erase(std::remove_if(gathered.begin(), gathered.end(), [](const Gathered &g) { return g.readings.empty(); }), gathered.end());
}

void
RegisterReadingCallbacks() {
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
}

} // namespace auren::pg
