#include "seals/month_blocks.hpp"

#include <algorithm>

#include "core/store/names.hpp"
#include "seals/damage.hpp"
#include "seals/event_line.hpp"
#include "server/encoding.hpp"

namespace auren::pg {

MonthBlocks::MonthBlocks(Relation heap, const AttrNumber *attnum, Snapshot snapshot, int64 after, int64 up_to)
	: heap_(heap), attnum_(attnum), snapshot_(snapshot), after_(after), up_to_(up_to) {
	Call([&] {
		count_ = RelationGetNumberOfBlocks(heap_);
		scan_context_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events blocks", ALLOCSET_DEFAULT_SIZES);
		event_context_ = AllocSetContextCreate(CurrentMemoryContext, "auren_events event", ALLOCSET_DEFAULT_SIZES);
	});
}

bool
MonthBlocks::NextLine(TableScanDesc scan, TupleTableSlot *slot, ItemPointerData *tid, EventLine *line) {
	return Call([&](Server server) {
		while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
			CHECK_FOR_INTERRUPTS();
			bool isnull;
			const int64 position = DatumGetInt64(slot_getattr(slot, attnum_[kGlobalPosition], &isnull));
			if (position <= after_ || position > up_to_) {
				continue;
			}
			MemoryContextReset(event_context_);
			MemoryContext before = MemoryContextSwitchTo(event_context_);
			EventRow row;
			ReadSlot(server, slot, attnum_, &row);
			*line = ReadEventLine(server, row);
			MemoryContextSwitchTo(before);
			*tid = slot->tts_tid;
			return true;
		}
		return false;
	});
}

void
MonthBlocks::Add(const EventLine &line, const ItemPointerData &tid, std::vector<LyingEvent> *events) {
	text_.clear();
	AppendLine(&text_, line);
	events->push_back({line.global_position, tid, hasher_.Leaf(text_)});
}

void
MonthBlocks::Read(BlockNumber first, BlockNumber count, std::vector<LyingEvent> *events) {
	TableScanDesc scan;
	TupleTableSlot *slot;
	Call([&] {
		MemoryContextReset(scan_context_);
		MemoryContext before = MemoryContextSwitchTo(scan_context_);
		// not where another scan is just now: the blocks have their order
		scan = table_beginscan_strat(heap_, snapshot_, 0, nullptr, true, false);
		heap_setscanlimits(scan, first, Min(count, count_ - first));
		slot = table_slot_create(heap_, nullptr);
		MemoryContextSwitchTo(before);
	});
	ItemPointerData tid;
	EventLine line;
	while (NextLine(scan, slot, &tid, &line)) {
		Add(line, tid, events);
	}
	Call([&] {
		table_endscan(scan);
		ExecDropSingleTupleTableSlot(slot);
	});
}

// The event at a place, where the snapshot sees one there.
void
MonthBlocks::ReadItem(const ItemPointerData &tid, std::vector<LyingEvent> *events) {
	TupleTableSlot *slot;
	EventLine line;
	const bool found = Call([&](Server server) {
		MemoryContextReset(scan_context_);
		MemoryContextReset(event_context_);
		MemoryContext before = MemoryContextSwitchTo(scan_context_);
		slot = table_slot_create(heap_, nullptr);
		MemoryContextSwitchTo(event_context_);
		ItemPointerData at = tid;
		bool asked = table_tuple_fetch_row_version(heap_, &at, snapshot_, slot);
		if (asked) {
			bool isnull;
			const int64 position = DatumGetInt64(slot_getattr(slot, attnum_[kGlobalPosition], &isnull));
			asked = position > after_ && position <= up_to_;
		}
		if (asked) {
			EventRow row;
			ReadSlot(server, slot, attnum_, &row);
			line = ReadEventLine(server, row);
		}
		MemoryContextSwitchTo(before);
		return asked;
	});
	if (found) {
		Add(line, tid, events);
	}
	Call([&] { ExecDropSingleTupleTableSlot(slot); });
}

// What names the event at a place whose row cannot be read as a whole.
DamagedPart
MonthBlocks::NameOf(const ItemPointerData &tid, const std::string &message) {
	DamagedPart part = {std::nullopt, {}, {}, message};
	int64 position = 0;
	pg_uuid_t id = {};
	char stream[kMaxStreamIdCharacters * MAX_MULTIBYTE_CHAR_LEN + 1] = {};
	const auto unnamed = ReadDamageable([&] {
		Call([&] {
			MemoryContextReset(scan_context_);
			MemoryContext before = MemoryContextSwitchTo(scan_context_);
			TupleTableSlot *slot = table_slot_create(heap_, nullptr);
			ItemPointerData at = tid;
			if (table_tuple_fetch_row_version(heap_, &at, snapshot_, slot)) {
				bool isnull;
				position = DatumGetInt64(slot_getattr(slot, attnum_[kGlobalPosition], &isnull));
				id = *DatumGetUUIDP(slot_getattr(slot, attnum_[kEventId], &isnull));
				text_to_cstring_buffer(DatumGetTextPP(slot_getattr(slot, attnum_[kStreamId], &isnull)), stream, sizeof stream);
			}
			ExecDropSingleTupleTableSlot(slot);
			MemoryContextSwitchTo(before);
		});
	});
	if (unnamed || position == 0) {
		part.detail += ", in block " + std::to_string(ItemPointerGetBlockNumberNoCheck(&tid)) + ", item " +
		               std::to_string(ItemPointerGetOffsetNumberNoCheck(&tid));
		return part;
	}
	part.position = position;
	part.event_id.assign(reinterpret_cast<const char *>(id.data), UUID_LEN);
	part.stream_id = ToUtf8(stream);
	return part;
}

void
MonthBlocks::ReadSingly(BlockNumber block, std::vector<LyingEvent> *events, std::vector<DamagedPart> *damaged) {
	OffsetNumber items = 0;
	const auto unreadable = ReadDamageable([&] {
		Call([&] {
			Buffer buffer = ReadBuffer(heap_, block);
			LockBuffer(buffer, BUFFER_LOCK_SHARE);
			items = PageGetMaxOffsetNumber(BufferGetPage(buffer));
			UnlockReleaseBuffer(buffer);
		});
	});
	if (unreadable) {
		damaged->push_back({std::nullopt, {}, {}, *unreadable});
		return;
	}
	// a page that was written over may say anything
	items = std::min<OffsetNumber>(items, MaxHeapTuplesPerPage);
	for (OffsetNumber item = FirstOffsetNumber; item <= items; item++) {
		Call([] { CHECK_FOR_INTERRUPTS(); });
		ItemPointerData tid;
		ItemPointerSet(&tid, block, item);
		const auto damage = ReadDamageable([&] { ReadItem(tid, events); });
		if (damage) {
			damaged->push_back(NameOf(tid, *damage));
		}
	}
}

void
MonthBlocks::Close() {
	Call([&] {
		MemoryContextDelete(scan_context_);
		MemoryContextDelete(event_context_);
	});
}

} // namespace auren::pg
