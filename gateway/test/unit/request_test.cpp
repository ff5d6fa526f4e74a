#include "request.hpp"

#include "expect_bad.hpp"
#include "rate.hpp"

namespace auren::gateway {
namespace {

const std::string kEpoch = "0190f7a2-0000-7000-8000-000000000001";

TEST(Cursor, IsAnIdOrAPosition) {
	const auto cursor = ParseCursor(kEpoch + ":9223372036854775807");
	EXPECT_EQ(cursor.epoch, kEpoch);
	EXPECT_EQ(cursor.position, INT64_MAX);
	EXPECT_EQ(ParseCursor("0").position, 0);
	EXPECT_EQ(ParseCursor("7").epoch, "");
	EXPECT_EQ(PrintCursor("e", 7), "e:7");
	for (const std::string text : {"", "-1", "+1", " 1", "1 ", "x:1", ":1", "9223372036854775808", "1e3"}) {
		EXPECT_THROW(ParseCursor(text), BadInput) << text;
	}
	EXPECT_THROW(ParseCursor(kEpoch + ":"), BadInput);
	EXPECT_THROW(ParseCursor(std::string(36, 'G') + ":1"), BadInput);
}

TEST(Target, IsDecodedOnce) {
	const auto target = ParseTarget("/a%20b/c?x=1&y=%2541&x=%2C,2&z");
	EXPECT_EQ(target.path, "/a b/c");
	EXPECT_EQ(target.query.at("x"), (std::vector<std::string>{"1", "%2C,2"}));
	EXPECT_EQ(target.query.at("z"), (std::vector<std::string>{""}));
	EXPECT_EQ(ParseTarget("/").path, "/");
	EXPECT_EQ(ParseTarget("/events?").path, "/events");
}

TEST(Target, RefusesWhatCouldBeReadInTwoWays) {
	for (const char *text :
	     {"",    "events", "http://x/events", "/a/../b", "/./a",     "//a",      "/a//b", "/a/",      "/a%2fb", "/a%5Cb", "/a%00", "/a%0d%0aX: y",
	      "/a%", "/a%4",   "/a%zz",           "/a%ff",   "/a?x=%ff", "/a?x=%0a", "/a#b",  "/%2e%2e/a"}) {
		EXPECT_THROW(ParseTarget(text), BadInput) << text;
	}
}

TEST(FeedRequest, ReadsListsAndFilters) {
	const auto request = ReadFeedRequest(
		ParseTarget("/events?types=a,b&types=c%2Cd&category=user&stream=user:1&tags=x,y+z&channels=mode_switch&after=5&ticket=t"), "");
	EXPECT_EQ(*request.filter.types, (Names{"a", "b", "c,d"}));
	EXPECT_EQ(*request.filter.categories, (Names{"user"}));
	EXPECT_EQ(*request.filter.streams, (Names{"user:1"}));
	EXPECT_EQ(request.filter.tags, (Names{"x", "y z"}));
	EXPECT_EQ(*request.channels, (Names{"mode_switch"}));
	EXPECT_EQ(request.after->position, 5);
	EXPECT_EQ(request.ticket, "t");
}

TEST(FeedRequest, TheLastEventIdGoesBeforeTheQuery) {
	EXPECT_EQ(ReadFeedRequest(ParseTarget("/events?after=5"), kEpoch + ":9").after->position, 9);
	EXPECT_FALSE(ReadFeedRequest(ParseTarget("/events"), "").after);
	EXPECT_THROW(ReadFeedRequest(ParseTarget("/events"), "nonsense"), BadInput);
}

TEST(FeedRequest, RefusesWhatItDoesNotKnow) {
	for (const std::string query : {"typ=a", "after=1&after=2", "types=", "types=a,,b", "types", "wait=1", "tags=", "after="}) {
		EXPECT_THROW(ReadFeedRequest(ParseTarget("/events?" + query), ""), BadInput) << query;
	}
	std::string many = "types=a";
	for (int i = 0; i < 100; i++) {
		many += ",a";
	}
	EXPECT_REFUSED(ReadFeedRequest(ParseTarget("/events?" + many), ""), BadInput, "1 to 100");
}

TEST(FeedRequest, TheFirstMessageSaysTheSame) {
	const auto request = ReadFirstMessage(R"({"after":"7","types":"a","stream":["user:1","user:2"],"tags":["x"]})");
	EXPECT_EQ(request.after->position, 7);
	EXPECT_EQ(*request.filter.types, (Names{"a"}));
	EXPECT_EQ(request.filter.streams->size(), 2U);
	for (const char *text :
	     {"[]", "{\"after\":7}", "{\"types\":[1]}", "{\"types\":[]}", "{\"what\":\"x\"}", "{\"types\":[[[\"a\"]]]}", "\"a\"", ""}) {
		EXPECT_THROW(ReadFirstMessage(text), BadInput) << text;
	}
}

TEST(Cookie, IsFoundByItsWholeName) {
	EXPECT_EQ(CookieOf("a=1; token=abc; xtoken=2", "token"), "abc");
	EXPECT_EQ(CookieOf("xtoken=2", "token"), "");
	EXPECT_EQ(CookieOf("token", "token"), "");
	EXPECT_EQ(CookieOf("; ;token=", "token"), "");
}

Event
EventOf(const std::string &stream, const std::string &type, const Names &tags) {
	Event event;
	event.stream = stream;
	event.type = type;
	event.tags = tags;
	return event;
}

TEST(Filter, AClientSeesWhatItAsksAndMaySee) {
	Filter asked, allowed;
	asked.types = Names{"a", "b"};
	asked.tags = {"x"};
	allowed.types = Names{"b", "c"};
	allowed.streams = Names{"user:1"};
	const auto filter = Meet(asked, allowed);
	EXPECT_TRUE(Matches(filter, EventOf("user:1", "b", {"y", "x"})));
	EXPECT_FALSE(Matches(filter, EventOf("user:1", "a", {"x"})));
	EXPECT_FALSE(Matches(filter, EventOf("user:1", "c", {"x"})));
	EXPECT_FALSE(Matches(filter, EventOf("user:2", "b", {"x"})));
	EXPECT_FALSE(Matches(filter, EventOf("user:1", "b", {})));
	EXPECT_FALSE(LetsNothing(filter));
	asked.types = Names{"a"};
	EXPECT_TRUE(LetsNothing(Meet(asked, allowed)));
	EXPECT_TRUE(Matches(Filter(), EventOf("any", "thing", {})));
}

TEST(Filter, ACategoryIsWhatStandsBeforeTheColon) {
	Filter filter;
	filter.categories = Names{"user"};
	EXPECT_TRUE(Matches(filter, EventOf("user:1", "a", {})));
	EXPECT_FALSE(Matches(filter, EventOf("users:1", "a", {})));
}

TEST(RateLimit, GivesASecondsWorthAndThenAsTimeGoes) {
	RateLimit limit(2);
	EXPECT_TRUE(limit.Take("a", 1000));
	EXPECT_TRUE(limit.Take("a", 1000));
	EXPECT_FALSE(limit.Take("a", 1000));
	EXPECT_TRUE(limit.Take("b", 1000));
	EXPECT_FALSE(limit.Take("a", 1400));
	EXPECT_TRUE(limit.Take("a", 1500));
	limit.Forget(5000);
	EXPECT_TRUE(limit.Take("a", 5000));
}

} // namespace
} // namespace auren::gateway
