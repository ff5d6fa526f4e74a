#include "operations/month_events.hpp"

#include <algorithm>
#include <cstring>

#include "operations/event_line.hpp"
#include "server/compat.hpp"
#include "server/progress.hpp"

namespace auren::pg {

namespace {

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

MonthEvents::MonthEvents(Oid partition, Snapshot snapshot, int64 after, int64 up_to) : snapshot_(snapshot), after_(after), up_to_(up_to) {
	Call([&](Server server) {
		Relation heap = table_open(partition, AccessShareLock);
		const PartitionShape *shape = ShapeOf(server, heap);
		bool readable = heap->rd_rel->relkind == RELKIND_RELATION;
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

bool
MonthEvents::NextLine(ItemPointerData *tid, EventLine *line) {
	return Call([&](Server server) {
		while (table_scan_getnextslot(scan_, ForwardScanDirection, slot_)) {
			CHECK_FOR_INTERRUPTS();
			bool isnull;
			const int64 position = DatumGetInt64(slot_getattr(slot_, attnum_[kGlobalPosition], &isnull));
			if (position <= after_ || position > up_to_) {
				continue;
			}
			MemoryContextReset(context_);
			MemoryContext before = MemoryContextSwitchTo(context_);
			EventRow row;
			ReadSlot(server, slot_, attnum_, &row);
			*line = ReadEventLine(server, row);
			MemoryContextSwitchTo(before);
			*tid = slot_->tts_tid;
			return true;
		}
		return false;
	});
}

void
MonthEvents::Put(int64 position, const ItemPointerData &tid, const Digest &digest) {
	struct {
		alignas(int32) char header[VARHDRSZ];
		std::uint8_t bytes[kDigestBytes];
	} value;
	SET_VARSIZE(&value, sizeof value);
	std::memcpy(value.bytes, digest.data(), kDigestBytes);
	Call([&] {
		ExecClearTuple(in_);
		std::memset(in_->tts_isnull, 0, sizeof(bool) * kSortColumns);
		in_->tts_values[kPosition] = Int64GetDatum(position);
		in_->tts_values[kTid] = Int64GetDatum(PackTid(tid));
		in_->tts_values[kDigest] = PointerGetDatum(&value);
		tuplesort_puttupleslot(sort_, ExecStoreVirtualTuple(in_));
	});
}

int64
MonthEvents::Read(int64 done_before) {
	Call([&] { scan_ = table_beginscan(heap_, snapshot_, 0, nullptr); });
	int64 count = 0;
	ItemPointerData tid;
	EventLine line;
	while (NextLine(&tid, &line)) {
		text_.clear();
		AppendLine(&text_, line);
		Put(line.global_position, tid, hasher_.Leaf(text_));
		count++;
		Call([&](Server server) { ReportProgress(server, done_before + count); });
	}
	Call([&](Server server) {
		table_endscan(scan_);
		ExecClearTuple(slot_);
		tuplesort_performsort(sort_);
		OpenIndex(server);
	});
	return count;
}

void
MonthEvents::OpenIndex(Server) {
	if (!OidIsValid(position_index_)) {
		return;
	}
	index_ = index_open(position_index_, AccessShareLock);
	entries_ = compat::BeginIndexScan(heap_, index_, snapshot_, 1);
	entries_->xs_want_itup = true;
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(after_));
	index_rescan(entries_, &key, 1, nullptr, 0);
}

// Positions are asked for in their order.
bool
MonthEvents::IsIndexed(Server, int64 position) {
	if (entries_ == nullptr) {
		return true;
	}
	while (!entries_end_ && entry_ < position) {
		if (index_getnext_tid(entries_, ForwardScanDirection) == nullptr) {
			entries_end_ = true;
		} else {
			bool isnull;
			entry_ = DatumGetInt64(index_getattr(entries_->xs_itup, 1, entries_->xs_itupdesc, &isnull));
		}
	}
	return !entries_end_ && entry_ == position;
}

bool
MonthEvents::Next(FoundEvent *event) {
	return Call([&](Server server) {
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
		event->indexed = IsIndexed(server, event->position);
		return true;
	});
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
	return text;
}

void
MonthEvents::NamesOf(const FoundEvent &event, std::string *event_id, std::string *stream_id) {
	const EventLine line = Call([&](Server server) { return Fetch(server, event); });
	event_id->assign(reinterpret_cast<const char *>(line.event_id.data()), line.event_id.size());
	*stream_id = line.stream_id;
}

void
MonthEvents::Close() {
	Call([&] {
		if (entries_ != nullptr) {
			index_endscan(entries_);
			index_close(index_, NoLock);
		}
		tuplesort_end(sort_);
		ExecDropSingleTupleTableSlot(in_);
		ExecDropSingleTupleTableSlot(out_);
		ExecDropSingleTupleTableSlot(slot_);
		MemoryContextDelete(context_);
		table_close(heap_, NoLock);
	});
}

} // namespace auren::pg
