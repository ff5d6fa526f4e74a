#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/tags/span.hpp"
#include "core/tags/tag.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::ErrorOf;
using test::ExpectError;

// of one byte a character
Name
Ascii(const std::string &text) {
	return {text, text.size()};
}

std::vector<Name>
Names(const std::vector<std::string> &texts) {
	std::vector<Name> names;
	for (const std::string &text : texts) {
		names.push_back(Ascii(text));
	}
	return names;
}

TEST(Tags, LimitsAreThoseOfTheContract) {
	EXPECT_EQ(kMaxTagCharacters, 255u);
	EXPECT_EQ(kMaxTagsOfEvent, 64u);
}

TEST(Tags, AreTakenUpToTheLimit) {
	for (const std::string &text : {std::string("r"), std::string("room:12"), std::string(" a b "), std::string("a:b:c"), std::string(255, 'x')}) {
		EXPECT_FALSE(ErrorOf([&] { CheckTag(Ascii(text)); })) << text;
		EXPECT_EQ(FlawOfTag(Ascii(text)), TagFlaw::kNone);
	}
	// what counts is characters
	EXPECT_FALSE(ErrorOf([] { CheckTag({std::string(510, '\xC3'), 255}); }));
}

TEST(Tags, WhatIsNoTagIsRefusedWithItsReason) {
	EXPECT_TRUE(Contains(ExpectError("22023", [] { CheckTag(Ascii("")); }).message(), "must not be empty"));
	const auto longer = ExpectError("22023", [] { CheckTag(Ascii(std::string(256, 'x'))); });
	EXPECT_TRUE(Contains(longer.message(), "too long"));
	EXPECT_TRUE(Contains(longer.detail(), "256"));
	for (const char *text : {"a\n", "\t", "a\x7F"}) {
		const auto error = ExpectError("22023", [&] { CheckTag(Ascii(text)); });
		EXPECT_TRUE(Contains(error.message(), "control character"));
		EXPECT_FALSE(error.hint().empty());
	}
	EXPECT_EQ(FlawOfTag(Ascii("")), TagFlaw::kEmpty);
	EXPECT_EQ(FlawOfTag(Ascii(std::string(256, 'x'))), TagFlaw::kTooLong);
	EXPECT_EQ(FlawOfTag(Ascii("a\r")), TagFlaw::kControl);
}

TEST(Tags, GivenOnesAreSortedAndCountOnce) {
	const std::vector<std::string> texts = {"room:12", "a", "room:12", "Z", "a"};
	EXPECT_EQ(GivenTags(Names(texts)), (std::vector<std::string_view>{"Z", "a", "room:12"}));
	EXPECT_TRUE(GivenTags({}).empty());
	const std::vector<std::string> bytes = {"\xC3\xA4", "z"};
	EXPECT_EQ(GivenTags(Names(bytes)), (std::vector<std::string_view>{"z", "\xC3\xA4"})) << "by bytes, not by a language";
}

TEST(Tags, AnErrorNamesTheTag) {
	const std::vector<std::string> texts = {"a", ""};
	EXPECT_TRUE(Contains(ExpectError("22023", [&] { (void)GivenTags(Names(texts)); }).detail(), "It is tag 2."));
}

TEST(Tags, AnEventHasAtMostSixtyFour) {
	std::vector<std::string> texts;
	for (int i = 0; i < 64; i++) {
		texts.push_back("tag:" + std::to_string(i));
	}
	texts.push_back(texts[0]); // twice counts once
	EXPECT_EQ(GivenTags(Names(texts)).size(), 64u);
	texts.emplace_back("one more");
	const auto error = ExpectError("22023", [&] { (void)GivenTags(Names(texts)); });
	EXPECT_TRUE(Contains(error.detail(), "65"));
	EXPECT_FALSE(error.hint().empty());
}

TEST(Tags, AKeyHasNoColon) {
	for (const std::string &text : {std::string("room"), std::string("room 1"), std::string("R"), std::string(100, 'x')}) {
		EXPECT_FALSE(ErrorOf([&] { CheckTagKey(Ascii(text)); })) << text;
	}
	for (const std::string &text :
	     {std::string(), std::string("a:b"), std::string(":"), std::string(" a"), std::string("a "), std::string("a\n"), std::string(101, 'x')}) {
		EXPECT_FALSE(ExpectError("22023", [&] { CheckTagKey(Ascii(text)); }).hint().empty());
	}
}

TEST(Tags, AreFoundAmongSortedOnes) {
	const std::string_view sorted[] = {"a", "b", "room:12"};
	const TextList list = {sorted, 3};
	EXPECT_TRUE(HasTag(list, "a"));
	EXPECT_TRUE(HasTag(list, "room:12"));
	EXPECT_FALSE(HasTag(list, "room:1"));
	EXPECT_FALSE(HasTag({}, "a"));
}

TEST(Spans, OverlapWhereAMomentIsInBoth) {
	const Span ten = {10, 11};
	EXPECT_TRUE(Overlaps(ten, {10, 11}));
	EXPECT_TRUE(Overlaps(ten, {0, 20}));
	EXPECT_FALSE(Overlaps(ten, {11, 12})) << "the end is not part of it";
	EXPECT_FALSE(Overlaps({11, 12}, ten));
	EXPECT_TRUE(Overlaps(ten, {}));
	EXPECT_TRUE(Overlaps({Span::kUnboundedFrom, 11}, {10, Span::kUnboundedTo}));
	EXPECT_FALSE(Overlaps({Span::kUnboundedFrom, 10}, {10, Span::kUnboundedTo}));
}

} // namespace
} // namespace auren
