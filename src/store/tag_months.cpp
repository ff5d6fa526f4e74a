#include "store/tag_months.hpp"

#include <cstring>

#include "core/freshness.hpp"
#include "server/compat.hpp"
#include "server/relation_changes.hpp"
#include "server/table_row.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

struct TagMonth {
	int32 start_days;
	Oid relid;
};

// The partitions in the order of their months.
struct TagMonths {
	MemoryContext context;
	TagMonth *items;
	int count;
	Freshness freshness;
};
TagMonths tag_months;

// What is known of a partition until it or its index changes.
struct TagMonthShape {
	Oid relid; // hash key
	Freshness freshness;
	Oid index;       // unique (hash, position) with the place, valid; InvalidOid where the partition lacks it
	IndexInfo *info; // of the index; nullptr where there are others
	TagRowSlots *rows;
	MemoryContext context;
};
HTAB *tag_shapes = nullptr;

// Relcache callback: counts only, nothing that can fail.
void
ForgetTagMonths(Oid relid) {
	if (own::event_tags.MayBe(relid)) {
		tag_months.freshness.Forget();
	}
	if (tag_shapes == nullptr) {
		return;
	}
	HASH_SEQ_STATUS status;
	hash_seq_init(&status, tag_shapes);
	while (auto *shape = static_cast<TagMonthShape *>(hash_seq_search(&status))) {
		if (relid == InvalidOid || relid == shape->relid || relid == shape->index) {
			shape->freshness.Forget();
		}
	}
}

void
LoadTagMonths(Server server) {
	Relation parent = table_open(own::event_tags.Get(server), AccessShareLock);
	PartitionDesc descriptor = RelationGetPartitionDesc(parent, true);
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "auren_events tag months", ALLOCSET_SMALL_SIZES);
	auto *items = static_cast<TagMonth *>(MemoryContextAlloc(context, sizeof(TagMonth) * static_cast<Size>(descriptor->nparts + 1)));
	int count = 0;
	if (descriptor->nparts > 0 && descriptor->boundinfo->strategy == PARTITION_STRATEGY_LIST) {
		PartitionBoundInfo bounds = descriptor->boundinfo;
		for (int i = 0; i < bounds->ndatums && count < descriptor->nparts; i++) {
			items[count++] = {DatumGetDateADT(bounds->datums[i][0]), descriptor->oids[bounds->indexes[i]]};
		}
	}
	table_close(parent, NoLock);
	if (tag_months.context != nullptr) {
		MemoryContextDelete(tag_months.context);
	}
	tag_months.context = context;
	tag_months.items = items;
	tag_months.count = count;
}

// Whether an index is the unique one on hash and position that holds the place of the event.
bool
IsTagIndex(const FormData_pg_index *form) {
	return form->indisunique && form->indisvalid && form->indnkeyatts == kTagPosition + 1 && form->indnatts == kTagEventAt + 1 &&
	       form->indkey.values[kTagHash] == kTagHash + 1 && form->indkey.values[kTagPosition] == kTagPosition + 1 &&
	       form->indkey.values[kTagEventAt] == kTagEventAt + 1;
}

void
BuildTagShape(Server, TagMonthShape *shape, Relation heap) {
	List *indexes = RelationGetIndexList(heap);
	ListCell *cell;
	foreach (cell, indexes) {
		// its lock too is given up: the lock on the month keeps the index
		Relation index = index_open(lfirst_oid(cell), AccessShareLock);
		if (!OidIsValid(shape->index) && IsTagIndex(index->rd_index)) {
			shape->index = RelationGetRelid(index);
			shape->info = list_length(indexes) == 1 ? BuildIndexInfo(index) : nullptr;
		}
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	// a copy that nobody counts references to: its slots outlive the transaction
	shape->rows = static_cast<TagRowSlots *>(palloc0(sizeof(TagRowSlots)));
	shape->rows->columns = CreateTupleDescCopy(RelationGetDescr(heap));
	shape->rows->context = shape->context;
}

// The caller holds a lock on the partition.
TagMonthShape *
TagShapeOf(Server server, Relation heap) {
	if (tag_shapes == nullptr) {
		HASHCTL control = {};
		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(TagMonthShape);
		control.hcxt = CacheMemoryContext;
		tag_shapes = hash_create("auren_events shapes of tag months", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	const Oid relid = RelationGetRelid(heap);
	bool found;
	auto *shape = static_cast<TagMonthShape *>(hash_search(tag_shapes, &relid, HASH_ENTER, &found));
	if (found && shape->freshness.IsFresh()) {
		return shape;
	}
	if (found && shape->context != nullptr) {
		// an append of this transaction may still go by the old one
		MemoryContextSetParent(shape->context, TopTransactionContext);
	}
	// an error below leaves an entry that is stale and owns its memory
	*shape = TagMonthShape{};
	shape->relid = relid;
	shape->context = AllocSetContextCreate(CacheMemoryContext, "auren_events shape of a tag month", ALLOCSET_SMALL_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(shape->context);
	shape->freshness.Refresh([=] { BuildTagShape(server, shape, heap); });
	MemoryContextSwitchTo(outer);
	return shape;
}

} // namespace

bool
HasTagIndex(Server) {
	const Oid schema = get_namespace_oid("auren", true);
	return OidIsValid(schema) && OidIsValid(get_relname_relid("event_tags", schema));
}

Oid
FindTagMonth(Server server, Month month) {
	const int32 start_days = month.StartDays();
	// A second look after the news, as FindPartition has it.
	for (int look = 0; look < 2; look++) {
		if (look > 0) {
			AcceptInvalidationMessages();
		}
		tag_months.freshness.Refresh([server] { LoadTagMonths(server); });
		int low = 0;
		int high = tag_months.count;
		while (low < high) {
			const int middle = (low + high) / 2;
			if (tag_months.items[middle].start_days < start_days) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		if (low < tag_months.count && tag_months.items[low].start_days == start_days) {
			return tag_months.items[low].relid;
		}
	}
	return InvalidOid;
}

OpenTagMonth
OpenTagMonthForRead(Server server, Oid relid) {
	Relation heap = table_open(relid, AccessShareLock);
	const Oid index = TagShapeOf(server, heap)->index;
	if (!OidIsValid(index)) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("partition \"%s\" lacks its unique index on tag_hash, global_position", RelationGetRelationName(heap)),
		                errhint("Make it again as in the other partitions; events are found by their tags with it.")));
	}
	return {heap, index_open(index, AccessShareLock), nullptr, nullptr};
}

OpenTagMonth
OpenTagMonthForWrite(Server server, Oid relid) {
	OpenTagMonth month = {table_open(relid, RowExclusiveLock), nullptr, nullptr, nullptr};
	const TagMonthShape *shape = TagShapeOf(server, month.heap);
	if (shape->info != nullptr) {
		month.index = index_open(shape->index, RowExclusiveLock);
		month.info = shape->info;
	}
	month.rows = shape->rows;
	return month;
}

TupleTableSlot *
TagRowSlot(Server, const OpenTagMonth &month, int row) {
	TagRowSlots *rows = month.rows;
	if (row == rows->made) {
		MemoryContext outer = MemoryContextSwitchTo(rows->context);
		rows->slots[rows->made++] = MakeSingleTupleTableSlot(rows->columns, &TTSOpsVirtual);
		MemoryContextSwitchTo(outer);
	}
	TupleTableSlot *slot = rows->slots[row];
	ExecClearTuple(slot);
	std::memset(slot->tts_isnull, 0, sizeof(bool) * kEventTagColumns);
	return ExecStoreVirtualTuple(slot);
}

void
WriteTagRows(Server server, const OpenTagMonth &month, int rows) {
	if (rows == 0) {
		return;
	}
	TupleTableSlot **slots = month.rows->slots;
	if (rows == 1) {
		table_tuple_insert(month.heap, slots[0], GetCurrentCommandId(true), 0, nullptr);
	} else {
		table_multi_insert(month.heap, slots, rows, GetCurrentCommandId(true), 0, nullptr);
	}
	for (int i = 0; i < rows; i++) {
		TupleTableSlot *slot = slots[i];
		if (month.index == nullptr) {
			InsertIndexEntries(server, month.heap, nullptr, slot);
			continue;
		}
		// it has the table's first columns, and whoever writes knows that the row is new
		(void)index_insert(month.index, slot->tts_values, slot->tts_isnull, &slot->tts_tid, month.heap, UNIQUE_CHECK_NO, false, month.info);
	}
}

void
CloseTagMonth(Server, const OpenTagMonth &month, LOCKMODE lock) {
	if (month.index != nullptr) {
		if (month.info != nullptr) {
			compat::EndIndexInserts(month.index, month.info);
		}
		index_close(month.index, lock);
	}
	table_close(month.heap, lock);
}

bool
MonthOfTags(Server server, Oid relid, Month *month) {
	AcceptInvalidationMessages();
	tag_months.freshness.Refresh([server] { LoadTagMonths(server); });
	for (int i = 0; i < tag_months.count; i++) {
		if (tag_months.items[i].relid == relid) {
			*month = Month::FromDays(tag_months.items[i].start_days);
			return true;
		}
	}
	return false;
}

void
RegisterTagMonths(Server server) {
	OnRelationChange(server, ForgetTagMonths);
}

} // namespace auren::pg
