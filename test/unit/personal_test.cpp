#include "core/encrypted/personal.hpp"

#include <gtest/gtest.h>

#include "unit/expect_error.hpp"
#include "unit/json_text.hpp"

using namespace auren;
using namespace auren::test;

TEST(PersonSource, PlaceInTheDataOrPatternOfStreams) {
	EXPECT_TRUE(PersonSource::Parse("/user/id").in_data());
	EXPECT_EQ(PersonSource::Parse("/user/id").place().tokens.size(), 2U);
	const PersonSource pattern = PersonSource::Parse("user:*");
	EXPECT_FALSE(pattern.in_data());
	EXPECT_EQ(pattern.PersonOf("user:7"), "7");
	EXPECT_EQ(pattern.PersonOf("user:7:x"), "7:x");
	EXPECT_FALSE(pattern.PersonOf("user:"));
	EXPECT_FALSE(pattern.PersonOf("device:7"));
	const PersonSource middle = PersonSource::Parse("u:*:u");
	EXPECT_EQ(middle.PersonOf("u:7:u"), "7");
	EXPECT_FALSE(middle.PersonOf("u:u"));
	EXPECT_FALSE(middle.PersonOf("u:7"));
	EXPECT_EQ(PersonSource::Parse("*").PersonOf("x"), "x");
	for (const char *bad : {"", "user_id", "user:*:*", "/a~"}) {
		ExpectError("22023", [&] { (void)PersonSource::Parse(bad); });
	}
}

TEST(PersonOfNumber, OneWholeNumberIsOnePerson) {
	for (const char *seven : {"7", "7.", "7.0", "7.000"}) {
		EXPECT_EQ(PersonOfNumber(seven), "7") << seven;
	}
	EXPECT_EQ(PersonOfNumber("-7.0"), "-7");
	EXPECT_EQ(PersonOfNumber("70"), "70");
	EXPECT_EQ(PersonOfNumber("0.00"), "0");
	EXPECT_EQ(PersonOfNumber("-0"), "0");
	EXPECT_EQ(PersonOfNumber("123456789012345678901234567890.0"), "123456789012345678901234567890");
	for (const char *none : {"", "-", ".", ".0", "7.5", "7.0001", "0.5", "-0.1", "NaN", "Infinity", "1e3"}) {
		EXPECT_FALSE(PersonOfNumber(none)) << none;
	}
}

TEST(PersonalPaths, NoneWithinAnother) {
	EXPECT_EQ(ParsePersonalPaths({"/a", "/b/c", "/b/d", "/ab"}).size(), 4U);
	for (const std::vector<std::string> &bad : std::vector<std::vector<std::string>>{{}, {""}, {"a"}, {"/a", "/a"}, {"/a", "/a/b"}, {"/a/b", "/a"}}) {
		ExpectError("22023", [&] { (void)ParsePersonalPaths(bad); });
	}
}

TEST(FindAt, OpensWhatLiesOnTheWay) {
	const TextHost host;
	Json document = DocumentOf(R"({"a": {"b": [1, {"c": 2.50}]}, "": 3})");
	const auto at = [&](const char *pointer) {
		const Json *found = FindAt(&document, ParsePointer(pointer), host);
		return found == nullptr ? std::string("nothing") : ToText(*found);
	};
	EXPECT_EQ(at("/a/b/1/c"), "2.50");
	EXPECT_EQ(at("/"), "3");
	for (const char *absent : {"/x", "/a/b/2", "/a/b/-", "/a/b/01", "/a/b/c", "/a/b/0/c"}) {
		EXPECT_EQ(at(absent), "nothing") << absent;
	}
}
