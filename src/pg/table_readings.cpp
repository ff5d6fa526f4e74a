#include "pg/table_readings.hpp"

#include <algorithm>
#include <cstring>

#include "core/reading_time.hpp"
#include "pg/guard.hpp"
#include "pg/series.hpp"

namespace auren::pg {

namespace {

enum Field : int { kUser, kDevice, kMetric, kValue, kTime, kTenant, kFields };

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

} // namespace

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

void
ScanTable(const Source &source, ReadingSink *sink) {
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

} // namespace auren::pg
