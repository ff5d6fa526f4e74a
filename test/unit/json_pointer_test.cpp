#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/json/json_diff.hpp"
#include "core/json/json_equal.hpp"
#include "core/json/json_pointer.hpp"
#include "unit/expect_error.hpp"
#include "unit/json_text.hpp"

namespace auren {
namespace {

using test::Contains;
using test::DocumentOf;
using test::ErrorOf;
using test::ExpectError;
using test::FromText;
using test::TextHost;
using test::ToText;

using Tokens = std::vector<std::string>;

TEST(JsonPointer, HasTheTokensOfItsText) {
	const std::pair<const char *, Tokens> pointers[] = {
		{"", {}},       {"/", {""}},    {"//", {"", ""}}, {"/a", {"a"}},    {"/a/", {"a", ""}},      {"/a/b/0", {"a", "b", "0"}},
		{"/~0", {"~"}}, {"/~1", {"/"}}, {"/~01", {"~1"}}, {"/~10", {"/0"}}, {"/~0~1~1~0", {"~//~"}}, {"/ /\xC3\xA9/\n", {" ", "\xC3\xA9", "\n"}},
	};
	for (const auto &[text, tokens] : pointers) {
		SCOPED_TRACE(text);
		const JsonPointer pointer = ParsePointer(text);
		EXPECT_EQ(pointer.tokens, tokens);
		EXPECT_EQ(PointerText(pointer), text);
	}
}

TEST(JsonPointer, WritesThePlacesOnItsWay) {
	const JsonPointer pointer = ParsePointer("/a~1b/1/~0");
	EXPECT_EQ(PointerText(pointer, 0), "");
	EXPECT_EQ(PointerText(pointer, 1), "/a~1b");
	EXPECT_EQ(PointerText(pointer, 2), "/a~1b/1");
	EXPECT_EQ(PointerText(pointer, 3), "/a~1b/1/~0");
}

TEST(JsonPointer, BeginsWithASlash) {
	for (const char *text : {"a", "a/b", " /a", "#", "#/a", "0", "-", "~0"}) {
		SCOPED_TRACE(text);
		const auto error = ExpectError("22023", [text] { ParsePointer(text); });
		EXPECT_TRUE(Contains(error.message(), "begin")) << error.message();
		EXPECT_TRUE(Contains(error.detail(), "\"" + std::string(text) + "\"")) << error.detail();
		EXPECT_FALSE(error.hint().empty());
	}
}

TEST(JsonPointer, EscapesOnlyTildeAndSlash) {
	for (const char *text : {"/~", "/a~", "/~2", "/~a", "/~~0", "/a/~/b", "/~ 0", "/0~"}) {
		SCOPED_TRACE(text);
		const auto error = ExpectError("22023", [text] { ParsePointer(text); });
		EXPECT_TRUE(Contains(error.message(), "~")) << error.message();
		EXPECT_TRUE(Contains(error.detail(), "\"" + std::string(text) + "\"")) << error.detail();
	}
}

TEST(JsonPointer, IsCutInErrorsBetweenTwoCharacters) {
	EXPECT_EQ(QuotedPointer("/a"), "\"/a\"");
	std::string text = "/";
	while (text.size() < 1000) {
		text += "\xE2\x82\xAC";
	}
	const std::string quoted = QuotedPointer(text);
	EXPECT_LT(quoted.size(), 220u);
	EXPECT_EQ(quoted.substr(quoted.size() - 4), "...\"");
	EXPECT_EQ((quoted.size() - 6) % 3, 0u) << quoted;
	EXPECT_EQ(text.compare(0, quoted.size() - 5, quoted, 1, quoted.size() - 5), 0);
}

TEST(ArrayIndex, IsDigitsWithoutALeadingZero) {
	EXPECT_EQ(ArrayIndex("0"), 0u);
	EXPECT_EQ(ArrayIndex("1"), 1u);
	EXPECT_EQ(ArrayIndex("10"), 10u);
	EXPECT_EQ(ArrayIndex("4294967296"), 4294967296u);
	EXPECT_EQ(ArrayIndex("-"), kPastTheEnd);
	for (const char *token : {"", "00", "01", "-1", "+1", "1 ", " 1", "1.0", "1e0", "0x1", "a", "1a", "--", "/", ":"}) {
		EXPECT_EQ(ArrayIndex(token), std::nullopt) << token;
	}
}

// An index that no number here holds is still one, and never wraps around to an element that is there.
TEST(ArrayIndex, MayBeLargerThanAnyArray) {
	for (const char *token : {"18446744073709551614", "18446744073709551615", "18446744073709551616", "36893488147419103232",
	                          "99999999999999999999999999999999999999999"}) {
		const auto index = ArrayIndex(token);
		ASSERT_TRUE(index) << token;
		EXPECT_EQ(*index, kPastTheEnd - 1) << token;
	}
}

// ---- the host of these tests ----------------------------------------------------------------------------------------

TEST(TextHost, ComparesNumbersByValue) {
	const TextHost host;
	const std::pair<const char *, const char *> same[] = {
		{"1", "1.0"},      {"0.10", "0.1"}, {"1e400", "10e399"}, {"100", "1E+2"},
		{"0", "-0"},       {"0.0", "0e9"},  {"-1.50", "-15e-1"}, {"12345678901234567890", "1234567890123456789e1"},
		{"1e-3", "0.001"},
	};
	for (const auto &[a, b] : same) {
		EXPECT_TRUE(host.Equal(a, b)) << a << ", " << b;
	}
	const std::pair<const char *, const char *> different[] = {
		{"1", "-1"}, {"1", "10"}, {"0.1", "0.01"}, {"12345678901234567890", "12345678901234567891"}, {"1e400", "1e401"}};
	for (const auto &[a, b] : different) {
		EXPECT_FALSE(host.Equal(a, b)) << a << ", " << b;
	}
}

TEST(TextHost, AddsExactly) {
	const TextHost host;
	EXPECT_EQ(host.Sum("1", "2"), "3");
	EXPECT_EQ(host.Sum("0.10", "0.20"), "0.30");
	EXPECT_EQ(host.Sum("0.1", "0.02"), "0.12");
	EXPECT_EQ(host.Sum("99999999999999999999", "1"), "100000000000000000000");
	EXPECT_EQ(host.Sum("1", "-1"), "0");
	EXPECT_EQ(host.Sum("-1.50", "1.5"), "0.00");
	EXPECT_EQ(host.Sum("-2", "1"), "-1");
	EXPECT_EQ(host.Sum("2", "-13"), "-11");
	EXPECT_EQ(host.Sum("1000", "-0.001"), "999.999");
	EXPECT_EQ(host.Sum("1e3", "1"), "1001");
	EXPECT_EQ(host.Sum("1e-3", "1"), "1.001");
	EXPECT_EQ(host.Sum("0", "0"), "0");
	EXPECT_EQ(host.Sum("1e400", "1"), "1" + std::string(399, '0') + "1");
}

TEST(TextHost, KeepsTheTextOfNumbers) {
	for (const char *text : {"0.10", "12345678901234567890", "123456789012345678901234567890", "1e400", "1E-400", "-1.50", "[1.0,1.00,-7]",
	                         "{\"a\":[1,{\"b\":null}],\"c\":\"\\\"\\\\\\n\xC3\xA9\"}", "true", "{}", "[]", "[[],{}]"}) {
		EXPECT_EQ(ToText(FromText(text)), text);
		EXPECT_EQ(ToText(DocumentOf(text)), text);
		EXPECT_EQ(ToText(TextHost().Expand(text)), text);
	}
	EXPECT_EQ(ToText(FromText("{\"b\": 1, \"a\": 1, \"b\": 2}")), "{\"a\":1,\"b\":2}");
	EXPECT_THROW(FromText("{"), std::invalid_argument);
	EXPECT_EQ(test::CountDocuments(TextHost().Expand("[1,[[2]],{\"a\":{}}]")), 2);
}

// ---- equality -------------------------------------------------------------------------------------------------------

TEST(JsonEqual, IsByValue) {
	const TextHost host;
	const char *const values[] = {"null",
	                              "true",
	                              "false",
	                              "0",
	                              "1",
	                              "12345678901234567890",
	                              "12345678901234567891",
	                              "1e400",
	                              "\"\"",
	                              "\"1\"",
	                              "\"null\"",
	                              "[]",
	                              "[null]",
	                              "[1,2]",
	                              "[2,1]",
	                              "[1,2,3]",
	                              "{}",
	                              "{\"a\":1}",
	                              "{\"a\":2}",
	                              "{\"b\":1}",
	                              "{\"a\":null}",
	                              "{\"a\":1,\"b\":1}",
	                              "{\"a\":{\"b\":[1]}}",
	                              "{\"a\":{\"b\":[[1]]}}"};
	for (const char *a : values) {
		for (const char *b : values) {
			const bool same = std::string(a) == b;
			EXPECT_EQ(Equal(FromText(a), FromText(b), host), same) << a << ", " << b;
			EXPECT_EQ(Equal(DocumentOf(a), FromText(b), host), same) << a << ", " << b;
			EXPECT_EQ(Equal(FromText(a), DocumentOf(b), host), same) << a << ", " << b;
			EXPECT_EQ(Equal(DocumentOf(a), DocumentOf(std::string(" ") + b), host), same) << a << ", " << b;
		}
	}
}

TEST(JsonEqual, KnowsNumbersAndOrder) {
	const TextHost host;
	EXPECT_TRUE(Equal(FromText("[1.0,{\"a\":0.10,\"b\":1e2}]"), FromText("[1,{\"b\":100,\"a\":0.1}]"), host));
	EXPECT_TRUE(Equal(DocumentOf("[1.0,{\"a\":0.10,\"b\":1e2}]"), DocumentOf("[1,{\"b\":100,\"a\":0.1}]"), host));
	EXPECT_FALSE(Equal(FromText("[1.0,{\"a\":0.10}]"), FromText("[1,{\"a\":0.11}]"), host));
}

// Values are walked level by level, and the host says when that is too deep.
TEST(JsonEqual, AsksForTheStackAtEachLevel) {
	class Shallow : public TextHost {
	  public:
		void
		CheckStack() const override {
			if (++asked_ > 100) {
				throw std::runtime_error("too deep");
			}
		}

	  private:
		mutable int asked_ = 0;
	};
	const auto nested = [](int levels) {
		std::string text;
		for (int i = 0; i < levels; i++) {
			text += i % 2 == 0 ? "[" : "{\"a\":";
		}
		text += "1";
		for (int i = levels; i > 0; i--) {
			text += i % 2 == 1 ? "]" : "}";
		}
		return text;
	};
	for (const bool document : {false, true}) {
		const auto value = [&](int levels) {
			return document ? DocumentOf(" " + nested(levels)) : FromText(nested(levels));
		};
		EXPECT_TRUE(Equal(value(100), FromText(nested(100)), Shallow()));
		EXPECT_THROW(Equal(value(101), FromText(nested(101)), Shallow()), std::runtime_error);
		EXPECT_TRUE(Diff(value(100), FromText(nested(100)), TextHost()).array().empty());
		EXPECT_THROW(Diff(value(101), FromText(nested(101)), Shallow()), std::runtime_error);
	}
}

} // namespace
} // namespace auren
