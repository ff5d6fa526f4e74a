#include "months/month_list.hpp"

#include <algorithm>

#include "access/own_query.hpp"
#include "server/compat.hpp"
#include "server/guard.hpp"
#include "store/event_read.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

constexpr int kMostMonths = 4096;

struct MonthEnds {
	Oid relid;
	int64 lower;
	int64 upper;
	bool indexed;
	bool has_events;
	bool frozen;
	int64 position[2]; // of the first event and of the last
	int64 time[2];
};

// The event at an end of a month's index of positions.
bool
ReadEnd(Server, Relation heap, Relation index, const AttrNumber *attnum, ScanDirection direction, MonthEnds *ends) {
	TupleTableSlot *slot = table_slot_create(heap, nullptr);
	IndexScanDesc scan = compat::BeginIndexScan(heap, index, GetActiveSnapshot(), 0);
	index_rescan(scan, nullptr, 0, nullptr, 0);
	const bool found = index_getnext_slot(scan, direction, slot);
	if (found) {
		const int end = ScanDirectionIsForward(direction) ? 0 : 1;
		bool isnull;
		ends->position[end] = DatumGetInt64(slot_getattr(slot, attnum[kGlobalPosition], &isnull));
		ends->time[end] = DatumGetTimestampTz(slot_getattr(slot, attnum[kCreatedAt], &isnull));
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	return found;
}

// Locks are given back at once: the months may be many.
void
ReadEnds(Server server, MonthEnds *ends) {
	Relation heap = table_open(ends->relid, AccessShareLock);
	BlockNumber visible;
	BlockNumber frozen;
	visibilitymap_count(heap, &visible, &frozen);
	ends->frozen = frozen == RelationGetNumberOfBlocks(heap);
	const PartitionShape *shape = ShapeOf(server, heap);
	ends->indexed = shape->direct_read && OidIsValid(shape->position_index);
	if (ends->indexed) {
		AttrNumber attnum[kEventColumns];
		std::copy(shape->attnum, shape->attnum + kEventColumns, attnum);
		Relation index = index_open(shape->position_index, AccessShareLock);
		ends->has_events =
			ReadEnd(server, heap, index, attnum, ForwardScanDirection, ends) && ReadEnd(server, heap, index, attnum, BackwardScanDirection, ends);
		index_close(index, AccessShareLock);
	}
	table_close(heap, AccessShareLock);
}

int
ReadMonths(Server server, MonthEnds *months) {
	Relation events = table_open(own::events.Get(server), AccessShareLock);
	int count = 0;
	int64 lower = PG_INT64_MIN;
	while (count < kMostMonths) {
		CHECK_FOR_INTERRUPTS();
		const PartitionRange range = FirstPartition(server, events, lower, PG_INT64_MAX, ForwardScanDirection);
		if (!OidIsValid(range.relid)) {
			break;
		}
		lower = range.upper;
		if (range.lower != PG_INT64_MIN) {
			months[count] = {range.relid, range.lower, range.upper, false, false, false, {0, 0}, {0, 0}};
			ReadEnds(server, &months[count++]);
		}
	}
	table_close(events, NoLock);
	return count;
}

std::vector<MonthFigures>
MonthsByEnds() {
	auto *ends = Call([](Server) { return static_cast<MonthEnds *>(palloc(sizeof(MonthEnds) * kMostMonths)); });
	const int count = Call([&](Server server) { return ReadMonths(server, ends); });
	std::vector<MonthFigures> months(static_cast<std::size_t>(count));
	for (int i = 0; i < count; i++) {
		MonthFigures &month = months[static_cast<std::size_t>(i)];
		month.month = Month::FromMicros(ends[i].lower);
		month.start = ends[i].lower;
		month.end = ends[i].upper;
		month.relid = ends[i].relid;
		month.partition = Call([&] {
			return static_cast<const char *>(
				quote_qualified_identifier(get_namespace_name(get_rel_namespace(month.relid)), get_rel_name(month.relid)));
		});
		month.indexed = ends[i].indexed;
		month.has_events = ends[i].has_events;
		month.frozen = ends[i].frozen;
		month.first_position = ends[i].position[0];
		month.last_position = ends[i].position[1];
		month.first_event_at = ends[i].time[0];
		month.last_event_at = ends[i].time[1];
	}
	pfree(ends);
	return months;
}

// Who may still write events: transactions that hold the lock of writers on the table or on a month. Prepared ones have written all they will.
struct Writer {
	Oid relid;
	bool prepared;
	int64 since; // microseconds since 2000, PG_INT64_MIN: not known
};

std::vector<Writer>
ListWriters() {
	std::vector<Writer> writers;
	// A session that is seen without a transaction, or not at all, had none when it was looked at: what it holds is of a transaction that has ended,
	// or that began since. One whose transaction the owner of the store may not see is not known.
	for (const TextRow &row :
	     QueryAsOwner("SELECT l.relation, l.pid IS NULL, (extract(epoch FROM coalesce(a.xact_start, CASE WHEN a.pid IS NULL OR a.state <> 'disabled' "
	                  "THEN now() END) - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint "
	                  "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
	                  "WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
	                  "AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') "
	                  "AND (l.relation = 'events.event_store'::regclass OR l.relation IN "
	                  "(SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass))")) {
		writers.push_back({static_cast<Oid>(std::stoul(*row[0])), *row[1] == "t", row[2] ? std::stoll(*row[2]) : PG_INT64_MIN});
	}
	return writers;
}

void
FindClosed(std::vector<MonthFigures> *months) {
	const std::vector<Writer> writers = ListWriters();
	const int64 now = Call([] { return GetCurrentTimestamp(); });
	for (MonthFigures &month : *months) {
		const int64 end = month.end;
		const bool written = std::any_of(writers.begin(), writers.end(),
		                                 [&](const Writer &writer) { return writer.prepared ? writer.relid == month.relid : writer.since < end; });
		month.closed = end <= now && !written;
		if (!month.closed) {
			month.held_by.emplace_back(kNotClosed);
		}
	}
}

// A subscription needs what lies after the checkpoint of the share that is last, and what it holds.
constexpr const char *kSubscriptions =
	"SELECT format('subscription:%s (%s)', s.name, s.tenant_id), least("
	"CASE WHEN (SELECT count(DISTINCT p.share) FROM auren.subscription_progress p WHERE p.subscription_id = s.subscription_id) < s.shares THEN "
	"s.start_position END, "
	"(SELECT min(n.checkpoint) FROM (SELECT DISTINCT ON (p.share) p.checkpoint FROM auren.subscription_progress p "
	"WHERE p.subscription_id = s.subscription_id ORDER BY p.share, p.step DESC) n), "
	"(SELECT min(h.global_position) - 1 FROM auren.subscription_held h WHERE h.subscription_id = s.subscription_id)) "
	"FROM auren.subscription_settings s ORDER BY s.tenant_id, s.name";

void
FindSubscriptions(std::vector<MonthFigures> *months) {
	for (const TextRow &row : QueryAsOwner(kSubscriptions)) {
		const int64 done = std::stoll(*row[1]);
		for (MonthFigures &month : *months) {
			if (month.has_events && month.last_position > done) {
				month.held_by.push_back(*row[0]);
			}
		}
	}
}

// Readings of events that were just attached are counted from the events, by the next refresh.
void
FindSources(std::vector<MonthFigures> *months) {
	for (const TextRow &row :
	     QueryAsOwner("SELECT 'source:' || s.source_id FROM analytics.sources s WHERE s.event_type IS NOT NULL AND NOT s.detached "
	                  "AND NOT EXISTS (SELECT FROM auren.filled_sources f WHERE f.source_id = s.source_id) ORDER BY s.source_id")) {
		for (MonthFigures &month : *months) {
			if (month.has_events) {
				month.held_by.push_back(*row[0]);
			}
		}
	}
}

void
FindSeals(std::vector<MonthFigures> *months) {
	int64 sealed_to = 0;
	std::vector<TextRow> sealed;
	if (QueryAsOwner("SELECT to_regclass('auren.seals') IS NOT NULL")[0][0] == "t") {
		sealed_to = std::stoll(*QueryAsOwner("SELECT coalesce(max(up_to_position), 0) FROM auren.seals")[0][0]);
		sealed = QueryAsOwner("SELECT month - date '2000-01-01', max(seal) FROM auren.seals WHERE month IS NOT NULL GROUP BY 1");
	}
	for (MonthFigures &month : *months) {
		if (!month.has_events) {
			continue;
		}
		const auto row = std::find_if(sealed.begin(), sealed.end(), [&](const TextRow &of) { return std::stoi(*of[0]) == month.month.StartDays(); });
		if (row != sealed.end() && sealed_to >= month.last_position) {
			month.last_seal = std::stoll(*(*row)[1]);
		} else {
			month.held_by.push_back("unsealed:" + MonthText(month.month));
		}
	}
}

// Nothing holds them: they were dropped already.
void
FindAttached(std::vector<MonthFigures> *months) {
	for (const TextRow &row : QueryAsOwner("SELECT month - date '2000-01-01' FROM auren.month_records WHERE attached_at IS NOT NULL")) {
		for (MonthFigures &month : *months) {
			if (month.month.StartDays() == std::stoi(*row[0])) {
				month.attached = true;
				month.held_by.clear();
			}
		}
	}
}

void
FindNotIndexed(std::vector<MonthFigures> *months) {
	for (MonthFigures &month : *months) {
		if (!month.indexed) {
			month.held_by.emplace_back(kNotIndexed);
		}
	}
}

// A drop is told which months go, and what it records of one is told by the month.
void
FindOtherRanges(std::vector<MonthFigures> *months) {
	for (MonthFigures &month : *months) {
		if (month.start != month.month.StartMicros() || month.end != month.month.Next().StartMicros()) {
			month.held_by.emplace_back(kNotCalendarMonth);
		}
	}
}

} // namespace

std::vector<MonthFigures>
ListMonths() {
	std::vector<MonthFigures> months = MonthsByEnds();
	FindClosed(&months);
	FindOtherRanges(&months);
	FindNotIndexed(&months);
	FindSubscriptions(&months);
	FindSources(&months);
	FindSeals(&months);
	FindAttached(&months);
	return months;
}

} // namespace auren::pg
