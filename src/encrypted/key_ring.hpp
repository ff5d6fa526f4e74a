#pragma once

#include <cstdint>
#include <string_view>

#include "core/encrypted/aes_gcm.hpp"
#include "core/encrypted/secret.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The data keys of people. A session keeps those that it has unwrapped, in memory that no core dump holds, as long as their rows are
 * there: a key that this transaction made is dropped when it, or the savepoint, is rolled back; a change of the table by any
 * session drops them all. Rows are read under the newest server snapshot.
 *
 * What a function of this header gives is valid until the next call of one of them.
 */

struct DataKey {
	std::uint64_t id = 0;
	std::uint64_t serial = 0; // of this object: no other one of the session has it, and it is one person's for ever
	int version = 0;
	Secret bytes;
	bool unsure = false;        // its row is this transaction's: not kept when that is rolled back
	SubTransactionId level = 0; // likewise
	std::uint64_t uses = 0;     // counted in this transaction
	std::uint64_t owed = 0;     // counted in transactions that were rolled back
};

// The user as an argument: 1 to 255 characters, else 22023.
void CheckUserId(const std::string_view &bytes, std::size_t characters);

// kAccepted: the caller has just accepted invalidation messages, as CurrentTenantId does. kAccept: it is to be done.
enum class Invalidations { kAccept, kAccepted };

/*
 * The key that encrypts the person's new values, made if the person has none (throws ZE006 for one who was forgotten). `lot` is a random
 * number that decides whether this use is one that is counted.
 */
const DataKey &SealingKey(std::string_view tenant, std::string_view user, std::uint32_t lot, Invalidations invalidations = Invalidations::kAccept);

// Whether a use that drew `lot` is one that is counted. One that is not needs no call of SealingKey while nothing else is called.
bool IsCounted(const DataKey &key, std::uint32_t lot);
// Another number as soon as this session has heard that anybody changed a key, or forgot a person.
std::uint64_t KeyChanges();

// The person's key with an id; nullptr where there is none.
const DataKey *OpeningKey(std::string_view tenant, std::string_view user, std::uint64_t key_id, Invalidations invalidations = Invalidations::kAccept);
bool IsForgotten(std::string_view tenant, std::string_view user);

// Makes the person's next key; its version.
int RotateUserKey(std::string_view tenant, std::string_view user);
// Wraps keys with the current master key, `limit` at most; how many.
int64 RotateMasterKey(int64 limit);
// Destroys the person's keys; how many. The session's role goes into the tombstone.
int ForgetPerson(std::string_view tenant, std::string_view user);
// Takes the ban back that forgetting leaves; false where the person was not forgotten.
bool AllowPerson(std::string_view tenant, std::string_view user);

// The ciphers of this session with a key set, for as long as the transaction goes on.
AesGcm &SealingCipher(const DataKey &key);
AesGcm &OpeningCipher(const DataKey &key);

void RegisterKeyRing(Server server);

} // namespace auren::pg
