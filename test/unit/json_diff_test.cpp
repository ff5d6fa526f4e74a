#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/json/json_diff.hpp"
#include "core/json/json_equal.hpp"
#include "core/state/json_patch.hpp"
#include "unit/json_text.hpp"

namespace auren {
namespace {

using test::DocumentOf;
using test::FromText;
using test::TextHost;
using test::ToText;

struct Difference {
	const char *from;
	const char *to;
	const char *patch;
};

void
ExpectTurns(const Json &from, const Json &to) {
	const TextHost host;
	const Json patch = Diff(from, to, host);
	Json target = from;
	ApplyPatch(&target, patch, host);
	EXPECT_TRUE(Equal(target, to, host)) << ToText(from) << " to " << ToText(to) << " by " << ToText(patch);
	EXPECT_EQ(patch.array().empty(), Equal(from, to, host)) << ToText(from) << " to " << ToText(to);
}

void
ExpectDiff(const Difference &difference) {
	const TextHost host;
	for (const bool from_document : {false, true}) {
		for (const bool to_document : {false, true}) {
			SCOPED_TRACE(std::string(difference.from) + " to " + difference.to + (from_document ? ", from" : "") + (to_document ? ", to" : ""));
			const Json from = from_document ? DocumentOf(difference.from) : FromText(difference.from);
			const Json to = to_document ? DocumentOf(difference.to) : FromText(difference.to);
			EXPECT_EQ(ToText(Diff(from, to, host)), ToText(FromText(difference.patch)));
			ExpectTurns(from, to);
		}
	}
}

TEST(Diff, IsEmptyBetweenEqualValues) {
	for (const char *value : {"null", "true", "1", "\"a\"", "[]", "{}", R"({"a":[1,{"b":null}]})"}) {
		ExpectDiff({value, value, "[]"});
	}
	ExpectDiff({R"({"a":1.0,"b":[1e2]})", R"({"b":[100],"a":1})", "[]"});
}

TEST(Diff, ReplacesTheRoot) {
	ExpectDiff({"1", "2", R"([{"op":"replace","path":"","value":2}])"});
	ExpectDiff({"{}", "[]", R"([{"op":"replace","path":"","value":[]}])"});
	ExpectDiff({"null", R"({"a":1})", R"([{"op":"replace","path":"","value":{"a":1}}])"});
	ExpectDiff({R"({"a":1})", "null", R"([{"op":"replace","path":"","value":null}])"});
}

TEST(Diff, ComparesObjectsMemberByMember) {
	ExpectDiff({R"({"a":1,"b":2,"d":4})", R"({"a":1,"c":3,"d":5})",
	            R"([{"op":"remove","path":"/b"},{"op":"add","path":"/c","value":3},
					{"op":"replace","path":"/d","value":5}])"});
	ExpectDiff({R"({"a":{"b":{"c":1,"d":2}}})", R"({"a":{"b":{"c":1,"d":null}}})", R"([{"op":"replace","path":"/a/b/d","value":null}])"});
	ExpectDiff({"{}", R"({"":null})", R"([{"op":"add","path":"/","value":null}])"});
	ExpectDiff(
		{R"({"a/b":1,"m~n":{"":1}})", R"({"a/b":2,"m~n":{}})", R"([{"op":"replace","path":"/a~1b","value":2},{"op":"remove","path":"/m~0n/"}])"});
}

TEST(Diff, ComparesArraysWithoutTheirEqualEnds) {
	ExpectDiff({"[1,2,3]", "[1,2,3,4,5]", R"([{"op":"add","path":"/3","value":4},{"op":"add","path":"/4","value":5}])"});
	ExpectDiff({"[1,2,3]", "[0,1,2,3]", R"([{"op":"add","path":"/0","value":0}])"});
	ExpectDiff({"[1,2,3,4]", "[1,4]", R"([{"op":"remove","path":"/2"},{"op":"remove","path":"/1"}])"});
	ExpectDiff({"[1,2,3]", "[1,9,3]", R"([{"op":"replace","path":"/1","value":9}])"});
	ExpectDiff({"[1,1,1]", "[1,1]", R"([{"op":"remove","path":"/2"}])"});
	ExpectDiff({"[1,2]", "[]", R"([{"op":"remove","path":"/1"},{"op":"remove","path":"/0"}])"});
	ExpectDiff(
		{R"([0,{"a":1,"b":[1]},2,3])", R"([0,{"a":1,"b":[2]},3])", R"([{"op":"replace","path":"/1/b/0","value":2},{"op":"remove","path":"/2"}])"});
	ExpectDiff({R"([[1],[2]])", R"([[1],[2,3],[4]])", R"([{"op":"add","path":"/1/1","value":3},{"op":"add","path":"/2","value":[4]}])"});
}

TEST(Diff, KeepsTheBytesOfNumbers) {
	ExpectDiff({R"({"a":1})", R"({"a":0.10,"b":1e400,"c":12345678901234567890})",
	            R"([{"op":"replace","path":"/a","value":0.10},{"op":"add","path":"/b","value":1e400},
					{"op":"add","path":"/c","value":12345678901234567890}])"});
}

TEST(Diff, DoesNotLookIntoDocumentsOfTheSameBytes) {
	class Blind : public TextHost {
	  public:
		Json
		Expand(std::string_view) const override {
			ADD_FAILURE() << "expanded";
			return Json();
		}
	};
	EXPECT_TRUE(Diff(DocumentOf("[1]"), DocumentOf("[1]"), Blind()).array().empty());
}

Json
RandomValue(std::mt19937 *random, int depth) {
	switch ((*random)() % (depth > 0 ? 8 : 5)) {
	case 0:
		return Json();
	case 1:
		return Json((*random)() % 2 == 0);
	case 2:
		return Json(Json::Number{(*random)() % 2 == 0 ? "1" : "1.0"});
	case 3:
		return Json(Json::Number{std::to_string((*random)() % 3)});
	case 4:
		return Json(std::string((*random)() % 3, 'x'));
	case 5:
	case 6: {
		Json::Array array;
		for (std::size_t n = (*random)() % 5; n > 0; n--) {
			array.push_back(RandomValue(random, depth - 1));
		}
		return Json(std::move(array));
	}
	default: {
		static const char *const keys[] = {"a", "b", "", "0", "~", "/", "a/b~c"};
		Json::Object object;
		for (std::size_t n = (*random)() % 5; n > 0; n--) {
			object.insert_or_assign(keys[(*random)() % 7], RandomValue(random, depth - 1));
		}
		return Json(std::move(object));
	}
	}
}

TEST(Diff, TurnsAnyValueIntoAnyOther) {
	std::mt19937 random(20'260'101);
	for (int i = 0; i < 3000; i++) {
		const Json from = RandomValue(&random, 4);
		const Json to = RandomValue(&random, 4);
		ExpectTurns(from, to);
		ExpectTurns(DocumentOf(ToText(from)), DocumentOf(ToText(to)));
		if (HasFailure()) {
			return;
		}
	}
}

} // namespace
} // namespace auren
