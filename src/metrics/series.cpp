#include "metrics/series.hpp"

#include <cstring>
#include <unordered_map>
#include <vector>

#include "core/freshness.hpp"
#include "core/metrics/reading_value.hpp"
#include "metrics/relations.hpp"
#include "server/compat.hpp"
#include "server/guard.hpp"
#include "server/relation_changes.hpp"
#include "server/table_row.hpp"
#include "server/text.hpp"

namespace auren::pg {

namespace {

enum SeriesColumn : int { kSeriesId, kSource, kTenant, kUser, kDevice, kMetric, kSeriesColumns };

constexpr std::size_t kMostKept = 200000;
// A session that asked for so many goes on to read them all: one by one would cost it ten times as much.
constexpr int kAskedBeforeAll = 256;
int asked = 0;

std::unordered_map<std::string, int64> kept;
Freshness freshness; // of them and of the secret
// those whose row this transaction added or found not committed yet: forgotten when a part of it is rolled back
std::vector<std::string> unsafe;
std::string key;

// Source, tenant, user, device and metric, each name after its length.
void
WriteSeriesKey(int32 source, const std::optional<std::string_view> (&names)[4]) {
	std::size_t size = sizeof source;
	for (const auto &name : names) {
		size += sizeof(uint32) + (name ? name->size() : 0);
	}
	key.resize(size);
	char *at = key.data();
	std::memcpy(at, &source, sizeof source);
	at += sizeof source;
	for (const auto &name : names) {
		const uint32 length = name ? static_cast<uint32>(name->size()) : PG_UINT32_MAX;
		std::memcpy(at, &length, sizeof length);
		at += sizeof length;
		if (name) {
			std::memcpy(at, name->data(), name->size());
			at += name->size();
		}
	}
}

/*
 * The number of the series that the key is of: the first bytes of its HMAC-SHA256 under a secret of this database. Who could foresee
 * numbers could find names with that of another tenant's series.
 */
struct SeriesSecret {
	bool known;
	uint8 bytes[32];
};
SeriesSecret secret;

void
ReadSecret(Server server) {
	Relation heap = table_open(own::series_secret.Get(server), AccessShareLock);
	TableScanDesc scan = table_beginscan(heap, SnapshotSelf, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		bool isnull;
		const std::string_view bytes = TextBytes(PointerGetDatum(PG_DETOAST_DATUM_PACKED(slot_getattr(slot, 1, &isnull))));
		if (bytes.size() == sizeof secret.bytes) {
			std::memcpy(secret.bytes, bytes.data(), sizeof secret.bytes);
			secret.known = true;
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(heap, NoLock);
	if (!secret.known) {
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("auren.series_secret has no row of 32 bytes"),
		                errhint("Only the extension's functions may change the tables of schema auren.")));
	}
}

int64
NumberOf(Server server, const char *name, Size length) {
	if (!secret.known) {
		ReadSecret(server);
	}
	uint8 digest[PG_SHA256_DIGEST_LENGTH];
	pg_hmac_ctx *context = pg_hmac_create(PG_SHA256);
	if (context == nullptr || pg_hmac_init(context, secret.bytes, sizeof secret.bytes) < 0 ||
	    pg_hmac_update(context, reinterpret_cast<const uint8 *>(name), length) < 0 || pg_hmac_final(context, digest, sizeof digest) < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute an HMAC: %s", pg_hmac_error(context))));
	}
	pg_hmac_free(context);
	int64 number;
	std::memcpy(&number, digest, sizeof number);
	return number;
}

struct Names {
	Datum values[kSeriesColumns];
	bool isnull[kSeriesColumns];
};

Datum
TextFrom(Server, std::string_view name) {
	return PointerGetDatum(cstring_to_text_with_len(name.data(), static_cast<int>(name.size())));
}

bool
SameNames(Server, const Names &names, TupleTableSlot *slot) {
	slot_getallattrs(slot);
	if (DatumGetInt32(names.values[kSource]) != DatumGetInt32(slot->tts_values[kSource])) {
		return false;
	}
	for (int i = kTenant; i < kSeriesColumns; i++) {
		if (names.isnull[i] != slot->tts_isnull[i] ||
		    (!names.isnull[i] && !DatumGetBool(DirectFunctionCall2Coll(texteq, C_COLLATION_OID, names.values[i], slot->tts_values[i])))) {
			return false;
		}
	}
	return true;
}

enum class Visibility { kNot, kCommitted, kOwn };

/*
 * Whether this transaction sees a committed row. One with a fixed server snapshot may not, and adds its own then: or it would not see its own
 * readings.
 */
Visibility
VisibilityOf(Server, Relation heap, TupleTableSlot *slot) {
	bool isnull;
	const TransactionId xmin = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
	if (TransactionIdIsCurrentTransactionId(xmin)) {
		return Visibility::kOwn;
	}
	return IsolationUsesXactSnapshot() && !table_tuple_satisfies_snapshot(heap, slot, GetTransactionSnapshot()) ? Visibility::kNot
	                                                                                                            : Visibility::kCommitted;
}

struct Found {
	bool found;
	bool own; // its row is not committed
	int64 id;
};

Found
FindByNames(Server server, Relation heap, const Names &names) {
	static const int order[] = {kTenant, kUser, kMetric, kDevice, kSource};
	ScanKeyData keys[5];
	for (int i = 0; i < 5; i++) {
		const int column = order[i];
		const bool null = names.isnull[column];
		ScanKeyEntryInitialize(&keys[i], null ? SK_ISNULL | SK_SEARCHNULL : 0, static_cast<AttrNumber>(i + 1),
		                       null ? InvalidStrategy : BTEqualStrategyNumber, InvalidOid, column == kSource ? InvalidOid : C_COLLATION_OID,
		                       null ? InvalidOid : static_cast<RegProcedure>(column == kSource ? F_INT4EQ : F_TEXTEQ),
		                       null ? 0 : names.values[column]);
	}
	Relation index = index_open(own::series_names.Get(server), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	// any committed row, or one of this transaction's: a server snapshot older than another's first reading would add it once more
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, SnapshotSelf, 5);
	index_rescan(scan, keys, 5, nullptr, 0);
	Found result = {};
	while (!result.found && index_getnext_slot(scan, ForwardScanDirection, slot)) {
		const Visibility seen = VisibilityOf(server, heap, slot);
		bool isnull;
		result.found = seen != Visibility::kNot;
		result.own = seen == Visibility::kOwn;
		result.id = DatumGetInt64(slot_getattr(slot, kSeriesId + 1, &isnull));
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return result;
}

// Whether a number is another series'.
bool
IsTaken(Server server, Relation heap, int64 id, const Names &names) {
	ScanKeyData scan_key;
	ScanKeyInit(&scan_key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(id));
	Relation index = index_open(own::series_ids.Get(server), AccessShareLock);
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, SnapshotSelf, 1);
	index_rescan(scan, &scan_key, 1, nullptr, 0);
	bool taken = false;
	while (!taken && index_getnext_slot(scan, ForwardScanDirection, slot)) {
		taken = !SameNames(server, names, slot);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	return taken;
}

Found
FindOrAdd(Server server, const SeriesNames &names, const char *name, Size length) {
	Names row;
	std::memset(&row, 0, sizeof row);
	row.values[kSource] = Int32GetDatum(names.source);
	row.values[kTenant] = TextFrom(server, names.tenant);
	const std::optional<std::string_view> *optional[] = {&names.user, &names.device, &names.metric};
	for (int i = 0; i < 3; i++) {
		row.isnull[kUser + i] = !optional[i]->has_value();
		if (!row.isnull[kUser + i]) {
			row.values[kUser + i] = TextFrom(server, **optional[i]);
		}
	}
	Relation heap = table_open(own::series.Get(server), RowExclusiveLock);
	Found result = FindByNames(server, heap, row);
	if (!result.found) {
		result.id = NumberOf(server, name, length);
		while (IsTaken(server, heap, result.id, row)) {
			result.id = static_cast<int64>(static_cast<uint64>(result.id) + 1);
		}
		row.values[kSeriesId] = Int64GetDatum(result.id);
		InsertRow(server, heap, row.values, row.isnull);
		result.own = true;
	}
	table_close(heap, NoLock);
	return result;
}

// The names of a row as views into it.
struct RowNames {
	int64 id;
	int32 source;
	bool null[4];
	const char *bytes[4]; // tenant, user, device, metric
	Size length[4];
};

struct SeriesScan {
	Relation heap;
	TableScanDesc scan;
	TupleTableSlot *slot;
};

bool
NextRowNames(Server server, SeriesScan *series, RowNames *row) {
	while (table_scan_getnextslot(series->scan, ForwardScanDirection, series->slot)) {
		if (VisibilityOf(server, series->heap, series->slot) != Visibility::kCommitted) {
			continue;
		}
		slot_getallattrs(series->slot);
		row->id = DatumGetInt64(series->slot->tts_values[kSeriesId]);
		row->source = DatumGetInt32(series->slot->tts_values[kSource]);
		for (int i = 0; i < 4; i++) {
			row->null[i] = series->slot->tts_isnull[kTenant + i];
			if (!row->null[i]) {
				const std::string_view bytes = TextBytes(PointerGetDatum(PG_DETOAST_DATUM_PACKED(series->slot->tts_values[kTenant + i])));
				row->bytes[i] = bytes.data();
				row->length[i] = bytes.size();
			}
		}
		return true;
	}
	return false;
}

// Keeps the numbers of all committed series, as far as there is room.
void
KeepAllSeries() {
	SeriesScan series;
	Call([&](Server server) {
		series.heap = table_open(own::series.Get(server), AccessShareLock);
		series.scan = table_beginscan(series.heap, SnapshotSelf, 0, nullptr);
		series.slot = table_slot_create(series.heap, nullptr);
	});
	const std::string own = key;
	RowNames row;
	while (kept.size() < kMostKept / 2 && Call([&](Server server) { return NextRowNames(server, &series, &row); })) {
		std::optional<std::string_view> names[4];
		for (int i = 0; i < 4; i++) {
			if (!row.null[i]) {
				names[i] = std::string_view(row.bytes[i], row.length[i]);
			}
		}
		WriteSeriesKey(row.source, names);
		kept.emplace(key, row.id);
	}
	key = own;
	Call([&] {
		ExecDropSingleTupleTableSlot(series.slot);
		table_endscan(series.scan);
		table_close(series.heap, NoLock);
	});
}

void
ForgetUnsafeSeries() {
	for (const std::string &name : unsafe) {
		kept.erase(name);
	}
	unsafe.clear();
}

void
OnTransaction(XactEvent event, void *) {
	switch (event) {
	case XACT_EVENT_COMMIT:
		unsafe.clear();
		break;
	case XACT_EVENT_ABORT:
	case XACT_EVENT_PREPARE:
		ForgetUnsafeSeries();
		break;
	default:
		break;
	}
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		ForgetUnsafeSeries();
	}
}

void
ForgetOnRelation(Oid relid) {
	// a source that was detached took its series with it; that is told by a change of analytics.sources. The extension
	// itself may be gone and come back.
	if (own::sources.MayBe(relid) || own::series.MayBe(relid)) {
		freshness.Forget();
	}
}

void
ForgetStaleSeries() {
	// what is read from here on is kept until the next change
	freshness.Refresh([] {
		kept.clear();
		unsafe.clear();
		asked = 0;
		secret.known = false;
	});
}

} // namespace

bool
CanBeNamed(const SeriesNames &names) {
	std::size_t bytes = names.tenant.size();
	for (const auto *name : {&names.user, &names.device, &names.metric}) {
		bytes += *name ? (*name)->size() : 0;
	}
	return bytes <= kMostNameBytes;
}

int64
SeriesOf(const SeriesNames &names) {
	ForgetStaleSeries();
	WriteSeriesKey(names.source, {names.tenant, names.user, names.device, names.metric});
	const auto found = kept.find(key);
	if (found != kept.end()) {
		return found->second;
	}
	if (kept.size() >= kMostKept) {
		ForgetUnsafeSeries();
		kept.clear();
	}
	if (++asked == kAskedBeforeAll) {
		KeepAllSeries();
		const auto there = kept.find(key);
		if (there != kept.end()) {
			return there->second;
		}
	}
	const std::string name = key;
	const char *bytes = name.data();
	const Size length = name.size();
	const Found series = Call([&](Server server) { return FindOrAdd(server, names, bytes, length); });
	if (series.own) {
		unsafe.push_back(name);
	}
	kept.emplace(name, series.id);
	return series.id;
}

StoredSeries
FindSeries(Server server, int64 series) {
	Relation heap = table_open(own::series.Get(server), AccessShareLock);
	Relation index = index_open(own::series_ids.Get(server), AccessShareLock);
	ScanKeyData scan_key;
	ScanKeyInit(&scan_key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(series));
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, SnapshotSelf, 1);
	index_rescan(scan, &scan_key, 1, nullptr, 0);
	StoredSeries stored = {};
	if (index_getnext_slot(scan, ForwardScanDirection, slot)) {
		slot_getallattrs(slot);
		const auto name = [&](int column) {
			return slot->tts_isnull[column] ? nullptr : static_cast<const char *>(TextDatumGetCString(slot->tts_values[column]));
		};
		stored.found = true;
		stored.source = DatumGetInt32(slot->tts_values[kSource]);
		stored.tenant = name(kTenant);
		stored.user = name(kUser);
		stored.device = name(kDevice);
		stored.metric = name(kMetric);
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, NoLock);
	table_close(heap, NoLock);
	return stored;
}

void
RegisterSeriesCallbacks(Server server) {
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
	OnRelationChange(server, ForgetOnRelation);
}

} // namespace auren::pg
