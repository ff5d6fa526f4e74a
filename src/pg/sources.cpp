#include "pg/sources.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "core/reading_time.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/jsonb.hpp"
#include "pg/relation_changes.hpp"
#include "pg/series.hpp"
#include "pg/store.hpp"
#include "pg/text.hpp"

namespace auren::pg {

namespace {

enum Field : int { kUser, kDevice, kMetric, kValue, kTime, kTenant, kFields };

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
	kColumnDetached
};

bool
IsNumber(Oid type) {
	return type == FLOAT8OID || type == FLOAT4OID || type == NUMERICOID || type == INT2OID || type == INT4OID || type == INT8OID;
}

bool
IsTime(Oid type) {
	return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

bool
IsText(Oid type) {
	return type == TEXTOID || type == VARCHAROID;
}

// Server side.
double
NumberFrom(Datum value, Oid type) {
	switch (type) {
	case FLOAT8OID:
		return DatumGetFloat8(value);
	case FLOAT4OID:
		return static_cast<double>(DatumGetFloat4(value));
	case INT2OID:
		return DatumGetInt16(value);
	case INT4OID:
		return DatumGetInt32(value);
	case INT8OID:
		return static_cast<double>(DatumGetInt64(value));
	default:
		return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
	}
}

// A time without a zone is UTC.
TimestampTz
TimeFrom(Datum value, Oid type) {
	if (type == DATEOID) {
		const DateADT day = DatumGetDateADT(value);
		if (DATE_NOT_FINITE(day)) {
			return DATE_IS_NOBEGIN(day) ? DT_NOBEGIN : DT_NOEND;
		}
		return static_cast<int64>(day) * USECS_PER_DAY;
	}
	return DatumGetTimestampTz(value);
}

// A name as bytes that live as long as the row or the memory context. Server side.
struct NameBytes {
	const char *bytes;
	int length;
	bool null;
};

NameBytes
NameFrom(const ReadingColumns &columns, int field, AttrNumber attribute, TupleTableSlot *row) {
	NameBytes name = {nullptr, 0, true};
	if (attribute == 0) {
		return name;
	}
	const Datum value = slot_getattr(row, attribute, &name.null);
	if (name.null) {
		return name;
	}
	if (IsText(columns.types[field])) {
		const auto *text_value = PG_DETOAST_DATUM_PACKED(value);
		name.bytes = VARDATA_ANY(text_value);
		name.length = static_cast<int>(VARSIZE_ANY_EXHDR(text_value));
		return name;
	}
	FmgrInfo *output = const_cast<FmgrInfo *>(&columns.outputs[field]);
	name.bytes = OutputFunctionCall(output, value);
	name.length = static_cast<int>(std::strlen(name.bytes));
	while (columns.types[field] == BPCHAROID && name.length > 0 && name.bytes[name.length - 1] == ' ') {
		name.length--;
	}
	return name;
}

std::optional<std::string_view>
ViewOf(const NameBytes &name) {
	return name.null ? std::nullopt : std::optional<std::string_view>({name.bytes, static_cast<std::size_t>(name.length)});
}

const char *
OptionalText(TupleTableSlot *slot, int column) {
	return slot->tts_isnull[column] ? nullptr : TextDatumGetCString(slot->tts_values[column]);
}

Oid
TypeOfColumn(Oid relid, const char *column) {
	const AttrNumber attribute = get_attnum(relid, column);
	if (attribute == InvalidAttrNumber) {
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("source \"%s\" has no column \"%s\" any more", get_rel_name(relid), column),
		                errhint("Give the column its name back, or detach the source and attach it again.")));
	}
	return getBaseType(get_atttype(relid, attribute));
}

// The time of a row as timestamptz, as TimeFrom reads it.
void
AddTime(StringInfo sql, const Source &source) {
	const Oid type = TypeOfColumn(source.relation, source.time);
	const char *column = quote_identifier(source.time);
	if (type == TIMESTAMPTZOID) {
		appendStringInfo(sql, "%s", column);
	} else {
		appendStringInfo(sql, "pg_catalog.timezone('UTC', %s::pg_catalog.timestamp)", column);
	}
}

void
AddName(StringInfo sql, const char *column) {
	if (column == nullptr) {
		appendStringInfoString(sql, "NULL::pg_catalog.text");
	} else {
		appendStringInfo(sql, "%s::pg_catalog.text", quote_identifier(column));
	}
}

const char *
TableName(Oid relid) {
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

const List *
FilledSources(Snapshot snapshot) {
	Relation relation = table_open(Oids().filled_sources, AccessShareLock);
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

AsOwner
BecomeOwner(Oid relid) {
	AsOwner before;
	GetUserIdAndSecContext(&before.user, &before.context);
	Relation relation = table_open(relid, AccessShareLock);
	const Oid owner = relation->rd_rel->relowner;
	table_close(relation, NoLock);
	SetUserIdAndSecContext(owner, before.context | SECURITY_RESTRICTED_OPERATION);
	before.guc_level = NewGUCNestLevel();
	(void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return before;
}

void
BecomeAgain(const AsOwner &before) {
	AtEOXact_GUC(false, before.guc_level);
	SetUserIdAndSecContext(before.user, before.context);
}

Sources
ReadSources(Snapshot snapshot) {
	const List *filled = FilledSources(snapshot);
	Relation relation = table_open(Oids().sources, AccessShareLock);
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
		source.event_type = OptionalText(slot, kColumnEventType);
		source.tenant = OptionalText(slot, kColumnTenantId);
		source.user = OptionalText(slot, kColumnUserField);
		source.device = OptionalText(slot, kColumnDeviceField);
		source.metric = OptionalText(slot, kColumnMetricField);
		source.value = OptionalText(slot, kColumnValueField);
		source.time = OptionalText(slot, kColumnTimeField);
		source.tenant_column = OptionalText(slot, kColumnTenantField);
		source.metrics = slot->tts_isnull[kColumnMetrics] ? nullptr : DatumGetJsonbPCopy(slot->tts_values[kColumnMetrics]);
		source.detached = DatumGetBool(slot->tts_values[kColumnDetached]);
		source.filled = !source.detached && list_member_int(filled, source.id);
	}
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(relation, NoLock);
	return sources;
}

const char *
RowArgument(const char *const (&parts)[kArgumentParts]) {
	Datum texts[kArgumentParts];
	for (int i = 0; i < kArgumentParts; i++) {
		texts[i] = CStringGetTextDatum(parts[i]);
	}
	return OidOutputFunctionCall(F_ARRAY_OUT, PointerGetDatum(construct_array(texts, kArgumentParts, TEXTOID, -1, false, TYPALIGN_INT)));
}

const char *
RowArgumentOf(Relation relation) {
	const TriggerDesc *triggers = relation->trigdesc;
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
		const Trigger &trigger = triggers->triggers[i];
		if (std::strcmp(trigger.tgname, kRowTrigger) == 0 && TRIGGER_FOR_ROW(trigger.tgtype) && trigger.tgnargs == 1) {
			return pstrdup(trigger.tgargs[0]);
		}
	}
	return nullptr;
}

void
FindColumns(ReadingColumns *columns, Relation relation, const char *argument, MemoryContext context) {
	const TupleDesc descriptor = RelationGetDescr(relation);
	Datum *parts = nullptr;
	bool *nulls = nullptr;
	int count = 0;
	if (argument != nullptr) {
		const Datum array = OidInputFunctionCall(F_ARRAY_IN, const_cast<char *>(argument), TEXTOID, -1);
		deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &parts, &nulls, &count);
	}
	if (count != kArgumentParts || std::count(nulls, nulls + count, true) > 0) {
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
		                errmsg("a trigger of table \"%s\" records readings without saying how", RelationGetRelationName(relation)),
		                errhint("Triggers of sources are made by analytics.attach_source.")));
	}
	std::memset(columns, 0, sizeof *columns);
	columns->source = pg_strtoint32(TextDatumGetCString(parts[0]));
	strlcpy(columns->tenant_text, TextDatumGetCString(parts[1]), sizeof columns->tenant_text);
	AttrNumber *attributes[kFields] = {&columns->user, &columns->device, &columns->metric, &columns->value, &columns->time, &columns->tenant};
	for (int field = 0; field < kFields; field++) {
		const char *name = TextDatumGetCString(parts[field + 2]);
		if (name[0] == '\0') {
			continue;
		}
		const int attribute = SPI_fnumber(descriptor, name);
		if (attribute <= 0) {
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("table \"%s\" has no column \"%s\"", RelationGetRelationName(relation), name),
			                errdetail("It is a source of metrics that reads that column."),
			                errhint("Give the column its name back, or detach the source and attach it again.")));
		}
		*attributes[field] = static_cast<AttrNumber>(attribute);
		const Oid type = getBaseType(TupleDescAttr(descriptor, attribute - 1)->atttypid);
		columns->types[field] = type;
		const bool fits = field == kValue ? IsNumber(type) : field == kTime ? IsTime(type) : true;
		if (!fits) {
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("column \"%s\" of table \"%s\" cannot be read as a %s", name, RelationGetRelationName(relation), field == kValue ? "value" : "time"),
			                errdetail("Its type is %s.", format_type_be(type)),
			                errhint(field == kValue ? "Name a column of a number type." : "Name a column of type timestamptz, timestamp or date.")));
		}
		if (field != kValue && field != kTime && !IsText(type)) {
			Oid output;
			bool is_varlena;
			getTypeOutputInfo(type, &output, &is_varlena);
			fmgr_info_cxt(output, &columns->outputs[field], context);
		}
	}
}

bool
ReadingOf(const ReadingColumns &columns, TupleTableSlot *row, Reading *reading, std::string_view *tenant) {
	struct Read {
		NameBytes names[4];
		bool timeless;
		TimestampTz time;
	};
	const Read read = Call([&] {
		Read r;
		bool isnull;
		const Datum time = slot_getattr(row, columns.time, &isnull);
		r.timeless = isnull;
		if (isnull) {
			return r;
		}
		r.time = TimeFrom(time, columns.types[kTime]);
		const Datum value = slot_getattr(row, columns.value, &reading->null);
		reading->value = reading->null ? 0 : NumberFrom(value, columns.types[kValue]);
		r.names[0] = NameFrom(columns, kUser, columns.user, row);
		r.names[1] = NameFrom(columns, kDevice, columns.device, row);
		r.names[2] = NameFrom(columns, kMetric, columns.metric, row);
		r.names[3] = NameFrom(columns, kTenant, columns.tenant, row);
		return r;
	});
	if (read.timeless) {
		return false;
	}
	SeriesNames names;
	names.source = columns.source;
	names.tenant = read.names[3].null ? std::string_view(columns.tenant_text) : *ViewOf(read.names[3]);
	names.user = ViewOf(read.names[0]);
	names.device = ViewOf(read.names[1]);
	names.metric = ViewOf(read.names[2]);
	*tenant = names.tenant;
	reading->source = columns.source;
	reading->series = SeriesOf(names);
	reading->bucket = FiveMinutesOf(read.time);
	return true;
}

void
RecordTable(Oid relid, const char *row_argument, bool taken) {
	List *const leaves = Call([&] { return find_all_inheritors(relid, AccessShareLock, nullptr); });
	for (int i = 0; i < list_length(leaves); i++) {
		struct Scan {
			Relation heap;
			TableScanDesc scan;
			TupleTableSlot *slot;
			Snapshot snapshot;
			ReadingColumns columns;
			MemoryContext context;
			MemoryContext before;
		} s;
		std::memset(static_cast<void *>(&s), 0, sizeof s);
		const bool readable = Call([&] {
			s.heap = table_open(list_nth_oid(leaves, i), AccessShareLock);
			if (s.heap->rd_rel->relkind != RELKIND_RELATION) {
				table_close(s.heap, NoLock);
				return false;
			}
			FindColumns(&s.columns, s.heap, row_argument, CurrentMemoryContext);
			// everything committed counts, whatever the statement's snapshot sees: nobody else writes now
			s.snapshot = RegisterSnapshot(GetLatestSnapshot());
			PushActiveSnapshot(s.snapshot);
			s.scan = table_beginscan(s.heap, s.snapshot, 0, nullptr);
			s.slot = table_slot_create(s.heap, nullptr);
			s.context = AllocSetContextCreate(CurrentMemoryContext, "auren_events scan", ALLOCSET_DEFAULT_SIZES);
			return true;
		});
		if (!readable) {
			continue;
		}
		while (Call([&] {
			CHECK_FOR_INTERRUPTS();
			return table_scan_getnextslot(s.scan, ForwardScanDirection, s.slot);
		})) {
			Reading reading = {};
			reading.taken = taken;
			Call([&] {
				MemoryContextReset(s.context);
				s.before = MemoryContextSwitchTo(s.context);
			});
			std::string_view tenant;
			const bool counts = ReadingOf(s.columns, s.slot, &reading, &tenant);
			MemoryContextSwitchTo(s.before);
			if (counts) {
				RecordReading(reading);
			}
		}
		Call([&] {
			ExecDropSingleTupleTableSlot(s.slot);
			table_endscan(s.scan);
			PopActiveSnapshot();
			UnregisterSnapshot(s.snapshot);
			table_close(s.heap, NoLock);
			MemoryContextDelete(s.context);
		});
	}
	WriteReadings();
}

Summary
Recount(const Source &source, const char *tenant, const char *user, const char *device, const char *metric, TimestampTz from, TimestampTz to) {
	struct Run {
		AsOwner before;
		uint64 rows;
		SPITupleTable *table;
	};
	Run run = Call([&] {
		Run r;
		r.before = BecomeOwner(source.relation);
		SPI_connect();
		StringInfoData sql;
		initStringInfo(&sql);
		appendStringInfo(&sql, "SELECT %s::pg_catalog.float8 FROM %s WHERE ", quote_identifier(source.value), TableName(source.relation));
		AddTime(&sql, source);
		appendStringInfoString(&sql, " OPERATOR(pg_catalog.>=) $1 AND ");
		AddTime(&sql, source);
		appendStringInfoString(&sql, " OPERATOR(pg_catalog.<) $2");
		Oid types[6] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
		Datum values[6] = {TimestampTzGetDatum(from), TimestampTzGetDatum(to)};
		int parameters = 2;
		const struct {
			const char *column;
			const char *name;
		} parts[] = {{source.user, user}, {source.device, device}, {source.metric, metric}, {source.tenant_column, tenant}};
		for (const auto &part : parts) {
			if (part.column == nullptr) {
				continue;
			}
			const Oid type = TypeOfColumn(source.relation, part.column);
			if (part.name == nullptr) {
				appendStringInfo(&sql, " AND %s IS NULL", quote_identifier(part.column));
				continue;
			}
			types[parameters] = TEXTOID;
			values[parameters] = CStringGetTextDatum(part.name);
			parameters++;
			if (IsText(type)) {
				appendStringInfo(&sql, " AND %s::pg_catalog.text OPERATOR(pg_catalog.=) $%d", quote_identifier(part.column), parameters);
			} else {
				appendStringInfo(&sql, " AND %s = $%d::%s", quote_identifier(part.column), parameters,
				                 format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY));
			}
		}
		if (SPI_execute_with_args(sql.data, parameters, types, values, nullptr, true, 0) != SPI_OK_SELECT) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read source \"%s\"", get_rel_name(source.relation))));
		}
		r.rows = SPI_processed;
		r.table = SPI_tuptable;
		return r;
	});
	Summary summary;
	for (uint64 i = 0; i < run.rows; i++) {
		bool isnull;
		const Datum value = heap_getattr(run.table->vals[i], 1, run.table->tupdesc, &isnull);
		if (isnull) {
			summary.AddNull();
		} else {
			summary.Add(DatumGetFloat8(value));
		}
	}
	Call([&] {
		SPI_finish();
		BecomeAgain(run.before);
	});
	return summary;
}

namespace {

constexpr long kRowsFetched = 5000;

/*
 * Gives the rows of a cursor to make(tuple, descriptor, readings), and what comes of some thousands of them to the sink. What make
 * allocates lives as long as they.
 */
template <typename F>
void
FetchAll(Portal portal, ReadingSink *sink, F &&make) {
	std::vector<Reading> readings;
	MemoryContext batch = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events scan", ALLOCSET_DEFAULT_SIZES); });
	for (;;) {
		const uint64 rows = Call([&] {
			CHECK_FOR_INTERRUPTS();
			SPI_cursor_fetch(portal, true, kRowsFetched);
			return SPI_processed;
		});
		if (rows == 0) {
			break;
		}
		SPITupleTable *table = SPI_tuptable;
		MemoryContext outer = MemoryContextSwitchTo(batch);
		for (uint64 i = 0; i < rows; i++) {
			make(table->vals[i], table->tupdesc, &readings);
		}
		Call([&] {
			MemoryContextSwitchTo(outer);
			MemoryContextReset(batch);
			SPI_freetuptable(table);
		});
		sink->Take(&readings);
	}
}

void
ScanRelation(const Source &source, ReadingSink *sink) {
	struct Run {
		AsOwner before;
		Portal portal;
	};
	const Run run = Call([&] {
		Run r;
		r.before = BecomeOwner(source.relation);
		SPI_connect();
		StringInfoData sql;
		initStringInfo(&sql);
		appendStringInfo(&sql, "SELECT %s::pg_catalog.float8, ", quote_identifier(source.value));
		AddTime(&sql, source);
		for (const char *column : {source.user, source.device, source.metric, source.tenant_column}) {
			appendStringInfoString(&sql, ", ");
			AddName(&sql, column);
		}
		appendStringInfo(&sql, " FROM %s", TableName(source.relation));
		SPIPlanPtr plan = SPI_prepare(sql.data, 0, nullptr);
		if (plan == nullptr) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read source \"%s\"", get_rel_name(source.relation))));
		}
		r.portal = SPI_cursor_open(nullptr, plan, nullptr, nullptr, true);
		return r;
	});
	FetchAll(run.portal, sink, [&](HeapTuple row, TupleDesc descriptor, std::vector<Reading> *readings) {
		struct Read {
			bool null;
			double value;
			bool timeless;
			TimestampTz time;
			NameBytes names[4];
		};
		const Read read = Call([&] {
			Read r;
			const Datum value = heap_getattr(row, 1, descriptor, &r.null);
			r.value = r.null ? 0 : DatumGetFloat8(value);
			r.time = DatumGetTimestampTz(heap_getattr(row, 2, descriptor, &r.timeless));
			for (int k = 0; k < 4; k++) {
				NameBytes &name = r.names[k];
				const Datum datum = heap_getattr(row, k + 3, descriptor, &name.null);
				name.bytes = nullptr;
				name.length = 0;
				if (!name.null) {
					const auto *text_value = PG_DETOAST_DATUM_PACKED(datum);
					name.bytes = VARDATA_ANY(text_value);
					name.length = static_cast<int>(VARSIZE_ANY_EXHDR(text_value));
				}
			}
			return r;
		});
		if (read.timeless) {
			return;
		}
		SeriesNames names;
		names.source = source.id;
		names.user = ViewOf(read.names[0]);
		names.device = ViewOf(read.names[1]);
		names.metric = ViewOf(read.names[2]);
		names.tenant = read.names[3].null ? std::string_view(source.tenant) : *ViewOf(read.names[3]);
		readings->push_back({sink->SeriesFor(names), FiveMinutesOf(read.time), read.value, source.id, read.null, false});
	});
	Call([&] {
		SPI_cursor_close(run.portal);
		SPI_finish();
		BecomeAgain(run.before);
	});
}

// ---- events ----------------------------------------------------------------------------------------------------------

// A source of events as appends need it.
struct EventSource {
	int32 source;
	std::string event_type;
	std::string tenant;
	std::optional<std::string> user;
	std::optional<std::string> device;
	std::optional<std::string> time;
	std::vector<std::pair<std::string, std::string>> metrics; // field, metric
};

std::vector<EventSource> event_sources;
bool event_sources_valid = false;
Oid sources_relid = InvalidOid;

std::optional<std::string>
Optional(const char *text) {
	return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

EventSource
MakeEventSource(const Source &source) {
	EventSource made;
	made.source = source.id;
	made.event_type = source.event_type;
	made.tenant = source.tenant;
	made.user = Optional(source.user);
	made.device = Optional(source.device);
	made.time = Optional(source.time);
	struct Pair {
		const char *field;
		const char *metric;
	};
	Pair *pairs = nullptr;
	const int count = Call([&] {
		pairs = static_cast<Pair *>(palloc(sizeof(Pair) * static_cast<Size>(JB_ROOT_COUNT(source.metrics) + 1)));
		int n = 0;
		JsonbIterator *iterator = JsonbIteratorInit(&source.metrics->root);
		JsonbValue value;
		JsonbIteratorToken token;
		while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE) {
			if (token == WJB_KEY) {
				pairs[n].field = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
			} else if (token == WJB_VALUE && value.type == jbvString) {
				pairs[n++].metric = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
			}
		}
		return n;
	});
	for (int i = 0; i < count; i++) {
		made.metrics.emplace_back(pairs[i].field, pairs[i].metric);
	}
	return made;
}

void
EnsureEventSources() {
	while (!event_sources_valid) {
		// set first: a change that arrives while they are read unsets it, and is not lost
		event_sources_valid = true;
		try {
			const Sources sources = Call([] {
				sources_relid = Oids().sources;
				Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
				const Sources read = ReadSources(snapshot);
				UnregisterSnapshot(snapshot);
				return read;
			});
			event_sources.clear();
			for (int i = 0; i < sources.count; i++) {
				if (!OidIsValid(sources.items[i].relation)) {
					event_sources.push_back(MakeEventSource(sources.items[i]));
				}
			}
		} catch (...) {
			event_sources_valid = false;
			throw;
		}
	}
}

void
ForgetOnRelation(Oid relid) {
	if (relid == InvalidOid || relid == sources_relid) {
		event_sources_valid = false;
	}
}

// A field of an event's data. Server side.
struct FieldValue {
	bool found;
	bool number;
	double value;
	NameBytes text;
};

FieldValue
FieldOf(Jsonb *data, const std::string &field) {
	FieldValue result = {};
	result.text.null = true;
	JsonbValue buffer;
	const JsonbValue *value = JB_ROOT_IS_OBJECT(data) ? getKeyJsonValueFromContainer(&data->root, field.data(), static_cast<int>(field.size()), &buffer) : nullptr;
	if (value == nullptr || value->type == jbvNull) {
		return result;
	}
	result.found = true;
	if (value->type == jbvNumeric) {
		result.number = true;
		result.value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
		result.text.bytes = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		result.text.length = static_cast<int>(std::strlen(result.text.bytes));
		result.text.null = false;
	} else if (value->type == jbvString) {
		result.text = {value->val.string.val, value->val.string.len, false};
	}
	return result;
}

// Gives each reading of an event to fn.
template <typename N, typename F>
void
ForEachReading(const EventSource &source, std::string_view tenant, std::string_view stream, Jsonb *data, TimestampTz created_at, N &&series_for,
               F &&fn) {
	const auto field = [&](const std::string &name) { return Call([&] { return FieldOf(data, name); }); };
	SeriesNames names;
	names.source = source.source;
	names.tenant = tenant;
	names.user = stream.substr(stream.find(':') == std::string_view::npos ? 0 : stream.find(':') + 1);
	FieldValue user = {};
	if (source.user) {
		user = field(*source.user);
		names.user = user.found ? ViewOf(user.text) : std::nullopt;
	}
	FieldValue device = {};
	if (source.device) {
		device = field(*source.device);
		names.device = device.found ? ViewOf(device.text) : std::nullopt;
	}
	TimestampTz time = created_at;
	if (source.time) {
		const FieldValue text = field(*source.time);
		if (text.found && !text.number && !text.text.null) {
			time = ParseReadingTime(*ViewOf(text.text)).value_or(created_at);
		}
	}
	for (const auto &[name, metric] : source.metrics) {
		const FieldValue value = field(name);
		if (!value.found || !value.number) {
			continue;
		}
		names.metric = metric;
		fn(Reading{series_for(names), FiveMinutesOf(time), value.value, source.source, false, false});
	}
}

void
ScanEvents(const Source &row, ReadingSink *sink) {
	const EventSource source = MakeEventSource(row);
	const Portal portal = Call([&] {
		(void)BecomeOwner(Oids().events);
		SPI_connect();
		Oid types[2] = {TEXTOID, TEXTOID};
		Datum values[2] = {CStringGetTextDatum(row.tenant), CStringGetTextDatum(row.event_type)};
		SPIPlanPtr plan = SPI_prepare("SELECT stream_id, event_data, created_at FROM events.event_store WHERE tenant_id OPERATOR(pg_catalog.=) $1 "
		                              "AND event_type OPERATOR(pg_catalog.=) $2",
		                              2, types);
		return SPI_cursor_open(nullptr, plan, values, nullptr, true);
	});
	FetchAll(portal, sink, [&](HeapTuple row, TupleDesc descriptor, std::vector<Reading> *readings) {
		struct Read {
			NameBytes stream;
			Jsonb *data;
			TimestampTz created_at;
		};
		const Read read = Call([&] {
			Read r;
			bool isnull;
			const auto *stream = PG_DETOAST_DATUM_PACKED(heap_getattr(row, 1, descriptor, &isnull));
			r.stream = {VARDATA_ANY(stream), static_cast<int>(VARSIZE_ANY_EXHDR(stream)), false};
			r.data = DatumGetJsonbP(heap_getattr(row, 2, descriptor, &isnull));
			r.created_at = DatumGetTimestampTz(heap_getattr(row, 3, descriptor, &isnull));
			return r;
		});
		ForEachReading(
		    source, source.tenant, *ViewOf(read.stream), read.data, read.created_at, [&](const SeriesNames &names) { return sink->SeriesFor(names); },
		    [&](const Reading &reading) { readings->push_back(reading); });
	});
	Call([&] {
		SPI_cursor_close(portal);
		SPI_finish();
	});
}

} // namespace

void
ScanSource(const Source &source, ReadingSink *sink) {
	if (OidIsValid(source.relation)) {
		ScanRelation(source, sink);
		return;
	}
	struct Before {
		Oid user;
		int context;
		int level;
	} before;
	Call([&] {
		GetUserIdAndSecContext(&before.user, &before.context);
		before.level = NewGUCNestLevel();
	});
	ScanEvents(source, sink);
	Call([&] {
		AtEOXact_GUC(false, before.level);
		SetUserIdAndSecContext(before.user, before.context);
	});
}

void
RecordEvent(std::string_view tenant, std::string_view stream, std::string_view event_type, Datum data, TimestampTz created_at) {
	EnsureEventSources();
	if (event_sources.empty()) {
		return;
	}
	for (const EventSource &source : event_sources) {
		if (source.event_type == event_type && source.tenant == tenant) {
			ForEachReading(source, tenant, stream, Call([&] { return DatumGetJsonbP(data); }), created_at, SeriesOf, [](const Reading &reading) { RecordReading(reading); });
		}
	}
}

void
RegisterSourceCallbacks() {
	OnRelationChange(ForgetOnRelation);
}

} // namespace auren::pg
