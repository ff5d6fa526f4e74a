#include "archives/archive_load.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "core/archives/archive_format.hpp"
#include "core/error.hpp"
#include "core/seals/canonical_line.hpp"
#include "core/tags/tag.hpp"
#include "core/tags/tag_hash.hpp"
#include "server/text.hpp"
#include "store/shown_tags.hpp"
#include "store/tag_months.hpp"

namespace auren::pg {

namespace {

constexpr int kBatchEvents = 500;
constexpr Size kBatchBytes = 4 << 20;

// A text of the archive in the server's encoding. A database without an encoding takes any bytes.
Datum
ToText(Server, std::string_view utf8) {
	const char *bytes = utf8.data();
	int length = static_cast<int>(utf8.size());
	if (GetDatabaseEncoding() != PG_SQL_ASCII) {
		bytes = pg_any_to_server(bytes, length, PG_UTF8);
		length = bytes == utf8.data() ? length : static_cast<int>(std::strlen(bytes));
	}
	return PointerGetDatum(cstring_to_text_with_len(bytes, length));
}

Datum
ToJsonb(Server server, std::string_view utf8) {
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(DatumGetTextPP(ToText(server, utf8)))));
}

Datum
ToTags(Server server, const std::string *tags, std::size_t count) {
	auto *texts = static_cast<Datum *>(palloc(sizeof(Datum) * (count + 1)));
	for (std::size_t i = 0; i < count; i++) {
		texts[i] = ToText(server, tags[i]);
	}
	return PointerGetDatum(construct_array(texts, static_cast<int>(count), TEXTOID, -1, false, TYPALIGN_INT));
}

void
Ignore(void *, const RuledPlace &) {
}

// Those that the event shows, and those of rules that are still being filled.
TextList
TagsToFind(Server server, const Datum *event) {
	const Datum shown = ShownTags(server, TaggedEvent{event[kTenantId], event[kEventType], event[kEventData], event[kTags]});
	const TextList complete = TextsOf(server, shown);
	const TextList filling = TagsToFill(server, {TextBytes(event[kTenantId]), TextBytes(event[kEventType]), event[kEventData]}, {Ignore, nullptr});
	if (filling.count == 0) {
		return complete;
	}
	auto *all = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * (complete.count + filling.count)));
	std::uninitialized_copy(complete.begin(), complete.end(), all);
	std::uninitialized_copy(filling.begin(), filling.end(), all + complete.count);
	return {all, SortTags(all, complete.count + filling.count)};
}

void
PutTagRows(Server server, MonthLoad *load, int event) {
	const TextList &tags = load->tags[event];
	if (tags.count == 0) {
		return;
	}
	const TagHash hash(load->tenants[event]);
	auto *hashes = static_cast<int64 *>(palloc(sizeof(int64) * tags.count));
	std::transform(tags.begin(), tags.end(), hashes, [&](std::string_view tag) { return hash.Of(tag); });
	std::sort(hashes, hashes + tags.count);
	const int64 *end = std::unique(hashes, hashes + tags.count);
	TupleTableSlot *slot = load->slots[event];
	bool isnull;
	const Datum position = slot_getattr(slot, load->attnum[kGlobalPosition], &isnull);
	for (const int64 *of = hashes; of < end; of++) {
		Datum *values = NextRow(server, &load->tag_rows)->tts_values;
		values[kTagHash] = Int64GetDatum(*of);
		values[kTagPosition] = position;
		values[kTagEventAt] = PointerGetDatum(&slot->tts_tid);
		values[kTagMonth] = DateADTGetDatum(load->month.StartDays());
	}
}

void
Flush(Server server, MonthLoad *load) {
	if (load->count == 0) {
		return;
	}
	CHECK_FOR_INTERRUPTS();
	MemoryContext before = MemoryContextSwitchTo(load->batch);
	table_multi_insert(load->events, load->slots, load->count, GetCurrentCommandId(true), TABLE_INSERT_SKIP_FSM, load->bulk);
	for (int i = 0; i < load->count; i++) {
		PutTagRows(server, load, i);
	}
	// they lead to the slots
	FlushRows(server, &load->tag_rows);
	for (int i = 0; i < load->count; i++) {
		ExecClearTuple(load->slots[i]);
	}
	load->count = 0;
	load->bytes = 0;
	MemoryContextSwitchTo(before);
	MemoryContextReset(load->batch);
}

TupleTableSlot *
NextSlot(Server, MonthLoad *load) {
	if (load->count == load->made) {
		MemoryContext before = MemoryContextSwitchTo(GetMemoryChunkContext(load->slots));
		load->slots[load->made++] = MakeSingleTupleTableSlot(RelationGetDescr(load->events), table_slot_callbacks(load->events));
		MemoryContextSwitchTo(before);
	}
	TupleTableSlot *slot = load->slots[load->count];
	ExecClearTuple(slot);
	slot->tts_tableOid = RelationGetRelid(load->events);
	std::memset(slot->tts_isnull, 0, sizeof(bool) * static_cast<Size>(slot->tts_tupleDescriptor->natts));
	return slot;
}

void
FillValues(Server server, const EventOfLine &event, Datum *values) {
	auto *id = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
	std::copy(event.event_id.begin(), event.event_id.end(), id->data);
	values[kEventId] = UUIDPGetDatum(id);
	values[kStreamId] = ToText(server, event.stream_id);
	values[kStreamVersion] = Int64GetDatum(event.stream_version);
	values[kEventType] = ToText(server, event.event_type);
	values[kEventData] = ToJsonb(server, event.event_data);
	values[kMetadata] = ToJsonb(server, event.metadata);
	values[kCreatedAt] = TimestampTzGetDatum(event.created_at);
	values[kCreatedBy] = ToText(server, event.created_by);
	values[kTenantId] = ToText(server, event.tenant_id);
	values[kGlobalPosition] = Int64GetDatum(event.global_position);
	values[kTags] = ToTags(server, event.tags.data(), event.tags.size());
}

} // namespace

void
BeginLoad(Server server, MonthLoad *load, Month month, const UnattachedMonth &tables) {
	std::memset(static_cast<void *>(load), 0, sizeof *load);
	load->month = month;
	load->events = table_open(tables.events, RowExclusiveLock);
	const char *const names[kEventColumns] = {"event_id",   "stream_id",  "stream_version", "event_type",      "event_data", "metadata",
	                                          "created_at", "created_by", "tenant_id",      "global_position", "tags"};
	for (int column = 0; column < kEventColumns; column++) {
		load->attnum[column] = get_attnum(tables.events, names[column]);
	}
	load->bulk = GetBulkInsertState();
	OpenWriter(server, &load->tag_rows, tables.tags);
	load->batch = AllocSetContextCreate(CurrentMemoryContext, "auren_events archived events", ALLOCSET_DEFAULT_SIZES);
	load->slots = static_cast<TupleTableSlot **>(palloc(sizeof(TupleTableSlot *) * kBatchEvents));
	load->tags = static_cast<TextList *>(palloc0(sizeof(TextList) * kBatchEvents));
	load->tenants = static_cast<std::string_view *>(palloc0(sizeof(std::string_view) * kBatchEvents));
}

void
LoadEvent(MonthLoad *load, const EventOfLine &event, std::size_t line_bytes) {
	if (Month::FromMicros(event.created_at) != load->month) {
		throw DomainError(kBadArchive, "an event of the archive is not of its month",
		                  "The event at position " + std::to_string(event.global_position) + " is of " + TimeText(event.created_at) + ".",
		                  "Fetch the file again from where it was written to.");
	}
	Call([&](Server server) {
		MemoryContext before = MemoryContextSwitchTo(load->batch);
		TupleTableSlot *slot = NextSlot(server, load);
		Datum values[kEventColumns];
		FillValues(server, event, values);
		for (int column = 0; column < kEventColumns; column++) {
			slot->tts_values[load->attnum[column] - 1] = values[column];
		}
		ExecStoreVirtualTuple(slot);
		load->tenants[load->count] = TextBytes(values[kTenantId]);
		load->tags[load->count++] = TagsToFind(server, values);
		load->bytes += line_bytes;
		MemoryContextSwitchTo(before);
		if (load->count == kBatchEvents || load->bytes > kBatchBytes) {
			Flush(server, load);
		}
	});
}

void
EndLoad(Server server, MonthLoad *load) {
	Flush(server, load);
	CloseWriter(server, &load->tag_rows);
	for (int i = 0; i < load->made; i++) {
		ExecDropSingleTupleTableSlot(load->slots[i]);
	}
	FreeBulkInsertState(load->bulk);
	table_finish_bulk_insert(load->events, TABLE_INSERT_SKIP_FSM);
	table_close(load->events, NoLock);
	MemoryContextDelete(load->batch);
}

} // namespace auren::pg
