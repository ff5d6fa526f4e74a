#include "store/dropped_months.hpp"

#include <cstring>

#include "server/cached.hpp"
#include "server/compat.hpp"
#include "server/entry.hpp"
#include "server/lock_classes.hpp"
#include "server/relation_changes.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// Columns of auren.opening_states.
enum OpeningColumn : int {
	kOpeningTenant = 1,
	kOpeningStream,
	kOpeningVersion,
	kOpeningTime,
	kOpeningReducers,
	kOpeningStateColumn,
	kOpeningPersonal
};
// Columns of auren.month_records, as far as they are read here.
enum RecordColumn : int { kRecordMonth = 1, kRecordSettledAt, kRecordDroppedAt, kRecordLastPosition = 9, kRecordAttachedAt = 17 };
// Columns of auren.dropped_ids.
enum DroppedIdColumn : int { kDroppedTenant = 1, kDroppedEventId, kDroppedVersion, kDroppedContent };

/*
 * Has `read` look at the row of a table that a unique index finds, by a snapshot or by the newest one (nullptr). Whether there is one.
 */
template <typename F>
bool
ReadByKey(Server, Relation heap, Relation index, ScanKey keys, int key_count, Snapshot snapshot, F &&read) {
	Snapshot used = RegisterSnapshot(snapshot == nullptr ? GetLatestSnapshot() : snapshot);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, used, key_count);
	index_rescan(scan, keys, key_count, nullptr, 0);
	const bool found = index_getnext_slot(scan, ForwardScanDirection, slot);
	if (found) {
		slot_getallattrs(slot);
		read(slot->tts_values, slot->tts_isnull);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(used);
	return found;
}

// Has `read` look at each row of a table by the newest snapshot. There are none where there is no table (InvalidOid).
template <typename F>
void
ReadAll(Server, Oid relid, F &&read) {
	if (!OidIsValid(relid)) {
		return;
	}
	Relation heap = table_open(relid, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(heap, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		read(slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(heap, NoLock);
}

// A text, array or jsonb after its length, so that no two contents have the same bytes.
void
UpdateDigest(pg_cryptohash_ctx *digest, const void *bytes, std::size_t length) {
	const uint64 size = length;
	std::uint8_t prefix[sizeof size];
	for (std::size_t i = 0; i < sizeof size; i++) {
		prefix[i] = static_cast<std::uint8_t>(size >> (8 * i));
	}
	if (pg_cryptohash_update(digest, prefix, sizeof prefix) < 0 || pg_cryptohash_update(digest, static_cast<const uint8 *>(bytes), length) < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a digest of an event")));
	}
}

void
UpdateWithText(Server, pg_cryptohash_ctx *digest, Datum text) {
	struct varlena *plain = PG_DETOAST_DATUM_PACKED(text);
	UpdateDigest(digest, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
}

// As text: the bytes of a jsonb are those of the machine.
void
UpdateWithJson(Server, pg_cryptohash_ctx *digest, Datum json) {
	Jsonb *jsonb = DatumGetJsonbP(json);
	StringInfoData text;
	initStringInfo(&text);
	(void)JsonbToCString(&text, &jsonb->root, static_cast<int>(VARSIZE(jsonb)));
	UpdateDigest(digest, text.data, static_cast<std::size_t>(text.len));
	pfree(text.data);
}

void
UpdateWithTags(Server server, pg_cryptohash_ctx *digest, Datum tags) {
	Datum *items;
	int count;
	deconstruct_array(DatumGetArrayTypeP(tags), TEXTOID, -1, false, TYPALIGN_INT, &items, nullptr, &count);
	for (int i = 0; i < count; i++) {
		UpdateWithText(server, digest, items[i]);
	}
}

pg_cryptohash_ctx *
BeginDigest(Server) {
	pg_cryptohash_ctx *digest = pg_cryptohash_create(PG_SHA256);
	if (digest == nullptr || pg_cryptohash_init(digest) < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a digest of an event")));
	}
	return digest;
}

void
EndDigest(Server, pg_cryptohash_ctx *digest, std::uint8_t *to) {
	if (pg_cryptohash_final(digest, to, PG_SHA256_DIGEST_LENGTH) < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute a digest of an event")));
	}
	pg_cryptohash_free(digest);
}

} // namespace

OpeningState
ReadOpeningState(Server server, Datum tenant, Datum stream, Snapshot snapshot, OpeningParts parts) {
	OpeningState opening = {0, PG_INT64_MIN, 0, 0};
	const Oid relid = own::opening_states.GetIfThere(server);
	if (!OidIsValid(relid)) {
		return opening;
	}
	Relation heap = table_open(relid, AccessShareLock);
	Relation index = index_open(own::opening_states_pkey.Get(server), AccessShareLock);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], kOpeningTenant, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	ScanKeyInit(&keys[1], kOpeningStream, BTEqualStrategyNumber, F_TEXTEQ, stream);
	(void)ReadByKey(server, heap, index, keys, 2, snapshot, [&](const Datum *values, const bool *isnull) {
		opening.version = DatumGetInt64(values[kOpeningVersion - 1]);
		opening.event_time = DatumGetTimestampTz(values[kOpeningTime - 1]);
		if (parts != OpeningParts::kVersion) {
			opening.state = JsonbPGetDatum(DatumGetJsonbPCopy(values[kOpeningStateColumn - 1]));
		}
		if (parts == OpeningParts::kPersonal && !isnull[kOpeningPersonal - 1]) {
			opening.personal = JsonbPGetDatum(DatumGetJsonbPCopy(values[kOpeningPersonal - 1]));
		}
	});
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return opening;
}

bool
MonthWasDropped(Server server, Month month) {
	const Oid relid = own::month_records.GetIfThere(server);
	if (!OidIsValid(relid)) {
		return false;
	}
	bool dropped = false;
	Relation heap = table_open(relid, AccessShareLock);
	Relation index = index_open(own::month_records_pkey.Get(server), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, kRecordMonth, BTEqualStrategyNumber, F_DATE_EQ, DateADTGetDatum(month.StartDays()));
	(void)ReadByKey(server, heap, index, &key, 1, nullptr, [&](const Datum *, const bool *isnull) { dropped = !isnull[kRecordDroppedAt - 1]; });
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return dropped;
}

void
HoldOffDrops(Server) {
	LOCKTAG tag;
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, kOperationsLockClass);
	(void)LockAcquire(&tag, RowShareLock, false, false);
	AcceptInvalidationMessages();
}

int64
LastDroppedPosition(Server server) {
	int64 last = 0;
	ReadAll(server, own::month_records.GetIfThere(server), [&](const Datum *values, const bool *isnull) {
		if (!isnull[kRecordDroppedAt - 1] && !isnull[kRecordLastPosition - 1]) {
			last = Max(last, DatumGetInt64(values[kRecordLastPosition - 1]));
		}
	});
	return last;
}

namespace {

Cached<int64> last_dropped(own::month_records);

void
ForgetOnRelation(Oid relid) {
	last_dropped.ForgetOn(relid);
}

// A month that was dropped and that no archive has brought back.
bool
MonthIsMissing(Server server, Datum month) {
	bool missing = false;
	Relation heap = table_open(own::month_records.Get(server), AccessShareLock);
	Relation index = index_open(own::month_records_pkey.Get(server), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, kRecordMonth, BTEqualStrategyNumber, F_DATE_EQ, month);
	(void)ReadByKey(server, heap, index, &key, 1, nullptr,
	                [&](const Datum *, const bool *isnull) { missing = !isnull[kRecordDroppedAt - 1] && isnull[kRecordAttachedAt - 1]; });
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return missing;
}

int64
LastDroppedOfTenant(Server server, Datum tenant) {
	int64 last = 0;
	Relation heap = table_open(own::dropped_tenants.Get(server), AccessShareLock);
	Relation index = index_open(own::dropped_tenants_pkey.Get(server), AccessShareLock);
	ScanKeyData key;
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, snapshot, 1);
	index_rescan(scan, &key, 1, nullptr, 0);
	while (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		slot_getallattrs(slot);
		if (DatumGetInt64(slot->tts_values[2]) > last && MonthIsMissing(server, slot->tts_values[1])) {
			last = DatumGetInt64(slot->tts_values[2]);
		}
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	UnregisterSnapshot(snapshot);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return last;
}

} // namespace

int64
LastDroppedPositionOf(std::string_view tenant, int64 after) {
	const auto last = last_dropped.Get([](Oid) { return Call([](Server server) { return LastDroppedPosition(server); }); });
	if (*last <= after) {
		return 0;
	}
	return Call([&](Server server) {
		return LastDroppedOfTenant(server, PointerGetDatum(cstring_to_text_with_len(tenant.data(), static_cast<int>(tenant.size()))));
	});
}

void
RegisterDroppedMonths(Server server) {
	OnRelationChange(server, ForgetOnRelation);
}

int64
CountOpeningStatesOfOthers(Server server, const pg_uuid_t *reducers_version) {
	int64 others = 0;
	ReadAll(server, own::opening_states.GetIfThere(server), [&](const Datum *values, const bool *) {
		const pg_uuid_t *made_by = DatumGetUUIDP(values[kOpeningReducers - 1]);
		others += std::memcmp(made_by->data, reducers_version->data, UUID_LEN) != 0 ? 1 : 0;
	});
	return others;
}

ContentDigest
DigestOf(Server server, const DigestedContent &content) {
	ContentDigest result;
	pg_cryptohash_ctx *rest = BeginDigest(server);
	UpdateWithText(server, rest, content.stream_id);
	UpdateWithText(server, rest, content.event_type);
	UpdateWithJson(server, rest, content.metadata);
	UpdateWithText(server, rest, content.created_by);
	UpdateWithTags(server, rest, content.tags);
	EndDigest(server, rest, result.rest);
	pg_cryptohash_ctx *data = BeginDigest(server);
	UpdateWithJson(server, data, content.data);
	EndDigest(server, data, result.data);
	return result;
}

DroppedId
FindDroppedId(Server server, Datum event_id, Datum tenant) {
	DroppedId dropped = {};
	const Oid relid = own::dropped_ids.GetIfThere(server);
	if (!OidIsValid(relid)) {
		return dropped;
	}
	Relation heap = table_open(relid, AccessShareLock);
	Relation index = index_open(own::dropped_ids_pkey.Get(server), AccessShareLock);
	ScanKeyData keys[2];
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, event_id);
	ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_TEXTEQ, tenant);
	dropped.found = ReadByKey(server, heap, index, keys, 2, nullptr, [&](const Datum *values, const bool *) {
		dropped.version = DatumGetInt64(values[kDroppedVersion - 1]);
		struct varlena *content = PG_DETOAST_DATUM_PACKED(values[kDroppedContent - 1]);
		if (VARSIZE_ANY_EXHDR(content) == sizeof dropped.content) {
			std::memcpy(&dropped.content, VARDATA_ANY(content), sizeof dropped.content);
		}
	});
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return dropped;
}

} // namespace auren::pg

namespace auren {

AUREN_FUNCTION(auren_content_digest) {
	return pg::Call([&](pg::Server server) {
		const pg::ContentDigest digest = pg::DigestOf(
			server, {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), PG_GETARG_DATUM(3), PG_GETARG_DATUM(4), PG_GETARG_DATUM(5)});
		auto *result = static_cast<bytea *>(palloc(VARHDRSZ + sizeof digest));
		SET_VARSIZE(result, VARHDRSZ + sizeof digest);
		std::memcpy(VARDATA(result), &digest, sizeof digest);
		return PointerGetDatum(result);
	});
}

} // namespace auren
