// Each kind with each option, and each refusal with its texts.

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/state/reducer.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::ExpectError;

// an event type that no option names
constexpr const char *kType = "thing_happened";

Reducer
Parsed(const std::string &kind, const std::string &options) {
	return ParseReducer(kType, kind, options).reducer;
}

// ---- what is declared -----------------------------------------------------------------------------------------------

struct KindCase {
	std::string name;
	ReducerKind kind;
	bool own_key; // `into` is the event type by default
};

const std::vector<KindCase> &
Kinds() {
	static const std::vector<KindCase> kinds = {
		{"latest", ReducerKind::kLatest, true},  {"merge", ReducerKind::kMerge, false},       {"patch", ReducerKind::kPatch, false},
		{"sum", ReducerKind::kSum, true},        {"count", ReducerKind::kCount, true},        {"append", ReducerKind::kAppend, true},
		{"ignore", ReducerKind::kIgnore, false}, {"function", ReducerKind::kFunction, false},
	};
	return kinds;
}

TEST(ParseReducer, KnowsEachKindAndItsDefaults) {
	for (const KindCase &kind : Kinds()) {
		SCOPED_TRACE(kind.name);
		const bool function = kind.name == "function";
		const ReducerOptions parsed = ParseReducer(kType, kind.name, function ? R"({"function":"f"})" : "{}");
		EXPECT_EQ(parsed.category, "");
		EXPECT_EQ(parsed.reducer.kind, kind.kind);
		EXPECT_EQ(parsed.reducer.into, kind.own_key ? std::optional<std::string>(kType) : std::nullopt);
		EXPECT_TRUE(parsed.reducer.fields.empty());
		EXPECT_EQ(parsed.reducer.limit, 1000U);
		EXPECT_FALSE(parsed.reducer.skip_errors);
		EXPECT_EQ(parsed.reducer.function, function ? "f" : "");
		EXPECT_EQ(parsed.reducer.function_oid, 0U);
	}
}

TEST(ParseReducer, ReadsTheOptions) {
	for (const char *kind : {"latest", "merge", "patch", "sum", "count", "append"}) {
		EXPECT_EQ(Parsed(kind, R"({"into":"a.b/c~ d"})").into, "a.b/c~ d") << kind;
	}
	EXPECT_EQ(Parsed("sum", R"({"fields":["a","","a","b c"]})").fields, (std::vector<std::string>{"a", "", "a", "b c"}));
	EXPECT_EQ(Parsed("append", R"({"limit":1})").limit, 1U);
	EXPECT_EQ(Parsed("append", R"({"limit":1000000})").limit, 1000000U);
	for (const char *kind : {"patch", "function"}) {
		const std::string function = std::string(kind) == "function" ? R"(,"function":"s.f")" : "";
		EXPECT_TRUE(Parsed(kind, R"({"on_error":"skip")" + function + "}").skip_errors) << kind;
		EXPECT_FALSE(Parsed(kind, R"({"on_error":"error")" + function + "}").skip_errors) << kind;
	}
	EXPECT_EQ(Parsed("function", R"({"function":"\"My Schema\".f"})").function, "\"My Schema\".f");

	const ReducerOptions all = ParseReducer("t", "sum", R"({"category":"order","fields":["x"],"into":"totals"})");
	EXPECT_EQ(all.category, "order");
	EXPECT_EQ(all.reducer.into, "totals");
	EXPECT_EQ(all.reducer.fields, std::vector<std::string>{"x"});
}

// ---- what is refused ------------------------------------------------------------------------------------------------

// The error, with a hint that is a sentence.
DomainError
Refused(const std::string &kind, const std::string &options) {
	SCOPED_TRACE(kind + " " + options);
	DomainError error = ExpectError(sqlstate::kInvalidParameter, [&] { ParseReducer(kType, kind, options); });
	EXPECT_FALSE(error.hint().empty());
	EXPECT_TRUE(error.hint().empty() || error.hint().back() == '.');
	return error;
}

TEST(ParseReducer, RefusesAnUnknownKind) {
	for (const char *kind : {"", "Latest", "LATEST", "latest ", "sums", "replace"}) {
		const DomainError error = Refused(kind, "{}");
		EXPECT_EQ(error.message(), "there is no reducer of kind \"" + std::string(kind) + "\"");
		for (const KindCase &known : Kinds()) {
			EXPECT_TRUE(Contains(error.hint(), known.name)) << known.name;
		}
	}
	// whatever the options are
	EXPECT_TRUE(Contains(Refused("none", "[]").message(), "\"none\""));
}

TEST(ParseReducer, RefusesOptionsThatAreNoObject) {
	for (const char *options : {"[]", "null", "1", "\"into\"", "true", "", "{", R"({"into":"a"} {})"}) {
		const DomainError error = Refused("latest", options);
		EXPECT_EQ(error.message(), "the options of a reducer must be a JSON object");
		EXPECT_TRUE(Contains(error.hint(), "'{}'"));
	}
}

struct OptionCase {
	std::string name;
	std::string good; // a value that is taken
	std::vector<std::string> kinds;
};

const std::vector<OptionCase> &
Options() {
	static const std::vector<OptionCase> options = {
		{"category", R"("c")", {"latest", "merge", "patch", "sum", "count", "append", "ignore", "function"}},
		{"into", R"("k")", {"latest", "merge", "patch", "sum", "count", "append"}},
		{"fields", R"(["f"])", {"sum"}},
		{"limit", "5", {"append"}},
		{"on_error", R"("skip")", {"patch", "function"}},
		{"function", R"("f")", {"function"}},
	};
	return options;
}

bool
Has(const KindCase &kind, const OptionCase &option) {
	for (const std::string &of : option.kinds) {
		if (of == kind.name) {
			return true;
		}
	}
	return false;
}

// Each option with each kind: the hint lists those that the kind has.
TEST(ParseReducer, RefusesTheOptionsOfOtherKinds) {
	for (const KindCase &kind : Kinds()) {
		for (const OptionCase &option : Options()) {
			const std::string member = "\"" + option.name + "\":" + option.good;
			if (Has(kind, option)) {
				const bool needs_function = kind.name == "function" && option.name != "function";
				const std::string options = "{" + member + (needs_function ? R"(,"function":"f"})" : "}");
				EXPECT_NO_THROW(ParseReducer(kType, kind.name, options)) << kind.name << " " << options;
				continue;
			}
			const DomainError error = Refused(kind.name, "{" + member + "}");
			EXPECT_EQ(error.message(), "a reducer of kind " + kind.name + " has no option \"" + option.name + "\"");
			for (const OptionCase &other : Options()) {
				EXPECT_EQ(Contains(error.hint(), other.name), Has(kind, other)) << kind.name << ": " << error.hint();
			}
		}
	}
}

TEST(ParseReducer, RefusesAnUnknownOption) {
	for (const KindCase &kind : Kinds()) {
		for (const std::string option : {"Into", "in_to", "", "into "}) {
			const DomainError error = Refused(kind.name, "{\"" + option + "\":null}");
			EXPECT_TRUE(Contains(error.message(), "has no option \"" + option + "\"")) << error.message();
			EXPECT_TRUE(Contains(error.hint(), "Options of this kind: category")) << error.hint();
		}
	}
}

struct BadValues {
	const char *option;
	const char *message; // after the option's name
	std::vector<const char *> kinds;
	std::vector<const char *> values;
};

TEST(ParseReducer, RefusesValuesThatAnOptionCannotTake) {
	const std::vector<BadValues> bad = {
		{"category", "must be a string", {"latest", "ignore", "function"}, {"null", "1", R"(["a"])", "{}"}},
		{"category", "must not be empty", {"merge", "ignore"}, {R"("")"}},
		{"category", "must not hold a colon", {"merge", "ignore"}, {R"("a:")", R"(":")", R"("a:b")"}},
		{"into", "must be a string", {"latest", "merge", "patch", "sum", "count", "append"}, {"null", R"(["a","b"])", "{}", "0"}},
		{"into", "must not be empty", {"latest", "merge", "patch", "sum", "count", "append"}, {R"("")"}},
		{"fields", "must be an array of field names", {"sum"}, {"null", R"("a")", "{}", "[]", R"(["a",1])", "[null]"}},
		{"limit",
	     "must be a whole number from 1 to 1000000",
	     {"append"},
	     {"0", "-1", "1000001", "1.5", "9223372036854775808", "18446744073709551615", R"("10")", "null", "[1]"}},
		{"on_error", "must be a string", {"patch", "function"}, {"null", "true", "[]"}},
		{"on_error", "must not be empty", {"patch", "function"}, {R"("")"}},
		{"on_error", "must be \"error\" or \"skip\"", {"patch", "function"}, {R"("SKIP")", R"("ignore")", R"("skip ")"}},
		{"function", "must be a string", {"function"}, {"null", "1", R"(["f"])"}},
		{"function", "must not be empty", {"function"}, {R"("")"}},
	};
	for (const BadValues &each : bad) {
		for (const char *kind : each.kinds) {
			for (const char *value : each.values) {
				const DomainError error = Refused(kind, std::string("{\"") + each.option + "\":" + value + "}");
				EXPECT_EQ(error.message(), std::string("option \"") + each.option + "\" of a reducer " + each.message);
				EXPECT_EQ(error.detail(), std::string("The value given is ") + value + ".");
			}
		}
	}
	// larger than any number of the parser
	EXPECT_TRUE(Contains(Refused("append", R"({"limit":18446744073709551617})").message(), "whole number"));
	EXPECT_TRUE(Contains(Refused("append", R"({"limit":0})").hint(), "1000"));
}

TEST(ParseReducer, RefusesAFunctionWithoutOne) {
	for (const char *options : {"{}", R"({"on_error":"skip"})", R"({"category":"c"})"}) {
		const DomainError error = Refused("function", options);
		EXPECT_EQ(error.message(), "a reducer of kind function needs the option \"function\"");
		EXPECT_TRUE(Contains(error.hint(), "(jsonb, text, jsonb)"));
	}
}

// ---- which one counts -----------------------------------------------------------------------------------------------

ReducerKind
KindFound(const ReducerSet &set, const char *event_type, const char *category) {
	const Reducer *reducer = set.Find(event_type, category);
	return reducer == nullptr ? ReducerKind::kLatest : reducer->kind;
}

Reducer
Of(ReducerKind kind) {
	Reducer reducer;
	reducer.kind = kind;
	return reducer;
}

TEST(ReducerSet, FindsThatOfTheCategoryFirst) {
	ReducerSet set;
	EXPECT_EQ(set.Find("t", "c"), nullptr);
	EXPECT_EQ(set.Find("t", ""), nullptr);
	set.Declare("t", "c", Of(ReducerKind::kSum));
	EXPECT_EQ(KindFound(set, "t", "c"), ReducerKind::kSum);
	EXPECT_EQ(set.Find("t", "d"), nullptr);
	EXPECT_EQ(set.Find("t", ""), nullptr);
	EXPECT_EQ(set.Find("T", "c"), nullptr);
	EXPECT_EQ(set.Find("c", "t"), nullptr);
	set.Declare("t", "", Of(ReducerKind::kCount));
	EXPECT_EQ(KindFound(set, "t", "c"), ReducerKind::kSum);
	EXPECT_EQ(KindFound(set, "t", "d"), ReducerKind::kCount);
	EXPECT_EQ(KindFound(set, "t", ""), ReducerKind::kCount);
	// the order in which they are declared says nothing
	set.Declare("u", "", Of(ReducerKind::kCount));
	set.Declare("u", "c", Of(ReducerKind::kAppend));
	EXPECT_EQ(KindFound(set, "u", "c"), ReducerKind::kAppend);
	EXPECT_EQ(KindFound(set, "u", "cc"), ReducerKind::kCount);
}

TEST(ReducerSet, KeepsTheLastOneDeclared) {
	ReducerSet set;
	set.Declare("t", "", Of(ReducerKind::kCount));
	set.Declare("t", "", Of(ReducerKind::kIgnore));
	EXPECT_EQ(KindFound(set, "t", "c"), ReducerKind::kIgnore);
	set.Declare("t", "c", Of(ReducerKind::kSum));
	set.Declare("t", "c", Of(ReducerKind::kMerge));
	EXPECT_EQ(KindFound(set, "t", "c"), ReducerKind::kMerge);
	EXPECT_EQ(KindFound(set, "t", ""), ReducerKind::kIgnore);
}

} // namespace
} // namespace auren
