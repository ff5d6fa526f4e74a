#include "pg/event_readings.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/reading_time.hpp"
#include "pg/cached.hpp"
#include "pg/guard.hpp"
#include "pg/jsonb.hpp"
#include "pg/readings.hpp"
#include "pg/relation_changes.hpp"
#include "pg/series.hpp"
#include "pg/store.hpp"
#include "pg/text.hpp"

namespace auren::pg {

namespace {

// A source of events as appends need it.
struct EventSource {
	int32 source;
	std::string event_type;
	std::string tenant;
	std::optional<std::string> user;
	std::optional<std::string> device;
	std::optional<std::string> time;
	std::vector<std::pair<std::string, std::string>> metrics; // field, metric
};

Cached<std::vector<EventSource>> event_sources(&StoreOids::sources);

std::optional<std::string>
Optional(const char *text) {
	return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

EventSource
MakeEventSource(const Source &source) {
	EventSource made;
	made.source = source.id;
	made.event_type = source.event_type;
	made.tenant = source.tenant;
	made.user = Optional(source.user);
	made.device = Optional(source.device);
	made.time = Optional(source.time);
	struct Pair {
		const char *field;
		const char *metric;
	};
	Pair *pairs = nullptr;
	const int count = Call([&] {
		pairs = static_cast<Pair *>(palloc(sizeof(Pair) * static_cast<Size>(JB_ROOT_COUNT(source.metrics) + 1)));
		int n = 0;
		JsonbIterator *iterator = JsonbIteratorInit(&source.metrics->root);
		JsonbValue value;
		JsonbIteratorToken token;
		while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE) {
			if (token == WJB_KEY) {
				pairs[n].field = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
			} else if (token == WJB_VALUE && value.type == jbvString) {
				pairs[n++].metric = pnstrdup(value.val.string.val, static_cast<Size>(value.val.string.len));
			}
		}
		return n;
	});
	for (int i = 0; i < count; i++) {
		made.metrics.emplace_back(pairs[i].field, pairs[i].metric);
	}
	return made;
}

std::vector<EventSource>
ReadEventSources(Oid) {
	const Sources sources = Call([] {
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		const Sources read = ReadSources(snapshot);
		UnregisterSnapshot(snapshot);
		return read;
	});
	std::vector<EventSource> read;
	for (int i = 0; i < sources.count; i++) {
		// one whose table is gone has neither, until the next refresh
		if (sources.items[i].event_type != nullptr && !sources.items[i].detached) {
			read.push_back(MakeEventSource(sources.items[i]));
		}
	}
	return read;
}

void
ForgetOnRelation(Oid relid) {
	event_sources.ForgetOn(relid);
}

// A field of an event's data. Server side.
struct FieldValue {
	bool found;
	bool number;
	double value;
	NameBytes text;
};

FieldValue
FieldOf(Jsonb *data, const std::string &field) {
	FieldValue result = {};
	result.text.null = true;
	JsonbValue buffer;
	const JsonbValue *value = JB_ROOT_IS_OBJECT(data) ? getKeyJsonValueFromContainer(&data->root, field.data(), static_cast<int>(field.size()), &buffer) : nullptr;
	if (value == nullptr || value->type == jbvNull) {
		return result;
	}
	result.found = true;
	if (value->type == jbvNumeric) {
		result.number = true;
		result.value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
		result.text.bytes = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		result.text.length = static_cast<int>(std::strlen(result.text.bytes));
		result.text.null = false;
	} else if (value->type == jbvString) {
		result.text = {value->val.string.val, value->val.string.len, false};
	}
	return result;
}

// Gives each reading of an event to fn.
template <typename N, typename F>
void
ForEachReading(const EventSource &source, std::string_view tenant, std::string_view stream, Jsonb *data, TimestampTz created_at, N &&series_for,
               F &&fn) {
	const auto field = [&](const std::string &name) { return Call([&] { return FieldOf(data, name); }); };
	SeriesNames names;
	names.source = source.source;
	names.tenant = tenant;
	names.user = stream.substr(stream.find(':') == std::string_view::npos ? 0 : stream.find(':') + 1);
	FieldValue user = {};
	if (source.user) {
		user = field(*source.user);
		names.user = user.found ? ViewOf(user.text) : std::nullopt;
	}
	FieldValue device = {};
	if (source.device) {
		device = field(*source.device);
		names.device = device.found ? ViewOf(device.text) : std::nullopt;
	}
	TimestampTz time = created_at;
	if (source.time) {
		const FieldValue text = field(*source.time);
		if (text.found && !text.number && !text.text.null) {
			time = ParseReadingTime(*ViewOf(text.text)).value_or(created_at);
		}
	}
	for (const auto &[name, metric] : source.metrics) {
		const FieldValue value = field(name);
		if (!value.found || !value.number) {
			continue;
		}
		names.metric = metric;
		fn(Reading{series_for(names), FiveMinutesOf(time), value.value, source.source, false, false});
	}
}

} // namespace

void
ScanEvents(const Source &row, ReadingSink *sink) {
	const EventSource source = MakeEventSource(row);
	struct Run {
		AsOwner before;
		Portal portal;
	};
	const Run run = Call([&] {
		Run r;
		r.before = BecomeOwner(Oids().events);
		SPI_connect();
		Oid types[2] = {TEXTOID, TEXTOID};
		Datum values[2] = {CStringGetTextDatum(row.tenant), CStringGetTextDatum(row.event_type)};
		SPIPlanPtr plan = SPI_prepare("SELECT stream_id, event_data, created_at FROM events.event_store WHERE tenant_id OPERATOR(pg_catalog.=) $1 "
		                              "AND event_type OPERATOR(pg_catalog.=) $2",
		                              2, types);
		r.portal = SPI_cursor_open(nullptr, plan, values, nullptr, true);
		return r;
	});
	FetchAll(run.portal, sink, [&](HeapTuple row, TupleDesc descriptor, std::vector<Reading> *readings) {
		struct Read {
			NameBytes stream;
			Jsonb *data;
			TimestampTz created_at;
		};
		const Read read = Call([&] {
			Read r;
			bool isnull;
			const auto *stream = PG_DETOAST_DATUM_PACKED(heap_getattr(row, 1, descriptor, &isnull));
			r.stream = {VARDATA_ANY(stream), static_cast<int>(VARSIZE_ANY_EXHDR(stream)), false};
			r.data = DatumGetJsonbP(heap_getattr(row, 2, descriptor, &isnull));
			r.created_at = DatumGetTimestampTz(heap_getattr(row, 3, descriptor, &isnull));
			return r;
		});
		ForEachReading(
		    source, source.tenant, *ViewOf(read.stream), read.data, read.created_at, [&](const SeriesNames &names) { return sink->SeriesFor(names); },
		    [&](const Reading &reading) { readings->push_back(reading); });
	});
	Call([&] {
		SPI_cursor_close(run.portal);
		SPI_finish();
		BecomeAgain(run.before);
	});
}

void
RecordEvent(std::string_view tenant, std::string_view stream, std::string_view event_type, Datum data, TimestampTz created_at) {
	const auto sources = event_sources.Get(ReadEventSources);
	for (const EventSource &source : *sources) {
		if (source.event_type == event_type && source.tenant == tenant) {
			ForEachReading(source, tenant, stream, Call([&] { return DatumGetJsonbP(data); }), created_at, SeriesOf, [](const Reading &reading) { RecordReading(reading); });
		}
	}
}

void
RegisterEventReadingCallbacks() {
	OnRelationChange(ForgetOnRelation);
}

} // namespace auren::pg
