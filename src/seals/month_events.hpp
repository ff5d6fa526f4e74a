#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "core/seals/canonical_line.hpp"
#include "core/seals/digest.hpp"
#include "seals/month_blocks.hpp"
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

using DamageSink = std::function<void(const DamagedPart &)>;

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
	// Reads them all; each event is reported as done. What the server cannot read of the table is told. Returns how many events could be read.
	int64 Read(int64 done_before, const DamageSink &tell);
	// Whether the event at a position was told as one that cannot be read.
	bool
	IsDamaged(int64 position) const {
		return damaged_.count(position) != 0;
	}
	// False after the last one.
	bool Next(FoundEvent *event);
	// The line of an event that Next gave, and what names it.
	std::string LineOf(const FoundEvent &event);
	void NamesOf(const FoundEvent &event, std::string *event_id, std::string *stream_id);
	// What the server said of the index of positions, where it cannot read it: then every event counts as one that the index has. Known after the
	// last event.
	const std::optional<std::string> &
	index_damage() const {
		return index_damage_;
	}
	void Close();

  private:
	void ReadBlocks(MonthBlocks *blocks, BlockNumber first, std::vector<LyingEvent> *events, const DamageSink &tell);
	void Put(const std::vector<LyingEvent> &events);
	bool IsIndexed(int64 position);
	void ReadEntries();
	EventLine Fetch(Server server, const FoundEvent &event);

	Snapshot snapshot_;
	int64 after_;
	int64 up_to_;
	Relation heap_ = nullptr;
	AttrNumber attnum_[kEventColumns];
	Oid position_index_ = InvalidOid;
	TupleTableSlot *slot_ = nullptr;
	MemoryContext context_ = nullptr; // of the event that is looked at
	std::set<int64> damaged_;         // positions
	std::optional<std::string> index_damage_;
	// the sorted ones
	Tuplesortstate *sort_ = nullptr;
	TupleTableSlot *in_ = nullptr;
	TupleTableSlot *out_ = nullptr;
	// entries of the index, which are read along, some thousand at once
	std::vector<int64> entries_;
	std::size_t entry_count_ = 0;
	std::size_t entry_at_ = 0;
	int64 last_entry_;
	bool entries_end_ = false;
};

} // namespace auren::pg
