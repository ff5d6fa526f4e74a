#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/encrypted/master_keys.hpp"
#include "core/encrypted/secret.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The rows of people's data keys, and how a master key wraps them (encrypted/key_ring.hpp keeps what was read).
 */

enum KeyColumn : int { kKeyTenant, kKeyUser, kKeyId, kKeyVersion, kKeyMaster, kKeyWrapped, kKeyCreatedAt, kKeyCreatedBy, kKeyColumns };

// A row of data_keys, in the caller's memory context.
struct DataKeyRow {
	std::uint64_t id;
	int version;
	bool unsure;
	std::string_view master;
	std::string_view wrapped;
};

struct DataKeyRows {
	DataKeyRow *rows;
	int count;
};

struct Tombstone {
	bool found;
	bool allowed;
	int version;
};

// A text of the server, made in the caller's memory context.
Datum TextDatum(Server server, std::string_view bytes);

// What forgetting a person has left, under the newest server snapshot, as ReadDataKeyRows.
Tombstone ReadTombstone(Server server, std::string_view tenant, std::string_view user);

/*
 * The rows of a person, or the one with an id, under the newest server snapshot: without one, systable_beginscan takes one of its own for a
 * table that no cache of the server's knows, and does so in parallel plans too, where GetLatestSnapshot raises. A key that was
 * destroyed when the person was forgotten stays so: a row of it that somebody has put back is passed over.
 */
DataKeyRows ReadDataKeyRows(Server server, std::string_view tenant, std::string_view user, const std::uint64_t *id);

// The row with the highest version; nullptr where there is none.
const DataKeyRow *NewestRow(const DataKeyRows &found);

// What a wrapped key is bound to.
std::string AssociatedOf(std::uint64_t key_id, std::string_view master, std::string_view tenant, std::string_view user);

// A key as a master key wraps it: nonce, ciphertext, tag.
std::string Wrap(const MasterKeys::Key &master, const Secret &key, const std::string &associated);

// The key of a row. Throws F0000 where its master key is not there, 22000 where it does not open.
Secret Unwrap(const MasterKeys &masters, std::uint64_t key_id, std::string_view master_id, std::string_view wrapped, std::string_view tenant,
              std::string_view user);

// A row that another master key than the current one has wrapped.
struct RewrapRow {
	const char *tenant;
	const char *user;
	std::uint64_t id;
	std::string_view master;
	std::string_view wrapped;
};

// How many keys another master key than the current one has wrapped. It reads all keys.
int64 CountRowsToRewrap(Server server, std::string_view current);

// Locks keys that another master key than the current one has wrapped, `limit` at most and none that somebody else has locked. The rows are
// made in the context; the caller gets how many there are.
int LockRowsToRewrap(Server server, std::string_view current, int limit, MemoryContext context, RewrapRow **rows);

// Wraps a key with the current master key, and writes its row.
void Rewrap(const MasterKeys &masters, const RewrapRow &row);

} // namespace auren::pg
