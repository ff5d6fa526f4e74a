// The functions whose rows are streamed in FROM, and the planner support function that they share.

#include "module/streaming.hpp"

#include "archives/archive_functions.hpp"
#include "cloudevents/cloudevents_functions.hpp"
#include "conditions/conditions_functions.hpp"
#include "server/entry.hpp"
#include "server/streaming_scan.hpp"
#include "store/read_functions.hpp"
#include "store/relations.hpp"

extern "C" {
Datum auren_replay_stream(PG_FUNCTION_ARGS);
Datum auren_replay_stream_backward(PG_FUNCTION_ARGS);
Datum auren_events_by_time(PG_FUNCTION_ARGS);
Datum auren_read_all(PG_FUNCTION_ARGS);
Datum auren_replay_stream_with_tags(PG_FUNCTION_ARGS);
Datum auren_replay_stream_backward_with_tags(PG_FUNCTION_ARGS);
Datum auren_events_by_time_with_tags(PG_FUNCTION_ARGS);
Datum auren_read_all_with_tags(PG_FUNCTION_ARGS);
Datum auren_read_by_query(PG_FUNCTION_ARGS);
Datum auren_archive_lines(PG_FUNCTION_ARGS);
Datum auren_as_cloudevents(PG_FUNCTION_ARGS);
}

AUREN_FUNCTION(auren_stream_support) {
	return auren::pg::Call([&](auren::pg::Server server) { return auren::pg::SupportStreaming(server, fcinfo); });
}

namespace auren {

void
RegisterStreamingFunctions(pg::Server server) {
	// result columns: 2 is stream_version; 6 and 9 are created_at and global_position of events_by_time, 2 of read_all and read_by_query, 1 of
	// as_cloudevents
	static const pg::StreamingFunction functions[] = {
		{auren_replay_stream_with_tags, auren_replay_stream, "replay_stream", OpenReplay, {2, 0}, false, true, 0},
		{auren_replay_stream_backward_with_tags, auren_replay_stream_backward, "replay_stream_backward", OpenReplayBackward, {2, 0}, true, false, 0},
		{auren_events_by_time_with_tags, auren_events_by_time, "events_by_time", OpenByTime, {6, 9}, false, false, 0},
		{auren_read_all_with_tags, auren_read_all, "read_all", OpenReadAll, {2, 0}, false, false, 0, 2},
		{auren_read_by_query, nullptr, "read_by_query", OpenReadByQuery, {2, 0}, false, false, 4},
		{auren_archive_lines, nullptr, "archive_lines", OpenArchiveLines, {0, 0}, false, false, 0},
		{auren_as_cloudevents, nullptr, "as_cloudevents", OpenAsCloudevents, {1, 0}, false, false, 0, 1},
	};
	pg::streaming_support = auren_stream_support;
	pg::RegisterStreamingScans(server, functions, lengthof(functions), &pg::own::events);
}

} // namespace auren
