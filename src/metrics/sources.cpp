#include "metrics/sources.hpp"

#include "metrics/relations.hpp"
#include "server/table_row.hpp"
#include "store/query.hpp"

namespace auren::pg {

namespace {

enum SourceColumn : int {
	kColumnSourceId,
	kColumnRelation,
	kColumnEventType,
	kColumnTenantId,
	kColumnUserField,
	kColumnDeviceField,
	kColumnMetricField,
	kColumnValueField,
	kColumnTimeField,
	kColumnTenantField,
	kColumnMetrics,
	kColumnDetached,
	kColumnAttachedBy,
	kColumnAttachedAt,
	kColumnSamplesField,
	kColumnOnce
};

const char *
OptionalText(Server, TupleTableSlot *slot, int column) {
	return slot->tts_isnull[column] ? nullptr : TextDatumGetCString(slot->tts_values[column]);
}

const List *
FilledSources(Server server, Snapshot snapshot) {
	Relation relation = table_open(own::filled_sources.Get(server), AccessShareLock);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	List *ids = NIL;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		bool isnull;
		ids = lappend_int(ids, DatumGetInt32(slot_getattr(slot, 1, &isnull)));
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(relation, NoLock);
	return ids;
}

} // namespace

Sources
ReadSources(Server server, Snapshot snapshot) {
	const List *filled = FilledSources(server, snapshot);
	Relation relation = table_open(own::sources.Get(server), AccessShareLock);
	TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(relation, nullptr);
	Sources sources = {static_cast<Source *>(palloc(sizeof(Source) * 8)), 0};
	int room = 8;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		if (sources.count == room) {
			room *= 2;
			sources.items = static_cast<Source *>(repalloc(sources.items, sizeof(Source) * static_cast<Size>(room)));
		}
		slot_getallattrs(slot);
		Source &source = sources.items[sources.count++];
		source.id = DatumGetInt32(slot->tts_values[kColumnSourceId]);
		source.relation = slot->tts_isnull[kColumnRelation] ? InvalidOid : DatumGetObjectId(slot->tts_values[kColumnRelation]);
		source.event_type = OptionalText(server, slot, kColumnEventType);
		source.tenant = OptionalText(server, slot, kColumnTenantId);
		source.user = OptionalText(server, slot, kColumnUserField);
		source.device = OptionalText(server, slot, kColumnDeviceField);
		source.metric = OptionalText(server, slot, kColumnMetricField);
		source.value = OptionalText(server, slot, kColumnValueField);
		source.time = OptionalText(server, slot, kColumnTimeField);
		source.tenant_column = OptionalText(server, slot, kColumnTenantField);
		source.metrics = slot->tts_isnull[kColumnMetrics] ? nullptr : DatumGetJsonbPCopy(slot->tts_values[kColumnMetrics]);
		source.samples = OptionalText(server, slot, kColumnSamplesField);
		source.once = DatumGetBool(slot->tts_values[kColumnOnce]);
		source.detached = DatumGetBool(slot->tts_values[kColumnDetached]);
		if (OidIsValid(source.relation) && !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(source.relation))) {
			// it went with something else, and the event trigger has not said so yet
			source.relation = InvalidOid;
			source.detached = true;
		}
		source.filled = !source.detached && list_member_int(filled, source.id);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(relation, NoLock);
	return sources;
}

void
ForgetPartitions(Server server, Oid relid) {
	Oid types[1] = {OIDARRAYOID};
	const List *all = find_all_inheritors(relid, NoLock, nullptr);
	auto *oids = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(list_length(all))));
	for (int i = 0; i < list_length(all); i++) {
		oids[i] = ObjectIdGetDatum(list_nth_oid(all, i));
	}
	Datum values[1] = {PointerGetDatum(construct_array(oids, list_length(all), OIDOID, sizeof(Oid), true, TYPALIGN_INT))};
	(void)ExecuteAsStore(server, "DELETE FROM auren.source_partitions WHERE relation OPERATOR(pg_catalog.=) ANY ($1)", 1, types, values, nullptr);
}

void
RecordPartitions(Server server, Oid relid, int32 source) {
	ForgetPartitions(server, relid);
	Relation partitions = table_open(own::source_partitions.Get(server), RowExclusiveLock);
	const List *all = find_all_inheritors(relid, NoLock, nullptr);
	for (int i = 0; i < list_length(all); i++) {
		if (get_rel_relispartition(list_nth_oid(all, i))) {
			const Datum values[2] = {ObjectIdGetDatum(list_nth_oid(all, i)), Int32GetDatum(source)};
			const bool isnull[2] = {};
			InsertRow(server, partitions, values, isnull);
		}
	}
	table_close(partitions, NoLock);
	CommandCounterIncrement();
}

const List *
RecordedPartitions(Server server, int32 source) {
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	Relation partitions = table_open(own::source_partitions.Get(server), AccessShareLock);
	TableScanDesc scan = table_beginscan(partitions, snapshot, 0, nullptr);
	TupleTableSlot *slot = table_slot_create(partitions, nullptr);
	List *known = NIL;
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
		slot_getallattrs(slot);
		if (DatumGetInt32(slot->tts_values[1]) == source) {
			known = lappend_oid(known, DatumGetObjectId(slot->tts_values[0]));
		}
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(partitions, NoLock);
	UnregisterSnapshot(snapshot);
	return known;
}

const Source *
SourceOf(Server server, Oid relid) {
	List *tables = list_make1_oid(relid);
	if (get_rel_relispartition(relid)) {
		tables = list_concat(tables, get_partition_ancestors(relid));
	}
	// what this transaction did is seen too
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	const Sources sources = ReadSources(server, snapshot);
	UnregisterSnapshot(snapshot);
	for (int i = 0; i < sources.count; i++) {
		if (OidIsValid(sources.items[i].relation) && list_member_oid(tables, sources.items[i].relation)) {
			return &sources.items[i];
		}
	}
	return nullptr;
}

} // namespace auren::pg
