#include "conditions/key_locks.hpp"

#include <algorithm>

#include "server/compat.hpp"
#include "server/lock_classes.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// How many keys the transaction that locked one last in this session has locked. What a savepoint gave back still counts.
LocalTransactionId counted_transaction = InvalidLocalTransactionId;
int counted_keys = 0;

std::uint64_t
HashOf(std::string_view bytes, std::uint64_t seed) {
	return hash_bytes_extended(reinterpret_cast<const unsigned char *>(bytes.data()), static_cast<int>(bytes.size()), seed);
}

LOCKMODE
ModeOf(KeyUse use) {
	if (use.written && use.checked) {
		return ShareRowExclusiveLock;
	}
	return use.written ? RowExclusiveLock : ShareLock;
}

void
LockKey(Server, std::uint64_t hash, uint16 lock_class, KeyUse use) {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(hash >> 32), static_cast<uint32>(hash), lock_class);
	const LockAcquireResult result = LockAcquire(&tag, ModeOf(use), false, false);
	if (result != LOCKACQUIRE_OK) {
		return;
	}
	const LocalTransactionId transaction = compat::CurrentLocalTransaction();
	if (counted_transaction != transaction) {
		counted_transaction = transaction;
		counted_keys = 0;
	}
	counted_keys++;
}

} // namespace

std::uint64_t
StreamKey(std::string_view tenant, std::string_view stream) {
	return HashOf(stream, HashOf(tenant, 0));
}

std::size_t
KeysLeft() {
	const int held = counted_transaction == compat::CurrentLocalTransaction() ? counted_keys : 0;
	return static_cast<std::size_t>(std::max(0, compat::LocksOfTransaction() / 2 - held));
}

bool
KeyLocks::HasRoomFor(std::size_t keys) const {
	return keys_.size() + keys <= KeysLeft();
}

void
KeyLocks::Merge() {
	std::sort(keys_.begin(), keys_.end(), [](const Key &a, const Key &b) { return a.hash < b.hash; });
	std::size_t merged = 0;
	for (const Key &key : keys_) {
		if (merged > 0 && keys_[merged - 1].hash == key.hash) {
			keys_[merged - 1].use.written |= key.use.written;
			keys_[merged - 1].use.checked |= key.use.checked;
		} else {
			keys_[merged++] = key;
		}
	}
	keys_.resize(merged);
}

bool
KeyLocks::ChecksAny() const {
	return asks_about_streams_ || std::any_of(keys_.begin(), keys_.end(), [](const Key &key) { return key.use.checked; });
}

void
KeyLocks::LockTable() const {
	const bool checks = ChecksAny();
	if (!checks && !table_for_written_) {
		return;
	}
	LOCKMODE mode = RowExclusiveLock;
	if (table_for_written_) {
		mode = checks ? ShareRowExclusiveLock : ShareLock;
	}
	Call([&](Server server) {
		// under the SQL objects of 0.1.0 there is no such table, and nobody checks a key
		const Oid table = own::event_tags.GetIfThere(server);
		if (OidIsValid(table)) {
			LockRelationOid(table, mode);
		}
	});
}

void
KeyLocks::Lock() {
	Merge();
	table_for_written_ = !HasRoomFor(new_streams_);
	LockTable();
	for (Key key : keys_) {
		key.use.written &= !table_for_written_;
		if (key.use.written || key.use.checked) {
			Call([&](Server server) { LockKey(server, key.hash, kTagLockClass, key.use); });
		}
	}
}

bool
KeyLocks::LockStream(std::uint64_t stream_key, KeyUse use) const {
	use.written &= !table_for_written_;
	if (use.written || use.checked) {
		Call([&](Server server) { LockKey(server, stream_key, kStreamLockClass, use); });
	}
	return use.checked;
}

} // namespace auren::pg
