#include "metrics/source_rows.hpp"

#include <cstring>

#include "server/compat.hpp"
#include "server/wait_point.hpp"

namespace auren::pg {

namespace {

constexpr int kMostKeys = 5; // three names, and the time from and to

// Keys for an index, and how much they are worth.
struct IndexKeys {
	ScanKeyData keys[kMostKeys];
	int count;
	int worth;
};

// A column of an index that may be searched by what is wanted: by the server's own operators on plain values.
struct IndexColumn {
	AttrNumber attribute; // of the index
	Oid family;
	Oid input;
	Oid collation;
};

void
AddKey(Server, IndexKeys *keys, const IndexColumn &column, StrategyNumber strategy, Datum value) {
	const Oid operation = get_opfamily_member(column.family, column.input, column.input, static_cast<int16>(strategy));
	ScanKeyEntryInitialize(&keys->keys[keys->count++], 0, column.attribute, strategy, InvalidOid, column.collation, get_opcode(operation), value);
}

// The name as a value of the column's type, which is one of those whose text tells two values apart.
Datum
NameValue(Server, const char *name, Oid type) {
	Oid input;
	Oid element;
	getTypeInputInfo(type, &input, &element);
	return OidInputFunctionCall(input, const_cast<char *>(name), element, -1);
}

bool
AddName(Server server, IndexKeys *keys, const IndexColumn &column, const char *name, Oid type) {
	const bool is_text = type == TEXTOID || type == VARCHAROID;
	if (name == nullptr) {
		ScanKeyEntryInitialize(&keys->keys[keys->count++], SK_ISNULL | SK_SEARCHNULL, column.attribute, InvalidStrategy, InvalidOid, InvalidOid,
		                       InvalidOid, 0);
	} else if (is_text && column.input == TEXTOID) {
		AddKey(server, keys, column, BTEqualStrategyNumber, CStringGetTextDatum(name));
	} else if ((type == INT2OID || type == INT4OID || type == INT8OID || type == UUIDOID) && column.input == type) {
		AddKey(server, keys, column, BTEqualStrategyNumber, NameValue(server, name, type));
	} else {
		return false;
	}
	keys->worth++;
	return true;
}

DateADT
DayFrom(TimestampTz time) {
	return DayOf(time, nullptr);
}

bool
AddTimes(Server server, IndexKeys *keys, const IndexColumn &column, const Bounds &times, Oid type) {
	// more than one value of a type may stand for what is infinite
	if (column.input != type || TIMESTAMP_NOT_FINITE(times.from) || TIMESTAMP_NOT_FINITE(times.to)) {
		return false;
	}
	const bool is_day = type == DATEOID;
	AddKey(server, keys, column, BTGreaterEqualStrategyNumber, is_day ? DateADTGetDatum(DayFrom(times.from)) : TimestampTzGetDatum(times.from));
	AddKey(server, keys, column, BTLessEqualStrategyNumber, is_day ? DateADTGetDatum(DayFrom(times.to)) : TimestampTzGetDatum(times.to));
	keys->worth += 2;
	return true;
}

// Whether an index may be read: valid for the server snapshot, whole, of plain columns.
bool
IsUsable(Server, Relation index) {
	const FormData_pg_index *form = index->rd_index;
	return index->rd_rel->relam == BTREE_AM_OID && form->indisvalid && form->indisready && form->indislive &&
	       (!form->indcheckxmin || TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin)) &&
	       heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
}

// The keys for the leading columns of an index, names first and then the time.
IndexKeys
KeysFor(Server server, Relation index, const ReadingColumns &columns, const WantedRows &wanted) {
	IndexKeys keys;
	keys.count = 0;
	keys.worth = 0;
	bool more = IsUsable(server, index);
	for (int i = 0; more && i < IndexRelationGetNumberOfKeyAttributes(index); i++) {
		const AttrNumber attribute = index->rd_index->indkey.values[i];
		const IndexColumn column = {static_cast<AttrNumber>(i + 1), index->rd_opfamily[i], index->rd_opcintype[i], index->rd_indcollation[i]};
		if (attribute <= 0 || column.family >= FirstNormalObjectId) {
			break; // an expression, or operators that somebody made
		}
		if (attribute == columns.user) {
			more = AddName(server, &keys, column, wanted.series->user, columns.types[kUserField]);
		} else if (attribute == columns.device) {
			more = AddName(server, &keys, column, wanted.series->device, columns.types[kDeviceField]);
		} else if (attribute == columns.metric) {
			more = AddName(server, &keys, column, wanted.series->metric, columns.types[kMetricField]);
		} else {
			if (attribute == columns.time) {
				(void)AddTimes(server, &keys, column, wanted.times, columns.types[kTimeField]);
			}
			break;
		}
		more = more && keys.count + 2 <= kMostKeys;
	}
	return keys;
}

// Opens the index that saves most, and says by which keys; nullptr: none does.
Relation
OpenBestIndex(Server server, const SourceRows *rows, IndexKeys *best) {
	Relation chosen = nullptr;
	best->worth = 0;
	const List *indexes = RelationGetIndexList(rows->heap);
	for (int i = 0; i < list_length(indexes); i++) {
		const Oid oid = list_nth_oid(indexes, i);
		// a DBA who rebuilds an index in an open transaction must not make every reader wait
		if (!ConditionalLockRelationOid(oid, AccessShareLock)) {
			continue;
		}
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(oid))) {
			UnlockRelationOid(oid, AccessShareLock);
			continue;
		}
		Relation index = index_open(oid, NoLock);
		const IndexKeys keys = KeysFor(server, index, rows->columns, *rows->wanted);
		if (keys.worth > best->worth) {
			if (chosen != nullptr) {
				index_close(chosen, AccessShareLock);
			}
			chosen = index;
			*best = keys;
		} else {
			index_close(index, AccessShareLock);
		}
	}
	return chosen;
}

// Goes on to the next table that has rows of its own; false after the last one.
bool
OpenNextTable(Server server, SourceRows *rows) {
	while (rows->heap == nullptr && rows->next < list_length(rows->tables)) {
		Relation heap = table_open(list_nth_oid(rows->tables, rows->next++), AccessShareLock);
		if (heap->rd_rel->relkind == RELKIND_FOREIGN_TABLE) {
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			                errmsg("\"%s\" is a foreign table, whose readings cannot be counted", RelationGetRelationName(heap)),
			                errdetail("It is a partition of a source of readings, and no trigger sees what changes in it."),
			                errhint("Detach it from its parent.")));
		}
		if (heap->rd_rel->relkind != RELKIND_RELATION) {
			table_close(heap, NoLock);
			continue;
		}
		rows->heap = heap;
	}
	if (rows->heap == nullptr) {
		return false;
	}
	FindColumns(server, &rows->columns, RelationGetDescr(rows->heap), RelationGetRelationName(rows->heap), *rows->source, rows->context);
	rows->row = table_slot_create(rows->heap, nullptr);
	IndexKeys keys;
	rows->index = rows->wanted == nullptr ? nullptr : OpenBestIndex(server, rows, &keys);
	if (rows->index == nullptr) {
		rows->scan = table_beginscan(rows->heap, rows->snapshot, 0, nullptr);
		return true;
	}
	rows->index_scan = compat::BeginIndexScan(rows->heap, rows->index, rows->snapshot, keys.count);
	index_rescan(rows->index_scan, keys.keys, keys.count, nullptr, 0);
	return true;
}

void
CloseTable(Server, SourceRows *rows) {
	if (rows->heap == nullptr) {
		return;
	}
	if (rows->index != nullptr) {
		index_endscan(rows->index_scan);
		index_close(rows->index, NoLock);
	} else {
		table_endscan(rows->scan);
	}
	ExecDropSingleTupleTableSlot(rows->row);
	table_close(rows->heap, NoLock);
	rows->heap = nullptr;
	rows->index = nullptr;
	rows->row = nullptr;
}

bool
NextOfTable(Server, SourceRows *rows) {
	return rows->index != nullptr ? index_getnext_slot(rows->index_scan, ForwardScanDirection, rows->row)
	                              : table_scan_getnextslot(rows->scan, ForwardScanDirection, rows->row);
}

} // namespace

void
OpenSourceRows(Server, SourceRows *rows, Oid table, const Source &source, const WantedRows *wanted, Snapshot snapshot) {
	std::memset(static_cast<void *>(rows), 0, sizeof *rows);
	rows->context = AllocSetContextCreate(CurrentMemoryContext, "auren_events source", ALLOCSET_DEFAULT_SIZES);
	rows->source = &source;
	rows->wanted = wanted;
	rows->snapshot = snapshot;
	AUREN_WAIT_POINT("refresh-before-read");
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	// the parent before its partitions, as everybody does; one that was dropped meanwhile has taken its rows along
	LockRelationOid(table, AccessShareLock);
	rows->tables = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)) ? find_all_inheritors(table, AccessShareLock, nullptr) : NIL;
	MemoryContextSwitchTo(before);
}

bool
NextSourceRow(Server server, SourceRows *rows) {
	CHECK_FOR_INTERRUPTS();
	MemoryContext before = MemoryContextSwitchTo(rows->context);
	bool there = false;
	while (!there && (rows->heap != nullptr || OpenNextTable(server, rows))) {
		there = NextOfTable(server, rows);
		if (!there) {
			CloseTable(server, rows);
		}
	}
	MemoryContextSwitchTo(before);
	return there;
}

void
CloseSourceRows(Server server, SourceRows *rows) {
	CloseTable(server, rows);
	MemoryContextDelete(rows->context);
}

} // namespace auren::pg
