#pragma once

#include <optional>

#include "append/append.hpp"
#include "server/arguments.hpp"
#include "server/postgres.hpp"

namespace auren {

/*
 * An event as arguments have it.
 */
struct GivenEvent {
	pg::Text stream;
	pg::Text type;
	Datum data;
	Datum metadata;
	std::optional<EventId> id;
	pg::TagSet tags;
};
EventId EventIdOf(Datum datum);
// Throws 22023 for a name that may not be, or that auren_events.naming refuses.
void AddElement(pg::AppendRequest *request, const GivenEvent &event);

/*
 * Which arguments of a function are the arrays of a batch. Only p_event_ids, p_metadata and p_tags may be NULL; p_tags also where
 * the function is declared without it.
 */
struct BatchArguments {
	int stream_ids;
	int types;
	int data;
	int metadata;
	int ids;
	int tags;
};
// Throws 22004 and 22023, naming the element, for what is not a batch.
pg::AppendRequest ReadBatch(FunctionCallInfo fcinfo, const BatchArguments &arguments);

// Each throws 22023 for an array of another length than the batch, for one with NULL among its elements.
void RequireLength(const pg::Elements &elements, int expected, const char *parameter);
void RequireNoNull(const pg::Elements &elements, const char *parameter);

// Appends a batch; a row of the result for each element.
Datum AppendBatch(FunctionCallInfo fcinfo, const pg::AppendRequest &request);

} // namespace auren
