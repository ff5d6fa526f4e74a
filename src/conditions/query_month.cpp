#include "conditions/query_month.hpp"

#include <cstring>

#include "conditions/last_positions.hpp"
#include "core/store/month.hpp"
#include "server/btree.hpp"
#include "server/compat.hpp"
#include "server/text.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

// A month as the store makes it: a calendar month with the columns and indexes by which events are found.
bool
HasStoreShape(const PartitionShape &shape, const PartitionRange &range) {
	const Month month = Month::FromMicros(range.lower);
	return shape.direct_read && OidIsValid(shape.position_index) && range.lower == month.StartMicros() && range.upper == month.Next().StartMicros();
}

// Opens the month's index of tags, unless the caller of the scan has it open. False where the month has no partition for them: then none of its
// events has any.
bool
OpenTags(Server server, const QueryScan *scan, QueryMonth *month) {
	month->tags = {};
	const Oid relid = FindTagMonth(server, Month::FromMicros(month->range.lower));
	if (!OidIsValid(relid)) {
		return false;
	}
	month->tags_held = scan->held != nullptr && scan->held->index != nullptr && RelationGetRelid(scan->held->heap) == relid;
	month->tags = month->tags_held ? *scan->held : OpenTagMonthForRead(server, relid);
	return true;
}

void
CloseTags(Server server, QueryMonth *month) {
	if (month->tags.heap != nullptr && !month->tags_held) {
		CloseTagMonth(server, month->tags, AccessShareLock);
	}
	month->tags = {};
}

// Whether every item has tags, and no event of the month after a position has all of an item's: then nothing else of the month is opened.
bool
HasNoTags(Server server, const QueryScan *scan, const QueryMonth *month, int64 position) {
	if (scan->every_position || scan->by_stream) {
		return false;
	}
	for (std::size_t i = 0; i < scan->terms.query.count && month->tags.heap != nullptr; i++) {
		const ItemView &item = scan->terms.query.items[i];
		bool lacks_one = item.is_version();
		for (std::size_t tag = 0; tag < item.tags.count && !lacks_one; tag++) {
			lacks_one = HasNoTagAfter(server, month->tags.index, scan->item_names[i].tags[tag], position);
		}
		if (!lacks_one) {
			return false;
		}
	}
	return true;
}

// Moves an item's cursors to the next position that all of them have, from where they stand on.
void
Align(Server server, ItemCandidates *item) {
	int64 position = item->cursors[0].now.position;
	for (int agreed = 0, i = 0; agreed < item->count && !item->ended; i = (i + 1) % item->count) {
		CHECK_FOR_INTERRUPTS();
		Cursor *cursor = &item->cursors[i];
		if (cursor->now.position == position) {
			agreed++;
			continue;
		}
		item->ended = !SeekCandidate(server, cursor, position);
		agreed = !item->ended && cursor->now.position == position ? agreed + 1 : 1;
		position = cursor->now.position;
	}
}

// Opens an item's cursors; false where it has no candidate.
bool
OpenItem(Server server, const QueryScan *scan, QueryMonth *month, int i, const PositionSpan &span) {
	const ItemView &query = scan->terms.query.items[i];
	const ItemNames &names = scan->item_names[i];
	CursorPlace place = {month->heap, nullptr, scan->snapshot, month->context};
	ItemCandidates *item = &month->items[month->item_count];
	item->count = 0;
	item->ended = false;
	if (query.tags.count == 0) {
		place.index = month->stream_index;
		const Datum keys[2] = {scan->terms.tenant, names.stream};
		item->cursors = static_cast<Cursor *>(MemoryContextAlloc(month->context, sizeof(Cursor)));
		item->count = OpenStreamCursor(server, item->cursors, place, span, keys, month->attnum) ? 1 : 0;
		return item->count > 0;
	}
	if (month->tags.heap == nullptr) {
		return false;
	}
	place.heap = month->tags.heap;
	place.index = month->tags.index;
	item->cursors = static_cast<Cursor *>(MemoryContextAlloc(month->context, sizeof(Cursor) * query.tags.count));
	while (item->count < static_cast<int>(query.tags.count)) {
		if (!OpenTagCursor(server, &item->cursors[item->count], place, span, names.tags[item->count])) {
			item->ended = true;
			break;
		}
		item->count++;
	}
	if (!item->ended) {
		Align(server, item);
	}
	return !item->ended;
}

void
CloseItem(Server server, const ItemCandidates &item) {
	for (int i = 0; i < item.count; i++) {
		CloseCursor(server, &item.cursors[i]);
	}
}

// One item stands for all where one of them may match at every position.
void
OpenEveryPosition(Server server, const QueryScan *scan, QueryMonth *month, const PositionSpan &span) {
	ItemCandidates *item = &month->items[0];
	item->cursors = static_cast<Cursor *>(MemoryContextAlloc(month->context, sizeof(Cursor)));
	item->count = 1;
	item->ended = false;
	const CursorPlace place = {month->heap, month->position_index, scan->snapshot, month->context};
	month->item_count = OpenPositionCursor(server, item->cursors, place, span) ? 1 : 0;
}

void
OpenItems(Server server, const QueryScan *scan, QueryMonth *month, const PositionSpan &span) {
	const QueryView &query = scan->terms.query;
	month->items = static_cast<ItemCandidates *>(MemoryContextAlloc(month->context, sizeof(ItemCandidates) * query.count));
	month->item_count = 0;
	if (scan->every_position) {
		OpenEveryPosition(server, scan, month, span);
		return;
	}
	for (int i = 0; i < static_cast<int>(query.count); i++) {
		if (query.items[i].is_version()) {
			continue;
		}
		if (OpenItem(server, scan, month, i, span)) {
			month->item_count++;
		} else {
			CloseItem(server, month->items[month->item_count]);
		}
	}
}

// The next position of all items; false where all have ended.
bool
FindNext(const QueryScan *scan, QueryMonth *month) {
	bool found = false;
	for (int i = 0; i < month->item_count; i++) {
		const ItemCandidates &item = month->items[i];
		if (!item.ended && (!found || scan->terms.span.Precedes(item.cursors[0].now.position, month->next))) {
			month->next = item.cursors[0].now.position;
			found = true;
		}
	}
	return found;
}

// Whether the event in the month's slot is that of a candidate, and of the tenant that asks.
bool
IsCandidate(Server, const QueryScan *scan, const QueryMonth *month, const Candidate &candidate) {
	bool isnull;
	if (DatumGetInt64(slot_getattr(month->slot, month->attnum[kGlobalPosition], &isnull)) != candidate.position) {
		return false;
	}
	const Datum tenant = slot_getattr(month->slot, month->attnum[kTenantId], &isnull);
	return IsPlainText(tenant) ? SameText(tenant, scan->terms.tenant)
	                           : DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, tenant, scan->terms.tenant));
}

bool
FetchAt(Server server, const QueryScan *scan, QueryMonth *month, const Candidate &candidate) {
	ItemPointerData at = candidate.at;
	if (!ItemPointerIsValid(&at)) {
		return false;
	}
	// What is said of a place may be older than the table's file.
	const BlockNumber block = ItemPointerGetBlockNumber(&at);
	if (block >= month->blocks) {
		month->blocks = RelationGetNumberOfBlocks(month->heap);
	}
	return block < month->blocks && table_tuple_fetch_row_version(month->heap, &at, scan->snapshot, month->slot) &&
	       IsCandidate(server, scan, month, candidate);
}

bool
FetchByPosition(Server server, const QueryScan *scan, QueryMonth *month, const Candidate &candidate) {
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(candidate.position));
	IndexScanDesc lookup = compat::BeginIndexScan(month->heap, month->position_index, scan->snapshot, 1);
	index_rescan(lookup, &key, 1, nullptr, 0);
	const bool found = index_getnext_slot(lookup, ForwardScanDirection, month->slot) && IsCandidate(server, scan, month, candidate);
	index_endscan(lookup);
	return found;
}

} // namespace

namespace {

// Opens what the events of a month are found by; false, and nothing is open, where it lacks what the store gave it.
bool
OpenEvents(Server, const QueryScan *scan, QueryMonth *month, const PartitionShape &shape) {
	if (!HasStoreShape(shape, month->range)) {
		table_close(month->heap, AccessShareLock);
		return false;
	}
	const Oid stream_index = shape.stream_index;
	std::memcpy(month->attnum, shape.attnum, sizeof month->attnum);
	month->position_index = index_open(shape.position_index, AccessShareLock);
	month->stream_index = scan->by_stream ? index_open(stream_index, AccessShareLock) : nullptr;
	return true;
}

// Whether the month ends after a position where that is not known. From then on it is.
MonthEnd
FindEnd(Server server, const QueryMonth *month, int64 position) {
	Relation heap = table_open(month->range.relid, AccessShareLock);
	const Oid position_index = ShapeOf(server, heap)->position_index;
	MonthEnd end = MonthEnd::kAfter;
	if (OidIsValid(position_index)) {
		Relation index = index_open(position_index, AccessShareLock);
		end = EndsBefore(server, month->range.relid, index, position) ? MonthEnd::kNotAfter : MonthEnd::kAfter;
		index_close(index, AccessShareLock);
	}
	table_close(heap, AccessShareLock);
	return end;
}

} // namespace

MonthOpened
OpenQueryMonth(Server server, QueryScan *scan, QueryMonth *month, const PositionSpan &span) {
	// Most months end here, and nothing of them is opened.
	MonthEnd end = KnownEnd(server, month->range.relid, span.after);
	if (end == MonthEnd::kUnknown) {
		end = FindEnd(server, month, span.after);
	}
	if (end == MonthEnd::kNotAfter) {
		return MonthOpened::kEmpty;
	}
	(void)(scan->by_tag && OpenTags(server, scan, month));
	if (HasNoTags(server, scan, month, span.after)) {
		CloseTags(server, month);
		return MonthOpened::kEmpty;
	}
	month->heap = table_open(month->range.relid, AccessShareLock);
	if (!OpenEvents(server, scan, month, *ShapeOf(server, month->heap))) {
		CloseTags(server, month);
		return MonthOpened::kThroughQuery;
	}
	month->context = AllocSetContextCreate(scan->context, "auren_events month of a query", ALLOCSET_DEFAULT_SIZES);
	MemoryContext before = MemoryContextSwitchTo(month->context);
	month->slot = table_slot_create(month->heap, nullptr);
	month->blocks = 0;
	month->open = true;
	OpenItems(server, scan, month, span);
	MemoryContextSwitchTo(before);
	if (!FindNext(scan, month)) {
		CloseQueryMonth(server, month);
		return MonthOpened::kEmpty;
	}
	return MonthOpened::kHasCandidates;
}

Candidate
CandidateOf(const QueryMonth &month) {
	Candidate candidate;
	ItemPointerSetInvalid(&candidate.at);
	candidate.position = month.next;
	for (int i = 0; i < month.item_count; i++) {
		if (!month.items[i].ended && month.items[i].cursors[0].now.position == month.next) {
			return month.items[i].cursors[0].now;
		}
	}
	return candidate;
}

bool
AdvanceQueryMonth(Server server, QueryScan *scan, QueryMonth *month) {
	const int64 position = month->next;
	for (int i = 0; i < month->item_count; i++) {
		ItemCandidates *item = &month->items[i];
		// an index may have the same position several times
		while (!item->ended && item->cursors[0].now.position == position) {
			item->ended = !NextCandidate(server, &item->cursors[0]);
			if (!item->ended) {
				Align(server, item);
			}
		}
	}
	return FindNext(scan, month);
}

bool
FetchCandidate(Server server, QueryScan *scan, QueryMonth *month, const Candidate &candidate, EventRow *row) {
	if (!FetchAt(server, scan, month, candidate) && !FetchByPosition(server, scan, month, candidate)) {
		return false;
	}
	ReadSlot(server, month->slot, month->attnum, row);
	UnpackNames(server, row, &scan->names);
	return true;
}

void
CloseQueryMonth(Server server, QueryMonth *month) {
	if (!month->open) {
		return;
	}
	month->open = false;
	for (int i = 0; i < month->item_count; i++) {
		CloseItem(server, month->items[i]);
	}
	ExecDropSingleTupleTableSlot(month->slot);
	index_close(month->position_index, AccessShareLock);
	if (month->stream_index != nullptr) {
		index_close(month->stream_index, AccessShareLock);
	}
	CloseTags(server, month);
	table_close(month->heap, AccessShareLock);
	MemoryContextDelete(month->context);
}

} // namespace auren::pg
