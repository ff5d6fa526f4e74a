#include "store/partitions.hpp"

#include <cstring>
#include <initializer_list>

#include "server/relation_changes.hpp"
#include "server/table_row.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// The partitions of the table of events by time.
struct Ranges {
	MemoryContext context;
	PartitionRange *items;
	int count;
	Freshness freshness;
};
Ranges ranges;

HTAB *shapes = nullptr;

const char *const kColumnNames[kEventColumns] = {"event_id",   "stream_id",  "stream_version", "event_type",      "event_data", "metadata",
                                                 "created_at", "created_by", "tenant_id",      "global_position", "tags"};
const Oid kColumnTypes[kEventColumns] = {UUIDOID,        TEXTOID, INT8OID, TEXTOID, JSONBOID,    JSONBOID,
                                         TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8OID, TEXTARRAYOID};

// Relcache callback: counts only, nothing that can fail.
void
Invalidate(Oid relid) {
	if (own::events.MayBe(relid)) {
		ranges.freshness.Forget();
	}
	if (shapes == nullptr) {
		return;
	}
	HASH_SEQ_STATUS status;
	hash_seq_init(&status, shapes);
	while (auto *shape = static_cast<PartitionShape *>(hash_seq_search(&status))) {
		bool hit = relid == InvalidOid || relid == shape->relid;
		for (int i = 0; !hit && i < shape->index_count; i++) {
			hit = shape->indexes[i].oid == relid;
		}
		if (hit) {
			shape->freshness.Forget();
		}
	}
}

// Marks the partitions that are there of an archive. None is where the SQL objects are of a version without archives.
void
MarkArchives(Server server, PartitionRange *items, int count) {
	const Oid records = own::month_records.GetIfThere(server);
	const AttrNumber attached = OidIsValid(records) ? get_attnum(records, "attached_at") : InvalidAttrNumber;
	if (attached == InvalidAttrNumber) {
		return;
	}
	const AttrNumber month = get_attnum(records, "month");
	int64 *starts;
	const int rows = ReadAllRows(server, records, &starts, [&](HeapTuple tuple, TupleDesc descriptor, int64 *start) {
		bool isnull;
		(void)heap_getattr(tuple, attached, descriptor, &isnull);
		const bool there = !isnull;
		const DateADT day = DatumGetDateADT(heap_getattr(tuple, month, descriptor, &isnull));
		*start = there ? static_cast<int64>(day) * USECS_PER_DAY : PG_INT64_MIN;
	});
	for (int row = 0; row < rows; row++) {
		for (int i = 0; i < count; i++) {
			items[i].archive |= starts[row] != PG_INT64_MIN && items[i].lower == starts[row];
		}
	}
	pfree(starts);
}

void
LoadRanges(Server server, Relation events) {
	PartitionDesc descriptor = RelationGetPartitionDesc(events, true);
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "auren_events partitions", ALLOCSET_SMALL_SIZES);
	int count = 0;
	PartitionRange *items =
		static_cast<PartitionRange *>(MemoryContextAlloc(context, sizeof(PartitionRange) * static_cast<Size>(descriptor->nparts + 1)));
	if (descriptor->nparts > 0 && descriptor->boundinfo->strategy == PARTITION_STRATEGY_RANGE) {
		PartitionBoundInfo bounds = descriptor->boundinfo;
		// indexes[i] is the partition below datums[i], indexes[ndatums] the one above the last
		for (int i = 0; i <= bounds->ndatums; i++) {
			const int part = bounds->indexes[i];
			if (part < 0) {
				continue;
			}
			const bool from_value = i > 0 && bounds->kind[i - 1][0] == PARTITION_RANGE_DATUM_VALUE;
			const bool to_value = i < bounds->ndatums && bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE;
			items[count].relid = descriptor->oids[part];
			items[count].lower = from_value ? DatumGetTimestampTz(bounds->datums[i - 1][0]) : PG_INT64_MIN;
			items[count].archive = false;
			items[count].upper = to_value ? DatumGetTimestampTz(bounds->datums[i][0]) : PG_INT64_MAX;
			count++;
		}
	}
	MarkArchives(server, items, count);
	if (ranges.context != nullptr) {
		MemoryContextDelete(ranges.context);
	}
	ranges.context = context;
	ranges.items = items;
	ranges.count = count;
}

void
EnsureRanges(Server server, Relation events) {
	ranges.freshness.Refresh([events, server] { LoadRanges(server, events); });
}

// The partitions are in time's order: the first whose upper bound lies above `micros`.
int
FirstAbove(int64 micros) {
	int low = 0;
	int high = ranges.count;
	while (low < high) {
		const int middle = (low + high) / 2;
		if (ranges.items[middle].upper > micros) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

constexpr PartitionRange kNoPartition = {InvalidOid, 0, 0, false};

bool
HasInsertTrigger(Relation relation) {
	const TriggerDesc *triggers = relation->trigdesc;
	return triggers != nullptr && (triggers->trig_insert_before_row || triggers->trig_insert_after_row || triggers->trig_insert_instead_row ||
	                               triggers->trig_insert_before_statement || triggers->trig_insert_after_statement);
}

int
ColumnOfAttribute(const PartitionShape *shape, AttrNumber attnum) {
	for (int column = 0; column < kEventColumns; column++) {
		if (shape->attnum[column] == attnum) {
			return column;
		}
	}
	return -1;
}

bool
IsBtreeOn(const IndexShape &index, Relation relation, std::initializer_list<int> columns) {
	if (relation->rd_rel->relam != BTREE_AM_OID || !relation->rd_index->indisvalid || index.keys != static_cast<int>(columns.size())) {
		return false;
	}
	int i = 0;
	for (const int column : columns) {
		if (index.column[i++] != column) {
			return false;
		}
	}
	return true;
}

/*
 * Adds one index to a shape under construction. Returns false when only the executor can serve it (an expression, a
 * predicate, an exclusion or a deferrable constraint).
 */
bool
AddIndex(Server, PartitionShape *shape, Oid oid) {
	Relation relation = index_open(oid, AccessShareLock);
	IndexInfo *info = BuildIndexInfo(relation);
	bool plain = true;
	if (info->ii_ReadyForInserts) {
		IndexShape &index = shape->indexes[shape->index_count];
		index.oid = oid;
		index.unique = relation->rd_index->indisunique;
		index.gin = relation->rd_rel->relam == GIN_AM_OID;
		index.keys = info->ii_NumIndexAttrs;
		index.info = info;
		index.built_for = relation;
		plain = info->ii_Expressions == NIL && info->ii_Predicate == NIL && info->ii_ExclusionOps == nullptr && relation->rd_index->indimmediate;
		for (int i = 0; plain && i < index.keys; i++) {
			index.column[i] = ColumnOfAttribute(shape, info->ii_IndexAttrNumbers[i]);
			plain = index.column[i] >= 0;
		}
		if (plain) {
			if (index.unique && IsBtreeOn(index, relation, {kTenantId, kStreamId, kStreamVersion})) {
				shape->stream_index = oid;
			} else if (IsBtreeOn(index, relation, {kEventId, kTenantId})) {
				shape->event_id_index = oid;
			} else if (IsBtreeOn(index, relation, {kGlobalPosition})) {
				shape->position_index = oid;
			} else if (IsBtreeOn(index, relation, {kTenantId, kEventType, kCreatedAt}) && relation->rd_indoption[0] == 0 &&
			           relation->rd_indoption[1] == 0 && relation->rd_indoption[2] == 0) {
				shape->tenant_type_index = oid;
			}
		}
		shape->index_count++;
	}
	// its lock too: a session's first look at many months would fill the table of locks, and the lock on the month keeps the index
	index_close(relation, AccessShareLock);
	return plain;
}

void
BuildShape(Server server, PartitionShape *shape, Relation partition) {
	TupleDesc descriptor = RelationGetDescr(partition);
	shape->direct_read = partition->rd_rel->relkind == RELKIND_RELATION;
	for (int column = 0; column < kEventColumns; column++) {
		shape->attnum[column] = InvalidAttrNumber;
		for (int i = 0; i < descriptor->natts; i++) {
			const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
			if (!attribute->attisdropped && std::strcmp(NameStr(attribute->attname), kColumnNames[column]) == 0 &&
			    attribute->atttypid == kColumnTypes[column]) {
				shape->attnum[column] = attribute->attnum;
			}
		}
		// the tags came with 0.2.0: HasTagColumn
		shape->direct_read &= shape->attnum[column] != InvalidAttrNumber || column == kTags;
	}
	const TupleConstr *constraints = descriptor->constr;
	const int columns = shape->attnum[kTags] == InvalidAttrNumber ? kTags : kEventColumns;
	shape->direct_write = shape->direct_read && descriptor->natts == columns && !HasInsertTrigger(partition) && partition->rd_rules == nullptr &&
	                      (constraints == nullptr || (constraints->num_check == 0 && !constraints->has_generated_stored));
	for (int column = 0; column < columns; column++) {
		shape->direct_write &= shape->attnum[column] == column + 1;
	}

	List *index_oids = RelationGetIndexList(partition);
	shape->indexes = static_cast<IndexShape *>(palloc0(sizeof(IndexShape) * static_cast<Size>(list_length(index_oids) + 1)));
	ListCell *cell;
	foreach (cell, index_oids) {
		shape->direct_write &= AddIndex(server, shape, lfirst_oid(cell));
	}
	// without the unique index a version could be given twice, without the others a repeat would not be found
	shape->direct_read &= OidIsValid(shape->stream_index);
	shape->direct_write &= shape->direct_read && OidIsValid(shape->event_id_index) && OidIsValid(shape->position_index);
}

WritablePartition
OpenIndexes(Server, Relation heap, const PartitionShape &shape) {
	WritablePartition open;
	open.heap = heap;
	open.direct_write = shape.direct_write;
	open.shapes = shape.indexes;
	open.index_count = shape.index_count;
	open.stream_index = nullptr;
	open.slot = nullptr;
	std::memcpy(open.attnum, shape.attnum, sizeof open.attnum);
	const Oid stream_index = shape.direct_read ? shape.stream_index : InvalidOid;
	open.indexes = static_cast<Relation *>(palloc(sizeof(Relation) * static_cast<Size>(open.index_count + 1)));
	for (int i = 0; i < open.index_count; i++) {
		open.indexes[i] = index_open(open.shapes[i].oid, RowExclusiveLock);
		if (open.shapes[i].oid == stream_index) {
			open.stream_index = open.indexes[i];
		}
	}
	return open;
}

/*
 * An access method's cache may hold the relation that it was made for. Where an index changed after the shape was looked at, its
 * relation may be a new one at the address of the old. `shape` is the partition's, as it is after its indexes were opened.
 */
void
DropOldIndexCaches(WritablePartition *open, const PartitionShape &shape) {
	const bool unchanged = shape.freshness.IsFresh();
	for (int i = 0; i < open->index_count; i++) {
		IndexShape &index = open->shapes[i];
		if (!unchanged || index.built_for != open->indexes[i]) {
			index.info->ii_AmCache = nullptr;
			index.built_for = open->indexes[i];
		}
	}
}

} // namespace

PartitionRange
FindPartition(Server server, Relation events, int64 micros) {
	// A second look after the news: a month that another session made while this one waited for a stream's row is told by
	// a message that no lock has made it read yet.
	for (int look = 0; look < 2; look++) {
		if (look > 0) {
			AcceptInvalidationMessages();
		}
		EnsureRanges(server, events);
		const int i = FirstAbove(micros);
		if (i < ranges.count && ranges.items[i].lower <= micros) {
			return ranges.items[i];
		}
	}
	return kNoPartition;
}

PartitionRange
FirstPartition(Server server, Relation events, int64 lower, int64 upper, ScanDirection direction) {
	const bool backward = ScanDirectionIsBackward(direction);
	EnsureRanges(server, events);
	if (lower >= upper) {
		return kNoPartition;
	}
	int i = FirstAbove(backward ? upper - 1 : lower);
	if (backward && (i == ranges.count || ranges.items[i].lower >= upper)) {
		i--;
	}
	if (i < 0 || i >= ranges.count || ranges.items[i].lower >= upper || ranges.items[i].upper <= lower) {
		return kNoPartition;
	}
	return ranges.items[i];
}

PartitionShape *
ShapeOf(Server server, Relation partition) {
	if (shapes == nullptr) {
		HASHCTL control;
		std::memset(&control, 0, sizeof control);
		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(PartitionShape);
		control.hcxt = CacheMemoryContext;
		shapes = hash_create("auren_events partition shapes", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	const Oid relid = RelationGetRelid(partition);
	bool found;
	auto *shape = static_cast<PartitionShape *>(hash_search(shapes, &relid, HASH_ENTER, &found));
	if (found && shape->freshness.IsFresh()) {
		return shape;
	}
	if (found && shape->context != nullptr) {
		// an append of this transaction may still go by the old one
		MemoryContextSetParent(shape->context, TopTransactionContext);
	}
	// an error below leaves an entry that is stale and owns its memory
	*shape = PartitionShape{};
	shape->relid = relid;
	shape->context = AllocSetContextCreate(CacheMemoryContext, "auren_events partition shape", ALLOCSET_SMALL_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(shape->context);
	shape->freshness.Refresh([=] { BuildShape(server, shape, partition); });
	MemoryContextSwitchTo(outer);
	return shape;
}

WritablePartition
OpenForWrite(Server server, Oid relid) {
	// The lock on the heap is there before the shape is looked at: whoever adds or drops an index waits for its holders.
	Relation heap = table_open(relid, RowExclusiveLock);
	const PartitionShape *shape = ShapeOf(server, heap);
	WritablePartition open = OpenIndexes(server, heap, *shape);
	DropOldIndexCaches(&open, *shape);
	open.slot = MakeSingleTupleTableSlot(RelationGetDescr(heap), table_slot_callbacks(heap));
	return open;
}

void
Close(Server, const WritablePartition &partition) {
	ExecDropSingleTupleTableSlot(partition.slot);
	for (int i = 0; i < partition.index_count; i++) {
		index_close(partition.indexes[i], NoLock);
	}
	table_close(partition.heap, NoLock);
}

bool
RowSecurityApplies(Server, Relation events) {
	return events->rd_rel->relrowsecurity && check_enable_rls(RelationGetRelid(events), InvalidOid, true) == RLS_ENABLED;
}

bool
ParentAllowsDirectWrite(Server server, Relation events) {
	return !HasInsertTrigger(events) && events->rd_rules == nullptr && !RowSecurityApplies(server, events);
}

void
RegisterPartitions(Server server) {
	OnRelationChange(server, Invalidate);
}

} // namespace auren::pg
