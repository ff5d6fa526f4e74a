#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/seals/canonical_line.hpp"
#include "core/seals/digest.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "store/event_read.hpp"
#include "store/partitions.hpp"

namespace auren::pg {

// An event as it lies in its table.
struct LyingEvent {
	int64 position;
	ItemPointerData tid;
	Digest digest; // of its line
};

// What the server could not read: a block as a whole, or an event in it, named as far as its row can be read.
struct DamagedPart {
	std::optional<int64> position;
	std::string event_id; // 16 bytes; empty where it could not be read
	std::string stream_id;
	std::string detail;
};

/*
 * Reads the events of a month's table that a snapshot sees and whose positions are in a range, block by block. Each call opens and closes all that it
 * needs, so that it can be made by ReadDamageable.
 */
class MonthBlocks {
  public:
	// The table is open, and stays so. Positions after `after` and up to `up_to`.
	MonthBlocks(Relation heap, const AttrNumber *attnum, Snapshot snapshot, int64 after, int64 up_to);

	BlockNumber
	count() const {
		return count_;
	}
	// Some blocks, one after the other. Events that were read before an error are in `events` too.
	void Read(BlockNumber first, BlockNumber count, std::vector<LyingEvent> *events);
	// What of a block that Read failed on can be read, event by event; the rest is in `damaged`.
	void ReadSingly(BlockNumber block, std::vector<LyingEvent> *events, std::vector<DamagedPart> *damaged);
	void Close();

  private:
	bool NextLine(TableScanDesc scan, TupleTableSlot *slot, ItemPointerData *tid, EventLine *line);
	void Add(const EventLine &line, const ItemPointerData &tid, std::vector<LyingEvent> *events);
	void ReadItem(const ItemPointerData &tid, std::vector<LyingEvent> *events);
	DamagedPart NameOf(const ItemPointerData &tid, const std::string &message);

	Relation heap_;
	const AttrNumber *attnum_;
	Snapshot snapshot_;
	int64 after_;
	int64 up_to_;
	BlockNumber count_;
	MemoryContext scan_context_;  // of a call
	MemoryContext event_context_; // of the event that is looked at
	Hasher hasher_;
	std::string text_;
};

} // namespace auren::pg
