#include "seals/month_events.hpp"

#include <algorithm>
#include <cstring>

#include "seals/damage.hpp"
#include "seals/event_line.hpp"
#include "server/compat.hpp"
#include "server/progress.hpp"

namespace auren::pg {

namespace {

// Blocks that are read at once: what is read of them is kept in memory.
constexpr BlockNumber kBlocksAtOnce = 256;
constexpr std::size_t kEntriesAtOnce = 4096;
// Damaged events whose positions are remembered.
constexpr std::size_t kMostDamaged = 100'000;

// The columns of what is sorted.
enum SortColumn : int { kPosition, kTid, kDigest, kSortColumns };

int64
PackTid(const ItemPointerData &tid) {
	return static_cast<int64>(ItemPointerGetBlockNumberNoCheck(&tid)) << 16 | ItemPointerGetOffsetNumberNoCheck(&tid);
}

TupleDesc
SortDescriptor(Server) {
	TupleDesc descriptor = CreateTemplateTupleDesc(kSortColumns);
	TupleDescInitEntry(descriptor, kPosition + 1, "position", INT8OID, -1, 0);
	TupleDescInitEntry(descriptor, kTid + 1, "tid", INT8OID, -1, 0);
	TupleDescInitEntry(descriptor, kDigest + 1, "digest", BYTEAOID, -1, 0);
	return descriptor;
}

} // namespace

MonthEvents::MonthEvents(Oid partition, Snapshot snapshot, int64 after, int64 up_to)
	: snapshot_(snapshot), after_(after), up_to_(up_to), last_entry_(after) {
	Call([&](Server server) {
		Relation heap = table_open(partition, AccessShareLock);
		const PartitionShape *shape = ShapeOf(server, heap);
		bool readable = heap->rd_rel->relkind == RELKIND_RELATION && heap->rd_rel->relam == HEAP_TABLE_AM_OID;
		for (int column = 0; column < kTags; column++) {
			readable = readable && shape->attnum[column] != InvalidAttrNumber;
		}
		if (!readable) {
			table_close(heap, NoLock);
			return;
		}
		std::memcpy(attnum_, shape->attnum, sizeof attnum_);
		position_index_ = shape->position_index;
		heap_ = heap;
		slot_ = table_slot_create(heap, nullptr);
		context_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events event", ALLOCSET_DEFAULT_SIZES);
		TupleDesc descriptor = SortDescriptor(server);
		in_ = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);
		out_ = MakeSingleTupleTableSlot(descriptor, &TTSOpsMinimalTuple);
		AttrNumber columns[2] = {kPosition + 1, kTid + 1};
		const Oid less = lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr;
		Oid operators[2] = {less, less};
		Oid collations[2] = {InvalidOid, InvalidOid};
		bool nulls_first[2] = {false, false};
		sort_ = tuplesort_begin_heap(descriptor, 2, columns, operators, collations, nulls_first, work_mem, nullptr, TUPLESORT_NONE);
	});
}

void
MonthEvents::Put(const std::vector<LyingEvent> &events) {
	struct {
		alignas(int32) char header[VARHDRSZ];
		std::uint8_t bytes[kDigestBytes];
	} value;
	SET_VARSIZE(&value, sizeof value);
	for (const LyingEvent &event : events) {
		std::memcpy(value.bytes, event.digest.data(), kDigestBytes);
		Call([&] {
			ExecClearTuple(in_);
			std::memset(in_->tts_isnull, 0, sizeof(bool) * kSortColumns);
			in_->tts_values[kPosition] = Int64GetDatum(event.position);
			in_->tts_values[kTid] = Int64GetDatum(PackTid(event.tid));
			in_->tts_values[kDigest] = PointerGetDatum(&value);
			tuplesort_puttupleslot(sort_, ExecStoreVirtualTuple(in_));
		});
	}
}

// Some blocks at once; where the server fails on one, block by block, and what it fails on event by event.
void
MonthEvents::ReadBlocks(MonthBlocks *blocks, BlockNumber first, std::vector<LyingEvent> *events, const DamageSink &tell) {
	events->clear();
	if (!ReadDamageable([&] { blocks->Read(first, kBlocksAtOnce, events); })) {
		return;
	}
	events->clear();
	std::vector<DamagedPart> damaged;
	for (BlockNumber block = first; block < Min(first + kBlocksAtOnce, blocks->count()); block++) {
		const std::size_t before = events->size();
		if (ReadDamageable([&] { blocks->Read(block, 1, events); })) {
			events->resize(before);
			blocks->ReadSingly(block, events, &damaged);
		}
	}
	for (const DamagedPart &part : damaged) {
		if (part.position && damaged_.size() < kMostDamaged) {
			damaged_.insert(*part.position);
		}
		tell(part);
	}
}

int64
MonthEvents::Read(int64 done_before, const DamageSink &tell) {
	MonthBlocks blocks(heap_, attnum_, snapshot_, after_, up_to_);
	std::vector<LyingEvent> events;
	int64 count = 0;
	for (BlockNumber first = 0; first < blocks.count(); first += kBlocksAtOnce) {
		ReadBlocks(&blocks, first, &events, tell);
		Put(events);
		count += static_cast<int64>(events.size());
		Call([&](Server server) { ReportProgress(server, done_before + count); });
	}
	blocks.Close();
	Call([&] { tuplesort_performsort(sort_); });
	return count;
}

// The next entries of the index of positions, with a scan of their own.
void
MonthEvents::ReadEntries() {
	entries_.resize(kEntriesAtOnce);
	entry_count_ = entry_at_ = 0;
	int64 *entries = entries_.data();
	index_damage_ = ReadDamageable([&] {
		entry_count_ = Call([&] {
			Relation index = index_open(position_index_, AccessShareLock);
			IndexScanDesc scan = compat::BeginIndexScan(heap_, index, snapshot_, 1);
			scan->xs_want_itup = true;
			ScanKeyData key;
			ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(last_entry_));
			index_rescan(scan, &key, 1, nullptr, 0);
			std::size_t count = 0;
			while (count < kEntriesAtOnce && index_getnext_tid(scan, ForwardScanDirection) != nullptr) {
				bool isnull;
				entries[count++] = DatumGetInt64(index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &isnull));
			}
			index_endscan(scan);
			index_close(index, NoLock);
			return count;
		});
	});
	if (index_damage_) {
		position_index_ = InvalidOid;
	}
	entries_end_ = entry_count_ == 0;
	last_entry_ = entries_end_ ? last_entry_ : entries_[entry_count_ - 1];
}

// Positions are asked for in their order.
bool
MonthEvents::IsIndexed(int64 position) {
	while (OidIsValid(position_index_) && !entries_end_ && (entry_at_ == entry_count_ || entries_[entry_at_] < position)) {
		if (entry_at_ < entry_count_) {
			entry_at_++;
		} else {
			ReadEntries();
		}
	}
	return !OidIsValid(position_index_) || (!entries_end_ && entries_[entry_at_] == position);
}

bool
MonthEvents::Next(FoundEvent *event) {
	const bool more = Call([&] {
		CHECK_FOR_INTERRUPTS();
		if (!tuplesort_gettupleslot(sort_, true, false, out_, nullptr)) {
			return false;
		}
		slot_getallattrs(out_);
		event->position = DatumGetInt64(out_->tts_values[kPosition]);
		const int64 tid = DatumGetInt64(out_->tts_values[kTid]);
		ItemPointerSet(&event->tid, static_cast<BlockNumber>(tid >> 16), static_cast<OffsetNumber>(tid & 0xFFFF));
		const char *digest = DatumGetPointer(out_->tts_values[kDigest]);
		std::memcpy(event->digest.data(), VARDATA_ANY(digest), kDigestBytes);
		return true;
	});
	event->indexed = more && IsIndexed(event->position);
	return more;
}

EventLine
MonthEvents::Fetch(Server server, const FoundEvent &event) {
	ItemPointerData tid = event.tid;
	if (!table_tuple_fetch_row_version(heap_, &tid, snapshot_, slot_)) {
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("an event that was read is not there any more")));
	}
	MemoryContextReset(context_);
	MemoryContext before = MemoryContextSwitchTo(context_);
	EventRow row;
	ReadSlot(server, slot_, attnum_, &row);
	const EventLine line = ReadEventLine(server, row);
	MemoryContextSwitchTo(before);
	return line;
}

std::string
MonthEvents::LineOf(const FoundEvent &event) {
	const EventLine line = Call([&](Server server) { return Fetch(server, event); });
	std::string text;
	AppendLine(&text, line);
	Call([&] { ExecClearTuple(slot_); });
	return text;
}

void
MonthEvents::NamesOf(const FoundEvent &event, std::string *event_id, std::string *stream_id) {
	const EventLine line = Call([&](Server server) { return Fetch(server, event); });
	event_id->assign(reinterpret_cast<const char *>(line.event_id.data()), line.event_id.size());
	*stream_id = line.stream_id;
	Call([&] { ExecClearTuple(slot_); });
}

void
MonthEvents::Close() {
	Call([&] {
		tuplesort_end(sort_);
		ExecDropSingleTupleTableSlot(in_);
		ExecDropSingleTupleTableSlot(out_);
		ExecDropSingleTupleTableSlot(slot_);
		MemoryContextDelete(context_);
		table_close(heap_, NoLock);
	});
}

} // namespace auren::pg
