#include "conditions/cursor.hpp"

#include <cstring>

#include "server/btree.hpp"
#include "server/compat.hpp"
#include "server/table_row.hpp"
#include "store/event_columns.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

// A seek costs a descent in the index, about as much as so many steps.
constexpr int kStepsBeforeSeek = 8;

// Columns of a month's index of positions, of its index of a stream's events, and how many of the latter say which stream.
constexpr AttrNumber kPositionOfIndex = 1;
constexpr AttrNumber kVersionOfIndex = 3;
constexpr int kStreamKeys = 2;

void
BeginCursor(Server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span, int key_count) {
	MemoryContext before = MemoryContextSwitchTo(place.context);
	cursor->span = span;
	cursor->context = place.context;
	cursor->key_count = key_count;
	cursor->slot = nullptr;
	cursor->scan = compat::BeginIndexScan(place.heap, place.index, place.snapshot, key_count);
	MemoryContextSwitchTo(before);
}

// The two keys that bound an index by positions: the last ones.
void
BoundPositions(Cursor *cursor, int64 from, int64 to) {
	ScanKeyData *bounds = &cursor->keys[cursor->key_count - 2];
	ScanKeyInit(&bounds[0], cursor->position_column, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(from));
	ScanKeyInit(&bounds[1], cursor->position_column, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(to));
}

void
Rescan(Server, Cursor *cursor, int key_count) {
	MemoryContext before = MemoryContextSwitchTo(cursor->context);
	index_rescan(cursor->scan, cursor->keys, key_count, nullptr, 0);
	MemoryContextSwitchTo(before);
}

void
StartEntries(Server server, Cursor *cursor) {
	BoundPositions(cursor, cursor->span.after + 1, cursor->span.up_to);
	cursor->scan->xs_want_itup = true;
	Rescan(server, cursor, cursor->key_count);
}

// What the index has; the events are not looked at.
bool
NextEntry(Server, Cursor *cursor) {
	MemoryContext before = MemoryContextSwitchTo(cursor->context);
	const ItemPointer at = index_getnext_tid(cursor->scan, cursor->span.direction);
	MemoryContextSwitchTo(before);
	if (at == nullptr) {
		return false;
	}
	bool isnull;
	const IndexTuple entry = cursor->scan->xs_itup;
	const TupleDesc columns = cursor->scan->xs_itupdesc;
	cursor->now.position = DatumGetInt64(index_getattr(entry, cursor->position_column, columns, &isnull));
	cursor->now.at = *at;
	if (cursor->event_at_column != 0) {
		const Datum event_at = index_getattr(entry, cursor->event_at_column, columns, &isnull);
		std::memcpy(&cursor->now.at, DatumGetPointer(event_at), sizeof cursor->now.at);
	}
	return true;
}

// The next event of a stream, with its version.
bool
NextVersion(Server server, Cursor *cursor, ScanDirection direction, int64 *version) {
	if (!NextIndexRow(server, cursor->scan, direction, cursor->slot, cursor->context)) {
		return false;
	}
	bool isnull;
	cursor->now.position = DatumGetInt64(slot_getattr(cursor->slot, cursor->position_column, &isnull));
	cursor->now.at = cursor->slot->tts_tid;
	*version = DatumGetInt64(slot_getattr(cursor->slot, cursor->version_column, &isnull));
	return true;
}

// The first version in a direction that is not before, or not after, one; all where that is 0.
bool
FindVersion(Server server, Cursor *cursor, ScanDirection direction, int64 from, int64 *version) {
	const bool backward = ScanDirectionIsBackward(direction);
	if (from != 0) {
		ScanKeyInit(&cursor->keys[kStreamKeys], kVersionOfIndex, backward ? BTLessEqualStrategyNumber : BTGreaterEqualStrategyNumber,
		            backward ? F_INT8LE : F_INT8GE, Int64GetDatum(from));
	} else {
		// every version is above 0
		ScanKeyInit(&cursor->keys[kStreamKeys], kVersionOfIndex, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(0));
	}
	Rescan(server, cursor, kStreamKeys + 1);
	return NextVersion(server, cursor, direction, version);
}

/*
 * The lowest version of the month whose position is above one; the version after the newest where there is none, 0 where the month has no event of
 * the stream. Both grow together and versions have no hole, so it is found by halving.
 */
int64
FirstVersionAbove(Server server, Cursor *cursor, int64 position) {
	int64 low;
	if (!FindVersion(server, cursor, ForwardScanDirection, 0, &low)) {
		return 0;
	}
	if (cursor->now.position > position) {
		return low;
	}
	int64 high;
	if (!FindVersion(server, cursor, BackwardScanDirection, 0, &high) || cursor->now.position <= position) {
		return high + 1;
	}
	while (high - low > 1) {
		CHECK_FOR_INTERRUPTS();
		const int64 middle = low + (high - low) / 2;
		int64 found;
		if (!FindVersion(server, cursor, ForwardScanDirection, middle, &found) || cursor->now.position > position) {
			high = middle;
		} else {
			low = middle;
		}
	}
	return high;
}

bool
IsWithin(const PositionSpan &span, int64 position) {
	return position > span.after && position <= span.up_to;
}

} // namespace

bool
HasNoTagAfter(Server server, Relation tag_index, int64 hash, int64 position) {
	const Datum prefix[1] = {Int64GetDatum(hash)};
	int64 last;
	const Lookup newest = LastInt8(server, tag_index, prefix, 1, &last);
	return newest == Lookup::kAbsent || (newest == Lookup::kOne && last <= position);
}

bool
OpenTagCursor(Server server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span, int64 hash) {
	BeginCursor(server, cursor, place, span, 3);
	ScanKeyInit(&cursor->keys[0], kTagHash + 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(hash));
	cursor->position_column = kTagPosition + 1;
	cursor->event_at_column = kTagEventAt + 1;
	StartEntries(server, cursor);
	if (NextEntry(server, cursor)) {
		return true;
	}
	CloseCursor(server, cursor);
	return false;
}

bool
OpenPositionCursor(Server server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span) {
	BeginCursor(server, cursor, place, span, 2);
	cursor->position_column = kPositionOfIndex;
	cursor->event_at_column = 0;
	StartEntries(server, cursor);
	if (NextEntry(server, cursor)) {
		return true;
	}
	CloseCursor(server, cursor);
	return false;
}

bool
OpenStreamCursor(Server server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span, const Datum *tenant_and_stream,
                 const AttrNumber *attnum) {
	BeginCursor(server, cursor, place, span, kStreamKeys + 1);
	ScanKeyInit(&cursor->keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, tenant_and_stream[0]);
	ScanKeyInit(&cursor->keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, tenant_and_stream[1]);
	cursor->position_column = attnum[kGlobalPosition];
	cursor->version_column = attnum[kStreamVersion];
	MemoryContext before = MemoryContextSwitchTo(place.context);
	cursor->slot = table_slot_create(place.heap, nullptr);
	MemoryContextSwitchTo(before);
	int64 version = FirstVersionAbove(server, cursor, span.backward() ? span.up_to : span.after);
	if (span.backward() && version > 0) {
		version--; // the last one that is not above it
	}
	if (version > 0 && FindVersion(server, cursor, span.direction, version, &version) && IsWithin(span, cursor->now.position)) {
		return true;
	}
	CloseCursor(server, cursor);
	return false;
}

bool
NextCandidate(Server server, Cursor *cursor) {
	if (cursor->slot == nullptr) {
		return NextEntry(server, cursor);
	}
	int64 version;
	return NextVersion(server, cursor, cursor->span.direction, &version) && IsWithin(cursor->span, cursor->now.position);
}

bool
SeekCandidate(Server server, Cursor *cursor, int64 position) {
	for (int step = 0; step < kStepsBeforeSeek; step++) {
		if (!cursor->span.Precedes(cursor->now.position, position)) {
			return true;
		}
		if (!NextCandidate(server, cursor)) {
			return false;
		}
	}
	if (!cursor->span.Precedes(cursor->now.position, position)) {
		return true;
	}
	const bool backward = cursor->span.backward();
	BoundPositions(cursor, backward ? cursor->span.after + 1 : position, backward ? position : cursor->span.up_to);
	Rescan(server, cursor, cursor->key_count);
	return NextEntry(server, cursor);
}

void
CloseCursor(Server, Cursor *cursor) {
	index_endscan(cursor->scan);
	if (cursor->slot != nullptr) {
		ExecDropSingleTupleTableSlot(cursor->slot);
	}
}

} // namespace auren::pg
