#include "server/table_row.hpp"

#include <cstring>

#include "server/compat.hpp"

namespace auren::pg {

namespace {

/*
 * Waits for a transaction that has inserted this key and not ended. True when a committed row (or one of this
 * transaction) is there.
 */
bool
CommittedRowExists(Server, Relation heap, Relation pkey, ScanKey keys, int key_count) {
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		SnapshotData dirty;
		InitDirtySnapshot(dirty);
		TupleTableSlot *slot = table_slot_create(heap, nullptr);
		IndexScanDesc scan = compat::BeginIndexScan(heap, pkey, &dirty, key_count);
		index_rescan(scan, keys, key_count, nullptr, 0);
		const bool found = index_getnext_slot(scan, ForwardScanDirection, slot);
		const TransactionId inserter = dirty.xmin;
		const uint32 token = dirty.speculativeToken;
		ItemPointerData tid = slot->tts_tid;
		index_endscan(scan);
		ExecDropSingleTupleTableSlot(slot);
		if (!found) {
			return false;
		}
		if (!TransactionIdIsValid(inserter)) {
			return true;
		}
		if (token != 0) {
			SpeculativeInsertionWait(inserter, token);
		} else {
			XactLockTableWait(inserter, heap, &tid, XLTW_InsertIndex);
		}
	}
}

} // namespace

bool
InsertIndexEntry(Server, Relation heap, Relation index, TupleTableSlot *slot, IndexUniqueCheck check) {
	IndexInfo *info = BuildIndexInfo(index);
	if (!info->ii_ReadyForInserts) {
		return true;
	}
	if (info->ii_Expressions != NIL || info->ii_Predicate != NIL || info->ii_ExclusionOps != nullptr) {
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		                errmsg("index \"%s\" of \"%s\" is not a plain index", RelationGetRelationName(index), RelationGetRelationName(heap)),
		                errhint("Indexes on expressions, partial ones and exclusions are for events.event_store only.")));
	}
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];
	FormIndexDatum(info, slot, nullptr, values, isnull);
	const bool alone = index_insert(index, values, isnull, &slot->tts_tid, heap, check, false, info);
	compat::EndIndexInserts(index, info);
	return alone;
}

// There is more than the key's index while REINDEX CONCURRENTLY makes another: from when it is ready it must have every
// row, or the one that takes the old one's place would lack some.
void
InsertIndexEntries(Server server, Relation heap, Relation but, TupleTableSlot *slot) {
	List *index_oids = RelationGetIndexList(heap);
	ListCell *cell;
	foreach (cell, index_oids) {
		if (but != nullptr && lfirst_oid(cell) == RelationGetRelid(but)) {
			continue;
		}
		Relation index = index_open(lfirst_oid(cell), RowExclusiveLock);
		(void)InsertIndexEntry(server, heap, index, slot, index->rd_index->indisunique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO);
		index_close(index, NoLock);
	}
	list_free(index_oids);
}

void
InsertRow(Server server, Relation heap, const Datum *values, const bool *isnull) {
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(heap), &TTSOpsVirtual);
	const Size natts = static_cast<Size>(RelationGetDescr(heap)->natts);
	std::memcpy(slot->tts_values, values, sizeof(Datum) * natts);
	std::memcpy(slot->tts_isnull, isnull, sizeof(bool) * natts);
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(heap, slot, GetCurrentCommandId(true), 0, nullptr);
	InsertIndexEntries(server, heap, nullptr, slot);
	ExecDropSingleTupleTableSlot(slot);
}

bool
DeleteRow(Server, Relation heap, ItemPointer tid, Snapshot snapshot) {
	TM_FailureData failure;
	return table_tuple_delete(heap, tid, GetCurrentCommandId(true), snapshot, InvalidSnapshot, false, &failure, false) == TM_Ok;
}

bool
InsertIfAbsent(Server server, Relation heap, Relation pkey, const int *key_columns, const Datum *values, const bool *isnull) {
	ScanKeyData keys[INDEX_MAX_KEYS];
	const int key_count = IndexRelationGetNumberOfKeyAttributes(pkey);
	for (int i = 0; i < key_count; i++) {
		const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(heap), key_columns[i]);
		ScanKeyInit(&keys[i], static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber, attribute->atttypid == UUIDOID ? F_UUID_EQ : F_TEXTEQ,
		            values[key_columns[i]]);
	}
	for (int turn = 0; turn < 1000; turn++) {
		CHECK_FOR_INTERRUPTS();
		if (CommittedRowExists(server, heap, pkey, keys, key_count)) {
			return false;
		}
		// As ON CONFLICT DO NOTHING does it: the row says that it may be taken back, the key's index says whether it was
		// alone.
		TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(heap), &TTSOpsVirtual);
		const Size natts = static_cast<Size>(RelationGetDescr(heap)->natts);
		std::memcpy(slot->tts_values, values, sizeof(Datum) * natts);
		std::memcpy(slot->tts_isnull, isnull, sizeof(bool) * natts);
		ExecStoreVirtualTuple(slot);
		const uint32 token = SpeculativeInsertionLockAcquire(GetCurrentTransactionId());
		table_tuple_insert_speculative(heap, slot, GetCurrentCommandId(true), 0, nullptr, token);
		const bool alone = InsertIndexEntry(server, heap, pkey, slot, UNIQUE_CHECK_PARTIAL);
		table_tuple_complete_speculative(heap, slot, token, alone);
		SpeculativeInsertionLockRelease(GetCurrentTransactionId());
		if (alone) {
			InsertIndexEntries(server, heap, pkey, slot);
		}
		ExecDropSingleTupleTableSlot(slot);
		if (alone) {
			return true;
		}
	}
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
	                errmsg("could not insert a row into %s among its concurrent inserts", RelationGetRelationName(heap)), errhint("Try again.")));
	pg_unreachable();
}

} // namespace auren::pg
