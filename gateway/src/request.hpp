#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "filter.hpp"

namespace auren::gateway {

// Where a client is in the feed: it has everything up to the position. An empty epoch: whatever history the store has.
struct Cursor {
	std::string epoch;
	int64_t position = 0;
};

// "epoch:position" or a position. Throws BadInput for anything else.
Cursor ParseCursor(std::string_view text);
std::string PrintCursor(std::string_view epoch, int64_t position);

// A request's target, decoded once. Each value of the query is kept as it came, since commas that are written as %2C separate nothing.
struct Target {
	std::string path;
	std::map<std::string, std::vector<std::string>> query;
};

// Throws BadInput when the target is not a path with a query, when the path has an empty part, "." or "..", a slash or backslash that is encoded, or
// when something decoded is not UTF-8 or has control characters.
Target ParseTarget(std::string_view target);

// What a client asks of the feed.
struct FeedRequest {
	Filter filter;
	std::optional<Names> channels;
	std::optional<Cursor> after; // not given: what comes from now on
	bool waits = false;          // the first message says the rest (WebSocket)
	std::string ticket;
};

// The parameters types, category, stream, tags, channels, after, wait and ticket. Lists are separated by commas, or the parameter stands several
// times. Last-Event-ID, where it is not empty, goes before after: a browser that connects again sends both. Throws BadInput for what is unknown,
// given twice or too much.
FeedRequest ReadFeedRequest(const Target &target, std::string_view last_event_id);

// The first message of a WebSocket that waits for it: an object with after, types, category, stream, tags, channels, each a text or an array of
// texts. It replaces what the query said. Throws BadInput.
FeedRequest ReadFirstMessage(std::string_view text);

// The value of a cookie in the header's text, empty when it is not there.
std::string CookieOf(std::string_view header, std::string_view name);

} // namespace auren::gateway
