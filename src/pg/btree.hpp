#pragma once

#include "pg/postgres.hpp"

namespace auren::pg {

/*
 * Finds the last live row, by the index's order, whose leading index columns equal the given keys. Live as an append
 * needs it (SnapshotSelf): what is committed and what this transaction did. The row is left pinned in the slot. False
 * when there is none.
 *
 * A descent of its own: the standard backward scan first collects every matching entry of the leaf page, which for a
 * long stream is hundreds. Server side, inside a guard; takes no lock beyond the pages'.
 */
bool FindLast(Relation heap, Relation index, const Datum *keys, const Oid *equal, int key_count, TupleTableSlot *slot);

} // namespace auren::pg
