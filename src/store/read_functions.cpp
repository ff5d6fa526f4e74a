// Functions that read one stream: replay, last event, version.

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "counts/counts.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/row_source.hpp"
#include "server/rows.hpp"
#include "server/text.hpp"
#include "store/event_arguments.hpp"
#include "store/event_read.hpp"
#include "store/read_functions.hpp"
#include "store/shown_tags.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

/*
 * A scan of a stream that an entry runs. It is ended on success only: after an error the transaction's end closes it.
 */
class Stream {
  public:
	Stream(const pg::Tenant &tenant, const pg::Text &stream, ScanDirection direction) {
		pg::StreamPart part = pg::WholeStream(tenant.text, stream.datum);
		part.direction = direction;
		Call([&](Server server) {
			pg::BeginStreamScan(server, &scan_, GetActiveSnapshot());
			pg::StartStream(server, &scan_, part);
		});
	}
	bool
	Next() {
		return Call([this](Server server) { return pg::NextEvent(server, &scan_, &row_); });
	}
	void
	End() {
		Call([this](Server server) { pg::EndStreamScan(server, &scan_); });
	}
	const pg::EventRow &
	row() const {
		return row_;
	}
	// What is known of the events of a stream that are gone with its last month. Version 0: that month is there.
	pg::GoneStream
	Gone() const {
		return Call([this](Server server) {
			return pg::LastMonthIsGone(server, scan_) ? pg::ReadGoneStream(server, scan_) : pg::GoneStream{0, PG_INT64_MIN};
		});
	}
	std::string_view
	event_type() const {
		return pg::TextBytes(row_.values[pg::kEventType]);
	}

  private:
	pg::StreamScan scan_;
	pg::EventRow row_;
};

// Columns of replay_stream and its kin.
constexpr int kColumns = 9;

void
FillColumns(Server server, const pg::EventRow &row, pg::ShownTagsRoom *room, Datum *values) {
	values[0] = row.values[pg::kEventId];
	values[1] = row.values[pg::kStreamVersion];
	values[2] = row.values[pg::kEventType];
	values[3] = row.values[pg::kEventData];
	values[4] = row.values[pg::kCreatedAt];
	values[5] = row.values[pg::kMetadata];
	values[6] = row.values[pg::kCreatedBy];
	values[7] = row.values[pg::kGlobalPosition];
	values[8] = pg::ShownTags(server, pg::TaggedEventOf(row), room);
}

// The events of a stream as the rows of a function.
struct StreamSource {
	pg::RowSource base;
	pg::StreamScan scan;
	pg::ShownTagsRoom tags;
	int64 left; // rows that may still be given
	int64 last; // version that was given last, 0: none
};

bool
NextOfStream(Server server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<StreamSource *>(base);
	pg::EventRow row;
	if (source->left <= 0 || !pg::NextEvent(server, &source->scan, &row)) {
		return false;
	}
	pg::RequireNothingBetween(server, source->scan, row, &source->last);
	source->left--;
	Count(pg::Work::kEventsReplayed);
	FillColumns(server, row, &source->tags, values);
	std::memset(isnull, 0, kColumns);
	return true;
}

void
EndOfStream(Server server, pg::RowSource *base) {
	pg::EndStreamScan(server, &reinterpret_cast<StreamSource *>(base)->scan);
}

pg::RowSource *
OpenStream(const pg::StreamPart &part, int64 limit, Snapshot snapshot) {
	Count(pg::Work::kReplays);
	return Call([&](Server server) {
		auto *source = static_cast<StreamSource *>(palloc(sizeof(StreamSource)));
		source->base = {NextOfStream, EndOfStream};
		source->tags = {CurrentMemoryContext, nullptr};
		source->left = limit;
		source->last = 0;
		pg::BeginStreamScan(server, &source->scan, snapshot);
		pg::StartStream(server, &source->scan, part);
		return &source->base;
	});
}

} // namespace

pg::RowSource *
OpenReplay(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction) {
	const pg::Text stream = StreamArgument(fcinfo);
	pg::RequireNotNull(fcinfo, 1, "p_from_version");
	const int64 from = VersionArgument(fcinfo, 1, "p_from_version", 1);
	const int64 to = VersionArgument(fcinfo, 2, "p_to_version", PG_INT64_MAX);
	const pg::Tenant tenant = pg::CurrentTenant();
	pg::StreamPart part = pg::WholeStream(tenant.text, stream.datum);
	part.from_version = from;
	part.to_version = to;
	part.direction = direction;
	return OpenStream(part, PG_INT64_MAX, snapshot);
}

pg::RowSource *
OpenReplayBackward(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection) {
	const pg::Text stream = StreamArgument(fcinfo);
	const int64 from = VersionArgument(fcinfo, 1, "p_from_version", PG_INT64_MAX);
	int64 limit = PG_INT64_MAX;
	if (!PG_ARGISNULL(2)) {
		limit = PG_GETARG_INT32(2);
		if (limit < 0) {
			throw DomainError(sqlstate::kInvalidParameter, "p_limit must not be negative", "The limit given is " + std::to_string(limit) + ".",
			                  "NULL means all events.");
		}
	}
	const pg::Tenant tenant = pg::CurrentTenant();
	pg::StreamPart part = pg::WholeStream(tenant.text, stream.datum);
	part.to_version = from;
	part.direction = BackwardScanDirection;
	return OpenStream(part, limit, snapshot);
}

AUREN_RELEASED_FUNCTION(auren_replay_stream, auren_replay_stream_with_tags)
AUREN_FUNCTION(auren_replay_stream_with_tags) {
	return pg::Materialize(fcinfo, OpenReplay);
}

AUREN_RELEASED_FUNCTION(auren_replay_stream_backward, auren_replay_stream_backward_with_tags)
AUREN_FUNCTION(auren_replay_stream_backward_with_tags) {
	return pg::Materialize(fcinfo, OpenReplayBackward);
}

AUREN_RELEASED_FUNCTION(auren_last_event, auren_last_event_with_tags)
AUREN_FUNCTION(auren_last_event_with_tags) {
	const pg::Text stream = StreamArgument(fcinfo);
	const auto type = pg::OptionalTextArgument(fcinfo, 1);
	if (type) {
		CheckEventType(type->name);
	}
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	Stream events(tenant, stream, BackwardScanDirection);
	while (events.Next()) {
		if (!type || events.event_type() == type->name.bytes) {
			Call([&](Server server) {
				Datum values[kColumns];
				const bool isnull[kColumns] = {};
				pg::ShownTagsRoom room = {CurrentMemoryContext, nullptr};
				FillColumns(server, events.row(), &room, values);
				pg::PutRow(server, rows, values, isnull);
			});
			break;
		}
	}
	events.End();
	return 0;
}

AUREN_FUNCTION(auren_stream_version) {
	const pg::Text stream = StreamArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	const int64 version = Call([&](Server server) { return pg::StreamVersion(server, tenant.text, stream.datum, GetActiveSnapshot()); });
	if (version == 0) {
		PG_RETURN_NULL();
	}
	return Int64GetDatum(version);
}

AUREN_FUNCTION(auren_stream_exists) {
	const pg::Text stream = StreamArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	const int64 version = Call([&](Server server) { return pg::StreamVersion(server, tenant.text, stream.datum, GetActiveSnapshot()); });
	return BoolGetDatum(version > 0);
}

AUREN_FUNCTION(auren_stream_summary) {
	const pg::Text stream = StreamArgument(fcinfo);
	const pg::Tenant tenant = pg::CurrentTenant();
	Datum values[3] = {};
	bool isnull[3] = {true, true, true};
	Stream newest(tenant, stream, BackwardScanDirection);
	if (newest.Next()) {
		values[0] = newest.row().values[pg::kStreamVersion];
		values[2] = newest.row().values[pg::kCreatedAt];
		Stream oldest(tenant, stream, ForwardScanDirection);
		if (oldest.Next()) {
			values[1] = oldest.row().values[pg::kCreatedAt];
			isnull[0] = isnull[1] = isnull[2] = false;
		}
		oldest.End();
	}
	const pg::GoneStream gone = newest.Gone();
	if (gone.version > DatumGetInt64(values[0])) {
		isnull[0] = false;
		values[0] = Int64GetDatum(gone.version);
		isnull[2] = gone.event_time == PG_INT64_MIN;
		values[2] = TimestampTzGetDatum(gone.event_time);
	}
	newest.End();
	return Call([&] {
		TupleDesc descriptor;
		(void)get_call_result_type(fcinfo, nullptr, &descriptor);
		return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, isnull));
	});
}

} // namespace auren
