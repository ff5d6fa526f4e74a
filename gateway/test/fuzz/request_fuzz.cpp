// A request's target with its query, Last-Event-ID, a cookie and the first message of a WebSocket: taken or refused, and what is taken is bounded
// and safe to print.
#include "bad_input.hpp"
#include "fuzz.hpp"
#include "request.hpp"
#include "text.hpp"

using namespace auren::gateway;

namespace {

void
CheckNames(const std::optional<Names> &names) {
	REQUIRE(!names || (!names->empty() && names->size() <= 100));
	for (const auto &name : names.value_or(Names())) {
		REQUIRE(!name.empty() && IsUtf8(name) && name.find('\0') == std::string::npos);
	}
}

void
CheckRequest(const FeedRequest &request) {
	CheckNames(request.filter.types);
	CheckNames(request.filter.categories);
	CheckNames(request.filter.streams);
	REQUIRE(!request.after || request.after->position >= 0);
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const auto text = TextOf(data, size);
	try {
		const auto target = ParseTarget(text);
		REQUIRE(target.path[0] == '/' && target.path.find("//") == std::string::npos && target.path.find("/../") == std::string::npos);
		CheckRequest(ReadFeedRequest(target, ""));
	} catch (const BadInput &) {
	}
	try {
		CheckRequest(ReadFeedRequest(ParseTarget("/events?" + std::string(text)), ""));
	} catch (const BadInput &) {
	}
	try {
		const auto cursor = ParseCursor(text);
		REQUIRE(cursor.epoch.empty() || ParseCursor(PrintCursor(cursor.epoch, cursor.position)).position == cursor.position);
	} catch (const BadInput &) {
	}
	try {
		const auto request = ReadFirstMessage(text);
		REQUIRE(!request.filter.types || request.filter.types->size() <= 100);
	} catch (const BadInput &) {
	}
	CookieOf(text, "token");
	return 0;
}
