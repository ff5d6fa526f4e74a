#include "pg/btree.hpp"

#include "pg/compat.hpp"

namespace auren::pg {

namespace {

// The plain way: a backward scan of the whole prefix.
bool
ScanLast(Relation heap, Relation index, const Datum *keys, const Oid *equal, int key_count, TupleTableSlot *slot) {
	ScanKeyData scan_keys[INDEX_MAX_KEYS];
	for (int i = 0; i < key_count; i++) {
		ScanKeyInit(&scan_keys[i], static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber, equal[i], keys[i]);
	}
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, SnapshotSelf, key_count);
	index_rescan(scan, scan_keys, key_count, nullptr, 0);
	const bool found = index_getnext_slot(scan, BackwardScanDirection, slot);
	index_endscan(scan);
	return found;
}

// First item of the leaf behind every entry that equals the key's prefix (key->nextkey is set).
OffsetNumber
FirstBehind(Relation index, BTScanInsert key, Page page) {
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber low = P_FIRSTDATAKEY(opaque);
	OffsetNumber high = OffsetNumberNext(PageGetMaxOffsetNumber(page));
	while (low < high) {
		const OffsetNumber middle = static_cast<OffsetNumber>(low + (high - low) / 2);
		if (_bt_compare(index, key, page, middle) >= 0) {
			low = OffsetNumberNext(middle);
		} else {
			high = middle;
		}
	}
	return low;
}

enum class Probe { kFound, kAbsent, kUnknown };

/*
 * Looks at the one entry before FirstBehind. Found when it leads to a live row; unknown whenever the plain scan has to
 * decide: a dead entry, a posting list, the left end of the page.
 */
Probe
ProbeLast(Relation heap, Relation index, BTScanInsert key, TupleTableSlot *slot) {
	Buffer leaf;
	BTStack stack = compat::SearchBtree(index, key, &leaf);
	if (stack != nullptr) {
		_bt_freestack(stack);
	}
	if (!BufferIsValid(leaf)) {
		return Probe::kAbsent; // the index has no entry at all
	}
	Page page = BufferGetPage(leaf);
	BTPageOpaque opaque = BTPageGetOpaque(page);
	const OffsetNumber behind = FirstBehind(index, key, page);
	if (behind <= P_FIRSTDATAKEY(opaque)) {
		const bool leftmost = P_LEFTMOST(opaque);
		_bt_relbuf(index, leaf);
		return leftmost ? Probe::kAbsent : Probe::kUnknown;
	}
	const OffsetNumber last = OffsetNumberPrev(behind);
	ItemId item = PageGetItemId(page, last);
	// with nextkey an entry before the border compares equal or the key is greater
	if (_bt_compare(index, key, page, last) != 0) {
		_bt_relbuf(index, leaf);
		return Probe::kAbsent;
	}
	IndexTuple entry = reinterpret_cast<IndexTuple>(PageGetItem(page, item));
	if (ItemIdIsDead(item) || BTreeTupleIsPosting(entry)) {
		_bt_relbuf(index, leaf);
		return Probe::kUnknown;
	}
	ItemPointerData tid = entry->t_tid;
	// The pin on the leaf keeps vacuum from giving the row's place to another until the row is pinned itself.
	_bt_unlockbuf(index, leaf);
	IndexFetchTableData *fetch = table_index_fetch_begin(heap);
	bool call_again = false;
	bool all_dead = false;
	const bool live = table_index_fetch_tuple(fetch, &tid, SnapshotSelf, slot, &call_again, &all_dead);
	table_index_fetch_end(fetch);
	ReleaseBuffer(leaf);
	return live ? Probe::kFound : Probe::kUnknown;
}

} // namespace

bool
FindLast(Relation heap, Relation index, const Datum *keys, const Oid *equal, int key_count, TupleTableSlot *slot) {
	BTScanInsert key = _bt_mkscankey(index, nullptr);
	key->keysz = key_count;
	key->nextkey = true;
	key->anynullkeys = false;
	for (int i = 0; i < key_count; i++) {
		key->scankeys[i].sk_argument = keys[i];
		key->scankeys[i].sk_flags &= ~SK_ISNULL;
	}
	const Probe probe = ProbeLast(heap, index, key, slot);
	pfree(key);
	if (probe != Probe::kUnknown) {
		return probe == Probe::kFound;
	}
	return ScanLast(heap, index, keys, equal, key_count, slot);
}

} // namespace auren::pg
