#include "metrics/table_readings.hpp"

#include <cstring>
#include <vector>

#include "core/metrics/reading_time.hpp"
#include "core/metrics/reading_value.hpp"
#include "metrics/series.hpp"
#include "metrics/source_rows.hpp"
#include "server/compat_columns.hpp"
#include "server/guard.hpp"
#include "server/progress.hpp"

namespace auren::pg {

namespace {

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
IsName(Server, Oid type) {
	if (type == FLOAT4OID || type == FLOAT8OID || type == BYTEAOID) {
		return false;
	}
	Oid output;
	bool is_varlena;
	getTypeOutputInfo(type, &output, &is_varlena);
	return type_is_enum(type) || func_volatile(output) == PROVOLATILE_IMMUTABLE;
}

double
NumberFrom(Server, Datum value, Oid type) {
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

// A time without a zone is UTC; false for a day that no timestamp reaches.
bool
TimeFrom(Server, Datum value, Oid type, TimestampTz *time) {
	if (type != DATEOID) {
		*time = DatumGetTimestampTz(value);
		return true;
	}
	const DateADT day = DatumGetDateADT(value);
	if (DATE_NOT_FINITE(day)) {
		*time = DATE_IS_NOBEGIN(day) ? DT_NOBEGIN : DT_NOEND;
		return true;
	}
	int overflow;
	*time = date2timestamp_opt_overflow(day, &overflow);
	return overflow == 0;
}

NameBytes
NameFrom(Server, const ReadingColumns &columns, int field, AttrNumber attribute, TupleTableSlot *row) {
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

bool
SameName(const std::optional<std::string_view> &name, const char *other) {
	return other == nullptr ? !name : name && *name == other;
}

} // namespace

void
FindColumns(Server server, ReadingColumns *columns, TupleDesc descriptor, const char *relation, const Source &source, MemoryContext context) {
	std::memset(columns, 0, sizeof *columns);
	columns->source = source.id;
	columns->tenant_text = MemoryContextStrdup(context, source.tenant);
	const char *const names[kReadingFields] = {source.user, source.device, source.metric, source.value, source.time, source.tenant_column};
	AttrNumber *attributes[kReadingFields] = {&columns->user, &columns->device, &columns->metric, &columns->value, &columns->time, &columns->tenant};
	for (int field = 0; field < kReadingFields; field++) {
		const char *name = names[field];
		if (name == nullptr) {
			continue;
		}
		const int attribute = SPI_fnumber(descriptor, name);
		if (attribute <= 0) {
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("table \"%s\" has no column \"%s\"", relation, name),
			                errdetail("Readings are read from that column."),
			                errhint("Name a column of the table; if a column of a source was renamed, give it its name back.")));
		}
		if (compat::IsVirtual(TupleDescAttr(descriptor, attribute - 1))) {
			ereport(ERROR,
			        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("column \"%s\" of table \"%s\" cannot be read as a source's", name, relation),
			         errdetail("It is a virtual generated column: the table's rows, which readings are counted from, do not hold it."),
			         errhint("Make it a STORED one, or name a column that is stored.")));
		}
		*attributes[field] = static_cast<AttrNumber>(attribute);
		const Oid type = getBaseType(TupleDescAttr(descriptor, attribute - 1)->atttypid);
		columns->types[field] = type;
		const bool fits = field == kValueField ? IsNumber(type) : field == kTimeField ? IsTime(type) : IsName(server, type);
		if (!fits) {
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
			                errmsg("column \"%s\" of table \"%s\" cannot be read as a %s", name, relation,
			                       field == kValueField  ? "value"
			                       : field == kTimeField ? "time"
			                                             : "name"),
			                errdetail("Its type is %s.", format_type_be(type)),
			                errhint(field == kValueField  ? "Name a column of a number type."
			                        : field == kTimeField ? "Name a column of type timestamptz, timestamp or date."
			                                              : "Name a column of a type whose values read the same in every session.")));
		}
		if (field != kValueField && field != kTimeField && !IsText(type)) {
			Oid output;
			bool is_varlena;
			getTypeOutputInfo(type, &output, &is_varlena);
			fmgr_info_cxt(output, &columns->outputs[field], context);
		}
	}
}

Refusal
ReadingOf(const ReadingColumns &columns, TupleTableSlot *row, Reading *reading, SeriesNames *names) {
	struct Read {
		NameBytes names[4];
		bool timed;
		TimestampTz time;
	};
	const Read read = Call([&](Server server) {
		Read r;
		bool isnull;
		const Datum time = slot_getattr(row, columns.time, &isnull);
		r.time = 0;
		r.timed = !isnull && TimeFrom(server, time, columns.types[kTimeField], &r.time) && IsReadingTime(r.time);
		const Datum value = slot_getattr(row, columns.value, &reading->null);
		reading->value = reading->null ? 0 : NumberFrom(server, value, columns.types[kValueField]);
		r.names[0] = NameFrom(server, columns, kUserField, columns.user, row);
		r.names[1] = NameFrom(server, columns, kDeviceField, columns.device, row);
		r.names[2] = NameFrom(server, columns, kMetricField, columns.metric, row);
		r.names[3] = NameFrom(server, columns, kTenantField, columns.tenant, row);
		return r;
	});
	names->source = columns.source;
	names->tenant = read.names[3].null ? std::string_view(columns.tenant_text) : *ViewOf(read.names[3]);
	names->user = ViewOf(read.names[0]);
	names->device = ViewOf(read.names[1]);
	names->metric = ViewOf(read.names[2]);
	reading->source = columns.source;
	reading->bucket = FiveMinutesOf(read.time);
	return !read.timed ? Refusal::kTime : CanBeNamed(*names) ? Refusal::kNone : Refusal::kNames;
}

Refused
RefusedRow(const ReadingColumns &columns, const SeriesNames &names, Refusal reason, Counting counting) {
	const bool is_tenant = names.tenant.size() <= kMostNameBytes;
	return {columns.source, is_tenant ? names.tenant : std::string_view(columns.tenant_text), reason, 0, counting == Counting::kTake};
}

void
RecordTable(Oid relid, const Source &source, Counting counting) {
	SourceRows rows;
	MemoryContext batch = nullptr;
	MemoryContext outer = CurrentMemoryContext;
	Snapshot snapshot = nullptr;
	Call([&](Server server) {
		batch = AllocSetContextCreate(CurrentMemoryContext, "auren_events scan", ALLOCSET_DEFAULT_SIZES);
		// everything committed counts, whatever the statement's server snapshot sees: nobody else writes now
		snapshot = RegisterSnapshot(GetLatestSnapshot());
		PushActiveSnapshot(snapshot);
		OpenSourceRows(server, &rows, relid, source, nullptr, snapshot);
		BeginProgress(server, WorkPhase::kRecordReading, EstimatedRows(server, relid));
	});
	for (int64 done = 0; Call([&](Server server) { return NextSourceRow(server, &rows); }); done++) {
		Call([&](Server server) {
			MemoryContextReset(batch);
			ReportProgress(server, done);
		});
		MemoryContextSwitchTo(batch);
		Reading reading = {};
		reading.taken = counting == Counting::kTake;
		SeriesNames names;
		const Refusal refusal = ReadingOf(rows.columns, rows.row, &reading, &names);
		if (refusal == Refusal::kNone) {
			reading.series = SeriesOf(names);
		}
		MemoryContextSwitchTo(outer);
		if (refusal == Refusal::kNone) {
			RecordReading(reading);
		} else {
			RecordRefusal(RefusedRow(rows.columns, names, refusal, counting));
		}
	}
	Call([&](Server server) {
		CloseSourceRows(server, &rows);
		PopActiveSnapshot();
		UnregisterSnapshot(snapshot);
		MemoryContextDelete(batch);
	});
	WriteReadings();
	Call([](Server server) { EndProgress(server); });
}

Summary
Recount(const Source &source, const StoredSeries &series, const Bucket &bucket) {
	SourceRows rows;
	WantedRows wanted = {&series, {0, 0}};
	MemoryContext batch = nullptr;
	MemoryContext outer = CurrentMemoryContext;
	Call([&](Server server) {
		wanted.times = BoundsOf(server, bucket);
		batch = AllocSetContextCreate(CurrentMemoryContext, "auren_events scan", ALLOCSET_DEFAULT_SIZES);
		OpenSourceRows(server, &rows, source.relation, source, &wanted, GetActiveSnapshot());
	});
	Summary summary;
	while (Call([&](Server server) { return NextSourceRow(server, &rows); })) {
		Call([&] { MemoryContextReset(batch); });
		MemoryContextSwitchTo(batch);
		Reading reading = {};
		SeriesNames names;
		const bool counts = ReadingOf(rows.columns, rows.row, &reading, &names) == Refusal::kNone && Holds(bucket, reading.bucket) &&
		                    names.tenant == series.tenant && SameName(names.user, series.user) && SameName(names.device, series.device) &&
		                    SameName(names.metric, series.metric);
		MemoryContextSwitchTo(outer);
		if (counts && reading.null) {
			summary.AddNull();
		} else if (counts) {
			summary.Add(reading.value);
		}
	}
	Call([&](Server server) {
		CloseSourceRows(server, &rows);
		MemoryContextDelete(batch);
	});
	return summary;
}

void
ScanTable(const Source &source, ReadingSink *sink) {
	SourceRows rows;
	MemoryContext batch = nullptr;
	Call([&](Server server) {
		batch = AllocSetContextCreate(CurrentMemoryContext, "auren_events scan", ALLOCSET_DEFAULT_SIZES);
		OpenSourceRows(server, &rows, source.relation, source, nullptr, GetActiveSnapshot());
	});
	std::vector<Reading> readings;
	for (bool more = true; more;) {
		MemoryContext outer = MemoryContextSwitchTo(batch);
		for (long i = 0; i < kRowsFetched && (more = Call([&](Server server) { return NextSourceRow(server, &rows); })); i++) {
			Reading reading = {};
			SeriesNames names;
			const Refusal refusal = ReadingOf(rows.columns, rows.row, &reading, &names);
			if (refusal == Refusal::kNone) {
				reading.series = sink->SeriesFor(names);
				readings.push_back(reading);
			} else {
				sink->Refuse(RefusedRow(rows.columns, names, refusal, Counting::kAdd));
			}
		}
		MemoryContextSwitchTo(outer);
		Call([&] { MemoryContextReset(batch); });
		sink->Take(&readings);
	}
	Call([&](Server server) {
		CloseSourceRows(server, &rows);
		MemoryContextDelete(batch);
	});
}

} // namespace auren::pg
