#include "conditions/tag_rule_fill.hpp"

#include <algorithm>
#include <string_view>

#include "core/store/month.hpp"
#include "core/tags/tag.hpp"
#include "feed/feed_read.hpp"
#include "server/as_owner.hpp"
#include "server/progress.hpp"
#include "server/text.hpp"
#include "store/months.hpp"
#include "store/query.hpp"
#include "store/relations.hpp"
#include "store/tag_months.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

namespace {

// A rule that is being filled, with its row locked.
struct Unfinished {
	Datum type;
	Datum pointer;
	Datum key;
	int64 fill_after;
	int64 fill_until;
	int64 skipped; // in this step
};

struct Fill {
	Datum tenant;
	Unfinished *rules;
	int count;
	int64 after; // the part of the feed that some rule needs
	int64 until;
	int64 limit;    // events that the step looks at
	int64 position; // of the event that is being looked at
};

// Rows for one month, written together.
constexpr int kBatch = 1000;
struct Batch {
	MemoryContext context; // of the texts
	MemoryContext each;    // for one event
	Month month;
	Oid partition; // of the month
	int count;
	Datum tags[kBatch];
	Datum positions[kBatch];
	Datum places[kBatch];
};

// Waits for another step, so that none does the work of another. In the current memory context.
void
LockUnfinished(Server server, Fill *fill) {
	MemoryContext context = CurrentMemoryContext;
	const SavedUser before = SwitchToOwner(server, own::stream_rows.Get(server));
	SPI_connect();
	Oid types[1] = {TEXTOID};
	(void)SPI_execute_with_args("SELECT event_type, pointer, tag_key, fill_after, fill_until FROM auren.declared_tag_rules WHERE tenant_id "
	                            "OPERATOR(pg_catalog.=) $1 AND NOT complete ORDER BY event_type, pointer, tag_key FOR UPDATE",
	                            1, types, &fill->tenant, nullptr, false, 0);
	MemoryContext spi = MemoryContextSwitchTo(context);
	fill->count = static_cast<int>(SPI_processed);
	fill->rules = static_cast<Unfinished *>(palloc0(sizeof(Unfinished) * static_cast<Size>(fill->count + 1)));
	for (int i = 0; i < fill->count; i++) {
		HeapTuple tuple = SPI_tuptable->vals[i];
		Datum columns[5];
		bool isnull;
		for (int column = 0; column < 5; column++) {
			columns[column] = SPI_getbinval(tuple, SPI_tuptable->tupdesc, column + 1, &isnull);
		}
		Unfinished *rule = &fill->rules[i];
		rule->type = PointerGetDatum(PG_DETOAST_DATUM_COPY(columns[0]));
		rule->pointer = PointerGetDatum(PG_DETOAST_DATUM_COPY(columns[1]));
		rule->key = PointerGetDatum(PG_DETOAST_DATUM_COPY(columns[2]));
		rule->fill_after = DatumGetInt64(columns[3]);
		rule->fill_until = DatumGetInt64(columns[4]);
	}
	MemoryContextSwitchTo(spi);
	SPI_finish();
	SwitchBack(server, before);
}

void
SetBounds(Fill *fill) {
	fill->after = PG_INT64_MAX;
	fill->until = 0;
	for (int i = 0; i < fill->count; i++) {
		fill->after = Min(fill->after, fill->rules[i].fill_after);
		fill->until = Max(fill->until, fill->rules[i].fill_until);
	}
}

// For TagsToFill: an event of whose value a rule can make no tag is counted, by the rules whose turn it is.
void
CountSkipped(void *argument, const RuledPlace &place) {
	auto *fill = static_cast<Fill *>(argument);
	for (int i = 0; i < fill->count; i++) {
		Unfinished *rule = &fill->rules[i];
		if (TextBytes(rule->type) == place.type && TextBytes(rule->pointer) == place.pointer && TextBytes(rule->key) == place.key &&
		    fill->position > rule->fill_after && fill->position <= rule->fill_until) {
			rule->skipped++;
		}
	}
}

Datum
ArrayOf(Server, Datum *elements, int count, Oid type) {
	int16 length;
	bool by_value;
	char alignment;
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	return PointerGetDatum(construct_array(elements, count, type, length, by_value, alignment));
}

/*
 * Writes what was gathered. Rows that are there (the caller of the append gave the same tag, or another rule made it) stay as they are. The
 * partition is named, and not its parent: the locks of conditions are on that (conditions/key_locks.hpp).
 */
void
Flush(Server server, const Fill &fill, Batch *batch) {
	if (batch->count == 0) {
		return;
	}
	MemoryContext before = MemoryContextSwitchTo(batch->context);
	const char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(batch->partition)), get_rel_name(batch->partition));
	const char *sql =
		psprintf("INSERT INTO %s (tag_hash, global_position, event_at, month) SELECT auren.tag_hash($1, t.tag), t.position, "
	             "t.place, $2 FROM ROWS FROM (pg_catalog.unnest($3), pg_catalog.unnest($4), pg_catalog.unnest($5)) AS t (tag, position, place) "
	             "ON CONFLICT DO NOTHING",
	             name);
	Oid types[5] = {TEXTOID, DATEOID, TEXTARRAYOID, INT8ARRAYOID, TIDARRAYOID};
	Datum values[5] = {fill.tenant, DateADTGetDatum(batch->month.StartDays()), ArrayOf(server, batch->tags, batch->count, TEXTOID),
	                   ArrayOf(server, batch->positions, batch->count, INT8OID), ArrayOf(server, batch->places, batch->count, TIDOID)};
	(void)ExecuteAsStore(server, sql, 5, types, values, nullptr);
	MemoryContextSwitchTo(before);
	batch->count = 0;
	MemoryContextReset(batch->context);
}

// Where an event lies; an invalid place where it came through a query, which readers do not follow.
ItemPointerData
PlaceOf(const FeedScan &scan) {
	ItemPointerData place;
	ItemPointerSetInvalid(&place);
	if (!scan.through_query && scan.current >= 0) {
		place = scan.months[scan.current].slot->tts_tid;
	}
	return place;
}

void
AddRows(Server server, const Fill &fill, Batch *batch, const TextList &tags, const ItemPointerData &place) {
	for (const std::string_view tag : tags) {
		if (batch->count == kBatch) {
			Flush(server, fill, batch);
		}
		MemoryContext before = MemoryContextSwitchTo(batch->context);
		auto *kept = static_cast<ItemPointerData *>(palloc(sizeof(ItemPointerData)));
		*kept = place;
		batch->tags[batch->count] = PointerGetDatum(cstring_to_text_with_len(tag.data(), static_cast<int>(tag.size())));
		batch->positions[batch->count] = Int64GetDatum(fill.position);
		batch->places[batch->count++] = PointerGetDatum(kept);
		MemoryContextSwitchTo(before);
	}
}

// How far a step came.
struct Reached {
	int64 examined; // every event up to this position was looked at
	int64 left;     // events that the step may still look at
	bool month_missing;
	Month month; // that has no partition for tags
};

FeedFilter
FilterOf(Server, const Fill &fill) {
	FeedFilter filter = {};
	auto *types = static_cast<Datum *>(palloc(sizeof(Datum) * static_cast<Size>(fill.count)));
	for (int i = 0; i < fill.count; i++) {
		types[i] = fill.rules[i].type;
	}
	filter.tenant = fill.tenant;
	filter.types = types;
	filter.type_count = fill.count;
	return filter;
}

// Looks at an event and gathers its rows. False, and nothing done, where its month has no partition for them.
bool
FillEvent(Server server, Fill *fill, Batch *batch, const EventRow &row, const ItemPointerData &place) {
	const Month month = Month::FromMicros(DatumGetTimestampTz(row.values[kCreatedAt]));
	if (!OidIsValid(batch->partition) || month != batch->month) {
		Flush(server, *fill, batch);
		batch->month = month;
		batch->partition = FindTagMonth(server, month);
		if (!OidIsValid(batch->partition)) {
			return false;
		}
	}
	fill->position = DatumGetInt64(row.values[kGlobalPosition]);
	MemoryContext before = MemoryContextSwitchTo(batch->each);
	const RuledEvent event = {TextBytes(fill->tenant), TextBytes(row.values[kEventType]), row.values[kEventData]};
	const TextList tags = TagsToFill(server, event, {CountSkipped, fill});
	MemoryContextSwitchTo(before);
	AddRows(server, *fill, batch, tags, place);
	MemoryContextReset(batch->each);
	return true;
}

// Looks at events and writes their rows, up to the end, to the limit, or to a month without a partition for tags.
Reached
FillEvents(Server server, Fill *fill, int64 limit) {
	auto *batch = static_cast<Batch *>(palloc0(sizeof(Batch)));
	batch->context = AllocSetContextCreate(CurrentMemoryContext, "auren_events tag rows", ALLOCSET_DEFAULT_SIZES);
	batch->each = AllocSetContextCreate(CurrentMemoryContext, "auren_events tags of an event", ALLOCSET_DEFAULT_SIZES);
	FeedScan scan;
	BeginFeedScan(server, &scan, FilterOf(server, *fill), fill->after, fill->until, FeedEvents::kCommitted);
	Reached reached = {fill->after, limit, false, Month()};
	EventRow row;
	while (NextFeedEvent(server, &scan, &row, &reached.left)) {
		ReportProgress(server, fill->limit - reached.left);
		if (!FillEvent(server, fill, batch, row, PlaceOf(scan))) {
			reached.month_missing = true;
			reached.month = batch->month;
			break;
		}
	}
	reached.examined = reached.month_missing ? scan.examined - 1 : scan.examined;
	EndFeedScan(server, &scan);
	Flush(server, *fill, batch);
	MemoryContextDelete(batch->context);
	MemoryContextDelete(batch->each);
	return reached;
}

// Writes down how far the rules are.
void
NoteProgress(Server server, const Fill &fill, int64 examined) {
	Oid types[6] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID};
	for (int i = 0; i < fill.count; i++) {
		const Unfinished &rule = fill.rules[i];
		Datum values[6] = {fill.tenant, rule.type, rule.pointer, rule.key, Int64GetDatum(examined), Int64GetDatum(rule.skipped)};
		(void)ExecuteAsStore(server,
		                     "UPDATE auren.declared_tag_rules SET fill_after = GREATEST(fill_after, LEAST($5, fill_until)), complete = fill_until "
		                     "OPERATOR(pg_catalog.<=) $5, skipped = skipped OPERATOR(pg_catalog.+) $6 WHERE tenant_id OPERATOR(pg_catalog.=) $1 "
		                     "AND event_type OPERATOR(pg_catalog.=) $2 AND pointer OPERATOR(pg_catalog.=) $3 AND tag_key OPERATOR(pg_catalog.=) $4",
		                     6, types, values, nullptr);
	}
}

} // namespace

int64
FillTagRules(const Tenant &tenant, int64 limit) {
	Fill fill = {};
	fill.tenant = tenant.text;
	fill.limit = limit;
	Call([&](Server server) {
		PreventCommandIfReadOnly("events.fill_tag_rules()");
		LockUnfinished(server, &fill);
		SetBounds(&fill);
		// where another step was waited for: what it completed is not filled again
		AcceptInvalidationMessages();
	});
	if (fill.count == 0) {
		return 0;
	}
	Call([&](Server server) { BeginProgress(server, WorkPhase::kTagsFilling, Min(limit, fill.until - fill.after)); });
	Reached reached = {fill.after, limit, true, Month()};
	while (reached.month_missing) {
		reached = Call([&](Server server) {
			// as the owner: a policy on the table of events does not hide stored events from the index
			const SavedUser before = SwitchToOwner(server, own::events.Get(server));
			const Reached now = FillEvents(server, &fill, reached.left);
			SwitchBack(server, before);
			return now;
		});
		fill.after = reached.examined;
		if (reached.month_missing) {
			(void)MakeMonths(reached.month, 1);
		}
	}
	Call([&](Server server) {
		NoteProgress(server, fill, reached.examined);
		EndProgress(server);
	});
	return fill.until - std::min(reached.examined, fill.until);
}

} // namespace auren::pg
