#pragma once

#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The index of tags: auren.event_tags has a partition for each month, with a row for each tag of an event of that month and one unique index on
 * hash and position that holds where the event lies, too. A hash stands for tenant and tag (core/tags/tag_hash.hpp): one number is compared many
 * times as fast as two texts. A row says where to look; whether the event has the tag, the event itself says.
 */

// Columns of auren.event_tags: those of its index come first.
enum EventTagColumn : int { kTagHash, kTagPosition, kTagEventAt, kTagMonth, kEventTagColumns };

// Whether there is the index of tags: it came with 0.2.0, and the module works under the SQL objects of 0.1.0 until they are updated.
bool HasTagIndex(Server server);

// The partition of a month; InvalidOid where there is none.
Oid FindTagMonth(Server server, Month month);

// The rows of a partition that are about to be written. They are kept across calls.
inline constexpr int kTagRowsAtOnce = 200;
struct TagRowSlots {
	TupleDesc columns;
	int made;
	MemoryContext context;
	TupleTableSlot *slots[kTagRowsAtOnce];
};

// A partition that is open with its index. What the other pointers lead to lives to the end of the transaction at least.
struct OpenTagMonth {
	Relation heap;
	Relation index; // nullptr, for writing alone, where it is not the only one: rows go the general way
	IndexInfo *info;
	TagRowSlots *rows;
};

// Opens a partition for reading (AccessShareLock). Raises 55000 where it lacks its index.
OpenTagMonth OpenTagMonthForRead(Server server, Oid relid);
// Opens it for writing (RowExclusiveLock, kept to the end of the transaction).
OpenTagMonth OpenTagMonthForWrite(Server server, Oid relid);
// The next slot to be filled with a row, none of whose columns is NULL.
TupleTableSlot *TagRowSlot(Server server, const OpenTagMonth &month, int row);
// Writes the rows of the first slots. What their values point to is used until then.
void WriteTagRows(Server server, const OpenTagMonth &month, int rows);
// lock: to be given up; NoLock keeps it.
void CloseTagMonth(Server server, const OpenTagMonth &month, LOCKMODE lock);

// Whether a table is a partition of the index of tags; and of which month.
bool MonthOfTags(Server server, Oid relid, Month *month);

// For _PG_init: from now on changes of the partitions are heard of.
void RegisterTagMonths(Server server);

} // namespace auren::pg
