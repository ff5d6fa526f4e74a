#include "encrypted/key_ring.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/bytes.hpp"
#include "core/encrypted/envelope.hpp"
#include "core/error.hpp"
#include "core/freshness.hpp"
#include "core/store/names.hpp"
#include "encrypted/data_key_rows.hpp"
#include "encrypted/master_key.hpp"
#include "encrypted/relations.hpp"
#include "server/as_owner.hpp"
#include "server/guard.hpp"
#include "server/lock_classes.hpp"
#include "server/progress.hpp"
#include "server/random.hpp"
#include "server/relation_changes.hpp"
#include "server/settings.hpp"
#include "server/table_row.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// A transaction may make keys for any number of people: those of a tenant share some locks, and other tenants wait for none of them.
constexpr uint32 kPersonLocks = 256;

constexpr std::size_t kMostPeople = 10000; // that a session keeps keys of

enum UseColumn : int { kUseTenant, kUseUser, kUseKey, kUses, kUseColumns };
struct Keys {
	std::vector<std::unique_ptr<DataKey>> keys;
	DataKey *newest = nullptr; // nullptr: not looked for yet
};

bool anything_unsure = false; // keys made or uses counted in this transaction

std::unordered_map<std::string, Keys> people;
Freshness freshness; // of all of them
std::uint64_t changes = 0;
TimestampTz configured = 0;

// The last person asked for, so that a statement over one person's values looks nobody up.
struct Last {
	std::string tenant;
	std::string user;
	Keys *keys = nullptr;
};
Last last;

std::uint64_t last_serial = 0;

std::unique_ptr<DataKey>
NewKey() {
	auto key = std::make_unique<DataKey>();
	key->serial = ++last_serial;
	return key;
}

AesGcm sealing(AesGcm::Direction::kSeal);
AesGcm opening(AesGcm::Direction::kOpen);
const DataKey *sealing_key = nullptr;
const DataKey *opening_key = nullptr;

void
ForgetCiphers() noexcept {
	sealing.Forget();
	opening.Forget();
	sealing_key = nullptr;
	opening_key = nullptr;
}

void
DropAllKeys() noexcept {
	ForgetCiphers();
	last.keys = nullptr;
	people.clear();
}

void
AcceptInvalidations() {
	Call([] { AcceptInvalidationMessages(); });
}

// Drops the keys that are kept if another session may have changed one: those that are kept afterwards are as the table has them.
inline void
DropKeysIfChanged(Invalidations invalidations = Invalidations::kAccept) {
	if (invalidations == Invalidations::kAccept) {
		AcceptInvalidations();
	}
	if (configured != PgReloadTime) {
		freshness.Forget();
		configured = PgReloadTime;
	}
	// what is read from here on is kept until the next change
	freshness.Refresh(DropAllKeys);
}

Keys &
FindKeys(std::string_view tenant, std::string_view user) {
	std::string name(tenant);
	name += '\0'; // no text of the server holds one
	name += user;
	if (people.size() >= kMostPeople && people.find(name) == people.end()) {
		// uses that are still to be counted are few: they go with it
		DropAllKeys();
	}
	last.keys = &people[std::move(name)];
	last.tenant = tenant;
	last.user = user;
	return *last.keys;
}

inline Keys &
KeysOf(std::string_view tenant, std::string_view user) {
	if (last.keys != nullptr && SameBytes(last.user, user) && SameBytes(last.tenant, tenant)) {
		return *last.keys;
	}
	return FindKeys(tenant, user);
}

DataKey *
KeyWithId(Keys *keys, std::uint64_t id) {
	for (const auto &key : keys->keys) {
		if (key->id == id) {
			return key.get();
		}
	}
	return nullptr;
}

// Keeps the key of a row.
DataKey *
KeepKey(Keys *keys, const DataKeyRow &row, std::string_view tenant, std::string_view user) {
	if (DataKey *key = KeyWithId(keys, row.id)) {
		return key;
	}
	auto key = NewKey();
	key->bytes = Unwrap(*CurrentMasterKeys(), row.id, row.master, row.wrapped, tenant, user);
	key->id = row.id;
	key->version = row.version;
	key->unsure = row.unsure;
	key->level = row.unsure ? GetCurrentSubTransactionId() : InvalidSubTransactionId;
	anything_unsure |= row.unsure;
	keys->keys.push_back(std::move(key));
	return keys->keys.back().get();
}

LOCKTAG
TagOf(std::string_view tenant, std::string_view user) {
	const auto hash_of = [](std::string_view name) {
		return hash_bytes(reinterpret_cast<const unsigned char *>(name.data()), static_cast<int>(name.size()));
	};
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, hash_of(tenant), hash_of(user) % kPersonLocks, kPersonLockClass);
	return tag;
}

// Locks a person to the transaction's end. Sessions that make a key share the lock; the one that forgets the person has it alone.
void
LockPerson(std::string_view tenant, std::string_view user, LOCKMODE mode) {
	const LOCKTAG tag = TagOf(tenant, user);
	Call([&] { (void)LockAcquire(&tag, mode, false, false); });
}

// From here to the transaction's end nobody forgets the person; throws where somebody has.
Tombstone
RequireMayHaveKeys(std::string_view tenant, std::string_view user) {
	LockPerson(tenant, user, ShareLock);
	const Tombstone stone = Call([&](Server server) { return ReadTombstone(server, tenant, user); });
	if (stone.found && !stone.allowed) {
		throw DomainError(sqlstate::kUserForgotten, "user \"" + std::string(user) + "\" was forgotten",
		                  "The person's data keys were destroyed, and no new one is made.",
		                  "encrypted.allow_user lets new values be encrypted again; the old ones stay unreadable.");
	}
	return stone;
}

// Inserts the row of a new key. Nobody waits for another's: two sessions that make a person's first key at once both keep theirs.
DataKey *
MakeKey(Keys *keys, std::string_view tenant, std::string_view user, int version) {
	const std::shared_ptr<const MasterKeys> masters = CurrentMasterKeys();
	auto key = NewKey();
	key->bytes = Secret(AesGcm::kKeyBytes);
	std::uint8_t *bytes = key->bytes.data();
	Call([&] {
		if (!pg_strong_random(bytes, AesGcm::kKeyBytes)) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
		}
	});
	key->id = RandomBits();
	key->version = version;
	const std::string &master = masters->current().id;
	const std::string wrapped = Wrap(masters->current(), key->bytes, AssociatedOf(key->id, master, tenant, user));
	const std::uint64_t id = key->id;
	Call([&](Server server) {
		Relation heap = table_open(own::data_keys.Get(server), RowExclusiveLock);
		Datum values[kKeyColumns];
		const bool isnull[kKeyColumns] = {};
		values[kKeyTenant] = TextDatum(server, tenant);
		values[kKeyUser] = TextDatum(server, user);
		values[kKeyId] = Int64GetDatum(static_cast<int64>(id));
		values[kKeyVersion] = Int32GetDatum(version);
		values[kKeyMaster] = TextDatum(server, master);
		values[kKeyWrapped] = TextDatum(server, wrapped); // a bytea has a text's form
		values[kKeyCreatedAt] = TimestampTzGetDatum(GetCurrentTimestamp());
		values[kKeyCreatedBy] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
		InsertRow(server, heap, values, isnull);
		table_close(heap, NoLock);
		CommandCounterIncrement(); // later look-ups of this statement see it
	});
	key->unsure = true;
	anything_unsure = true;
	key->level = GetCurrentSubTransactionId();
	keys->keys.push_back(std::move(key));
	keys->newest = keys->keys.back().get();
	return keys->newest;
}

DataKey *
FindOrMakeNewest(std::string_view tenant, std::string_view user) {
	Keys &keys = KeysOf(tenant, user);
	DataKeyRows found = Call([&](Server server) { return ReadDataKeyRows(server, tenant, user, nullptr); });
	if (found.count == 0) {
		const Tombstone stone = RequireMayHaveKeys(tenant, user);
		found = Call([&](Server server) { return ReadDataKeyRows(server, tenant, user, nullptr); });
		if (found.count == 0) {
			return MakeKey(&keys, tenant, user, stone.version + 1);
		}
	}
	keys.newest = KeepKey(&keys, *NewestRow(found), tenant, user);
	return keys.newest;
}

// How many uses one that is counted stands for: a power of two, so that a small limit is counted exactly.
std::uint32_t
UsesPerCount() {
	static int limit = 0;
	static std::uint32_t granule = 1;
	if (limit != MaxKeyUses()) {
		limit = MaxKeyUses();
		granule = 1;
		while (granule < 65536 && granule * 32768LL < limit) {
			granule *= 2;
		}
	}
	return granule;
}

// Writes counted uses down and tells how many there are.
int64
CountUses(Server server, std::string_view tenant, std::string_view user, std::uint64_t key_id, int64 uses) {
	Relation heap = table_open(own::key_uses.Get(server), RowExclusiveLock);
	Datum values[kUseColumns];
	const bool isnull[kUseColumns] = {};
	values[kUseTenant] = TextDatum(server, tenant);
	values[kUseUser] = TextDatum(server, user);
	values[kUseKey] = Int64GetDatum(static_cast<int64>(key_id));
	values[kUses] = Int64GetDatum(uses);
	InsertRow(server, heap, values, isnull);
	ScanKeyData keys[3];
	ScanKeyEntryInitialize(&keys[0], 0, kUseTenant + 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, values[kUseTenant]);
	ScanKeyEntryInitialize(&keys[1], 0, kUseUser + 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, values[kUseUser]);
	ScanKeyInit(&keys[2], kUseKey + 1, BTEqualStrategyNumber, F_INT8EQ, values[kUseKey]);
	// whatever is committed now, and what this very statement has written
	SysScanDesc scan = systable_beginscan(heap, own::key_uses_key.Get(server), true, SnapshotSelf, 3, keys);
	int64 sum = 0;
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
		bool null;
		sum += DatumGetInt64(heap_getattr(tuple, kUses + 1, RelationGetDescr(heap), &null));
	}
	systable_endscan(scan);
	table_close(heap, NoLock);
	return sum;
}

void
InvalidateInAllSessions() {
	Call([](Server server) { CacheInvalidateRelcacheByRelid(own::data_keys.Get(server)); });
}

// Drops the keys whose rows the rollback of a transaction or savepoint took back.
void
DropKeysOfLevel(SubTransactionId level) noexcept {
	ForgetCiphers();
	for (auto &person : people) {
		Keys &keys = person.second;
		for (const auto &key : keys.keys) {
			key->owed += key->uses;
			key->uses = 0;
		}
		const auto gone = [&](const std::unique_ptr<DataKey> &key) {
			return key->unsure && key->level >= level;
		};
		keys.keys.erase(std::remove_if(keys.keys.begin(), keys.keys.end(), gone), keys.keys.end());
		keys.newest = nullptr;
	}
}

void
OnTransaction(XactEvent event, void *) {
	switch (event) {
	case XACT_EVENT_COMMIT:
	case XACT_EVENT_PARALLEL_COMMIT:
		ForgetCiphers();
		if (anything_unsure) {
			for (auto &person : people) {
				for (const auto &key : person.second.keys) {
					key->unsure = false;
					key->uses = 0;
				}
			}
		}
		anything_unsure = false;
		break;
	case XACT_EVENT_ABORT:
	case XACT_EVENT_PARALLEL_ABORT:
	case XACT_EVENT_PREPARE: // nobody knows yet whether it will be committed
		ForgetCiphers();
		if (anything_unsure) {
			DropKeysOfLevel(InvalidSubTransactionId);
		}
		anything_unsure = false;
		break;
	default:
		break;
	}
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId, void *) {
	// savepoints are numbered upwards: those within it have a higher one
	if (event == SUBXACT_EVENT_ABORT_SUB && anything_unsure) {
		DropKeysOfLevel(level);
	}
}

void
ForgetOnRelation(Oid relid) {
	if (own::data_keys.MayBe(relid)) {
		freshness.Forget();
		changes++;
	}
}

/*
 * A statement on what is committed now, however old the transaction's server snapshot: a key that was made after that must not survive the
 * person's forgetting.
 */
uint64
ExecuteNow(Server server, const char *sql, int count, Oid *types, Datum *values) {
	const SavedUser before = SwitchToOwner(server, own::data_keys.Get(server));
	SPI_connect();
	SPIPlanPtr plan = SPI_prepare(sql, count, types);
	const int result = SPI_execute_snapshot(plan, values, nullptr, GetLatestSnapshot(), InvalidSnapshot, false, true, 0);
	if (result < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a statement failed: %s", SPI_result_code_string(result))));
	}
	const uint64 rows = SPI_processed;
	SPI_finish();
	SwitchBack(server, before);
	return rows;
}

} // namespace

void
CheckUserId(const std::string_view &bytes, std::size_t characters) {
	constexpr std::size_t kLongest = 255;
	if (!bytes.empty() && characters <= kLongest) {
		return;
	}
	throw DomainError(sqlstate::kInvalidParameter, "p_user_id must have 1 to 255 characters", "It has " + std::to_string(characters) + ".",
	                  "Give the id by which the person is known.");
}

const DataKey &
SealingKey(std::string_view tenant, std::string_view user, std::uint32_t lot, Invalidations invalidations) {
	DropKeysIfChanged(invalidations);
	DataKey *key = KeysOf(tenant, user).newest;
	if (key == nullptr) {
		key = FindOrMakeNewest(tenant, user);
	}
	if (!IsCounted(*key, lot)) {
		return *key;
	}
	const std::uint32_t granule = UsesPerCount();
	const std::uint64_t uses = ((lot & (granule - 1)) == 0 ? granule : 0) + key->owed;
	const std::uint64_t id = key->id;
	const int64 sum = Call([&](Server server) { return CountUses(server, tenant, user, id, static_cast<int64>(uses)); });
	anything_unsure = true;
	key->owed = 0;
	key->uses += uses;
	if (sum > MaxKeyUses()) {
		const int version = key->version + 1;
		RequireMayHaveKeys(tenant, user);
		key = MakeKey(&KeysOf(tenant, user), tenant, user, version);
		const std::uint64_t made = key->id;
		(void)Call([&](Server server) { return CountUses(server, tenant, user, made, granule); });
		InvalidateInAllSessions();
	}
	return *key;
}

bool
IsCounted(const DataKey &key, std::uint32_t lot) {
	return key.owed != 0 || (lot & (UsesPerCount() - 1)) == 0;
}

std::uint64_t
KeyChanges() {
	return changes;
}

const DataKey *
OpeningKey(std::string_view tenant, std::string_view user, std::uint64_t key_id, Invalidations invalidations) {
	DropKeysIfChanged(invalidations);
	Keys &keys = KeysOf(tenant, user);
	if (const DataKey *key = KeyWithId(&keys, key_id)) {
		return key;
	}
	const DataKeyRows found = Call([&](Server server) { return ReadDataKeyRows(server, tenant, user, &key_id); });
	return found.count == 0 ? nullptr : KeepKey(&keys, found.rows[0], tenant, user);
}

bool
IsForgotten(std::string_view tenant, std::string_view user) {
	return Call([&](Server server) { return ReadTombstone(server, tenant, user).found; });
}

int
RotateUserKey(std::string_view tenant, std::string_view user) {
	DropKeysIfChanged();
	const Tombstone stone = RequireMayHaveKeys(tenant, user);
	const DataKeyRows found = Call([&](Server server) { return ReadDataKeyRows(server, tenant, user, nullptr); });
	const DataKeyRow *newest = NewestRow(found);
	const int version = MakeKey(&KeysOf(tenant, user), tenant, user, newest != nullptr ? newest->version + 1 : stone.version + 1)->version;
	InvalidateInAllSessions();
	return version;
}

int64
RotateMasterKey(int64 limit) {
	constexpr int kBatch = 500;
	const std::shared_ptr<const MasterKeys> masters = CurrentMasterKeys();
	int64 done = 0;
	MemoryContext context = Call([&](Server server) {
		BeginProgress(server, WorkPhase::kMasterKeyWrapping, Min(limit, CountRowsToRewrap(server, masters->current().id)));
		return AllocSetContextCreate(CurrentMemoryContext, "auren_events master key", ALLOCSET_DEFAULT_SIZES);
	});
	while (done < limit) {
		const int batch = static_cast<int>(std::min<int64>(kBatch, limit - done));
		RewrapRow *rows = nullptr;
		const int count = Call([&](Server server) { return LockRowsToRewrap(server, masters->current().id, batch, context, &rows); });
		for (int i = 0; i < count; i++) {
			Rewrap(*masters, rows[i]);
			Call([&](Server server) { ReportProgress(server, done + i + 1); });
		}
		Call([&] { MemoryContextReset(context); });
		done += count;
		if (count < batch) {
			break;
		}
	}
	Call([](Server server) { EndProgress(server); });
	return done;
}

int
ForgetPerson(std::string_view tenant, std::string_view user) {
	LockPerson(tenant, user, ExclusiveLock);
	DropKeysIfChanged();
	const DataKeyRows found = Call([&](Server server) { return ReadDataKeyRows(server, tenant, user, nullptr); });
	const Tombstone stone = Call([&](Server server) { return ReadTombstone(server, tenant, user); });
	const DataKeyRow *newest = NewestRow(found);
	const int version = std::max(stone.version, newest != nullptr ? newest->version : 0);
	const uint64 keys = Call([&](Server server) {
		Oid types[4] = {TEXTOID, TEXTOID, INT4OID, TEXTOID};
		Datum values[4] = {TextDatum(server, tenant), TextDatum(server, user), Int32GetDatum(version),
		                   CStringGetTextDatum(GetUserNameFromId(GetUserId(), false))};
		const uint64 deleted = ExecuteNow(server,
		                                  "DELETE FROM auren.data_keys WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND user_id "
		                                  "OPERATOR(pg_catalog.=) $2",
		                                  2, types, values);
		(void)ExecuteNow(server, "DELETE FROM auren.key_uses WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND user_id OPERATOR(pg_catalog.=) $2", 2,
		                 types, values);
		(void)ExecuteNow(server,
		                 "INSERT INTO auren.forgotten_people AS f (tenant_id, user_id, forgotten_at, forgotten_by, key_version) "
		                 "VALUES ($1, $2, pg_catalog.clock_timestamp(), $4, $3) ON CONFLICT (tenant_id, user_id) DO UPDATE SET "
		                 "forgotten_at = EXCLUDED.forgotten_at, forgotten_by = EXCLUDED.forgotten_by, key_version = EXCLUDED.key_version, "
		                 "allowed_at = NULL",
		                 4, types, values);
		CacheInvalidateRelcacheByRelid(own::data_keys.Get(server));
		CommandCounterIncrement();
		return deleted;
	});
	DropAllKeys();
	return static_cast<int>(keys);
}

bool
AllowPerson(std::string_view tenant, std::string_view user) {
	LockPerson(tenant, user, ExclusiveLock);
	return Call([&](Server server) {
			   Oid types[2] = {TEXTOID, TEXTOID};
			   Datum values[2] = {TextDatum(server, tenant), TextDatum(server, user)};
			   return ExecuteNow(server,
		                         "UPDATE auren.forgotten_people SET allowed_at = pg_catalog.clock_timestamp() WHERE tenant_id "
		                         "OPERATOR(pg_catalog.=) $1 AND user_id OPERATOR(pg_catalog.=) $2",
		                         2, types, values);
		   }) > 0;
}

AesGcm &
SealingCipher(const DataKey &key) {
	if (sealing_key != &key) {
		sealing_key = nullptr;
		sealing.SetKey(key.bytes.data());
		sealing_key = &key;
	}
	return sealing;
}

AesGcm &
OpeningCipher(const DataKey &key) {
	if (opening_key != &key) {
		opening_key = nullptr;
		opening.SetKey(key.bytes.data());
		opening_key = &key;
	}
	return opening;
}

void
RegisterKeyRing(Server server) {
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
	OnRelationChange(server, ForgetOnRelation);
}

} // namespace auren::pg
