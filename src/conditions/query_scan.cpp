#include "conditions/query_scan.hpp"

#include "conditions/last_positions.hpp"
#include "conditions/query_month.hpp"
#include "core/tags/tag_hash.hpp"
#include "server/as_owner.hpp"
#include "server/text.hpp"
#include "store/relations.hpp"
#include "store/shown_tags.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

namespace {

Datum
TextDatum(Server, std::string_view text) {
	return PointerGetDatum(cstring_to_text_with_len(text.data(), static_cast<int>(text.size())));
}

void
MakeItemNames(Server server, QueryScan *scan) {
	const QueryView &query = scan->terms.query;
	scan->item_names = static_cast<ItemNames *>(palloc(sizeof(ItemNames) * query.count));
	scan->every_position = false;
	scan->by_stream = false;
	scan->by_tag = false;
	const TagHash hash(TextBytes(scan->terms.tenant));
	for (std::size_t i = 0; i < query.count; i++) {
		const ItemView &item = query.items[i];
		auto *tags = static_cast<int64 *>(palloc(sizeof(int64) * (item.tags.count + 1)));
		for (std::size_t tag = 0; tag < item.tags.count; tag++) {
			tags[tag] = hash.Of(item.tags.texts[tag]);
		}
		scan->item_names[i] = {tags, item.has_stream ? TextDatum(server, item.stream) : 0};
		const bool by_stream = item.tags.count == 0 && item.has_stream && !item.is_version();
		scan->by_stream |= by_stream;
		scan->by_tag |= item.tags.count > 0;
		scan->every_position |= item.tags.count == 0 && !item.has_stream;
	}
}

// The one that is read first, of those that have candidates; -1: none.
int
FirstMonth(const QueryScan *scan) {
	int first = -1;
	for (int i = 0; i < scan->month_count; i++) {
		if (first < 0 || scan->terms.span.Precedes(scan->months[i].next, scan->months[first].next)) {
			first = i;
		}
	}
	return first;
}

// Among the months that were found so far only the one to be read first stays open: the others, and their locks, wait until they are read.
void
KeepFirstOpen(Server server, QueryScan *scan) {
	const int first = FirstMonth(scan);
	for (int i = 0; i < scan->month_count; i++) {
		if (i != first) {
			CloseQueryMonth(server, &scan->months[i]);
		}
	}
}

// Finds the months that have candidates. False where one has to be read through the executor.
bool
FindMonths(Server server, QueryScan *scan) {
	BeginAskingMonths(server);
	int capacity = 4;
	scan->months = static_cast<QueryMonth *>(palloc(sizeof(QueryMonth) * static_cast<Size>(capacity)));
	for (int64 lower = PG_INT64_MIN;;) {
		CHECK_FOR_INTERRUPTS();
		const PartitionRange range = FirstPartition(server, scan->events, lower, PG_INT64_MAX, ForwardScanDirection);
		if (!OidIsValid(range.relid)) {
			return true;
		}
		lower = range.upper;
		if (scan->month_count == capacity) {
			capacity *= 2;
			scan->months = static_cast<QueryMonth *>(repalloc(scan->months, sizeof(QueryMonth) * static_cast<Size>(capacity)));
		}
		QueryMonth *month = &scan->months[scan->month_count];
		month->range = range;
		month->open = false;
		month->tags = {};
		switch (OpenQueryMonth(server, scan, month, scan->terms.span)) {
		case MonthOpened::kThroughQuery:
			return false;
		case MonthOpened::kEmpty:
			break;
		case MonthOpened::kHasCandidates:
			scan->month_count++;
			KeepFirstOpen(server, scan);
			break;
		}
	}
}

void
CloseMonths(Server server, QueryScan *scan) {
	for (int i = 0; i < scan->month_count; i++) {
		CloseQueryMonth(server, &scan->months[i]);
	}
	scan->month_count = 0;
}

void
RemoveMonth(Server server, QueryScan *scan, int i) {
	CloseQueryMonth(server, &scan->months[i]);
	scan->months[i] = scan->months[--scan->month_count];
}

// The month whose candidate comes next, open; -1 after the last one.
int
OpenFirstMonth(Server server, QueryScan *scan) {
	for (;;) {
		const int first = FirstMonth(scan);
		if (first < 0 || scan->months[first].open) {
			return first;
		}
		QueryMonth *month = &scan->months[first];
		PositionSpan rest = scan->terms.span;
		if (rest.backward()) {
			rest.up_to = month->next;
		} else {
			rest.after = month->next - 1;
		}
		// its first candidate may have gone meanwhile, with the rows of an append that failed: then another month may come first
		const MonthOpened opened = OpenQueryMonth(server, scan, month, rest);
		if (opened == MonthOpened::kThroughQuery) {
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			                errmsg("a month of events.event_store has lost an index or a column while it was to be read"),
			                errhint("Run the query again: it is read by the executor then.")));
		}
		if (opened != MonthOpened::kHasCandidates) {
			RemoveMonth(server, scan, first);
		}
	}
}

/*
 * The store itself reads as the owner of the table, whom no policy concerns. The executor reads by a server snapshot of its own, taken after the
 * caller's locks.
 */
SavedUser
BecomeReader(Server server, const QueryScan *scan) {
	const SavedUser before = SwitchToOwner(server, RelationGetRelid(scan->events));
	Oid owner;
	int context;
	GetUserIdAndSecContext(&owner, &context);
	SetUserIdAndSecContext(owner, context | SECURITY_NOFORCE_RLS);
	return before;
}

void
OpenQuery(Server server, QueryScan *scan) {
	const PositionSpan &span = scan->terms.span;
	char *sql = psprintf("SELECT %s, xmin FROM events.event_store WHERE global_position OPERATOR(pg_catalog.>) $1 AND "
	                     "global_position OPERATOR(pg_catalog.<=) $2 AND tenant_id OPERATOR(pg_catalog.=) $3 ORDER BY global_position%s",
	                     EventColumnList(server, scan->events), span.backward() ? " DESC" : "");
	Oid types[3] = {INT8OID, INT8OID, TEXTOID};
	const Datum values[3] = {Int64GetDatum(span.after), Int64GetDatum(span.up_to), scan->terms.tenant};
	if (scan->reader == QueryReader::kCaller) {
		StartQuery(server, &scan->query, sql, 3, types, values, scan->snapshot);
	} else {
		CommandCounterIncrement(); // what this command wrote is read too
		scan->snapshot = RegisterSnapshot(GetLatestSnapshot());
		const SavedUser before = BecomeReader(server, scan);
		StartQuery(server, &scan->query, sql, 3, types, values, scan->snapshot);
		SwitchBack(server, before);
	}
	pfree(sql);
}

bool
NextQueried(Server server, QueryScan *scan, EventRow *row, TransactionId *inserter) {
	const Datum *columns;
	if (scan->reader == QueryReader::kCaller) {
		columns = NextQueriedEvent(server, &scan->query, &scan->names, row);
	} else {
		const SavedUser before = BecomeReader(server, scan);
		columns = NextQueriedEvent(server, &scan->query, &scan->names, row);
		SwitchBack(server, before);
	}
	if (columns != nullptr) {
		*inserter = DatumGetTransactionId(columns[kEventColumns]);
	}
	return columns != nullptr;
}

// The next candidate whose event is there.
bool
NextCandidateEvent(Server server, QueryScan *scan, EventRow *row, TransactionId *inserter) {
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		if (scan->current >= 0 && !AdvanceQueryMonth(server, scan, &scan->months[scan->current])) {
			RemoveMonth(server, scan, scan->current);
		}
		scan->current = OpenFirstMonth(server, scan);
		if (scan->current < 0) {
			return false;
		}
		QueryMonth *month = &scan->months[scan->current];
		if (FetchCandidate(server, scan, month, CandidateOf(*month), row)) {
			bool isnull;
			*inserter = DatumGetTransactionId(slot_getsysattr(month->slot, MinTransactionIdAttributeNumber, &isnull));
			return true;
		}
	}
}

} // namespace

bool
MatchesQuery(Server server, const QueryView &query, const EventRow &row, MemoryContext scratch) {
	EventFacts event;
	event.stream = TextBytes(row.values[kStreamId]);
	event.type = TextBytes(row.values[kEventType]);
	bool tags_known = false;
	bool span_known = false;
	bool matches = false;
	MemoryContext before = MemoryContextSwitchTo(scratch);
	for (const ItemView &item : query) {
		if (!MatchesNames(item, event)) {
			continue;
		}
		if (LooksAtTags(item) && !tags_known) {
			event.tags = TextsOf(server, ShownTags(server, row));
			tags_known = true;
		}
		if (LooksAtSpan(item) && !span_known) {
			event.has_span = SpanOf(server, {TextBytes(row.values[kTenantId]), event.type, row.values[kEventData]}, &event.span);
			span_known = true;
		}
		if (Matches(item, event)) {
			matches = true;
			break;
		}
	}
	MemoryContextSwitchTo(before);
	MemoryContextReset(scratch);
	return matches;
}

void
BeginQueryScan(Server server, QueryScan *scan, const QueryTerms &terms, QueryReader reader, Snapshot snapshot, const OpenTagMonth *held) {
	*scan = QueryScan{};
	scan->held = held;
	scan->terms = terms;
	scan->reader = reader;
	scan->snapshot = reader == QueryReader::kStore ? SnapshotSelf : snapshot;
	scan->context = CurrentMemoryContext;
	scan->facts = AllocSetContextCreate(CurrentMemoryContext, "auren_events facts of an event", ALLOCSET_SMALL_SIZES);
	scan->names.parent = CurrentMemoryContext;
	scan->current = -1;
	scan->events = table_open(own::events.Get(server), AccessShareLock);
	MakeItemNames(server, scan);
	if (terms.span.after >= terms.span.up_to) {
		return;
	}
	scan->through_query = reader == QueryReader::kCaller && RowSecurityApplies(server, scan->events);
	if (!scan->through_query && !FindMonths(server, scan)) {
		CloseMonths(server, scan);
		scan->through_query = true;
	}
	if (scan->through_query) {
		OpenQuery(server, scan);
	}
}

bool
NextMatch(Server server, QueryScan *scan, EventRow *row, TransactionId *inserter) {
	for (;;) {
		CHECK_FOR_INTERRUPTS();
		const bool there = scan->through_query ? NextQueried(server, scan, row, inserter) : NextCandidateEvent(server, scan, row, inserter);
		if (!there) {
			return false;
		}
		if (MatchesQuery(server, scan->terms.query, *row, scan->facts)) {
			return true;
		}
	}
}

void
EndQueryScan(Server server, QueryScan *scan) {
	if (scan->through_query) {
		EndQuery(server, &scan->query);
		if (scan->reader == QueryReader::kStore) {
			UnregisterSnapshot(scan->snapshot);
		}
	}
	CloseMonths(server, scan);
	Forget(&scan->names);
	MemoryContextDelete(scan->facts);
	table_close(scan->events, NoLock);
}

} // namespace auren::pg
