#include "seals/seal_key.hpp"

#include <algorithm>

#include "access/store_rows.hpp"
#include "core/error.hpp"
#include "encrypted/key_file.hpp"
#include "server/guard.hpp"
#include "server/lock_classes.hpp"
#include "server/settings.hpp"
#include "store/query.hpp"

namespace auren::pg {

namespace {

constexpr KeyFileNames kNames = {"the seal key", "auren_events.seal_key_file", "Write the key to a file of the server's user."};

Datum
BytesDatum(const std::string &bytes) {
	const char *data = bytes.data();
	const Size size = bytes.size();
	return Call([&] { return PointerGetDatum(cstring_to_text_with_len(data, static_cast<int>(size))); });
}

enum class KeyState { kUnknown, kCurrent, kRetired };

KeyState
StateOf(const std::string &key_id) {
	Snapshot snapshot = Call([] { return RegisterSnapshot(GetLatestSnapshot()); });
	StoreRows rows("SELECT retired_at IS NULL FROM auren.registered_seal_keys WHERE key_id OPERATOR(pg_catalog.=) $1", {TEXTOID},
	               {BytesDatum(key_id)}, snapshot);
	KeyState state = KeyState::kUnknown;
	if (rows.Next()) {
		state = rows.Int(0) != 0 ? KeyState::kCurrent : KeyState::kRetired;
	}
	rows.End();
	Call([&] { UnregisterSnapshot(snapshot); });
	return state;
}

// The key that signs seals until another one is registered; empty where there is none.
std::string
CurrentKeyId() {
	Snapshot snapshot = Call([] { return RegisterSnapshot(GetLatestSnapshot()); });
	StoreRows rows("SELECT key_id FROM auren.registered_seal_keys WHERE retired_at IS NULL", {}, {}, snapshot);
	const std::string id = rows.Next() ? rows.Bytes(0) : std::string();
	rows.End();
	Call([&] { UnregisterSnapshot(snapshot); });
	return id;
}

[[noreturn]] void
ThrowRetired(const SealKey &key) {
	throw DomainError(sqlstate::kNotInState, "the current seal key is retired", "Another key was registered after key " + key.id() + ".",
	                  "Put the newest key last into the file of auren_events.seal_key_file.");
}

std::string
EndorsementBy(const std::vector<SealKey> &keys, const std::string &previous, const SealKey &key) {
	const auto found = std::find_if(keys.begin(), keys.end(), [&](const SealKey &other) { return other.id() == previous; });
	if (found == keys.end()) {
		throw DomainError(sqlstate::kNotInState, "the key before must endorse the new seal key",
		                  "Key " + previous + " signs seals now, and its private half is not in the file of auren_events.seal_key_file.",
		                  "Keep both keys in the file until the new one is registered. Where the old one is lost, say so: p_previous_lost => true; "
		                  "events.verify will name the new key as one that nobody endorsed.");
	}
	return found->Sign(EndorsementText(key.public_key(), previous));
}

void
InsertKey(const SealKey &key, const std::string &previous, const std::string &endorsement) {
	Oid types[] = {TEXTOID, BYTEAOID, TEXTOID, BYTEAOID};
	Datum values[] = {BytesDatum(key.id()), BytesDatum(key.public_key()), BytesDatum(previous), BytesDatum(endorsement)};
	const char *nulls = endorsement.empty() ? "  nn" : "    ";
	Call([&](Server server) {
		(void)ExecuteAsStore(server, "UPDATE auren.registered_seal_keys SET retired_at = pg_catalog.clock_timestamp() WHERE retired_at IS NULL", 0,
		                     nullptr, nullptr, nullptr);
		(void)ExecuteAsStore(
			server,
			"INSERT INTO auren.registered_seal_keys (key_id, public_key, registered_at, registered_by, endorsed_by, endorsement) VALUES "
			"($1, $2, pg_catalog.clock_timestamp(), session_user, $3, $4)",
			4, types, values, nulls);
	});
}

} // namespace

std::vector<SealKey>
ConfiguredSealKeys() {
	const char *file = SealKeyFile();
	if (file == nullptr || file[0] == '\0') {
		throw DomainError("F0000", "no seal key is configured", "auren_events.seal_key_file is not set.",
		                  "Make a file with scripts/make_seal_key, name it in postgresql.conf and reload the configuration.");
	}
	Call([](Server server) { WarnIfKeySourceIsShown(server); });
	const KeyText text = KeyFile(file, kNames).Read();
	return SealKey::Parse({reinterpret_cast<const char *>(text.bytes.data()), text.size}, "the file of auren_events.seal_key_file");
}

void
RequireRegistered(const SealKey &key) {
	switch (StateOf(key.id())) {
	case KeyState::kCurrent:
		return;
	case KeyState::kRetired:
		ThrowRetired(key);
	case KeyState::kUnknown:
		throw DomainError(sqlstate::kNotInState, "the current seal key is not registered",
		                  "It has the id " + key.id() + ", which events.seal_keys does not have.", "Call events.register_seal_key().");
	}
}

std::string
RegisterSealKey(PreviousKey previous) {
	const std::vector<SealKey> keys = ConfiguredSealKeys();
	const SealKey &key = keys.back();
	LockSealer();
	AsStoreOwner owner;
	const KeyState state = StateOf(key.id());
	const std::string before = CurrentKeyId();
	owner.SwitchBack();
	if (state == KeyState::kRetired) {
		ThrowRetired(key);
	}
	if (state == KeyState::kUnknown) {
		const bool endorsed = !before.empty() && previous == PreviousKey::kEndorses;
		InsertKey(key, before, endorsed ? EndorsementBy(keys, before, key) : std::string());
	}
	return key.id();
}

void
LockSealer() {
	const bool locked = Call([] {
		LOCKTAG tag;
		SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kSealerLockClass);
		return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
	});
	if (!locked) {
		throw DomainError("55P03", "another session seals events", "It holds the lock of the sealer to the end of its transaction.",
		                  "Wait until it is done: events.progress shows how far it is.");
	}
}

} // namespace auren::pg
