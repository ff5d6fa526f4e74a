#include "encrypted/data_key_rows.hpp"

#include <algorithm>
#include <cstring>

#include "core/encrypted/aes_gcm.hpp"
#include "core/encrypted/envelope.hpp"
#include "core/error.hpp"
#include "encrypted/relations.hpp"
#include "server/as_owner.hpp"
#include "server/encoding.hpp"
#include "server/random.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

enum ForgottenColumn : int { kForgottenTenant, kForgottenUser, kForgottenAt, kForgottenBy, kForgottenVersion, kForgottenAllowed };

std::string
Utf8(std::string_view bytes) {
	return GetDatabaseEncoding() == PG_UTF8 ? std::string(bytes) : ToUtf8(std::string(bytes).c_str());
}

} // namespace

Datum
TextDatum(Server, std::string_view bytes) {
	return PointerGetDatum(cstring_to_text_with_len(bytes.data(), static_cast<int>(bytes.size())));
}

Tombstone
ReadTombstone(Server server, std::string_view tenant, std::string_view user) {
	Relation heap = table_open(own::forgotten.Get(server), AccessShareLock);
	ScanKeyData keys[2];
	ScanKeyEntryInitialize(&keys[0], 0, kForgottenTenant + 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, TextDatum(server, tenant));
	ScanKeyEntryInitialize(&keys[1], 0, kForgottenUser + 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, TextDatum(server, user));
	SysScanDesc scan = systable_beginscan(heap, own::forgotten_pkey.Get(server), true, nullptr, 2, keys);
	const HeapTuple tuple = systable_getnext(scan);
	Tombstone stone = {HeapTupleIsValid(tuple), false, 0};
	if (stone.found) {
		bool isnull;
		stone.version = DatumGetInt32(heap_getattr(tuple, kForgottenVersion + 1, RelationGetDescr(heap), &isnull));
		(void)heap_getattr(tuple, kForgottenAllowed + 1, RelationGetDescr(heap), &isnull);
		stone.allowed = !isnull;
	}
	systable_endscan(scan);
	table_close(heap, AccessShareLock);
	return stone;
}

DataKeyRows
ReadDataKeyRows(Server server, std::string_view tenant, std::string_view user, const std::uint64_t *id) {
	const Tombstone stone = ReadTombstone(server, tenant, user);
	Relation heap = table_open(own::data_keys.Get(server), AccessShareLock);
	TupleDesc descriptor = RelationGetDescr(heap);
	ScanKeyData keys[3];
	ScanKeyEntryInitialize(&keys[0], 0, kKeyTenant + 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, TextDatum(server, tenant));
	ScanKeyEntryInitialize(&keys[1], 0, kKeyUser + 1, BTEqualStrategyNumber, TEXTOID, C_COLLATION_OID, F_TEXTEQ, TextDatum(server, user));
	if (id != nullptr) {
		ScanKeyInit(&keys[2], kKeyId + 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(static_cast<int64>(*id)));
	}
	SysScanDesc scan = systable_beginscan(heap, own::data_keys_pkey.Get(server), true, nullptr, id != nullptr ? 3 : 2, keys);
	DataKeyRows found = {nullptr, 0};
	int room = 0;
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
		bool isnull;
		const int version = DatumGetInt32(heap_getattr(tuple, kKeyVersion + 1, descriptor, &isnull));
		if (stone.found && version <= stone.version) {
			continue;
		}
		if (found.count == room) {
			room = room == 0 ? 4 : room * 2;
			auto *rows = static_cast<DataKeyRow *>(palloc(sizeof(DataKeyRow) * static_cast<Size>(room)));
			std::copy(found.rows, found.rows + found.count, rows);
			found.rows = rows;
		}
		DataKeyRow *row = &found.rows[found.count++];
		row->id = static_cast<std::uint64_t>(DatumGetInt64(heap_getattr(tuple, kKeyId + 1, descriptor, &isnull)));
		row->version = version;
		row->unsure = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
		const text *master = DatumGetTextPCopy(heap_getattr(tuple, kKeyMaster + 1, descriptor, &isnull));
		row->master = {VARDATA_ANY(master), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(master))};
		const bytea *wrapped = DatumGetByteaPCopy(heap_getattr(tuple, kKeyWrapped + 1, descriptor, &isnull));
		row->wrapped = {VARDATA_ANY(wrapped), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(wrapped))};
	}
	systable_endscan(scan);
	table_close(heap, AccessShareLock);
	return found;
}

const DataKeyRow *
NewestRow(const DataKeyRows &found) {
	const DataKeyRow *newest = nullptr;
	for (int i = 0; i < found.count; i++) {
		const DataKeyRow &row = found.rows[i];
		if (newest == nullptr || row.version > newest->version || (row.version == newest->version && row.id > newest->id)) {
			newest = &row;
		}
	}
	return newest;
}

std::string
AssociatedOf(std::uint64_t key_id, std::string_view master, std::string_view tenant, std::string_view user) {
	return AssociatedOfKey(key_id, master, Utf8(tenant), Utf8(user));
}

std::string
Wrap(const MasterKeys::Key &master, const Secret &key, const std::string &associated) {
	std::uint8_t nonce[AesGcm::kNonceBytes];
	const std::uint64_t random[2] = {RandomBits(), RandomBits()};
	std::memcpy(nonce, random, sizeof nonce);
	std::string wrapped(sizeof nonce + key.size() + AesGcm::kTagBytes, '\0');
	std::memcpy(&wrapped[0], nonce, sizeof nonce);
	AesGcm cipher(AesGcm::Direction::kSeal);
	cipher.SetKey(master.bytes.data());
	cipher.Seal(nonce, associated, {reinterpret_cast<const char *>(key.data()), key.size()},
	            reinterpret_cast<std::uint8_t *>(&wrapped[sizeof nonce]));
	return wrapped;
}

Secret
Unwrap(const MasterKeys &masters, std::uint64_t key_id, std::string_view master_id, std::string_view wrapped, std::string_view tenant,
       std::string_view user) {
	const MasterKeys::Key *master = masters.Find(master_id);
	if (master == nullptr) {
		throw DomainError("F0000", "master key \"" + std::string(master_id) + "\" is not there",
		                  "It wraps the person's data key, and the configured source of master keys does not hold it.",
		                  "Give it back, as a line before the current one; encrypted.rotate_master_key makes it superfluous.");
	}
	Secret key(AesGcm::kKeyBytes);
	bool opened = wrapped.size() == AesGcm::kNonceBytes + AesGcm::kKeyBytes + AesGcm::kTagBytes;
	if (opened) {
		AesGcm cipher(AesGcm::Direction::kOpen);
		cipher.SetKey(master->bytes.data());
		opened = cipher.Open(reinterpret_cast<const std::uint8_t *>(wrapped.data()), AssociatedOf(key_id, master_id, tenant, user),
		                     wrapped.substr(AesGcm::kNonceBytes), key.data());
	}
	if (!opened) {
		throw DomainError("22000", "a data key does not open with master key \"" + std::string(master_id) + "\"",
		                  "The master key of that id is another one, or the row in auren.data_keys was changed.",
		                  "Give back the master key that wrapped it.");
	}
	return key;
}

int64
CountRowsToRewrap(Server server, std::string_view current) {
	Oid types[1] = {TEXTOID};
	Datum values[1] = {TextDatum(server, current)};
	const SavedUser before = SwitchToOwner(server, own::data_keys.Get(server));
	SPI_connect();
	if (SPI_execute_with_args("SELECT pg_catalog.count(*) FROM auren.data_keys WHERE master_key_id OPERATOR(pg_catalog.<>) $1", 1, types, values,
	                          nullptr, true, 1) != SPI_OK_SELECT) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not count data keys")));
	}
	bool isnull;
	const int64 count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	SwitchBack(server, before);
	return count;
}

int
LockRowsToRewrap(Server server, std::string_view current, int limit, MemoryContext context, RewrapRow **rows) {
	Oid types[2] = {TEXTOID, INT4OID};
	Datum values[2] = {TextDatum(server, current), Int32GetDatum(limit)};
	const SavedUser before = SwitchToOwner(server, own::data_keys.Get(server));
	SPI_connect();
	if (SPI_execute_with_args("SELECT tenant_id, user_id, key_id, master_key_id, wrapped_key FROM auren.data_keys "
	                          "WHERE master_key_id OPERATOR(pg_catalog.<>) $1 LIMIT $2 FOR UPDATE SKIP LOCKED",
	                          2, types, values, nullptr, false, 0) != SPI_OK_SELECT) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read data keys")));
	}
	const int found = static_cast<int>(SPI_processed);
	MemoryContext spi = MemoryContextSwitchTo(context);
	*rows = static_cast<RewrapRow *>(palloc(sizeof(RewrapRow) * static_cast<Size>(found + 1)));
	for (int i = 0; i < found; i++) {
		HeapTuple tuple = SPI_tuptable->vals[i];
		TupleDesc descriptor = SPI_tuptable->tupdesc;
		RewrapRow *row = &(*rows)[i];
		bool isnull;
		row->tenant = TextDatumGetCString(SPI_getbinval(tuple, descriptor, 1, &isnull));
		row->user = TextDatumGetCString(SPI_getbinval(tuple, descriptor, 2, &isnull));
		row->id = static_cast<std::uint64_t>(DatumGetInt64(SPI_getbinval(tuple, descriptor, 3, &isnull)));
		const text *master = DatumGetTextPCopy(SPI_getbinval(tuple, descriptor, 4, &isnull));
		row->master = {VARDATA_ANY(master), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(master))};
		const bytea *wrapped = DatumGetByteaPCopy(SPI_getbinval(tuple, descriptor, 5, &isnull));
		row->wrapped = {VARDATA_ANY(wrapped), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(wrapped))};
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	SwitchBack(server, before);
	return found;
}

void
Rewrap(const MasterKeys &masters, const RewrapRow &row) {
	const std::string &current = masters.current().id;
	const Secret key = Unwrap(masters, row.id, row.master, row.wrapped, row.tenant, row.user);
	const std::string wrapped = Wrap(masters.current(), key, AssociatedOf(row.id, current, row.tenant, row.user));
	Call([&](Server server) {
		Oid types[5] = {TEXTOID, BYTEAOID, TEXTOID, TEXTOID, INT8OID};
		Datum values[5] = {TextDatum(server, current), TextDatum(server, wrapped), CStringGetTextDatum(row.tenant), CStringGetTextDatum(row.user),
		                   Int64GetDatum(static_cast<int64>(row.id))};
		(void)ExecuteAsStore(server,
		                     "UPDATE auren.data_keys SET master_key_id = $1, wrapped_key = $2 WHERE tenant_id OPERATOR(pg_catalog.=) $3 "
		                     "AND user_id OPERATOR(pg_catalog.=) $4 AND key_id OPERATOR(pg_catalog.=) $5",
		                     5, types, values, nullptr);
		CHECK_FOR_INTERRUPTS();
	});
}

} // namespace auren::pg
