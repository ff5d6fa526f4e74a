#include "metrics/seen_rows.hpp"

#include <cstring>

namespace auren::pg {

namespace {

// The columns of auren.deltas, and those of a rollup after its period.
enum ChangeColumn : int { kChangeSeries, kChangeBucket, kChangeSummary };

} // namespace

void
OpenSeenRows(Server, SeenRows *rows, Oid table, LOCKMODE lock, Snapshot snapshot) {
	rows->heap = table_open(table, lock);
	rows->scan = table_beginscan(rows->heap, SnapshotSelf, 0, nullptr);
	rows->slot = table_slot_create(rows->heap, nullptr);
	rows->snapshot = snapshot;
	rows->context = AllocSetContextCreate(CurrentMemoryContext, "auren_events changes", ALLOCSET_DEFAULT_SIZES);
}

bool
NextSeenRow(Server, SeenRows *rows) {
	while (table_scan_getnextslot(rows->scan, ForwardScanDirection, rows->slot)) {
		// An own one, of a command later than the server snapshot's, is seen too.
		if (!table_tuple_satisfies_snapshot(rows->heap, rows->slot, rows->snapshot)) {
			bool isnull;
			const TransactionId xmin = DatumGetTransactionId(slot_getsysattr(rows->slot, MinTransactionIdAttributeNumber, &isnull));
			if (!TransactionIdIsCurrentTransactionId(xmin)) {
				continue;
			}
		}
		slot_getallattrs(rows->slot);
		return true;
	}
	return false;
}

std::string_view
KeptBytes(Server server, SeenRows *rows, int column) {
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	const std::string_view bytes = SummaryBytes(server, rows->slot->tts_values[column]);
	auto *copy = static_cast<char *>(palloc(bytes.size()));
	std::memcpy(copy, bytes.data(), bytes.size());
	MemoryContextSwitchTo(before);
	return {copy, bytes.size()};
}

bool
NextChange(Server server, SeenRows *rows, int first, Change *change) {
	if (!NextSeenRow(server, rows)) {
		return false;
	}
	const std::string_view bytes = KeptBytes(server, rows, first + kChangeSummary);
	change->series = DatumGetInt64(rows->slot->tts_values[first + kChangeSeries]);
	change->bucket = DatumGetTimestampTz(rows->slot->tts_values[first + kChangeBucket]);
	change->bytes = bytes;
	return true;
}

void
CloseSeenRows(Server, SeenRows *rows) {
	table_endscan(rows->scan);
	ExecDropSingleTupleTableSlot(rows->slot);
	table_close(rows->heap, NoLock);
	MemoryContextDelete(rows->context);
}

} // namespace auren::pg
