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

/*
 * Whether what a type's values read like is the same in every session: a name that depends on DateStyle or bytea_output would be another
 * one in the next.
 */
bool
IsName(Oid type) {
	if (type == FLOAT4OID || type == FLOAT8OID || type == BYTEAOID) {
		return false;
	}
	Oid output;
	bool is_varlena;
	getTypeOutputInfo(type, &output, &is_varlena);
	return type_is_enum(type) || func_volatile(output) == PROVOLATILE_IMMUTABLE;
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
		// what no timestamp reaches counts as for ever
		int overflow;
		const Timestamp time = date2timestamp_opt_overflow(day, &overflow);
		return overflow > 0 ? DT_NOEND : time;
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

// The time of a row as timestamptz, as TimeFrom reads it.
void
AddTime(StringInfo sql, const char *column, Oid type) {
	if (type == TIMESTAMPTZOID) {
		appendStringInfo(sql, "%s", quote_identifier(column));
	} else {
		appendStringInfo(sql, "pg_catalog.timezone('UTC', %s::pg_catalog.timestamp)", quote_identifier(column));
	}
}

const char *
TableName(Oid relid) {
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/*
 * The columns of a source as they are: the function of a cast that somebody made would run as the table's owner. Server side.
 */
void
AddSelect(StringInfo sql, const Source &source) {
	const char *before = "SELECT ";
	for (const char *column : {source.user, source.device, source.metric, source.value, source.time, source.tenant_column}) {
		if (column != nullptr) {
			appendStringInfo(sql, "%s%s", before, quote_identifier(column));
			before = ", ";
		}
	}
	appendStringInfo(sql, " FROM %s", TableName(source.relation));
}

// Of the table itself: says what it lacks. Server side.
void
FindTableColumns(ReadingColumns *columns, const Source &source) {
	Relation relation = table_open(source.relation, AccessShareLock);
	FindColumns(columns, RelationGetDescr(relation), RelationGetRelationName(relation), source, CurrentMemoryContext);
	table_close(relation, NoLock);
}

// A query of a source as its owner, and how its rows are read.
struct SourceQuery {
	AsOwner before;
	Portal portal;
	uint64 rows;
	SPITupleTable *table;
	ReadingColumns columns;
	TupleTableSlot *slot;
};

// Server side.
void
ReadColumns(SourceQuery *query, TupleDesc descriptor, const Source &source) {
	FindColumns(&query->columns, descriptor, get_rel_name(source.relation), source, CurrentMemoryContext);
	query->slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsHeapTuple);
}

// C++ side.
bool
ReadTuple(const SourceQuery &query, HeapTuple row, Reading *reading, SeriesNames *names) {
	(void)Call([&] { return ExecStoreHeapTuple(row, query.slot, false); });
	return ReadingOf(query.columns, query.slot, reading, names);
}

// Whether values of a type are equal wherever their texts are.
bool
EqualIsCheap(Oid type) {
	return IsText(type) || type == INT2OID || type == INT4OID || type == INT8OID || type == UUIDOID;
}

bool
SameName(const std::optional<std::string_view> &name, const char *other) {
	return other == nullptr ? !name : name && *name == other;
}

} // namespace

void
FindColumns(ReadingColumns *columns, TupleDesc descriptor, const char *relation, const Source &source, MemoryContext context) {
	std::memset(columns, 0, sizeof *columns);
	columns->source = source.id;
	columns->tenant_text = MemoryContextStrdup(context, source.tenant);
	const char *const names[kFields] = {source.user, source.device, source.metric, source.value, source.time, source.tenant_column};
	AttrNumber *attributes[kFields] = {&columns->user, &columns->device, &columns->metric, &columns->value, &columns->time, &columns->tenant};
	for (int field = 0; field < kFields; field++) {
		const char *name = names[field];
		if (name == nullptr) {
			continue;
		}
		const int attribute = SPI_fnumber(descriptor, name);
		if (attribute <= 0) {
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("table \"%s\" has no column \"%s\"", relation, name),
			                errdetail("It is a source of metrics that reads that column."),
			                errhint("Give the column its name back, or detach the source and attach it again.")));
		}
		*attributes[field] = static_cast<AttrNumber>(attribute);
		const Oid type = getBaseType(TupleDescAttr(descriptor, attribute - 1)->atttypid);
		columns->types[field] = type;
		const bool fits = field == kValue ? IsNumber(type) : field == kTime ? IsTime(type) : IsName(type);
		if (!fits) {
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("column \"%s\" of table \"%s\" cannot be read as a %s", name, relation, field == kValue ? "value" : field == kTime ? "time" : "name"),
			                errdetail("Its type is %s.", format_type_be(type)),
			                errhint(field == kValue ? "Name a column of a number type."
			                : field == kTime ? "Name a column of type timestamptz, timestamp or date."
			                                 : "Name a column of a type whose values read the same in every session.")));
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
ReadingOf(const ReadingColumns &columns, TupleTableSlot *row, Reading *reading, SeriesNames *names) {
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
	names->source = columns.source;
	names->tenant = read.names[3].null ? std::string_view(columns.tenant_text) : *ViewOf(read.names[3]);
	names->user = ViewOf(read.names[0]);
	names->device = ViewOf(read.names[1]);
	names->metric = ViewOf(read.names[2]);
	reading->source = columns.source;
	reading->bucket = FiveMinutesOf(read.time);
	return true;
}

void
RecordTable(Oid relid, const Source &source, bool taken) {
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
			FindColumns(&s.columns, RelationGetDescr(s.heap), RelationGetRelationName(s.heap), source, CurrentMemoryContext);
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
			SeriesNames names;
			const bool counts = ReadingOf(s.columns, s.slot, &reading, &names);
			if (counts) {
				reading.series = SeriesOf(names);
			}
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
Recount(const Source &source, const StoredSeries &series, const Bucket &bucket) {
	SourceQuery query;
	std::memset(static_cast<void *>(&query), 0, sizeof query);
	Call([&] {
		ReadingColumns columns;
		FindTableColumns(&columns, source);
		query.before = BecomeOwner(source.relation);
		SPI_connect();
		StringInfoData sql;
		initStringInfo(&sql);
		AddSelect(&sql, source);
		appendStringInfoString(&sql, " WHERE ");
		AddTime(&sql, source.time, columns.types[kTime]);
		appendStringInfoString(&sql, " OPERATOR(pg_catalog.>=) $1 AND ");
		AddTime(&sql, source.time, columns.types[kTime]);
		appendStringInfoString(&sql, " OPERATOR(pg_catalog.<=) $2");
		Oid types[5] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
		const Bounds bounds = BoundsOf(bucket);
		Datum values[5] = {TimestampTzGetDatum(bounds.from), TimestampTzGetDatum(bounds.to)};
		int parameters = 2;
		const struct {
			Field field;
			const char *column;
			const char *name;
		} parts[] = {{kUser, source.user, series.user}, {kDevice, source.device, series.device}, {kMetric, source.metric, series.metric}};
		// for an index, where its equality asks nobody; all is looked at below
		for (const auto &part : parts) {
			if (part.column != nullptr && part.name == nullptr) {
				appendStringInfo(&sql, " AND %s IS NULL", quote_identifier(part.column));
			} else if (part.column != nullptr && EqualIsCheap(columns.types[part.field])) {
				Oid input;
				Oid element;
				types[parameters] = columns.types[part.field];
				getTypeInputInfo(types[parameters], &input, &element);
				values[parameters++] = OidInputFunctionCall(input, const_cast<char *>(part.name), element, -1);
				appendStringInfo(&sql, " AND %s = $%d", quote_identifier(part.column), parameters);
			}
		}
		if (SPI_execute_with_args(sql.data, parameters, types, values, nullptr, true, 0) != SPI_OK_SELECT) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read source \"%s\"", get_rel_name(source.relation))));
		}
		query.rows = SPI_processed;
		query.table = SPI_tuptable;
		ReadColumns(&query, SPI_tuptable->tupdesc, source);
	});
	Summary summary;
	for (uint64 i = 0; i < query.rows; i++) {
		Reading reading = {};
		SeriesNames names;
		if (!ReadTuple(query, query.table->vals[i], &reading, &names) || !Holds(bucket, reading.bucket) || names.tenant != series.tenant ||
		    !SameName(names.user, series.user) || !SameName(names.device, series.device) || !SameName(names.metric, series.metric)) {
			continue;
		}
		if (reading.null) {
			summary.AddNull();
		} else {
			summary.Add(reading.value);
		}
	}
	Call([&] {
		ExecDropSingleTupleTableSlot(query.slot);
		SPI_finish();
		BecomeAgain(query.before);
	});
	return summary;
}

void
ScanTable(const Source &source, ReadingSink *sink) {
	SourceQuery query;
	std::memset(static_cast<void *>(&query), 0, sizeof query);
	Call([&] {
		FindTableColumns(&query.columns, source);
		query.before = BecomeOwner(source.relation);
		SPI_connect();
		StringInfoData sql;
		initStringInfo(&sql);
		AddSelect(&sql, source);
		SPIPlanPtr plan = SPI_prepare(sql.data, 0, nullptr);
		if (plan == nullptr) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not read source \"%s\"", get_rel_name(source.relation))));
		}
		query.portal = SPI_cursor_open(nullptr, plan, nullptr, nullptr, true);
		ReadColumns(&query, query.portal->tupDesc, source);
	});
	FetchAll(query.portal, sink, [&](HeapTuple row, TupleDesc, std::vector<Reading> *readings) {
		Reading reading = {};
		SeriesNames names;
		if (ReadTuple(query, row, &reading, &names)) {
			reading.series = sink->SeriesFor(names);
			readings->push_back(reading);
		}
	});
	Call([&] {
		ExecDropSingleTupleTableSlot(query.slot);
		SPI_cursor_close(query.portal);
		SPI_finish();
		BecomeAgain(query.before);
	});
}

} // namespace auren::pg
