#include "store/stream_row.hpp"

#include <cstring>

#include "server/btree.hpp"
#include "server/compat.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

enum StreamRowColumn : int {
	kRowTenant,
	kRowStream,
	kRowFirstMonth,
	kRowLastMonth,
	kRowDroppedVersion,
	kRowClosedAt,
	kRowClosedBy,
	kRowClosedReason,
	kRowImportedVersion, // SQL objects of 0.1.0 have no such column
	kStreamRowColumns
};

const Oid kTextKeys[2] = {F_TEXTEQ, F_TEXTEQ};

StreamRow
RowFrom(Server, TupleTableSlot *slot) {
	StreamRow row;
	slot_getsomeattrs(slot, kRowClosedAt + 1);
	row.found = true;
	row.tid = slot->tts_tid;
	row.first_month = DatumGetDateADT(slot->tts_values[kRowFirstMonth]);
	row.last_month = DatumGetDateADT(slot->tts_values[kRowLastMonth]);
	row.dropped_version = DatumGetInt64(slot->tts_values[kRowDroppedVersion]);
	row.closed = !slot->tts_isnull[kRowClosedAt];
	return row;
}

void
Update(Server, const StreamRows &rows, const StreamRow &row, const Datum *values, const bool *isnull, const bool *replace) {
	// a row that this very command wrote could not be changed by it
	CommandCounterIncrement();
	HeapTupleData locked;
	Buffer buffer;
	locked.t_self = row.tid;
	// The row is locked by this transaction, so that its newest version is where the lock found it.
	if (!heap_fetch(rows.heap, SnapshotSelf, &locked, &buffer, false)) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("locked row of auren.stream_rows has gone")));
	}
	HeapTuple changed =
		heap_modify_tuple(&locked, RelationGetDescr(rows.heap), const_cast<Datum *>(values), const_cast<bool *>(isnull), const_cast<bool *>(replace));
	ReleaseBuffer(buffer);
	CatalogTupleUpdate(rows.heap, &locked.t_self, changed);
	heap_freetuple(changed);
}

Relation
PrimaryKey(Server server, StreamRows *rows) {
	if (rows->pkey == nullptr) {
		rows->pkey = index_open(own::stream_rows_pkey.Get(server), rows->mode);
	}
	return rows->pkey;
}

/*
 * Where this session found the rows that it locked last: a session appends to the same streams again and again, and
 * their rows move once a month at most. What is remembered is a hint: the page must still be in the buffer that it was
 * in, and the row must be live and of the stream that is asked for, else the index is asked.
 */
struct RememberedRow {
	uint64 hash;
	ItemPointerData tid;
	Buffer buffer; // InvalidBuffer: nothing is remembered here
};
constexpr int kRememberedRows = 4096; // a power of two; 96 kB
RememberedRow remembered_rows[kRememberedRows];

uint64
HashOf(Datum text, uint64 seed) {
	const std::string_view bytes = TextBytes(text);
	return hash_bytes_extended(reinterpret_cast<const unsigned char *>(bytes.data()), static_cast<int>(bytes.size()), seed);
}

// The place of a stream, emptied if another one's row is remembered there.
RememberedRow *
RememberedFor(Datum tenant, Datum stream) {
	const uint64 hash = HashOf(stream, HashOf(tenant, 0));
	RememberedRow *remembered = &remembered_rows[hash % kRememberedRows];
	if (remembered->hash != hash) {
		remembered->hash = hash;
		remembered->buffer = InvalidBuffer;
	}
	return remembered;
}

bool
FetchRemembered(Server, Relation heap, const RememberedRow *remembered, Datum tenant, Datum stream, TupleTableSlot *slot) {
	// the page may have gone from the file meanwhile: it is only read while it is pinned where it was
	if (!BufferIsValid(remembered->buffer) || !compat::PinRecentBuffer(heap, ItemPointerGetBlockNumber(&remembered->tid), remembered->buffer)) {
		return false;
	}
	ItemPointerData tid = remembered->tid;
	bool live = table_tuple_fetch_row_version(heap, &tid, SnapshotSelf, slot);
	ReleaseBuffer(remembered->buffer);
	if (live) {
		slot_getsomeattrs(slot, kRowStream + 1);
		const Datum row_tenant = slot->tts_values[kRowTenant];
		const Datum row_stream = slot->tts_values[kRowStream];
		live = IsPlainText(row_tenant) && IsPlainText(row_stream) && SameText(row_tenant, tenant) && SameText(row_stream, stream);
	}
	return live;
}

void
Remember(RememberedRow *remembered, TupleTableSlot *slot) {
	remembered->tid = slot->tts_tid;
	remembered->buffer = reinterpret_cast<BufferHeapTupleTableSlot *>(slot)->buffer;
}

} // namespace

StreamRows
OpenStreamRows(Server server, LOCKMODE mode) {
	return {table_open(own::stream_rows.Get(server), mode), nullptr, mode};
}

void
Close(Server, const StreamRows &rows) {
	if (rows.pkey != nullptr) {
		index_close(rows.pkey, NoLock);
	}
	table_close(rows.heap, NoLock);
}

StreamRow
LockStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream) {
	TupleTableSlot *slot = table_slot_create(rows->heap, nullptr);
	RememberedRow *remembered = RememberedFor(tenant, stream);
	StreamRow row;
	row.found = false;
	// Bounded: each turn means that the row was moved between the look and the lock.
	for (int turn = 0; turn < 1000; turn++) {
		CHECK_FOR_INTERRUPTS();
		if (turn > 0 || !FetchRemembered(server, rows->heap, remembered, tenant, stream, slot)) {
			const Datum keys[2] = {tenant, stream};
			if (!FindLast(server, rows->heap, PrimaryKey(server, rows), keys, kTextKeys, 2, slot)) {
				break;
			}
		}
		ItemPointerData tid = slot->tts_tid;
		TM_FailureData failure;
		const TM_Result result = table_tuple_lock(rows->heap, &tid, SnapshotSelf, slot, GetCurrentCommandId(false), LockTupleNoKeyExclusive,
		                                          LockWaitBlock, TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
		// Invisible: a row that this very command wrote, which it also has locked.
		if (result == TM_Ok || result == TM_Invisible || result == TM_SelfModified) {
			row = RowFrom(server, slot);
			Remember(remembered, slot);
			if (IsolationIsSerializable()) {
				CheckForSerializableConflictIn(rows->heap, &row.tid, ItemPointerGetBlockNumber(&row.tid));
			}
			break;
		}
		if (result != TM_Deleted && result != TM_Updated) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("unexpected result %d of locking a stream's row", static_cast<int>(result))));
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	return row;
}

bool
HasStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream) {
	TupleTableSlot *slot = table_slot_create(rows->heap, nullptr);
	RememberedRow *remembered = RememberedFor(tenant, stream);
	bool found = FetchRemembered(server, rows->heap, remembered, tenant, stream, slot);
	if (!found) {
		const Datum keys[2] = {tenant, stream};
		found = FindLast(server, rows->heap, PrimaryKey(server, rows), keys, kTextKeys, 2, slot);
		if (found) {
			Remember(remembered, slot);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

bool
InsertStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream, const NewStream &made) {
	static const int key_columns[2] = {kRowTenant, kRowStream};
	Datum values[kStreamRowColumns];
	bool isnull[kStreamRowColumns] = {};
	std::memset(values, 0, sizeof values);
	values[kRowTenant] = tenant;
	values[kRowStream] = stream;
	values[kRowFirstMonth] = DateADTGetDatum(made.first_month);
	values[kRowLastMonth] = DateADTGetDatum(made.last_month);
	values[kRowImportedVersion] = Int64GetDatum(made.imported_version);
	values[kRowDroppedVersion] = Int64GetDatum(0);
	isnull[kRowClosedAt] = isnull[kRowClosedBy] = isnull[kRowClosedReason] = true;
	return InsertIfAbsent(server, rows->heap, PrimaryKey(server, rows), key_columns, values, isnull);
}

int64
ImportedVersion(Server, const StreamRows &rows, const StreamRow &row) {
	HeapTupleData locked;
	Buffer buffer;
	locked.t_self = row.tid;
	if (!heap_fetch(rows.heap, SnapshotSelf, &locked, &buffer, false)) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("locked row of auren.stream_rows has gone")));
	}
	bool isnull;
	const Datum version = heap_getattr(&locked, kRowImportedVersion + 1, RelationGetDescr(rows.heap), &isnull);
	ReleaseBuffer(buffer);
	return isnull ? 0 : DatumGetInt64(version);
}

void
SetImported(Server server, const StreamRows &rows, const StreamRow &row, int32 last_month, int64 imported_version) {
	Datum values[kStreamRowColumns];
	bool isnull[kStreamRowColumns] = {};
	bool replace[kStreamRowColumns] = {};
	std::memset(values, 0, sizeof values);
	values[kRowLastMonth] = DateADTGetDatum(last_month);
	values[kRowImportedVersion] = Int64GetDatum(imported_version);
	replace[kRowLastMonth] = replace[kRowImportedVersion] = true;
	Update(server, rows, row, values, isnull, replace);
}

void
SetLastMonth(Server server, const StreamRows &rows, const StreamRow &row, int32 month) {
	Datum values[kStreamRowColumns];
	bool isnull[kStreamRowColumns] = {};
	bool replace[kStreamRowColumns] = {};
	std::memset(values, 0, sizeof values);
	values[kRowLastMonth] = DateADTGetDatum(month);
	replace[kRowLastMonth] = true;
	Update(server, rows, row, values, isnull, replace);
}

namespace {

// Changes the columns of a locked row that say when, by whom and why its stream was closed; values[...] of the three columns are read.
void
SetClosing(Server server, const StreamRows &rows, const StreamRow &row, const Datum *values, const bool *isnull) {
	bool replace[kStreamRowColumns] = {};
	for (const int column : {kRowClosedAt, kRowClosedBy, kRowClosedReason}) {
		replace[column] = true;
	}
	Update(server, rows, row, values, isnull, replace);
}

} // namespace

void
SetClosed(Server server, const StreamRows &rows, const StreamRow &row, Datum by, Datum reason) {
	Datum values[kStreamRowColumns];
	bool isnull[kStreamRowColumns] = {};
	std::memset(values, 0, sizeof values);
	values[kRowClosedAt] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[kRowClosedBy] = by;
	values[kRowClosedReason] = reason;
	SetClosing(server, rows, row, values, isnull);
}

void
SetOpen(Server server, const StreamRows &rows, const StreamRow &row) {
	Datum values[kStreamRowColumns];
	bool isnull[kStreamRowColumns] = {};
	std::memset(values, 0, sizeof values);
	isnull[kRowClosedAt] = isnull[kRowClosedBy] = isnull[kRowClosedReason] = true;
	SetClosing(server, rows, row, values, isnull);
}

StreamRow
ReadStreamRow(Server server, StreamRows *rows, Datum tenant, Datum stream, Snapshot snapshot) {
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, stream);
	TupleTableSlot *slot = table_slot_create(rows->heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(rows->heap, PrimaryKey(server, rows), snapshot, 2);
	index_rescan(scan, keys, 2, nullptr, 0);
	StreamRow row;
	row.found = false;
	if (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		row = RowFrom(server, slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return row;
}

int
ListStreams(Server server, StreamRows *rows, const CategoryPage &page, Snapshot snapshot, Datum *ids) {
	const Datum colon = PointerGetDatum(cstring_to_text(":"));
	const Datum next_byte = PointerGetDatum(cstring_to_text(";"));
	const Datum first = DirectFunctionCall2(textcat, page.category, colon);
	const Datum end = DirectFunctionCall2(textcat, page.category, next_byte);
	const auto less = [](Datum a, Datum b) {
		return DatumGetInt32(DirectFunctionCall2Coll(bttextcmp, C_COLLATION_OID, a, b)) < 0;
	};
	int count = 0;
	// a stream whose id has no colon is a category of its own, and comes first
	if (count < page.limit && (page.after == 0 || less(page.after, page.category)) &&
	    ReadStreamRow(server, rows, page.tenant, page.category, snapshot).found) {
		ids[count++] = datumCopy(page.category, false, -1);
	}
	const bool continued = page.after != 0 && !less(page.after, first);
	ScanKeyData keys[3];
	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, page.tenant);
	ScanKeyEntryInitialize(&keys[1], 0, 2, continued ? BTGreaterStrategyNumber : BTGreaterEqualStrategyNumber, TEXTOID, C_COLLATION_OID,
	                       continued ? F_TEXT_GT : F_TEXT_GE, continued ? page.after : first);
	ScanKeyEntryInitialize(&keys[2], 0, 2, BTLessStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXT_LT, end);
	TupleTableSlot *slot = table_slot_create(rows->heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(rows->heap, PrimaryKey(server, rows), snapshot, 3);
	index_rescan(scan, keys, 3, nullptr, 0);
	while (count < page.limit && index_getnext_slot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		bool isnull;
		ids[count++] = datumCopy(slot_getattr(slot, kRowStream + 1, &isnull), false, -1);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return count;
}

} // namespace auren::pg
