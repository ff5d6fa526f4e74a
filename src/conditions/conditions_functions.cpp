// events.read_by_query

#include "conditions/conditions_functions.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "conditions/query_argument.hpp"
#include "conditions/query_scan.hpp"
#include "core/error.hpp"
#include "feed/feed_horizon.hpp"
#include "feed/feed_read.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/settings.hpp"
#include "store/event_arguments.hpp"
#include "store/shown_tags.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// The arguments of read_by_query, in their order.
enum Argument { kQuery, kAfter, kUpTo, kLimit, kBackwards };

struct QuerySource {
	pg::RowSource base;
	pg::QueryScan scan;
	pg::EventGate gate;
	pg::ShownTagsRoom tags;
	Snapshot snapshot; // registered, taken after the horizon
	int64 left;        // rows that may still be given
};

// The columns of read_all.
constexpr int kColumns = 10;

void
FillColumns(Server server, const pg::EventRow &row, pg::ShownTagsRoom *room, Datum *values, bool *isnull) {
	constexpr pg::EventColumn kGiven[] = {pg::kEventId,   pg::kGlobalPosition, pg::kStreamId,  pg::kStreamVersion, pg::kEventType,
	                                      pg::kEventData, pg::kMetadata,       pg::kCreatedAt, pg::kCreatedBy};
	int column = 0;
	for (const pg::EventColumn given : kGiven) {
		values[column++] = row.values[given];
	}
	values[column] = pg::ShownTags(server, pg::TaggedEventOf(row), room);
	std::memset(isnull, 0, kColumns);
}

bool
NextOfQuery(Server server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<QuerySource *>(base);
	pg::EventRow row;
	TransactionId inserter;
	while (source->left > 0 && pg::NextMatch(server, &source->scan, &row, &inserter)) {
		if (pg::MayBeGiven(server, &source->gate, inserter)) {
			source->left--;
			FillColumns(server, row, &source->tags, values, isnull);
			return true;
		}
		// it is the end of what may be read: forward none of those after it are given, backward those before it come yet
		if (!source->scan.terms.span.backward()) {
			source->left = 0;
		}
	}
	return false;
}

void
EndOfQuery(Server server, pg::RowSource *base) {
	auto *source = reinterpret_cast<QuerySource *>(base);
	pg::EndQueryScan(server, &source->scan);
	UnregisterSnapshot(source->snapshot);
}

} // namespace

pg::RowSource *
OpenReadByQuery(FunctionCallInfo fcinfo, Snapshot, ScanDirection) {
	const QueryView query = QueryArgument(fcinfo, kQuery, Versions::kRefused);
	pg::RequireNotNull(fcinfo, kAfter, "p_after_position");
	pg::RequireNotNull(fcinfo, kBackwards, "p_backwards");
	const int64 after = PG_GETARG_INT64(kAfter);
	const int64 up_to = PG_ARGISNULL(kUpTo) ? PG_INT64_MAX : PG_GETARG_INT64(kUpTo);
	const int64 limit = LimitArgument(fcinfo, kLimit);
	const ScanDirection direction = PG_GETARG_BOOL(kBackwards) ? BackwardScanDirection : ForwardScanDirection;
	const pg::Tenant tenant = pg::CurrentTenant();
	return Call([&](Server server) {
		auto *source = static_cast<QuerySource *>(palloc(sizeof(QuerySource)));
		source->base = {NextOfQuery, EndOfQuery};
		source->left = limit;
		source->tags = {CurrentMemoryContext, nullptr};
		const int64 horizon = pg::FeedHorizon(server);
		source->snapshot = RegisterSnapshot(GetLatestSnapshot());
		source->gate = pg::OpenEventGate(server, pg::ReadFlushed() ? pg::FeedEvents::kFlushed : pg::FeedEvents::kCommitted);
		const pg::QueryTerms terms = {query, tenant.text, {after, Min(up_to, horizon), direction}};
		pg::BeginQueryScan(server, &source->scan, terms, pg::QueryReader::kCaller, source->snapshot);
		return &source->base;
	});
}

AUREN_FUNCTION(auren_read_by_query) {
	return pg::Materialize(fcinfo, OpenReadByQuery);
}

} // namespace auren
