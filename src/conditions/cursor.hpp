#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Positions after `after` and up to `up_to`, in their order or against it.
 */
struct PositionSpan {
	int64 after;
	int64 up_to;
	ScanDirection direction;

	bool
	backward() const {
		return ScanDirectionIsBackward(direction);
	}
	// Whether a position comes before another one.
	bool
	Precedes(int64 position, int64 other) const {
		return backward() ? position > other : position < other;
	}
};

// An event that may match: where it is said to lie. Whoever takes it compares what is there.
struct Candidate {
	int64 position;
	ItemPointerData at;
};

/*
 * The positions that one index of a month has for a tag, for a stream, or at all, in the order of a span. The index alone is read, but for a stream:
 * its index has versions, so its events are.
 */
struct Cursor {
	PositionSpan span;
	IndexScanDesc scan;
	MemoryContext context; // of the scan
	ScanKeyData keys[5];
	int key_count;
	AttrNumber position_column; // of the index, or of the month where the events are read
	AttrNumber event_at_column; // of the index; 0: an entry leads to its event
	AttrNumber version_column;  // of the month where the events are read
	TupleTableSlot *slot;       // of a stream's event; nullptr: the index is read alone
	Candidate now;              // valid after a function has said true
};

// What a cursor is opened on, all open. `context` lives as long as the cursor.
struct CursorPlace {
	Relation heap;
	Relation index;
	Snapshot snapshot;
	MemoryContext context;
};

// Whether the index of tags says that no event after a position has a tag: mostly so, since a condition begins after what its caller has seen.
// A tag is found by its hash (core/tags/tag_hash.hpp).
bool HasNoTagAfter(Server server, Relation tag_index, int64 hash, int64 position);

/*
 * Opens a cursor at its first position; false, and nothing is open, where there is none.
 */
bool OpenTagCursor(Server server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span, int64 hash);
bool OpenPositionCursor(Server server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span);
// tenant_and_stream: two texts. attnum: the numbers of the month's columns.
bool OpenStreamCursor(Server server, Cursor *cursor, const CursorPlace &place, const PositionSpan &span, const Datum *tenant_and_stream,
                      const AttrNumber *attnum);

// Moves to the next position; false after the last one.
bool NextCandidate(Server server, Cursor *cursor);
// Moves to a position, or to the first one after it. Not for a stream.
bool SeekCandidate(Server server, Cursor *cursor, int64 position);
void CloseCursor(Server server, Cursor *cursor);

} // namespace auren::pg
