#include "append/event_write.hpp"

#include <algorithm>
#include <cstring>

#include "core/tags/tag_hash.hpp"
#include "core/tags/tag.hpp"
#include "server/compat.hpp"
#include "server/text.hpp"
#include "store/event_read.hpp"
#include "store/tag_months.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

namespace {

// Index entries are made for this many events at once,
constexpr int kChunkEvents = 1000;
// and their rows are put into the heap so many at a time: few enough that their memory stays in the processor's cache.
constexpr int kHeapEvents = 100;

// A GIN index on one column whose keys are integers, as those of jsonb_path_ops are.
bool
HasIntegerKeys(const GinState &state) {
	return state.oneCol && state.compareFn[0].fn_oid == F_BTINT4CMP && TupleDescAttr(state.tupdesc[0], 0)->atttypid == INT4OID;
}

/*
 * What ginHeapTupleFastCollect does, for integer keys: they are sorted as integers, and the entries, which differ in the key
 * alone, are copies of the first one. It saves one append 4.5 % of its instructions, and a batch a tenth.
 */
void
CollectIntegerKeys(Server, GinState *state, GinTupleCollector *collector, Datum value, ItemPointer tid) {
	int32 count = 0;
	bool *nulls = nullptr;
	const auto *entries = reinterpret_cast<const Datum *>(
		FunctionCall3Coll(&state->extractValueFn[0], state->supportCollation[0], value, PointerGetDatum(&count), PointerGetDatum(&nulls)));
	if (entries == nullptr || count <= 0 || nulls != nullptr) {
		// a value without keys has an entry too, which says so
		ginHeapTupleFastCollect(state, collector, FirstOffsetNumber, value, false, tid);
		return;
	}
	auto *keys = static_cast<int32 *>(palloc(sizeof(int32) * static_cast<Size>(count)));
	for (int32 i = 0; i < count; i++) {
		keys[i] = DatumGetInt32(entries[i]);
	}
	std::sort(keys, keys + count);
	count = static_cast<int32>(std::unique(keys, keys + count) - keys);
	const uint32 needed = collector->ntuples + static_cast<uint32>(count);
	if (collector->tuples == nullptr || collector->lentuples < needed) {
		collector->lentuples = pg_nextpower2_32(Max(static_cast<uint32>(16), needed));
		const Size size = sizeof(IndexTuple) * collector->lentuples;
		collector->tuples = static_cast<IndexTuple *>(collector->tuples == nullptr ? palloc(size) : repalloc(collector->tuples, size));
	}
	IndexTuple first = GinFormTuple(state, FirstOffsetNumber, Int32GetDatum(keys[0]), GIN_CAT_NORM_KEY, nullptr, 0, 0, true);
	first->t_tid = *tid;
	const Size size = IndexTupleSize(first);
	const Size key_offset = IndexInfoFindDataOffset(first->t_info);
	auto *copies = static_cast<char *>(palloc(size * static_cast<Size>(count)));
	for (int32 i = 0; i < count; i++) {
		char *copy = copies + size * static_cast<Size>(i);
		std::memcpy(copy, first, size);
		std::memcpy(copy + key_offset, &keys[i], sizeof keys[i]);
		collector->tuples[collector->ntuples++] = reinterpret_cast<IndexTuple>(copy);
		collector->sumsize += static_cast<uint32>(size);
	}
}

void
InsertIndexEntry(Server server, const WritablePartition &partition, int i, const Datum *event, ItemPointer tid) {
	IndexShape &index = partition.shapes[i];
	Datum values[INDEX_MAX_KEYS];
	bool isnull[INDEX_MAX_KEYS];
	for (int key = 0; key < index.keys; key++) {
		values[key] = event[index.column[key]];
		isnull[key] = false;
	}
	// what gininsert has kept since its first call
	auto *gin_state = static_cast<GinState *>(index.gin ? index.info->ii_AmCache : nullptr);
	if (gin_state != nullptr && HasIntegerKeys(*gin_state) && GinGetUseFastUpdate(partition.indexes[i])) {
		GinTupleCollector collector;
		std::memset(&collector, 0, sizeof collector);
		CollectIntegerKeys(server, gin_state, &collector, values[0], tid);
		ginHeapTupleFastInsert(gin_state, &collector);
		return;
	}
	(void)index_insert(partition.indexes[i], values, isnull, tid, partition.heap, index.unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false,
	                   index.info);
}

Size
PendingSize(const GinTupleCollector &collector) {
	return collector.sumsize + collector.ntuples * sizeof(ItemIdData);
}

/*
 * The entries of a chunk for one GIN index go to its pending list a page at a time, instead of once an event: the list's
 * tail is locked and logged that much less often. A page holds whole rows or a part of one row, nothing else: readers
 * of the list depend on it, so that several rows are never handed over as more than a page.
 */
void
InsertGinEntries(Server server, const EventWriter *writer, int i) {
	Relation relation = writer->partition.indexes[i];
	const IndexShape &index = writer->partition.shapes[i];
	GinState state;
	initGinState(&state, relation);
	GinTupleCollector collector;
	std::memset(&collector, 0, sizeof collector);
	for (int event = 0; event < writer->count; event++) {
		const GinTupleCollector before = collector;
		if (HasIntegerKeys(state)) {
			CollectIntegerKeys(server, &state, &collector, writer->values[event][index.column[0]], &writer->tids[event]);
		} else {
			for (int key = 0; key < index.keys; key++) {
				ginHeapTupleFastCollect(&state, &collector, static_cast<OffsetNumber>(key + 1), writer->values[event][index.column[key]], false,
				                        &writer->tids[event]);
			}
		}
		if (before.ntuples > 0 && PendingSize(collector) > static_cast<Size>(GinListPageSize)) {
			GinTupleCollector page = collector;
			page.ntuples = before.ntuples;
			page.sumsize = before.sumsize;
			ginHeapTupleFastInsert(&state, &page);
			collector.ntuples -= before.ntuples;
			collector.sumsize -= before.sumsize;
			std::memmove(collector.tuples, collector.tuples + before.ntuples, sizeof(IndexTuple) * collector.ntuples);
		}
	}
	ginHeapTupleFastInsert(&state, &collector);
}

TupleTableSlot *
FillSlot(Server, TupleTableSlot *slot, const Datum *values) {
	const auto columns = static_cast<std::size_t>(slot->tts_tupleDescriptor->natts);
	ExecClearTuple(slot);
	std::memcpy(slot->tts_values, values, sizeof(Datum) * columns);
	std::memset(slot->tts_isnull, 0, sizeof(bool) * columns);
	return ExecStoreVirtualTuple(slot);
}

void
WriteOneDirectly(Server server, EventWriter *writer) {
	const WritablePartition &partition = writer->partition;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(partition.heap), &TTSOpsVirtual);
	FillSlot(server, slot, writer->values[0]);
	table_tuple_insert(partition.heap, slot, GetCurrentCommandId(true), 0, nullptr);
	writer->tids[0] = slot->tts_tid;
	for (int i = 0; i < partition.index_count; i++) {
		InsertIndexEntry(server, partition, i, writer->values[0], &slot->tts_tid);
		compat::EndIndexInserts(partition.indexes[i], partition.shapes[i].info);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/*
 * Slots of the open partition. Their row type is a copy that nobody counts references to: a resource owner that has to
 * remember it for each slot costs more than the slots do.
 */
void
MakeSlots(Server, EventWriter *writer) {
	writer->slot_context = AllocSetContextCreate(writer->context, "auren_events slots", ALLOCSET_DEFAULT_SIZES);
	MemoryContext outer = MemoryContextSwitchTo(writer->slot_context);
	TupleDesc descriptor = CreateTupleDescCopy(RelationGetDescr(writer->partition.heap));
	const int count = Min(writer->capacity, kHeapEvents);
	writer->slots = static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * static_cast<Size>(count)));
	for (int i = 0; i < count; i++) {
		writer->slots[i] = MakeSingleTupleTableSlot(descriptor, table_slot_callbacks(writer->partition.heap));
		writer->slots[i]->tts_tableOid = RelationGetRelid(writer->partition.heap);
	}
	MemoryContextSwitchTo(outer);
}

void
PutRows(Server server, EventWriter *writer) {
	for (int first = 0; first < writer->count; first += kHeapEvents) {
		CHECK_FOR_INTERRUPTS();
		const int count = Min(kHeapEvents, writer->count - first);
		for (int i = 0; i < count; i++) {
			FillSlot(server, writer->slots[i], writer->values[first + i]);
		}
		table_multi_insert(writer->partition.heap, writer->slots, count, GetCurrentCommandId(true), 0, nullptr);
		for (int i = 0; i < count; i++) {
			writer->tids[first + i] = writer->slots[i]->tts_tid;
			ExecClearTuple(writer->slots[i]);
		}
	}
}

void
WriteManyDirectly(Server server, EventWriter *writer) {
	const WritablePartition &partition = writer->partition;
	if (writer->slot_context == nullptr) {
		MakeSlots(server, writer);
	}
	PutRows(server, writer);
	for (int i = 0; i < partition.index_count; i++) {
		const IndexShape &index = partition.shapes[i];
		CHECK_FOR_INTERRUPTS();
		if (index.gin && GinGetUseFastUpdate(partition.indexes[i])) {
			InsertGinEntries(server, writer, i);
			continue;
		}
		for (int event = 0; event < writer->count; event++) {
			InsertIndexEntry(server, partition, i, writer->values[event], &writer->tids[event]);
		}
		compat::EndIndexInserts(partition.indexes[i], index.info);
	}
}

bool
HasTag(Server, const EventTags &tags, std::string_view tag) {
	return std::any_of(tags.items, tags.items + tags.count, [&](Datum item) { return TextBytes(item) == tag; });
}

// Whether an event as it is stored has no tag but those that are written, whose keys were locked before.
bool
HasOnlyTags(Server server, const EventRow &row, const EventTags &written) {
	const Datum tenant = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row.values[kTenantId]));
	const Datum type = PointerGetDatum(PG_DETOAST_DATUM_PACKED(row.values[kEventType]));
	const RuledEvent event = {TextBytes(tenant), TextBytes(type), row.values[kEventData]};
	TextList tags;
	return TryTagsToWrite(server, event, TextsOf(server, row.values[kTags]), &tags) &&
	       std::all_of(tags.begin(), tags.end(), [&](std::string_view tag) { return HasTag(server, written, tag); });
}

// What a trigger made of the row must still be the event that was given its place in the stream, and be found by no other tags. Returns where it is.
ItemPointerData
CheckStored(Server server, EventWriter *writer, const Datum *values, const EventTags &tags) {
	const WritablePartition &partition = writer->partition;
	const StoredEvent event =
		NewestEvent(server, partition.heap, StreamIndex(server, writer), partition.attnum, partition.slot, values[kTenantId], values[kStreamId]);
	const bool stored = event.found && DatumGetInt64(event.row.values[kStreamVersion]) == DatumGetInt64(values[kStreamVersion]) &&
	                    DatumGetInt64(event.row.values[kGlobalPosition]) == DatumGetInt64(values[kGlobalPosition]) &&
	                    std::memcmp(DatumGetUUIDP(event.row.values[kEventId]), DatumGetUUIDP(values[kEventId]), UUID_LEN) == 0;
	const ItemPointerData tid = partition.slot->tts_tid;
	const bool same_tags = !stored || HasOnlyTags(server, event.row, tags);
	ExecClearTuple(partition.slot);
	if (!same_tags) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the event was not stored as appended"),
		                errdetail("A trigger or a rule on events.event_store gave it other tags, or changed its type or data so that a rule of "
		                          "events.tag_rules makes others of it."),
		                errhint("Give what makes tags with the append: conditions wait for an append by the tags that it was given.")));
	}
	if (!stored) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the event was not stored as appended"),
		                errdetail("A trigger or a rule on events.event_store dropped its row or changed its id, stream, "
		                          "version, position or tenant."),
		                errhint("Triggers on events.event_store may add to an event, not move or drop it.")));
	}
	return tid;
}

void
WriteByInsert(Server server, EventWriter *writer) {
	if (!writer->spi_connected) {
		SPI_connect();
		writer->spi_connected = true;
		// a table without the column of tags ends before it
		const bool tagged = HasTagColumn(server, writer->events);
		Oid types[kEventColumns] = {UUIDOID, TEXTOID, INT8OID, TEXTOID, JSONBOID, JSONBOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, INT8OID, TEXTARRAYOID};
		StringInfoData sql;
		initStringInfo(&sql);
		appendStringInfo(
			&sql,
			"INSERT INTO events.event_store (event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by, "
			"tenant_id, global_position%s) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10%s)",
			tagged ? ", tags" : "", tagged ? ", $11" : "");
		writer->plan = PrepareWithRightsWaived(server, sql.data, tagged ? kEventColumns : kTags, types, 0);
		pfree(sql.data);
	}
	for (int event = 0; event < writer->count; event++) {
		CHECK_FOR_INTERRUPTS();
		const int result = SPI_execute_plan(writer->plan, writer->values[event], nullptr, false, 0);
		if (result < 0) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not insert an event: %s", SPI_result_code_string(result))));
		}
		writer->tids[event] = CheckStored(server, writer, writer->values[event], writer->tags[event]);
	}
}

bool
HasTagsOpen(const EventWriter &writer, int64 micros) {
	return writer.tags_open && micros >= writer.tags_lower && micros < writer.tags_upper;
}

void
OpenTags(Server server, EventWriter *writer, Month month) {
	const Oid relid = FindTagMonth(server, month);
	if (!OidIsValid(relid)) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("no partition of auren.event_tags holds the event's month"),
		                errdetail("The newest event of its stream is of a month ahead that was made before events had tags."),
		                errhint("Call events.create_monthly_partitions() for as many months ahead.")));
	}
	writer->tags_month = OpenTagMonthForWrite(server, relid);
	writer->tags_open = true;
	writer->tags_lower = month.StartMicros();
	writer->tags_upper = month.Next().StartMicros();
	writer->tags_day = month.StartDays();
}

void
CloseTags(Server server, EventWriter *writer) {
	if (writer->tags_open) {
		CloseTagMonth(server, writer->tags_month, NoLock);
		writer->tags_open = false;
	}
}

// The hashes of tags, sorted, each once; how many there are.
int
HashesOf(std::string_view tenant, const EventTags &tags, int64 *hashes) {
	Assert(tags.count <= static_cast<int>(kMaxTagsOfEvent));
	const TagHash hash(tenant);
	for (int i = 0; i < tags.count; i++) {
		hashes[i] = hash.Of(TextBytes(tags.items[i]));
	}
	std::sort(hashes, hashes + tags.count);
	return static_cast<int>(std::unique(hashes, hashes + tags.count) - hashes);
}

// The entries of a chunk in the index of tags: its events have their places by now.
void
WriteTags(Server server, EventWriter *writer) {
	int rows = 0;
	for (int event = 0; event < writer->count; event++) {
		const EventTags &tags = writer->tags[event];
		if (tags.count == 0) {
			continue;
		}
		const Datum *stored = writer->values[event];
		const int64 micros = DatumGetTimestampTz(stored[kCreatedAt]);
		int64 hashes[kMaxTagsOfEvent];
		const int count = HashesOf(TextBytes(stored[kTenantId]), tags, hashes);
		if (rows + count > kTagRowsAtOnce || !HasTagsOpen(*writer, micros)) {
			WriteTagRows(server, writer->tags_month, rows);
			rows = 0;
		}
		OpenTagsAt(server, writer, micros);
		for (int i = 0; i < count; i++) {
			Datum *values = TagRowSlot(server, writer->tags_month, rows++)->tts_values;
			values[kTagHash] = Int64GetDatum(hashes[i]);
			values[kTagPosition] = stored[kGlobalPosition];
			values[kTagEventAt] = PointerGetDatum(&writer->tids[event]);
			values[kTagMonth] = DateADTGetDatum(writer->tags_day);
		}
	}
	WriteTagRows(server, writer->tags_month, rows);
}

void
ClosePartition(Server server, EventWriter *writer) {
	if (!writer->partition_open) {
		return;
	}
	if (writer->slot_context != nullptr) {
		MemoryContextDelete(writer->slot_context);
		writer->slot_context = nullptr;
	}
	Close(server, writer->partition);
	writer->partition_open = false;
}

void
Flush(Server server, EventWriter *writer) {
	if (writer->count == 0) {
		return;
	}
	MemoryContext outer = writer->chunk != nullptr ? MemoryContextSwitchTo(writer->chunk) : CurrentMemoryContext;
	if (!writer->direct_parent || !writer->partition.direct_write) {
		WriteByInsert(server, writer);
	} else if (writer->count == 1) {
		WriteOneDirectly(server, writer);
	} else {
		WriteManyDirectly(server, writer);
	}
	WriteTags(server, writer);
	writer->count = 0;
	MemoryContextSwitchTo(outer);
	if (writer->chunk != nullptr) {
		MemoryContextReset(writer->chunk);
	}
}

} // namespace

void
BeginWrite(Server server, EventWriter *writer, Relation events, int expected) {
	std::memset(writer, 0, sizeof *writer);
	writer->events = events;
	writer->direct_parent = ParentAllowsDirectWrite(server, events);
	writer->capacity = Min(expected, kChunkEvents);
	writer->context = CurrentMemoryContext;
	if (expected > 1) {
		writer->chunk = AllocSetContextCreate(CurrentMemoryContext, "auren_events chunk", ALLOCSET_DEFAULT_SIZES);
	}
	writer->values = static_cast<Datum(*)[kEventColumns]>(palloc(sizeof(Datum[kEventColumns]) * static_cast<Size>(writer->capacity)));
	writer->tags = static_cast<EventTags *>(palloc(sizeof(EventTags) * static_cast<Size>(writer->capacity)));
	writer->tids = static_cast<ItemPointerData *>(palloc(sizeof(ItemPointerData) * static_cast<Size>(writer->capacity)));
}

void
OpenMonth(Server server, EventWriter *writer, int64 micros) {
	if (writer->partition_open && micros >= writer->range.lower && micros < writer->range.upper) {
		return;
	}
	Flush(server, writer);
	ClosePartition(server, writer);
	writer->range = FindPartition(server, writer->events, micros);
	if (OidIsValid(writer->range.relid)) {
		MemoryContext outer = MemoryContextSwitchTo(writer->context);
		writer->partition = OpenForWrite(server, writer->range.relid);
		writer->partition_open = true;
		MemoryContextSwitchTo(outer);
	}
}

void
OpenTagsAt(Server server, EventWriter *writer, int64 micros) {
	if (!HasTagsOpen(*writer, micros)) {
		CloseTags(server, writer);
		OpenTags(server, writer, Month::FromMicros(micros));
	}
}

Relation
StreamIndex(Server, const EventWriter *writer) {
	if (writer->partition.stream_index == nullptr) {
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		                errmsg("partition \"%s\" lacks its unique index on tenant_id, stream_id, stream_version",
		                       RelationGetRelationName(writer->partition.heap)),
		                errhint("Make it again as in the other partitions; appends need it to find a stream's version.")));
	}
	return writer->partition.stream_index;
}

void
WriteEvent(Server server, EventWriter *writer, const Datum *values, EventTags tags) {
	if (writer->count == writer->capacity) {
		Flush(server, writer);
	}
	OpenMonth(server, writer, DatumGetTimestampTz(values[kCreatedAt]));
	if (!writer->partition_open) {
		ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION), errmsg("no partition of events.event_store holds the event's time"),
		                errhint("Call events.create_monthly_partitions().")));
	}
	writer->tags[writer->count] = tags;
	std::memcpy(writer->values[writer->count++], values, sizeof(Datum[kEventColumns]));
}

void
EndWrite(Server server, EventWriter *writer) {
	Flush(server, writer);
	CloseTags(server, writer);
	ClosePartition(server, writer);
	if (writer->spi_connected) {
		MemoryContext context = writer->context;
		SPI_finish();
		MemoryContextSwitchTo(context);
	}
	if (writer->chunk != nullptr) {
		MemoryContextDelete(writer->chunk);
	}
}

} // namespace auren::pg
