#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The locks by which an append whose condition asks about a tag, or about a stream that does not exist, keeps away from appends that write it, to the
 * end of the transaction. What is locked is a key: the hash of tenant and tag by which the index of tags goes (core/tags/tag_hash.hpp), or one of
 * tenant and stream. Who writes a key takes RowExclusive on it, who checks it Share, who does both ShareRowExclusive. So writers of one tag do not
 * wait for each other, nor do those who check it.
 *
 * The table of locks is finite. A call that would write more keys than it may (KeysLeft) takes Share on auren.event_tags in place of its own, and
 * whoever checks a key holds RowExclusive there: such a call and those who check wait for each other, and nobody else waits. The rows of the table
 * are written to its partitions, and nobody takes a lock on the parent for it.
 *
 * Order within a call: auren.event_tags, the keys of tags in the order of their hashes, then streams in the order of their ids, each by its key where
 * it has no row, and by its row.
 */
std::uint64_t StreamKey(std::string_view tenant, std::string_view stream);

// How many keys this transaction may lock beyond those that it holds: max_locks_per_transaction allows it half as many locks.
std::size_t KeysLeft();

// What a call does with a key.
struct KeyUse {
	bool written;
	bool checked;
};

class KeyLocks {
  public:
	void
	Write(std::int64_t tag_hash) {
		keys_.push_back({static_cast<std::uint64_t>(tag_hash), {true, false}});
	}
	void
	Check(std::int64_t tag_hash) {
		keys_.push_back({static_cast<std::uint64_t>(tag_hash), {false, true}});
	}
	// Whether as many further keys can be locked one by one.
	bool HasRoomFor(std::size_t keys) const;
	// The call may make so many streams.
	void
	ExpectNewStreams(std::size_t count) {
		new_streams_ = count;
	}
	// It asks about streams that may not exist.
	void
	ExpectAskedStreams() {
		asks_about_streams_ = true;
	}

	// Locks all keys of tags, waiting for whoever holds one against it. Takes no lock where there are none and no stream is expected.
	void Lock();
	// Locks the key of a stream that has no row. True where it may have got one meanwhile: look again.
	bool LockStream(std::uint64_t stream_key, KeyUse use) const;

  private:
	struct Key {
		std::uint64_t hash;
		KeyUse use;
	};
	void Merge();
	bool ChecksAny() const;
	void LockTable() const;

	std::vector<Key> keys_;
	std::size_t new_streams_ = 0;
	bool asks_about_streams_ = false;
	bool table_for_written_ = false; // the lock of auren.event_tags stands for the keys that are written
};

} // namespace auren::pg
