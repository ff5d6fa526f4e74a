#include <string>

#include <gtest/gtest.h>

#include "core/reducer.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::ExpectError;

Reducer
Parsed(const std::string &kind, const std::string &options = "{}") {
	return ParseReducer("steps", kind, options).reducer;
}

TEST(Reducer, DefaultsOfEachKind) {
	for (const char *kind : {"latest", "sum", "count", "append"}) {
		EXPECT_EQ(Parsed(kind).into, "steps") << kind;
	}
	for (const char *kind : {"merge", "patch", "ignore"}) {
		EXPECT_FALSE(Parsed(kind).into) << kind;
	}
	EXPECT_EQ(Parsed("append").limit, 1000U);
	EXPECT_TRUE(Parsed("sum").fields.empty());
	EXPECT_FALSE(Parsed("patch").skip_errors);
	EXPECT_EQ(Parsed("latest").kind, ReducerKind::kLatest);
	EXPECT_EQ(Parsed("merge").kind, ReducerKind::kMerge);
	EXPECT_EQ(Parsed("patch").kind, ReducerKind::kPatch);
	EXPECT_EQ(Parsed("sum").kind, ReducerKind::kSum);
	EXPECT_EQ(Parsed("count").kind, ReducerKind::kCount);
	EXPECT_EQ(Parsed("append").kind, ReducerKind::kAppend);
	EXPECT_EQ(Parsed("ignore").kind, ReducerKind::kIgnore);
	EXPECT_EQ(Parsed("function", R"({"function": "f"})").kind, ReducerKind::kFunction);
}

TEST(Reducer, OptionsAreRead) {
	EXPECT_EQ(Parsed("merge", R"({"into": "part"})").into, "part");
	EXPECT_EQ(Parsed("append", R"({"into": "list", "limit": 1})").limit, 1U);
	EXPECT_EQ(Parsed("append", R"({"limit": 1000000})").limit, 1000000U);
	EXPECT_EQ(Parsed("sum", R"({"fields": ["a", ""]})").fields, (std::vector<std::string>{"a", ""}));
	EXPECT_TRUE(Parsed("patch", R"({"on_error": "skip"})").skip_errors);
	EXPECT_FALSE(Parsed("function", R"({"function": "s.f", "on_error": "error"})").skip_errors);
	EXPECT_EQ(Parsed("function", R"({"function": "s.f"})").function, "s.f");
	EXPECT_EQ(ParseReducer("t", "ignore", R"({"category": "user"})").category, "user");
	EXPECT_EQ(ParseReducer("t", "ignore", "{}").category, "");
}

TEST(Reducer, WhatIsRefused) {
	const std::pair<const char *, const char *> refused[] = {
	    {"total", "{}"}, {"", "{}"}, {"Count", "{}"}, {"count", "[]"}, {"count", "7"}, {"count", "no json"},
	    {"count", R"({"limit": 1})"}, {"ignore", R"({"into": "k"})"}, {"latest", R"({"on_error": "skip"})"},
	    {"merge", R"({"fields": ["a"]})"}, {"count", R"({"unknown": 1})"}, {"merge", R"({"into": ""})"}, {"merge", R"({"into": null})"},
	    {"append", R"({"limit": 0})"}, {"append", R"({"limit": -1})"}, {"append", R"({"limit": 1.5})"}, {"append", R"({"limit": "9"})"},
	    {"append", R"({"limit": 1000001})"}, {"append", R"({"limit": 18446744073709551615})"}, {"sum", R"({"fields": []})"},
	    {"sum", R"({"fields": "a"})"}, {"sum", R"({"fields": [null]})"}, {"patch", R"({"on_error": "wait"})"},
	    {"patch", R"({"on_error": true})"}, {"function", "{}"}, {"function", R"({"function": ""})"},
	    {"function", R"({"function": "f", "into": "k"})"}, {"count", R"({"category": ""})"}, {"count", R"({"category": "a:b"})"},
	};
	for (const auto &[kind, options] : refused) {
		SCOPED_TRACE(std::string(kind) + " " + options);
		const DomainError error = ExpectError("22023", [&, kind = kind, options = options] { ParseReducer("t", kind, options); });
		EXPECT_FALSE(error.hint().empty());
	}
	EXPECT_TRUE(Contains(ExpectError("22023", [] { Parsed("count", R"({"limit": 1})"); }).hint(), "into"));
}

TEST(Reducer, TheCategorysOwnComesFirst) {
	ReducerSet set;
	Reducer general;
	general.kind = ReducerKind::kCount;
	Reducer closer;
	closer.kind = ReducerKind::kSum;
	set.Declare("t", "", general);
	set.Declare("t", "user", closer);
	set.Declare("only", "user", closer);
	EXPECT_EQ(set.Find("t", "user")->kind, ReducerKind::kSum);
	EXPECT_EQ(set.Find("t", "users")->kind, ReducerKind::kCount);
	EXPECT_EQ(set.Find("t", "")->kind, ReducerKind::kCount);
	EXPECT_EQ(set.Find("only", "session"), nullptr);
	EXPECT_EQ(set.Find("other", "user"), nullptr);
}

} // namespace
} // namespace auren
