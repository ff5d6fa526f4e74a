#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/conditions/query.hpp"
#include "core/event_time.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::ErrorOf;
using test::ExpectError;

using Texts = std::vector<std::string>;

QueryItem
OnlyItem(const std::string &text) {
	const Query query = ParseQuery(text);
	EXPECT_EQ(query.items.size(), 1u) << text;
	return query.items.at(0);
}

DomainError
Refused(const std::string &text) {
	return ExpectError("22023", [&] { (void)ParseQuery(text); });
}

TEST(Query, IsAnArrayOfItemsOrOne) {
	EXPECT_EQ(ParseQuery(R"([{"types": ["a"]}, {"tags": ["b"]}, {}])").items.size(), 3u);
	EXPECT_EQ(OnlyItem(R"({"types": ["a"]})").types, Texts{"a"});
	EXPECT_EQ(OnlyItem(R"([{"types": ["a"]}])").types, Texts{"a"});
}

TEST(Query, AnItemHasWhatWasGiven) {
	const QueryItem item = OnlyItem(R"({"types": ["b", "a", "b"], "tags": ["z:1", "a:1", "z:1"], "stream": "s:1",
		"during": ["2026-12-01 10:00+00", "2026-12-01T12:00:00+01:00"]})");
	EXPECT_EQ(item.types, (Texts{"b", "a"})) << "in the order given, each once";
	EXPECT_EQ(item.tags, (Texts{"z:1", "a:1"}));
	EXPECT_EQ(item.stream, "s:1");
	ASSERT_TRUE(item.during);
	EXPECT_EQ(item.during->from, *ParseEventTime("2026-12-01T10:00:00Z"));
	EXPECT_EQ(item.during->to, *ParseEventTime("2026-12-01T11:00:00Z"));
	EXPECT_FALSE(item.version);
}

TEST(Query, AnEmptyItemAsksForEverything) {
	const QueryItem item = OnlyItem("{}");
	EXPECT_TRUE(item.types.empty() && item.tags.empty() && !item.stream && !item.during && !item.version);
}

TEST(Query, AnEndMayBeUnbounded) {
	EXPECT_EQ(OnlyItem(R"({"during": [null, "2026-12-01"]})").during->from, Span::kUnboundedFrom);
	EXPECT_EQ(OnlyItem(R"({"during": ["2026-12-01", null]})").during->to, Span::kUnboundedTo);
	EXPECT_TRUE(OnlyItem(R"({"during": [null, null]})").during);
}

TEST(Query, AVersionStandsWithItsStream) {
	const QueryItem item = OnlyItem(R"({"stream": "s", "version": 5})");
	EXPECT_EQ(item.version, 5);
	EXPECT_EQ(OnlyItem(R"({"stream": "s", "version": 0})").version, 0);
	EXPECT_EQ(OnlyItem(R"({"stream": "s", "version": 9223372036854775807})").version, INT64_MAX);
	for (const char *text : {R"({"version": 5})", R"({"stream": "s", "version": 5, "types": ["a"]})", R"({"tags": ["a"], "version": 5})"}) {
		EXPECT_TRUE(Contains(Refused(text).message(), "version")) << text;
	}
	for (const char *version : {"-1", "1.5", "5.0", "1e2", "\"5\"", "null", "9223372036854775808", "true"}) {
		EXPECT_TRUE(Contains(Refused(R"({"stream": "s", "version": )" + std::string(version) + "}").message(), "version")) << version;
	}
}

TEST(Query, WhatIsNoneIsRefused) {
	for (const char *text : {"", "nonsense", "\"types\"", "5", "null", "[]", "[[]]", "[5]", "[null]", R"([{}, "x"])", "{\"types\": [\"\xFF\"]}"}) {
		EXPECT_FALSE(Refused(text).hint().empty()) << text;
	}
	for (const char *part : {R"("types": [])",
	                         R"("tags": [])",
	                         R"("types": "a")",
	                         R"("tags": [5])",
	                         R"("tags": [null])",
	                         R"("types": null)",
	                         R"("stream": 5)",
	                         R"("stream": null)",
	                         R"("during": [])",
	                         R"("during": ["2026-12-01"])",
	                         R"("during": "2026-12-01")",
	                         R"("during": ["now", null])",
	                         R"("during": [1764583200, null])",
	                         R"("during": ["2026-12-01", "2026-12-01"])",
	                         R"("during": ["2026-12-02", "2026-12-01"])",
	                         R"("tag": ["a"])",
	                         R"("Types": ["a"])",
	                         R"("tags": [""])",
	                         R"("types": [""])",
	                         R"("stream": "")",
	                         R"("stream": " s")",
	                         R"("tags": ["a\n"])"}) {
		const auto error = Refused("[{}, {" + std::string(part) + "}]");
		EXPECT_FALSE(error.hint().empty()) << part;
		EXPECT_TRUE(Contains(error.detail(), "item 2")) << error.detail();
	}
}

TEST(Query, LimitsAreByCharacters) {
	const auto tags = [](const std::string &character, int times) {
		std::string text = R"({"tags": [")";
		for (int i = 0; i < times; i++) {
			text += character;
		}
		return text + "\"]}";
	};
	EXPECT_FALSE(ErrorOf([&] { (void)ParseQuery(tags("\xC3\xA4", 255)); }));
	EXPECT_TRUE(Contains(Refused(tags("\xC3\xA4", 256)).detail(), "256"));
	EXPECT_TRUE(Contains(Refused(tags("a", 256)).message(), "too long"));
}

TEST(Query, HasAtMostSixtyFourItemsOfAtMostSixtyFourTags) {
	const auto items = [](int count) {
		std::string text = "[{}";
		for (int i = 1; i < count; i++) {
			text += ", {}";
		}
		return text + "]";
	};
	EXPECT_EQ(ParseQuery(items(64)).items.size(), 64u);
	EXPECT_TRUE(Contains(Refused(items(65)).detail(), "65"));
	const auto tags = [](int count) {
		std::string text = R"({"tags": ["0")";
		for (int i = 1; i < count; i++) {
			text += ", \"" + std::to_string(i) + "\"";
		}
		return text + "]}";
	};
	EXPECT_EQ(OnlyItem(tags(64)).tags.size(), 64u);
	EXPECT_TRUE(Contains(Refused(tags(65)).detail(), "65"));
}

TEST(Query, TextsAreChangedInPlace) {
	Query query = ParseQuery(R"([{"types": ["a"], "tags": ["b"]}, {"stream": "c"}, {}])");
	ForEachText(&query, [](std::string *text) { *text += "!"; });
	EXPECT_EQ(query.items[0].types, Texts{"a!"});
	EXPECT_EQ(query.items[0].tags, Texts{"b!"});
	EXPECT_EQ(query.items[1].stream, "c!");
}

TEST(Query, AViewIsTheQuery) {
	auto query = std::make_unique<Query>(ParseQuery(R"([{"types": ["a", "bb"], "tags": ["t:1"], "stream": "s", "during": ["2026-12-01", null]},
		{}, {"stream": "v", "version": 7}])"));
	const std::size_t bytes = ViewBytes(*query);
	std::vector<std::max_align_t> block(bytes / sizeof(std::max_align_t) + 1);
	const QueryView view = WriteView(*query, block.data());
	const Span during = *query->items[0].during;
	query.reset();
	ASSERT_EQ(view.count, 3u);
	const ItemView &first = view.items[0];
	ASSERT_EQ(first.types.count, 2u);
	EXPECT_EQ(first.types.texts[1], "bb");
	ASSERT_EQ(first.tags.count, 1u);
	EXPECT_EQ(first.tags.texts[0], "t:1");
	EXPECT_TRUE(first.has_stream && first.has_during && !first.is_version() && !first.is_everything());
	EXPECT_EQ(first.stream, "s");
	EXPECT_EQ(first.during.from, during.from);
	EXPECT_EQ(first.during.to, Span::kUnboundedTo);
	EXPECT_TRUE(view.items[1].is_everything() && !view.items[1].is_version());
	EXPECT_TRUE(view.items[2].is_version());
	EXPECT_EQ(view.items[2].version, 7);
	EXPECT_EQ(view.items[2].stream, "v");
}

// Whether an event matches what is written.
bool
Found(const std::string &text, const EventFacts &event) {
	const Query query = ParseQuery(text);
	std::vector<std::max_align_t> block(ViewBytes(query) / sizeof(std::max_align_t) + 1);
	return Matches(WriteView(query, block.data()), event);
}

TEST(QueryMatch, EachPartMustHold) {
	const std::string_view tags[] = {"room:12", "team:a"};
	EventFacts event = {"bookings:1", "room_booked", {tags, 2}, {100, 200}, false};
	EXPECT_TRUE(Found("{}", event));
	EXPECT_TRUE(Found(R"({"types": ["other", "room_booked"]})", event));
	EXPECT_FALSE(Found(R"({"types": ["other"]})", event));
	EXPECT_TRUE(Found(R"({"tags": ["team:a", "room:12"]})", event));
	EXPECT_FALSE(Found(R"({"tags": ["team:a", "room:13"]})", event));
	EXPECT_TRUE(Found(R"({"stream": "bookings:1"})", event));
	EXPECT_FALSE(Found(R"({"stream": "bookings:2"})", event));
	EXPECT_TRUE(Found(R"({"types": ["room_booked"], "tags": ["room:12"], "stream": "bookings:1"})", event));
	EXPECT_FALSE(Found(R"({"types": ["room_booked"], "tags": ["room:12"], "stream": "bookings:2"})", event));
	EXPECT_FALSE(Found(R"({"types": ["other"], "tags": ["room:12"]})", event));
}

TEST(QueryMatch, OneItemIsEnough) {
	const EventFacts event = {"s", "t", {}, {}, false};
	EXPECT_TRUE(Found(R"([{"types": ["other"]}, {"stream": "s"}])", event));
	EXPECT_FALSE(Found(R"([{"types": ["other"]}, {"stream": "o"}, {"tags": ["a"]}])", event));
}

TEST(QueryMatch, OverlapDecidesAndWhatHasNoSpanDoesNot) {
	EventFacts event = {"s", "t", {}, {*ParseEventTime("2026-12-01T10:00Z"), *ParseEventTime("2026-12-01T11:00Z")}, true};
	EXPECT_TRUE(Found(R"({"during": ["2026-12-01 10:59+00", "2026-12-01 12:00+00"]})", event));
	EXPECT_FALSE(Found(R"({"during": ["2026-12-01 11:00+00", "2026-12-01 12:00+00"]})", event));
	EXPECT_TRUE(Found(R"({"during": [null, null]})", event));
	event.has_span = false;
	EXPECT_FALSE(Found(R"({"during": [null, null]})", event));
	EXPECT_TRUE(Found("{}", event));
}

TEST(QueryMatch, AVersionMatchesNoEvent) {
	EXPECT_FALSE(Found(R"({"stream": "s", "version": 1})", {"s", "t", {}, {}, false}));
}

} // namespace
} // namespace auren
