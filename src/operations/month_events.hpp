#pragma once

#include <string>

#include "core/operations/canonical_line.hpp"
#include "core/operations/digest.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/partitions.hpp"

namespace auren::pg {

// An event of a month as it is: its place in the order, and the digest of its line.
struct FoundEvent {
	int64 position;
	ItemPointerData tid;
	Digest digest;
	bool indexed; // whether the month's index of positions has an entry for it
};

/*
 * The events of a month between two positions, in order of position, as its table has them: read one after the other as they lie there, whatever its
 * indexes say, and sorted, on disk where they exceed work_mem. After an error the end of the transaction does what Close does.
 */
class MonthEvents {
  public:
	// Opens the partition (ACCESS SHARE); positions after `after` and up to `up_to`.
	MonthEvents(Oid partition, Snapshot snapshot, int64 after, int64 up_to);

	// False where the partition is not a table that has the store's columns: then nothing else may be called.
	bool
	IsReadable() const {
		return heap_ != nullptr;
	}
	// Reads them all; each event is reported as done. Returns how many there are.
	int64 Read(int64 done_before);
	// False after the last one.
	bool Next(FoundEvent *event);
	// The line of an event that Next gave, and what names it.
	std::string LineOf(const FoundEvent &event);
	void NamesOf(const FoundEvent &event, std::string *event_id, std::string *stream_id);
	void Close();

  private:
	bool NextLine(ItemPointerData *tid, EventLine *line);
	void Put(int64 position, const ItemPointerData &tid, const Digest &digest);
	void OpenIndex(Server server);
	bool IsIndexed(Server server, int64 position);
	EventLine Fetch(Server server, const FoundEvent &event);

	Snapshot snapshot_;
	int64 after_;
	int64 up_to_;
	Relation heap_ = nullptr;
	AttrNumber attnum_[kEventColumns];
	Oid position_index_ = InvalidOid;
	TableScanDesc scan_ = nullptr;
	TupleTableSlot *slot_ = nullptr;
	MemoryContext context_ = nullptr; // of the event that is looked at
	Hasher hasher_;
	std::string text_;
	// the sorted ones
	Tuplesortstate *sort_ = nullptr;
	TupleTableSlot *in_ = nullptr;
	TupleTableSlot *out_ = nullptr;
	// entries of the index, which are read along
	Relation index_ = nullptr;
	IndexScanDesc entries_ = nullptr;
	bool entries_end_ = false;
	int64 entry_ = 0;
};

} // namespace auren::pg
