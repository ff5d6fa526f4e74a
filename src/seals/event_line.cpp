#include "seals/event_line.hpp"

#include <algorithm>
#include <cstring>
#include <new>

namespace auren::pg {

namespace {

std::string_view
ToUtf8(Server, const char *bytes, int length) {
	if (GetDatabaseEncoding() == PG_SQL_ASCII) {
		return {bytes, static_cast<std::size_t>(length)};
	}
	const char *converted = pg_server_to_any(bytes, length, PG_UTF8);
	return {converted, converted == bytes ? static_cast<std::size_t>(length) : std::strlen(converted)};
}

std::string_view
TextAsUtf8(Server server, Datum datum) {
	const text *value = DatumGetTextPP(datum);
	return ToUtf8(server, VARDATA_ANY(value), static_cast<int>(VARSIZE_ANY_EXHDR(value)));
}

std::string_view
JsonAsUtf8(Server server, Datum datum) {
	Jsonb *jsonb = DatumGetJsonbP(datum);
	StringInfoData out;
	initStringInfo(&out);
	(void)JsonbToCString(&out, &jsonb->root, static_cast<int>(VARSIZE(jsonb)));
	return ToUtf8(server, out.data, out.len);
}

} // namespace

EventLine
ReadEventLine(Server server, const EventRow &row) {
	EventLine line;
	line.global_position = DatumGetInt64(row.values[kGlobalPosition]);
	std::copy_n(DatumGetUUIDP(row.values[kEventId])->data, UUID_LEN, line.event_id.begin());
	line.tenant_id = TextAsUtf8(server, row.values[kTenantId]);
	line.stream_id = TextAsUtf8(server, row.values[kStreamId]);
	line.stream_version = DatumGetInt64(row.values[kStreamVersion]);
	line.event_type = TextAsUtf8(server, row.values[kEventType]);
	line.event_data = JsonAsUtf8(server, row.values[kEventData]);
	line.metadata = JsonAsUtf8(server, row.values[kMetadata]);
	line.created_at = DatumGetTimestampTz(row.values[kCreatedAt]);
	line.created_by = TextAsUtf8(server, row.values[kCreatedBy]);
	Datum *tags;
	int count;
	deconstruct_array(DatumGetArrayTypeP(row.values[kTags]), TEXTOID, -1, false, TYPALIGN_INT, &tags, nullptr, &count);
	auto *texts = static_cast<std::string_view *>(palloc(sizeof(std::string_view) * static_cast<Size>(count + 1)));
	for (int i = 0; i < count; i++) {
		new (&texts[i]) std::string_view(TextAsUtf8(server, tags[i]));
	}
	line.tags = texts;
	line.tag_count = static_cast<std::size_t>(count);
	return line;
}

} // namespace auren::pg
