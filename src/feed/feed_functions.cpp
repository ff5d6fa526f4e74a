// The feed: events.read_all, feed_horizon, write_feed_horizon, store_epoch.

#include <cstring>
#include <string>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "counts/counts.hpp"
#include "feed/feed_horizon.hpp"
#include "feed/feed_read.hpp"
#include "feed/store_epoch.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/settings.hpp"
#include "server/table_row.hpp"
#include "store/event_arguments.hpp"
#include "store/read_functions.hpp"
#include "store/shown_tags.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

struct FeedSource {
	pg::RowSource base;
	pg::FeedScan scan;
	pg::ShownTagsRoom tags;
	int64 left; // rows that may still be given
};

bool
NextOfFeed(Server server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<FeedSource *>(base);
	pg::EventRow row;
	int64 budget = PG_INT64_MAX;
	if (source->left <= 0 || !pg::NextFeedEvent(server, &source->scan, &row, &budget)) {
		return false;
	}
	source->left--;
	Count(pg::Work::kFeedEventsRead);
	values[0] = row.values[pg::kEventId];
	values[1] = row.values[pg::kGlobalPosition];
	values[2] = row.values[pg::kStreamId];
	values[3] = row.values[pg::kStreamVersion];
	values[4] = row.values[pg::kEventType];
	values[5] = row.values[pg::kEventData];
	values[6] = row.values[pg::kMetadata];
	values[7] = row.values[pg::kCreatedAt];
	values[8] = row.values[pg::kCreatedBy];
	values[9] = pg::ShownTags(server, pg::TaggedEventOf(row), &source->tags);
	std::memset(isnull, 0, 10);
	return true;
}

void
EndOfFeed(Server server, pg::RowSource *base) {
	pg::EndFeedScan(server, &reinterpret_cast<FeedSource *>(base)->scan);
}

void
RequireEpoch(FunctionCallInfo fcinfo, int argument) {
	if (PG_ARGISNULL(argument)) {
		return;
	}
	const pg_uuid_t epoch = Call([](Server server) { return pg::StoreEpoch(server); });
	const pg_uuid_t *given = PG_GETARG_UUID_P(argument);
	if (std::memcmp(epoch.data, given->data, UUID_LEN) != 0) {
		const auto text = [](const pg_uuid_t *uuid) {
			return std::string(Call([&] { return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(uuid))); }));
		};
		throw DomainError(sqlstate::kEpochDiffers, "the store's epoch is another one",
		                  "The epoch given is " + text(given) + ", the store's is " + text(&epoch) + ".",
		                  "The store came out of a dump or a promotion: positions after the last common event may mean other events. "
		                  "Compare, then go on with the new epoch.");
	}
}

} // namespace

pg::RowSource *
OpenReadAll(FunctionCallInfo fcinfo, Snapshot, ScanDirection) {
	pg::RequireNotNull(fcinfo, 0, "p_after_position");
	const int64 after = PG_GETARG_INT64(0);
	const int64 limit = LimitArgument(fcinfo, 1);
	pg::FeedFilter filter = {};
	const pg::Elements types = EventTypesArgument(fcinfo, 2);
	filter.types = types.values;
	filter.type_count = types.count;
	if (!PG_ARGISNULL(3)) {
		filter.category = CategoryArgument(fcinfo, 3).datum;
	}
	if (const auto prefix = pg::OptionalTextArgument(fcinfo, 4)) {
		filter.prefix = prefix->datum;
	}
	RequireEpoch(fcinfo, 5);
	filter.tags = pg::TagsArgument(fcinfo, 6).tags;
	filter.tenant = pg::CurrentTenant().text;
	Count(pg::Work::kFeedReads);
	return Call([&](Server server) {
		auto *source = static_cast<FeedSource *>(palloc(sizeof(FeedSource)));
		source->base = {NextOfFeed, EndOfFeed};
		source->tags = {CurrentMemoryContext, nullptr};
		source->left = limit;
		const int64 horizon = pg::FeedHorizon(server);
		const pg::FeedEvents given = pg::ReadFlushed() ? pg::FeedEvents::kFlushed : pg::FeedEvents::kCommitted;
		pg::BeginFeedScan(server, &source->scan, filter, after, horizon, given);
		return &source->base;
	});
}

AUREN_RELEASED_FUNCTION(auren_read_all, auren_read_all_with_tags)
AUREN_FUNCTION(auren_read_all_with_tags) {
	return pg::Materialize(fcinfo, OpenReadAll);
}

AUREN_FUNCTION(auren_feed_horizon) {
	return Int64GetDatum(Call([](Server server) { return pg::FeedHorizon(server); }));
}

AUREN_FUNCTION(auren_write_feed_horizon) {
	return Int64GetDatum(Call([](Server server) {
		PreventCommandIfReadOnly("events.write_feed_horizon()");
		return pg::WriteFeedHorizon(server);
	}));
}

AUREN_FUNCTION(auren_store_epoch) {
	return Call([](Server server) {
		auto *epoch = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
		*epoch = pg::StoreEpoch(server);
		return UUIDPGetDatum(epoch);
	});
}

} // namespace auren
