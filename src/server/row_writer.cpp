#include "server/row_writer.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/table_row.hpp"

namespace auren::pg {

namespace {

constexpr int kRowsAtOnce = 200;

} // namespace

void
OpenWriter(Server, RowWriter *writer, Oid table) {
	std::memset(writer, 0, sizeof *writer);
	writer->heap = table_open(table, RowExclusiveLock);
	List *indexes = RelationGetIndexList(writer->heap);
	if (list_length(indexes) == 1) {
		writer->index = index_open(linitial_oid(indexes), RowExclusiveLock);
		writer->info = BuildIndexInfo(writer->index);
		if (!writer->info->ii_ReadyForInserts) {
			index_close(writer->index, NoLock);
			writer->index = nullptr;
		}
	}
	list_free(indexes);
	writer->home = CurrentMemoryContext;
	writer->context = writer->home;
	writer->slots = static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * kRowsAtOnce));
}

TupleTableSlot *
NextRow(Server server, RowWriter *writer) {
	if (writer->count == kRowsAtOnce) {
		CHECK_FOR_INTERRUPTS();
		FlushRows(server, writer);
	}
	if (writer->count == 1 && writer->context == writer->home) {
		writer->context = AllocSetContextCreate(writer->home, "auren_events rows", ALLOCSET_SMALL_SIZES);
	}
	if (writer->count == writer->made) {
		MemoryContext before = MemoryContextSwitchTo(writer->home);
		writer->slots[writer->made++] = MakeSingleTupleTableSlot(RelationGetDescr(writer->heap), &TTSOpsVirtual);
		MemoryContextSwitchTo(before);
	}
	TupleTableSlot *slot = writer->slots[writer->count++];
	std::memset(slot->tts_isnull, 0, sizeof(bool) * static_cast<Size>(slot->tts_tupleDescriptor->natts));
	return ExecStoreVirtualTuple(slot);
}

Datum
BytesValue(Server, MemoryContext context, const char *bytes, Size length) {
	auto *value = static_cast<bytea *>(MemoryContextAlloc(context, VARHDRSZ + length));
	SET_VARSIZE(value, VARHDRSZ + length);
	std::memcpy(VARDATA(value), bytes, length);
	return PointerGetDatum(value);
}

void
FlushRows(Server server, RowWriter *writer) {
	if (writer->count == 0) {
		return;
	}
	// the rows as tuples, and what the index makes of them, go with the values
	MemoryContext before = MemoryContextSwitchTo(writer->context);
	if (writer->count == 1) {
		table_tuple_insert(writer->heap, writer->slots[0], GetCurrentCommandId(true), 0, nullptr);
	} else {
		table_multi_insert(writer->heap, writer->slots, writer->count, GetCurrentCommandId(true), 0, nullptr);
	}
	for (int i = 0; i < writer->count; i++) {
		TupleTableSlot *slot = writer->slots[i];
		if (writer->index == nullptr) {
			InsertIndexEntries(server, writer->heap, nullptr, slot);
		} else {
			// ours index the table's first columns
			(void)index_insert(writer->index, slot->tts_values, slot->tts_isnull, &slot->tts_tid, writer->heap, UNIQUE_CHECK_NO, false, writer->info);
		}
		ExecClearTuple(slot);
	}
	writer->count = 0;
	MemoryContextSwitchTo(before);
	if (writer->context != writer->home) {
		MemoryContextReset(writer->context);
	}
}

void
CloseWriter(Server server, RowWriter *writer) {
	FlushRows(server, writer);
	for (int i = 0; i < writer->made; i++) {
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	}
	if (writer->index != nullptr) {
		compat::EndIndexInserts(writer->index, writer->info);
		index_close(writer->index, NoLock);
	}
	table_close(writer->heap, NoLock);
	if (writer->context != writer->home) {
		MemoryContextDelete(writer->context);
	}
	pfree(writer->slots);
}

} // namespace auren::pg
