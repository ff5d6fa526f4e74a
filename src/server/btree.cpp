#include "server/btree.hpp"

#include <cstring>

#include "server/compat.hpp"

namespace auren::pg {

namespace {

// The plain way: a backward scan of the whole prefix.
bool
ScanLast(Server, Relation heap, Relation index, const Datum *keys, const Oid *equal, int key_count, TupleTableSlot *slot) {
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

constexpr int kMostKeys = 3;

enum class Kind { kText, kUuid, kInt4, kInt8 };

/*
 * The keys of a descent as plain bytes or numbers. Under the "C" collation the order of text is the order of its bytes, and so is
 * that of uuid; a comparison then costs a few dozen instructions instead of several hundred through the index's
 * comparison functions.
 */
struct Prefix {
	int count;
	Kind kind[kMostKeys];
	const char *bytes[kMostKeys];
	Size length[kMostKeys];
	int64 number[kMostKeys];
};

// False where a key is of another type or order.
bool
MakePrefix(Prefix *prefix, Relation index, const Datum *keys, int key_count) {
	prefix->count = key_count;
	if (key_count > kMostKeys) {
		return false;
	}
	for (int i = 0; i < key_count; i++) {
		if ((index->rd_indoption[i] & INDOPTION_DESC) != 0) {
			return false;
		}
		switch (TupleDescAttr(RelationGetDescr(index), i)->atttypid) {
		case TEXTOID:
			if (index->rd_indcollation[i] != C_COLLATION_OID) {
				return false;
			}
			prefix->kind[i] = Kind::kText;
			prefix->bytes[i] = VARDATA_ANY(DatumGetPointer(keys[i]));
			prefix->length[i] = VARSIZE_ANY_EXHDR(DatumGetPointer(keys[i]));
			break;
		case UUIDOID:
			prefix->kind[i] = Kind::kUuid;
			prefix->bytes[i] = DatumGetPointer(keys[i]);
			prefix->length[i] = UUID_LEN;
			break;
		case INT4OID:
		case DATEOID:
			prefix->kind[i] = Kind::kInt4;
			prefix->number[i] = DatumGetInt32(keys[i]);
			break;
		case INT8OID:
		case TIMESTAMPTZOID:
			prefix->kind[i] = Kind::kInt8;
			prefix->number[i] = DatumGetInt64(keys[i]);
			break;
		default:
			return false;
		}
	}
	return true;
}

enum class Order { kBefore, kEqual, kAfter, kUnknown };

/*
 * Where the prefix lies against an entry: before it, equal to its leading columns, or after it. Columns cut off from a
 * pivot are below every value. Unknown for an entry with NULLs or a compressed text, which ours have none of.
 */
Order
Compare(Relation index, const Prefix &prefix, Page page, OffsetNumber offset) {
	BTPageOpaque opaque = BTPageGetOpaque(page);
	if (!P_ISLEAF(opaque) && offset == P_FIRSTDATAKEY(opaque)) {
		return Order::kAfter; // the leftmost downlink stands for minus infinity
	}
	IndexTuple entry = reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, offset)));
	if (IndexTupleHasNulls(entry)) {
		return Order::kUnknown;
	}
	const int columns = BTreeTupleGetNAtts(entry, index);
	const char *at = reinterpret_cast<const char *>(entry) + IndexInfoFindDataOffset(entry->t_info);
	for (int i = 0; i < prefix.count; i++) {
		if (i >= columns) {
			return Order::kAfter;
		}
		if (prefix.kind[i] == Kind::kInt4 || prefix.kind[i] == Kind::kInt8) {
			const bool wide = prefix.kind[i] == Kind::kInt8;
			at = reinterpret_cast<const char *>(wide ? DOUBLEALIGN(at) : INTALIGN(at));
			const int64 number = wide ? *reinterpret_cast<const int64 *>(at) : *reinterpret_cast<const int32 *>(at);
			if (prefix.number[i] != number) {
				return prefix.number[i] < number ? Order::kBefore : Order::kAfter;
			}
			at += wide ? sizeof(int64) : sizeof(int32);
			continue;
		}
		const char *bytes = at;
		Size length = UUID_LEN;
		if (prefix.kind[i] == Kind::kText) {
			at = reinterpret_cast<const char *>(att_align_pointer(reinterpret_cast<uintptr_t>(at), TYPALIGN_INT, -1, at));
			if (VARATT_IS_COMPRESSED(at) || VARATT_IS_EXTERNAL(at)) {
				return Order::kUnknown;
			}
			bytes = VARDATA_ANY(at);
			length = VARSIZE_ANY_EXHDR(at);
		}
		const int by_bytes = std::memcmp(prefix.bytes[i], bytes, Min(prefix.length[i], length));
		if (by_bytes != 0) {
			return by_bytes < 0 ? Order::kBefore : Order::kAfter;
		}
		if (prefix.length[i] != length) {
			return prefix.length[i] < length ? Order::kBefore : Order::kAfter;
		}
		at = bytes + length;
	}
	return Order::kEqual;
}

// The first item of a page after every entry that the prefix equals or comes after. False when an entry cannot be compared.
bool
FirstAfter(Relation index, const Prefix &prefix, Page page, OffsetNumber *first) {
	OffsetNumber low = P_FIRSTDATAKEY(BTPageGetOpaque(page));
	OffsetNumber high = OffsetNumberNext(PageGetMaxOffsetNumber(page));
	while (low < high) {
		const OffsetNumber middle = static_cast<OffsetNumber>(low + (high - low) / 2);
		switch (Compare(index, prefix, page, middle)) {
		case Order::kUnknown:
			return false;
		case Order::kBefore:
			high = middle;
			break;
		default:
			low = OffsetNumberNext(middle);
			break;
		}
	}
	*first = low;
	return true;
}

/*
 * Descends to the leaf that holds the last entry of the prefix, or where it would be, and returns it locked for
 * reading. Follows the algorithm of Lehman and Yao as the server's own search does: a page that was split meanwhile is
 * left to the right. Invalid buffer: the index is empty, or an entry cannot be compared (*known is then false).
 */
Buffer
Descend(Server, Relation index, const Prefix &prefix, bool *known) {
	*known = true;
	Buffer buffer = compat::BtreeRoot(index);
	while (BufferIsValid(buffer)) {
		Page page = BufferGetPage(buffer);
		BTPageOpaque opaque = BTPageGetOpaque(page);
		if (!P_RIGHTMOST(opaque)) {
			const Order order = P_IGNORE(opaque) ? Order::kAfter : Compare(index, prefix, page, P_HIKEY);
			if (order == Order::kUnknown) {
				break;
			}
			if (order != Order::kBefore) {
				buffer = _bt_relandgetbuf(index, buffer, opaque->btpo_next, BT_READ);
				continue;
			}
		}
		if (P_ISLEAF(opaque)) {
			return buffer;
		}
		OffsetNumber after;
		if (!FirstAfter(index, prefix, page, &after)) {
			break;
		}
		IndexTuple downlink = reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, OffsetNumberPrev(after))));
		buffer = _bt_relandgetbuf(index, buffer, BTreeTupleGetDownLink(downlink), BT_READ);
	}
	if (BufferIsValid(buffer)) {
		_bt_relbuf(index, buffer);
		*known = false;
	}
	return InvalidBuffer;
}

enum class Probe { kFound, kAbsent, kUnknown };

/*
 * Looks at the one entry that the descent leads to. Found when it leads to a live row; unknown whenever the plain scan
 * has to decide: a dead entry, a posting list, the left end of the page.
 */
Probe
ProbeLast(Server server, Relation heap, Relation index, const Prefix &prefix, TupleTableSlot *slot) {
	bool known;
	Buffer leaf = Descend(server, index, prefix, &known);
	if (!BufferIsValid(leaf)) {
		return known ? Probe::kAbsent : Probe::kUnknown;
	}
	Page page = BufferGetPage(leaf);
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber after;
	Probe probe = Probe::kUnknown;
	ItemPointerData tid;
	if (FirstAfter(index, prefix, page, &after)) {
		if (after <= P_FIRSTDATAKEY(opaque)) {
			probe = P_LEFTMOST(opaque) ? Probe::kAbsent : Probe::kUnknown;
		} else {
			const OffsetNumber last = OffsetNumberPrev(after);
			ItemId item = PageGetItemId(page, last);
			IndexTuple entry = reinterpret_cast<IndexTuple>(PageGetItem(page, item));
			const Order order = Compare(index, prefix, page, last);
			if (order == Order::kAfter) {
				probe = Probe::kAbsent;
			} else if (order == Order::kEqual && !ItemIdIsDead(item) && !BTreeTupleIsPosting(entry)) {
				probe = Probe::kFound;
				tid = entry->t_tid;
			}
		}
	}
	if (probe != Probe::kFound) {
		_bt_relbuf(index, leaf);
		return probe;
	}
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

// Looks for the prefix in a leaf; false when that need not be the one where it belongs.
bool
FindInLeaf(Relation index, const Prefix &prefix, Page page, Lookup *answer, ItemPointer tid) {
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber after;
	if ((!P_RIGHTMOST(opaque) && Compare(index, prefix, page, P_HIKEY) != Order::kBefore) || !FirstAfter(index, prefix, page, &after)) {
		return false;
	}
	if (after <= P_FIRSTDATAKEY(opaque)) {
		*answer = Lookup::kAbsent;
		return P_LEFTMOST(opaque);
	}
	const OffsetNumber last = OffsetNumberPrev(after);
	switch (Compare(index, prefix, page, last)) {
	case Order::kAfter:
		*answer = Lookup::kAbsent;
		return true;
	case Order::kEqual:
		break;
	default:
		return false;
	}
	const IndexTuple item = reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, last)));
	const bool one =
		!BTreeTupleIsPosting(item) && last > P_FIRSTDATAKEY(opaque) && Compare(index, prefix, page, OffsetNumberPrev(last)) == Order::kAfter;
	*answer = one ? Lookup::kOne : Lookup::kAsk; // several: versions of the row
	*tid = item->t_tid;
	return true;
}

} // namespace

Lookup
FindEntry(Server server, Relation index, const Datum *keys, int key_count, LeafCopy *leaf, ItemPointer tid) {
	Prefix prefix;
	if (!MakePrefix(&prefix, index, keys, key_count)) {
		return Lookup::kAsk;
	}
	Lookup answer;
	if (leaf->valid && FindInLeaf(index, prefix, leaf->page, &answer, tid)) {
		return answer;
	}
	bool known;
	const Buffer buffer = Descend(server, index, prefix, &known);
	leaf->valid = BufferIsValid(buffer);
	if (!leaf->valid) {
		return known ? Lookup::kAbsent : Lookup::kAsk;
	}
	std::memcpy(leaf->page, BufferGetPage(buffer), BLCKSZ);
	_bt_relbuf(index, buffer);
	return FindInLeaf(index, prefix, leaf->page, &answer, tid) ? answer : Lookup::kAsk;
}

Lookup
LastInt8(Server server, Relation index, const Datum *keys, int key_count, int64 *value) {
	Prefix prefix;
	if (!MakePrefix(&prefix, index, keys, key_count)) {
		return Lookup::kAsk;
	}
	bool known;
	const Buffer leaf = Descend(server, index, prefix, &known);
	if (!BufferIsValid(leaf)) {
		return known ? Lookup::kAbsent : Lookup::kAsk;
	}
	Page page = BufferGetPage(leaf);
	BTPageOpaque opaque = BTPageGetOpaque(page);
	OffsetNumber after;
	Lookup answer = Lookup::kAsk;
	if (FirstAfter(index, prefix, page, &after)) {
		if (after <= P_FIRSTDATAKEY(opaque)) {
			answer = P_LEFTMOST(opaque) ? Lookup::kAbsent : Lookup::kAsk;
		} else {
			const OffsetNumber last = OffsetNumberPrev(after);
			const Order order = Compare(index, prefix, page, last);
			if (order == Order::kAfter) {
				answer = Lookup::kAbsent;
			} else if (order == Order::kEqual) {
				bool isnull;
				const IndexTuple entry = reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, last)));
				*value = DatumGetInt64(index_getattr(entry, key_count + 1, RelationGetDescr(index), &isnull));
				answer = isnull ? Lookup::kAsk : Lookup::kOne;
			}
		}
	}
	_bt_relbuf(index, leaf);
	return answer;
}

namespace {

// The last key of a leaf, an int8 that is the whole key.
Lookup
LastOfPage(Page page, int64 *value) {
	BTPageOpaque opaque = BTPageGetOpaque(page);
	if (!P_ISLEAF(opaque) || !P_RIGHTMOST(opaque) || P_IGNORE(opaque)) {
		return Lookup::kAsk;
	}
	const OffsetNumber last = PageGetMaxOffsetNumber(page);
	if (last < P_FIRSTDATAKEY(opaque)) {
		return P_LEFTMOST(opaque) ? Lookup::kAbsent : Lookup::kAsk;
	}
	const auto *entry = reinterpret_cast<const IndexTupleData *>(PageGetItem(page, PageGetItemId(page, last)));
	if (IndexTupleHasNulls(entry)) {
		return Lookup::kAsk;
	}
	std::memcpy(value, reinterpret_cast<const char *>(entry) + IndexInfoFindDataOffset(entry->t_info), sizeof *value);
	return Lookup::kOne;
}

} // namespace

Lookup
FindLastLeaf(Server server, Relation index, LastLeaf *leaf, int64 *value) {
	Prefix none;
	none.count = 0;
	bool known;
	leaf->buffer = InvalidBuffer;
	const Buffer buffer = Descend(server, index, none, &known);
	if (!BufferIsValid(buffer)) {
		const Buffer meta = ReadBuffer(index, BTREE_METAPAGE);
		*leaf = {compat::FileOf(index), BTREE_METAPAGE, meta};
		ReleaseBuffer(meta);
		return known ? Lookup::kAbsent : Lookup::kAsk;
	}
	*leaf = {compat::FileOf(index), BufferGetBlockNumber(buffer), buffer};
	const Lookup answer = LastOfPage(BufferGetPage(buffer), value);
	_bt_relbuf(index, buffer);
	return answer;
}

Lookup
ReadLastLeaf(Server, const LastLeaf &leaf, int64 *value) {
	if (!BufferIsValid(leaf.buffer) || !ReadRecentBuffer(leaf.file, MAIN_FORKNUM, leaf.block, leaf.buffer)) {
		return Lookup::kAsk;
	}
	LockBuffer(leaf.buffer, BUFFER_LOCK_SHARE);
	Page page = BufferGetPage(leaf.buffer);
	Lookup answer = Lookup::kAsk;
	if (leaf.block != BTREE_METAPAGE) {
		answer = LastOfPage(page, value);
	} else if (BTPageGetMeta(page)->btm_root == P_NONE) {
		answer = Lookup::kAbsent;
	}
	UnlockReleaseBuffer(leaf.buffer);
	return answer;
}

bool
FindLast(Server server, Relation heap, Relation index, const Datum *keys, const Oid *equal, int key_count, TupleTableSlot *slot) {
	Prefix prefix;
	if (MakePrefix(&prefix, index, keys, key_count)) {
		const Probe probe = ProbeLast(server, heap, index, prefix, slot);
		if (probe != Probe::kUnknown) {
			return probe == Probe::kFound;
		}
	}
	return ScanLast(server, heap, index, keys, equal, key_count, slot);
}

} // namespace auren::pg
