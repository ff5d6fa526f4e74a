#pragma once

#include "server/compat.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Finds the last live row, by the index's order, whose leading index columns equal the given keys. Live as an append
 * needs it (SnapshotSelf): what is committed and what this transaction did. The row is left pinned in the slot. False
 * when there is none.
 *
 * A descent of its own: the standard backward scan first collects every matching entry of the leaf page, which for a
 * long stream is hundreds. Takes no lock beyond the pages'.
 */
bool FindLast(Server server, Relation heap, Relation index, const Datum *keys, const Oid *equal, int key_count, TupleTableSlot *slot);

/*
 * A leaf page as it was, for keys that are looked up in their order, and in an index that nobody else writes to meanwhile: most are
 * found, or told to be absent, by halving in the copy, without asking the index.
 */
struct LeafCopy {
	bool valid;
	alignas(MAXIMUM_ALIGNOF) char page[BLCKSZ];
};

enum class Lookup { kAbsent, kOne, kAsk };

/*
 * The entry of a unique index with these keys, of type int4, int8, date or timestamptz. kOne: there is one, and it leads to `tid`, where a
 * row with other keys may lie by now. kAsk: the plain scan has to decide.
 */
Lookup FindEntry(Server server, Relation index, const Datum *keys, int key_count, LeafCopy *leaf, ItemPointer tid);

/*
 * The int8 column after the given keys, of the last entry of an index that begins with them (no keys: of the index), whether its row is live or
 * not: no live one has a greater value. kAbsent: there is no such entry. kAsk: the plain scan has to decide.
 */
Lookup LastInt8(Server server, Relation index, const Datum *keys, int key_count, int64 *value);

/*
 * Where the last leaf of an index was, so that its last key is read without opening the index: in the same buffer as before, or not at all. Whoever
 * keeps it forgets it when the relation changes, and hears of changes before asking.
 */
struct LastLeaf {
	compat::File file;
	BlockNumber block; // that of the metapage, where the index has no leaf yet
	Buffer buffer;     // InvalidBuffer: not known
};
// LastInt8 of a whole index whose only key is an int8, and where that leaf is.
Lookup FindLastLeaf(Server server, Relation index, LastLeaf *leaf, int64 *value);
// The same from the leaf; kAsk where it is not there any more, or not the last one.
Lookup ReadLastLeaf(Server server, const LastLeaf &leaf, int64 *value);

} // namespace auren::pg
