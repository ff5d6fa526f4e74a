#include "metrics/event_readings.hpp"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/event_time.hpp"
#include "core/json/json_pointer.hpp"
#include "core/metrics/reading_time.hpp"
#include "core/metrics/reading_value.hpp"
#include "metrics/carried_readings.hpp"
#include "metrics/readings.hpp"
#include "metrics/relations.hpp"
#include "metrics/series.hpp"
#include "server/as_owner.hpp"
#include "server/cached.hpp"
#include "server/guard.hpp"
#include "server/jsonb_path.hpp"
#include "server/relation_changes.hpp"
#include "server/text.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// The way to a field: keys of objects, and places in arrays.
using Path = std::vector<std::string>;

// A source of events as appends need it.
struct EventSource {
	int32 source;
	std::string event_type;
	std::string tenant;
	std::optional<Path> user;
	std::optional<Path> device;
	std::optional<Path> time;
	std::optional<Path> samples;
	bool once;
	std::vector<std::pair<Path, std::string>> metrics; // field, metric
};

Cached<std::vector<EventSource>> event_sources(own::sources);

// A field is a key of the data, or a JSON pointer.
Path
PathOf(std::string_view field) {
	return field.empty() || field.front() == '/' ? ParsePointer(field).tokens : Path{std::string(field)};
}

std::optional<Path>
OptionalPath(const char *field) {
	return field == nullptr ? std::nullopt : std::optional<Path>(PathOf(field));
}

EventSource
MakeEventSource(const Source &source) {
	EventSource made;
	made.source = source.id;
	made.event_type = source.event_type;
	made.tenant = source.tenant;
	made.user = OptionalPath(source.user);
	made.device = OptionalPath(source.device);
	made.time = OptionalPath(source.time);
	made.samples = OptionalPath(source.samples);
	made.once = source.once;
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
		made.metrics.emplace_back(PathOf(pairs[i].field), pairs[i].metric);
	}
	return made;
}

std::vector<EventSource>
ReadEventSources(Oid) {
	const Sources sources = Call([](Server server) {
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		const Sources read = ReadSources(server, snapshot);
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

// As a text, where it is one or a number.
NameBytes
TextOf(Server, const JsonbPlace &found) {
	NameBytes text = {nullptr, 0, true};
	if (found.there && found.value.type == jbvNumeric) {
		text.bytes = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(found.value.val.numeric)));
		text.length = static_cast<int>(std::strlen(text.bytes));
		text.null = false;
	} else if (found.there && found.value.type == jbvString) {
		text = {found.value.val.string.val, found.value.val.string.len, false};
	}
	return text;
}

// As a number, where it is one or a text that is one.
std::optional<double>
NumberOf(const JsonbPlace &found) {
	if (found.value.type == jbvString) {
		return ParseReadingValue({found.value.val.string.val, static_cast<std::size_t>(found.value.val.string.len)});
	}
	if (found.value.type != jbvNumeric) {
		return std::nullopt;
	}
	return Call([&] { return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(found.value.val.numeric))); });
}

// An event that is appended or read.
struct Event {
	std::string_view tenant;
	std::string_view stream;
	JsonbValue data;
	TimestampTz created_at;
	int64 position;
};

/*
 * The readings of an event, one after the other: visit(names, reading) for each, and visit(refused) for each that would have been one.
 */
template <typename V> class EventReadings {
  public:
	EventReadings(const EventSource &source, const Event &event, V visit) : source_(source), event_(event), visit_(visit) {
	}

	void
	Visit() {
		if (!source_.samples) {
			VisitSample(event_.data);
			return;
		}
		const JsonbPlace samples = Call([&](Server server) { return FindAtPath(server, event_.data, *source_.samples); });
		if (!samples.there) {
			return;
		}
		if (samples.value.type != jbvBinary || !JsonContainerIsArray(samples.value.val.binary.data)) {
			Refuse(Refusal::kSamples);
			return;
		}
		JsonbContainer *array = samples.value.val.binary.data;
		for (uint32 i = 0; i < JsonContainerSize(array); i++) {
			VisitSample(*Call([&] { return getIthJsonbValueFromContainer(array, i); }));
		}
	}

  private:
	void
	Refuse(Refusal reason) {
		visit_(Refused{source_.source, event_.tenant, reason, event_.position, false});
	}

	// A field of the sample, or of the event where the sample has none.
	JsonbPlace
	Field(const JsonbValue &sample, const Path &path) const {
		return Call([&](Server server) {
			const JsonbPlace found = FindAtPath(server, sample, path);
			return found.there || !source_.samples ? found : FindAtPath(server, event_.data, path);
		});
	}

	std::optional<std::string_view>
	Text(const JsonbValue &sample, const Path &path) const {
		const JsonbPlace found = Field(sample, path);
		return ViewOf(Call([&](Server server) { return TextOf(server, found); }));
	}

	// Whose it is, as the rules of personal fields take it: a text, or a whole number without the zeros of 7.0; what is not whole names nobody.
	std::optional<std::string_view>
	User(const JsonbValue &sample) const {
		const JsonbPlace found = Field(sample, *source_.user);
		const auto text = ViewOf(Call([&](Server server) { return TextOf(server, found); }));
		if (!text || found.value.type != jbvNumeric) {
			return text;
		}
		const std::size_t point = text->find('.');
		const bool whole = point == std::string_view::npos || text->find_first_not_of('0', point + 1) == std::string_view::npos;
		return whole ? std::optional<std::string_view>(text->substr(0, point)) : std::nullopt;
	}

	// When it was measured; nothing where that cannot be read.
	std::optional<TimestampTz>
	Time(const JsonbValue &sample) const {
		if (!source_.time) {
			return event_.created_at;
		}
		const JsonbPlace found = Field(sample, *source_.time);
		if (!found.there) {
			return event_.created_at;
		}
		const NameBytes text = Call([&](Server server) { return TextOf(server, found); });
		return text.null ? std::nullopt : ParseEventTime(*ViewOf(text));
	}

	void
	VisitSample(const JsonbValue &sample) {
		SeriesNames names;
		names.source = source_.source;
		names.tenant = event_.tenant;
		const std::size_t colon = event_.stream.find(':');
		names.user = source_.user ? User(sample) : event_.stream.substr(colon == std::string_view::npos ? 0 : colon + 1);
		names.device = source_.device ? Text(sample, *source_.device) : std::nullopt;
		const std::optional<TimestampTz> time = Time(sample);
		// not by its parts' names, which a lambda of C++17 cannot capture
		for (const auto &entry : source_.metrics) {
			const JsonbPlace found = Call([&](Server server) { return FindAtPath(server, sample, entry.first); });
			if (found.there) {
				names.metric = entry.second;
				VisitValue(names, time, NumberOf(found));
			}
		}
	}

	void
	VisitValue(const SeriesNames &names, const std::optional<TimestampTz> &time, const std::optional<double> &value) {
		if (!value) {
			Refuse(Refusal::kValue);
		} else if (!time) {
			Refuse(Refusal::kTime);
		} else if (!names.user) {
			Refuse(Refusal::kUser);
		} else if (!CanBeNamed(names)) {
			Refuse(Refusal::kNames);
		} else {
			const TimestampTz bucket = FiveMinutesOf(*time);
			visit_(names, Reading{0, bucket, *value, source_.source, false, false, source_.once, static_cast<uint32>(*time - bucket)});
		}
	}

	const EventSource &source_;
	const Event &event_;
	V visit_;
};

// What an append does with readings.
struct Recorder {
	void
	operator()(const SeriesNames &names, Reading reading) const {
		reading.series = SeriesOf(names);
		RecordReading(reading);
	}

	void
	operator()(const Refused &refused) const {
		RecordRefusal(refused);
	}
};

// What a scan does with them.
struct Gatherer {
	ReadingSink *sink;
	std::vector<Reading> *readings;

	void
	operator()(const SeriesNames &names, Reading reading) const {
		reading.series = sink->SeriesFor(names);
		readings->push_back(reading);
	}

	void
	operator()(const Refused &refused) const {
		sink->Refuse(refused);
	}
};

// A query for the events of a source: their stream, data, time and position.
struct EventQuery {
	const char *sql;
	int parameters;
	Oid types[4];
	Datum values[4];
};

void
ScanBy(EventQuery query, const Source &row, ReadingSink *sink) {
	const EventSource source = MakeEventSource(row);
	struct Run {
		SavedUser before;
		Portal portal;
	};
	const Run run = Call([&](Server server) {
		Run r;
		r.before = SwitchToOwner(server, own::events.Get(server));
		SPI_connect();
		query.types[0] = query.types[1] = TEXTOID;
		query.values[0] = CStringGetTextDatum(row.tenant);
		query.values[1] = CStringGetTextDatum(row.event_type);
		SPIPlanPtr plan = SPI_prepare(query.sql, query.parameters, query.types);
		r.portal = SPI_cursor_open(nullptr, plan, query.values, nullptr, true);
		return r;
	});
	FetchAll(run.portal, sink, [&](HeapTuple row, TupleDesc descriptor, std::vector<Reading> *readings) {
		NameBytes stream = {};
		Event event = {};
		Call([&](Server server) {
			bool isnull;
			const auto *id = PG_DETOAST_DATUM_PACKED(heap_getattr(row, 1, descriptor, &isnull));
			stream = {VARDATA_ANY(id), static_cast<int>(VARSIZE_ANY_EXHDR(id)), false};
			event.data = RootOf(server, heap_getattr(row, 2, descriptor, &isnull));
			event.created_at = DatumGetTimestampTz(heap_getattr(row, 3, descriptor, &isnull));
			event.position = DatumGetInt64(heap_getattr(row, 4, descriptor, &isnull));
		});
		event.tenant = source.tenant;
		event.stream = *ViewOf(stream);
		EventReadings<Gatherer>(source, event, {sink, readings}).Visit();
	});
	Call([&](Server server) {
		SPI_cursor_close(run.portal);
		SPI_finish();
		SwitchBack(server, run.before);
	});
}

} // namespace

void
ScanEvents(const Source &source, ReadingSink *sink) {
	ScanBy({"SELECT stream_id, event_data, created_at, global_position FROM events.event_store WHERE tenant_id OPERATOR(pg_catalog.=) $1 "
	        "AND event_type OPERATOR(pg_catalog.=) $2",
	        2,
	        {},
	        {}},
	       source, sink);
	ScanCarried(source, sink);
}

void
ScanEventsIn(const EventRange &range, const Source &source, ReadingSink *sink) {
	const std::string sql = std::string("SELECT stream_id, event_data, created_at, global_position FROM ") + range.table +
	                        " WHERE tenant_id OPERATOR(pg_catalog.=) $1 AND event_type OPERATOR(pg_catalog.=) $2 "
	                        "AND global_position OPERATOR(pg_catalog.>) $3 AND global_position OPERATOR(pg_catalog.<=) $4";
	ScanBy({sql.c_str(), 4, {0, 0, INT8OID, INT8OID}, {0, 0, Int64GetDatum(range.after), Int64GetDatum(range.up_to)}}, source, sink);
}

void
RecordEvent(std::string_view tenant, std::string_view stream, std::string_view event_type, Datum data, TimestampTz created_at, int64 position) {
	const auto sources = event_sources.Get(ReadEventSources);
	for (const EventSource &source : *sources) {
		if (source.event_type == event_type && source.tenant == tenant) {
			const Event event = {tenant, stream, Call([&](Server server) { return RootOf(server, data); }), created_at, position};
			EventReadings<Recorder>(source, event, {}).Visit();
		}
	}
}

void
RegisterEventReadingCallbacks(Server server) {
	OnRelationChange(server, ForgetOnRelation);
}

} // namespace auren::pg
