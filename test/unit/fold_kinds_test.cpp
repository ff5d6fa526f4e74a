// Each kind of reducer, whatever form a state and an event have, and kinds that meet on one key.

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/state/fold.hpp"
#include "unit/event_text.hpp"
#include "unit/expect_error.hpp"

namespace auren {
namespace {

using test::Contains;
using test::CountDocuments;
using test::DocumentOf;
using test::EventText;
using test::ExpectError;
using test::FromText;
using test::FunctionHost;
using test::ToText;

// event types and data
using Events = std::vector<std::pair<const char *, const char *>>;

// The fold of one stream, with texts on both sides.
class FoldTest : public testing::Test {
  protected:
	void
	Declare(const std::string &event_type, const char *kind, const char *options = "{}") {
		ReducerOptions parsed = ParseReducer(event_type, kind, options);
		reducers_.Declare(event_type, parsed.category, std::move(parsed.reducer));
	}
	Fold &
	fold() {
		if (!fold_) {
			fold_.emplace(reducers_, category_, &host_);
		}
		return *fold_;
	}
	void
	Apply(std::string_view event_type, const std::string &data) {
		fold().Apply(event_type, EventText(data, host_));
	}
	std::string
	State() {
		return ToText(fold().state());
	}
	void
	Start(const std::string &state) {
		fold().Start(DocumentOf(state));
	}
	// Begins a new stream.
	void
	Begin(std::string_view category = "") {
		category_ = category;
		fold_.reset();
	}
	// What the events make of a state, whatever form the state and the data have.
	void
	ExpectFold(const char *before, const Events &events, const std::string &after) {
		for (int form = 0; form < 6; form++) {
			SCOPED_TRACE(std::string(before) + " in form " + std::to_string(form));
			Begin();
			fold().Start(form % 2 == 0 ? DocumentOf(before) : FromText(before));
			for (const auto &[event_type, data] : events) {
				if (form / 2 == 0) {
					Apply(event_type, data);
				} else {
					const Json value = form / 2 == 1 ? DocumentOf(data) : FromText(data);
					fold().Apply(event_type, JsonView(value, host_));
				}
			}
			EXPECT_EQ(State(), ToText(FromText(after)));
		}
	}
	// The same after some events more.
	void
	ExpectFold(Events events, const Events &more, const std::string &after) {
		events.insert(events.end(), more.begin(), more.end());
		ExpectFold("{}", events, after);
	}

	FunctionHost host_;
	ReducerSet reducers_;

  private:
	std::string category_;
	std::optional<Fold> fold_;
};

// ---- each kind ------------------------------------------------------------------------------------------------------

TEST_F(FoldTest, BeginsAsAnEmptyObject) {
	EXPECT_EQ(State(), "{}");
}

TEST_F(FoldTest, KeepsTheLatestOfEachTypeWithNothingDeclared) {
	ExpectFold("{}", {{"a", "1"}, {"b", R"({"x":[1.50,null]})"}, {"a", R"({"y":2})"}}, R"({"a":{"y":2},"b":{"x":[1.50,null]}})");
	ExpectFold("{}", {{"a", "[1]"}, {"a", "null"}}, R"({"a":null})");
	ExpectFold("{}", {{"", "true"}, {"/~", "\"s\""}}, R"({"":true,"/~":"s"})");
}

TEST_F(FoldTest, LatestInto) {
	Declare("a", "latest", R"({"into":"k"})");
	Declare("b", "latest", R"({"into":"k"})");
	Declare("c", "latest");
	ExpectFold(R"({"a":0})", {{"a", "1"}, {"b", "[2]"}, {"c", "3"}}, R"({"a":0,"k":[2],"c":3})");
	ExpectFold(R"({"k":[1]})", {{"b", "{}"}, {"a", "null"}}, R"({"k":null})");
}

TEST_F(FoldTest, Merge) {
	Declare("m", "merge");
	ExpectFold(R"({"a":1,"b":{"c":1}})", {{"m", R"({"a":null,"b":{"d":2}})"}}, R"({"b":{"c":1,"d":2}})");
	ExpectFold("{}", {{"m", R"({"a":{"b":null}})"}}, R"({"a":{}})");
	ExpectFold(R"({"a":1})", {{"m", "7"}}, "7");
	ExpectFold(R"({"a":1})", {{"m", "null"}}, "null");
	ExpectFold(R"({"a":1})", {{"m", "[1]"}, {"m", R"({"b":1})"}}, R"({"b":1})");
}

TEST_F(FoldTest, MergeInto) {
	Declare("m", "merge", R"({"into":"k"})");
	ExpectFold("{}", {{"m", R"({"a":1,"b":null})"}, {"m", R"({"a":null,"c":2})"}}, R"({"k":{"c":2}})");
	ExpectFold("{}", {{"m", "{}"}}, R"({"k":{}})");
	ExpectFold(R"({"k":5,"a":1})", {{"m", R"({"a":2})"}}, R"({"k":{"a":2},"a":1})");
	ExpectFold(R"({"k":{"a":1}})", {{"m", "[null]"}}, R"({"k":[null]})");
	// null in place of S[into], as the RFC has it, not the end of its member
	ExpectFold(R"({"k":{"a":1}})", {{"m", "null"}}, R"({"k":null})");
}

TEST_F(FoldTest, Sum) {
	Declare("s", "sum");
	ExpectFold("{}", {{"s", R"({"a":0.10,"b":12345678901234567890,"c":"1"})"}, {"s", R"({"a":0.2,"b":1,"d":{"e":1}})"}},
	           R"({"s":{"a":0.30,"b":12345678901234567891}})");
	ExpectFold(R"({"s":{"a":"x","b":null,"c":[1],"d":{}}})", {{"s", R"({"a":1,"b":2,"c":3,"d":-4})"}, {"s", R"({"b":1})"}},
	           R"({"s":{"a":1,"b":3,"c":3,"d":-4}})");
	ExpectFold(R"({"s":[1]})", {{"s", R"({"a":1})"}}, R"({"s":{"a":1}})");
	ExpectFold(R"({"s":7})", {{"s", R"({"a":1})"}}, R"({"s":{"a":1}})");
}

TEST_F(FoldTest, SumInto) {
	Declare("s", "sum", R"({"into":"k","fields":["a","b"]})");
	Declare("t", "sum", R"({"into":"k"})");
	ExpectFold("{}", {{"s", R"({"a":1,"c":1})"}, {"t", R"({"a":1,"c":5})"}, {"s", R"({"b":2,"c":9})"}}, R"({"k":{"a":2,"b":2,"c":5}})");
}

TEST_F(FoldTest, SumWithoutNumbersChangesNothing) {
	Declare("s", "sum");
	Declare("f", "sum", R"({"fields":["a"]})");
	for (const char *before : {"{}", "7", "null", R"({"s":[1],"f":"x"})", "[]"}) {
		for (const char *data : {"1", "[1]", "\"1\"", "null", "{}", R"({"b":"1","c":{"a":1},"d":[1],"e":null})"}) {
			ExpectFold(before, {{"s", data}, {"f", data}}, before);
		}
		ExpectFold(before, {{"f", R"({"b":1})"}}, before);
	}
}

TEST_F(FoldTest, Count) {
	Declare("c", "count");
	Declare("d", "count", R"({"into":"k"})");
	Declare("e", "count", R"({"into":"k"})");
	ExpectFold("{}", {{"c", "null"}, {"d", "[1]"}, {"c", "{}"}, {"e", "7"}, {"d", "1"}}, R"({"c":2,"k":3})");
	ExpectFold(R"({"c":99999999999999999999.5})", {{"c", "1"}}, R"({"c":100000000000000000000.5})");
	ExpectFold(R"({"c":"9","k":[5]})", {{"c", "1"}, {"d", "1"}}, R"({"c":1,"k":1})");
	ExpectFold(R"({"c":null,"k":{"a":1}})", {{"c", "1"}, {"e", "1"}, {"e", "1"}}, R"({"c":1,"k":2})");
}

TEST_F(FoldTest, Append) {
	Declare("a", "append");
	Declare("b", "append", R"({"into":"k"})");
	ExpectFold("{}", {{"a", "1"}, {"b", "null"}, {"a", "[2]"}, {"b", R"({"x":1})"}}, R"({"a":[1,[2]],"k":[null,{"x":1}]})");
	ExpectFold(R"({"a":7,"k":{"x":1}})", {{"a", "1"}, {"b", "[]"}}, R"({"a":[1],"k":[[]]})");
	ExpectFold(R"({"a":null,"k":"s"})", {{"a", "1"}, {"b", "1"}}, R"({"a":[1],"k":[1]})");
}

TEST_F(FoldTest, AppendKeepsTheLastOnes) {
	Declare("a", "append", R"({"limit":3})");
	Declare("o", "append", R"({"limit":1})");
	ExpectFold("{}", {{"a", "1"}, {"a", "2"}, {"a", "3"}}, R"({"a":[1,2,3]})");
	ExpectFold("{}", {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}}, R"({"a":[2,3,4]})");
	ExpectFold("{}", {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}, {"a", "5"}, {"a", "6"}}, R"({"a":[4,5,6]})");
	ExpectFold(R"({"a":[1,2,3,4,5]})", {{"a", "6"}}, R"({"a":[4,5,6]})");
	ExpectFold(R"({"a":[1,2,3,4,5]})", {{"a", "6"}, {"a", "7"}}, R"({"a":[5,6,7]})");
	ExpectFold("{}", {{"o", "[1]"}, {"o", "{}"}, {"o", "\"x\""}}, R"({"o":["x"]})");
}

TEST_F(FoldTest, AppendKeepsAThousandByDefault) {
	Declare("a", "append");
	std::string expected = "[";
	for (int i = 0; i < 2345; i++) {
		Apply("a", std::to_string(i));
		if (i >= 1345) {
			expected += (i > 1345 ? "," : "") + std::to_string(i);
		}
		// looked at while it grows, when it is full, and in the midst of a turn
		if (i == 10 || i == 999 || i == 1000 || i == 1700) {
			const Json::Array &array = fold().state().object().at("a").array();
			EXPECT_EQ(array.size(), i < 1000 ? static_cast<std::size_t>(i) + 1 : 1000U);
			EXPECT_EQ(ToText(array.back()), std::to_string(i));
		}
	}
	EXPECT_EQ(State(), R"({"a":)" + expected + "]}");
}

TEST_F(FoldTest, IgnoreChangesNothing) {
	Declare("i", "ignore");
	for (const char *before : {"{}", "7", R"({"i":1})"}) {
		ExpectFold(before, {{"i", R"({"a":1})"}, {"i", "null"}}, before);
	}
}

// ---- patch ----------------------------------------------------------------------------------------------------------

constexpr const char *kAddX = R"([{"op":"add","path":"/x","value":1}])";
// its first operation can be applied
constexpr const char *kFails = R"([{"op":"add","path":"/x","value":1},{"op":"remove","path":"/a"},{"op":"remove","path":"/none"}])";

TEST_F(FoldTest, Patch) {
	Declare("p", "patch");
	ExpectFold("{}", {{"p", kAddX}}, R"({"x":1})");
	ExpectFold(R"({"a":{"b":[1]}})", {{"p", R"([{"op":"move","from":"/a/b/0","path":"/c"},{"op":"copy","from":"","path":"/d"}])"}},
	           R"({"a":{"b":[]},"c":1,"d":{"a":{"b":[]},"c":1}})");
	ExpectFold(R"({"a":1})", {{"p", R"([{"op":"replace","path":"","value":[1]}])"}, {"p", R"([{"op":"add","path":"/-","value":2}])"}}, "[1,2]");
	ExpectFold(R"({"a":1})", {{"p", R"([{"op":"remove","path":""}])"}}, "null");
	ExpectFold(R"({"a":1})", {{"p", "[]"}}, R"({"a":1})");
}

TEST_F(FoldTest, PatchInto) {
	Declare("p", "patch", R"({"into":"k"})");
	ExpectFold(R"({"x":0})", {{"p", kAddX}, {"p", R"([{"op":"test","path":"/x","value":1.0}])"}}, R"({"x":0,"k":{"x":1}})");
	ExpectFold("7", {{"p", kAddX}}, R"({"k":{"x":1}})");
	ExpectFold("{}", {{"p", "[]"}}, R"({"k":{}})");
	ExpectFold(R"({"k":[1]})", {{"p", R"([{"op":"add","path":"/0","value":0}])"}}, R"({"k":[0,1]})");
	// what it removes as a whole is null, not missing
	ExpectFold(R"({"k":1})", {{"p", R"([{"op":"remove","path":""}])"}}, R"({"k":null})");
}

TEST_F(FoldTest, PatchThatFailsLeavesTheStateAsItWas) {
	Declare("p", "patch", R"({"on_error":"skip"})");
	Declare("pk", "patch", R"({"into":"k","on_error":"skip"})");
	Declare("e", "patch");
	Declare("ek", "patch", R"({"into":"k"})");
	const char *const bad[] = {kFails, "7", "{}", "null", R"([{"op":"add","path":"/x","value":1},7])", R"([{"op":"add","path":"x","value":1}])"};
	const char *const states[] = {"{}", "7", "null", "[1]", R"({"a":1})", R"({"k":{"a":[1,{}]},"a":{}})", R"({"k":7})", R"({"k":null})"};
	for (const char *before : states) {
		for (const char *data : bad) {
			SCOPED_TRACE(data);
			ExpectFold(before, {{"p", data}, {"pk", data}}, before);
			for (const char *event_type : {"e", "ek"}) {
				Begin();
				Start(before);
				ExpectError(sqlstate::kInvalidParameter, [&] { Apply(event_type, data); });
				EXPECT_EQ(State(), ToText(FromText(before)));
				// and the fold goes on
				Apply("other", "1");
				EXPECT_TRUE(Contains(State(), R"("other":1)"));
			}
		}
	}
}

// After a patch that failed, a part that was missing is made anew.
TEST_F(FoldTest, PatchGoesOnAfterAFailure) {
	Declare("p", "patch", R"({"into":"k","on_error":"skip"})");
	Declare("c", "count", R"({"into":"k"})");
	ExpectFold("{}", {{"p", kFails}, {"p", kAddX}, {"p", kFails}, {"p", R"([{"op":"copy","from":"/x","path":"/y"}])"}}, R"({"k":{"x":1,"y":1}})");
	ExpectFold("[]", {{"p", kFails}, {"c", "1"}, {"p", kFails}, {"c", "1"}}, R"({"k":2})");
}

class FailingHost : public FunctionHost {
  public:
	Json
	Expand(std::string_view document) const override {
		if (Contains(std::string(document), "deep")) {
			throw DomainError("54001", "stack depth limit exceeded", "It is too deep.");
		}
		return FunctionHost::Expand(document);
	}
};

TEST_F(FoldTest, PatchDoesNotSkipWhatIsWrongWithTheServer) {
	FailingHost host;
	Declare("p", "patch", R"({"into":"k","on_error":"skip"})");
	Fold fold(reducers_, "", &host);
	ExpectError("54001", [&] { fold.Apply("p", EventText(R"([{"op":"add","path":"/deep","value":1}])", host)); });
	EXPECT_EQ(ToText(fold.state()), "{}");
}

// ---- kinds that change one key --------------------------------------------------------------------------------------

TEST_F(FoldTest, KindsTakeTurnsOnOneKey) {
	Declare("a", "append", R"({"into":"k","limit":3})");
	Declare("l", "latest", R"({"into":"k"})");
	Declare("m", "merge", R"({"into":"k"})");
	Declare("s", "sum", R"({"into":"k"})");
	Declare("c", "count", R"({"into":"k"})");
	Declare("p", "patch", R"({"into":"k"})");
	// a ring of 4, 5, 3
	const Events ring = {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"a", "4"}, {"a", "5"}};
	ExpectFold(ring, {}, R"({"k":[3,4,5]})");
	ExpectFold(ring, {{"l", "[9]"}, {"a", "6"}}, R"({"k":[9,6]})");
	ExpectFold(ring, {{"l", "[7,8,9]"}, {"a", "6"}}, R"({"k":[8,9,6]})");
	ExpectFold(ring, {{"m", R"({"x":1})"}, {"a", "6"}}, R"({"k":[6]})");
	ExpectFold(ring, {{"m", "[7,8,9,10]"}, {"a", "6"}, {"a", "7"}}, R"({"k":[10,6,7]})");
	ExpectFold(ring, {{"s", R"({"x":1})"}, {"s", R"({"x":1})"}}, R"({"k":{"x":2}})");
	ExpectFold(ring, {{"s", R"({"x":"1"})"}, {"a", "6"}}, R"({"k":[4,5,6]})");
	ExpectFold(ring, {{"c", "0"}, {"c", "0"}, {"a", "1"}}, R"({"k":[1]})");
	ExpectFold(ring, {{"p", R"([{"op":"remove","path":"/0"}])"}}, R"({"k":[4,5]})");
	ExpectFold(ring, {{"p", R"([{"op":"remove","path":"/0"}])"}, {"a", "6"}, {"a", "7"}}, R"({"k":[5,6,7]})");
	ExpectFold(ring, {{"p", R"([{"op":"add","path":"/0","value":0}])"}, {"a", "6"}}, R"({"k":[4,5,6]})");
	ExpectFold(ring, {{"p", R"([{"op":"test","path":"","value":[3,4,5]}])"}, {"a", "6"}, {"p", R"([{"op":"test","path":"/2","value":6}])"}},
	           R"({"k":[4,5,6]})");
}

// Changes of the whole state put in order the rings that they name, and leave the others turning.
TEST_F(FoldTest, ChangesOfTheStateMeetRings) {
	Declare("a", "append", R"({"into":"k","limit":3})");
	Declare("b", "append", R"({"into":"j","limit":2})");
	Declare("m", "merge", R"({"into":"k"})");
	Declare("c", "count", R"({"into":"k"})");
	Declare("M", "merge");
	Declare("P", "patch");
	const Events rings = {{"a", "1"}, {"b", "1"}, {"a", "2"}, {"b", "2"}, {"a", "3"}, {"b", "3"}, {"a", "4"}, {"a", "5"}};
	ExpectFold(rings, {{"M", R"({"k":[1,2]})"}, {"a", "6"}}, R"({"k":[1,2,6],"j":[2,3]})");
	ExpectFold(rings, {{"M", R"({"k":null})"}, {"a", "6"}, {"b", "4"}}, R"({"k":[6],"j":[3,4]})");
	ExpectFold(rings, {{"M", R"({"k":{"x":1}})"}, {"m", R"({"y":2})"}}, R"({"k":{"x":1,"y":2},"j":[2,3]})");
	ExpectFold(rings, {{"M", R"({"z":1})"}, {"a", "6"}, {"a", "7"}, {"M", R"({"z":2})"}, {"b", "4"}}, R"({"k":[5,6,7],"j":[3,4],"z":2})");
	ExpectFold(rings, {{"P", R"([{"op":"test","path":"/k/0","value":3}])"}, {"a", "6"}, {"b", "4"}}, R"({"k":[4,5,6],"j":[3,4]})");
	ExpectFold(rings, {{"P", R"([{"op":"copy","from":"/k","path":"/z"}])"}, {"a", "6"}}, R"({"k":[4,5,6],"j":[2,3],"z":[3,4,5]})");
	ExpectFold(rings, {{"P", R"([{"op":"move","from":"/k","path":"/z"}])"}, {"a", "6"}}, R"({"k":[6],"j":[2,3],"z":[3,4,5]})");
	ExpectFold(rings, {{"P", R"([{"op":"move","from":"/k","path":"/z"},{"op":"move","from":"/z","path":"/k"}])"}, {"a", "6"}, {"a", "7"}},
	           R"({"k":[5,6,7],"j":[2,3]})");
	ExpectFold(rings, {{"P", R"([{"op":"copy","from":"","path":"/z"}])"}, {"a", "6"}}, R"({"k":[4,5,6],"j":[2,3],"z":{"k":[3,4,5],"j":[2,3]}})");
	ExpectFold(rings, {{"P", R"([{"op":"test","path":"","value":{"k":[3,4,5],"j":[2,3]}}])"}}, R"({"k":[3,4,5],"j":[2,3]})");
	ExpectFold(rings, {{"P", R"([{"op":"add","path":"/z","value":1}])"}, {"a", "6"}, {"P", R"([{"op":"add","path":"/k/-","value":7}])"}},
	           R"({"k":[4,5,6,7],"j":[2,3],"z":1})");
	ExpectFold(rings, {{"P", R"([{"op":"remove","path":"/k"}])"}, {"c", "1"}, {"b", "4"}}, R"({"k":1,"j":[3,4]})");
}

// The same key written with escapes, and a key without a character.
TEST_F(FoldTest, PatchesOfTheStateMeetRingsOfAnyName) {
	Declare("a", "append", R"({"into":"~/","limit":2})");
	Declare("", "append", R"({"limit":2})");
	Declare("P", "patch");
	ExpectFold("{}", {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"P", R"([{"op":"test","path":"/~0~1/0","value":2}])"}, {"a", "4"}}, R"({"~/":[3,4]})");
	ExpectFold("{}", {{"", "1"}, {"", "2"}, {"", "3"}, {"P", R"([{"op":"remove","path":"//0"}])"}}, R"({"":[3]})");
}

TEST_F(FoldTest, AppendsWithTwoLimitsOnOneKey) {
	Declare("a", "append", R"({"into":"k","limit":2})");
	Declare("b", "append", R"({"into":"k","limit":4})");
	const Events small = {{"a", "1"}, {"a", "2"}, {"a", "3"}};
	ExpectFold(small, {{"b", "4"}}, R"({"k":[2,3,4]})");
	ExpectFold(small, {{"b", "4"}, {"b", "5"}, {"b", "6"}}, R"({"k":[3,4,5,6]})");
	const Events large = {{"b", "1"}, {"b", "2"}, {"b", "3"}, {"b", "4"}, {"b", "5"}, {"b", "6"}};
	ExpectFold(large, {{"a", "7"}}, R"({"k":[6,7]})");
	ExpectFold(large, {{"a", "7"}, {"b", "8"}}, R"({"k":[6,7,8]})");
	ExpectFold(large, {{"a", "7"}, {"b", "8"}, {"a", "9"}, {"a", "10"}}, R"({"k":[9,10]})");
}

TEST_F(FoldTest, AppendsOfTwoTypesShareARing) {
	Declare("a", "append", R"({"into":"k","limit":3})");
	Declare("b", "append", R"({"into":"k","limit":3})");
	ExpectFold("{}", {{"a", "1"}, {"b", "2"}, {"a", "3"}, {"b", "4"}, {"b", "5"}, {"a", "6"}, {"b", "7"}}, R"({"k":[5,6,7]})");
}

TEST_F(FoldTest, ManyRings) {
	Declare("M", "merge");
	for (int i = 0; i < 50; i++) {
		Declare("t" + std::to_string(i), "append", R"({"limit":3})");
	}
	for (int n = 0; n < 5; n++) {
		for (int i = 0; i < 50; i++) {
			Apply("t" + std::to_string(i), std::to_string(n * 100 + i));
		}
	}
	Apply("M", R"({"t7":null,"t8":[1],"new":1})");
	for (int i = 0; i < 50; i += 7) {
		Apply("t" + std::to_string(i), "999");
	}
	const Json::Object &state = fold().state().object();
	EXPECT_EQ(ToText(state.at("t0")), "[300,400,999]");
	EXPECT_EQ(ToText(state.at("t1")), "[201,301,401]");
	EXPECT_EQ(ToText(state.at("t7")), "[999]");
	EXPECT_EQ(ToText(state.at("t8")), "[1]");
	EXPECT_EQ(ToText(state.at("t49")), "[349,449,999]");
}

TEST_F(FoldTest, TheStateMayBecomeAScalarAndAnObjectAgain) {
	Declare("a", "append", R"({"limit":2})");
	Declare("c", "count");
	Declare("s", "sum");
	Declare("m", "merge");
	Declare("mk", "merge", R"({"into":"k"})");
	Declare("P", "patch");
	const Events scalar = {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"c", "0"}, {"m", "7"}};
	ExpectFold(scalar, {}, "7");
	ExpectFold(scalar, {{"s", "{}"}, {"s", R"({"x":"1"})"}}, "7");
	ExpectFold(scalar, {{"a", "4"}, {"c", "0"}}, R"({"a":[4],"c":1})");
	ExpectFold(scalar, {{"c", "0"}, {"c", "0"}}, R"({"c":2})");
	ExpectFold(scalar, {{"s", R"({"x":1})"}, {"l", "1"}}, R"({"s":{"x":1},"l":1})");
	ExpectFold(scalar, {{"mk", "{}"}}, R"({"k":{}})");
	ExpectFold(scalar, {{"m", "{}"}}, "{}");
	ExpectFold(scalar, {{"m", R"({"a":[1,2]})"}, {"a", "3"}}, R"({"a":[2,3]})");
	ExpectFold(scalar, {{"P", R"([{"op":"replace","path":"","value":{"a":[8,9]}}])"}, {"a", "1"}, {"c", "0"}}, R"({"a":[9,1],"c":1})");
}

// The data of an event is kept unread; a patch may put it where a sum looks for a number.
TEST_F(FoldTest, SumsWhatAPatchMoved) {
	Declare("P", "patch");
	Declare("a", "append");
	Declare("s", "sum");
	ExpectFold("{}", {{"n", "5"}, {"s", R"({"y":1})"}, {"P", R"([{"op":"move","from":"/n","path":"/s/x"}])"}, {"s", R"({"x":2})"}},
	           R"({"s":{"x":7,"y":1}})");
	ExpectFold(R"({"s":{}})", {{"a", "0.5"}, {"P", R"([{"op":"copy","from":"/a/0","path":"/s/x"}])"}, {"s", R"({"x":2})"}},
	           R"({"a":[0.5],"s":{"x":2.5}})");
}

// ---- function -------------------------------------------------------------------------------------------------------

TEST_F(FoldTest, FunctionMakesTheState) {
	host_.Define("f", [](const std::string &state, std::string_view event_type, const std::string &data) {
		return R"({"was":)" + state + R"(,"type":")" + std::string(event_type) + R"(","data":)" + data + "}";
	});
	Declare("t", "function", R"({"function":"f"})");
	ExpectFold("{}", {{"t", "[1.50]"}}, R"({"was":{},"type":"t","data":[1.50]})");
	ExpectFold("7", {{"t", "null"}}, R"({"was":7,"type":"t","data":null})");
	// what it gets is in order, and what it gives is changed further
	Declare("a", "append", R"({"limit":2})");
	Declare("c", "count", R"({"into":"type"})");
	ExpectFold("{}", {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"t", "0"}, {"a", "4"}, {"c", "0"}}, R"({"was":{"a":[2,3]},"type":1,"data":0,"a":[4]})");
}

TEST_F(FoldTest, FunctionMayMakeAnything) {
	host_.Define("data", [](const std::string &, std::string_view, const std::string &data) { return data; });
	Declare("f", "function", R"({"function":"data"})");
	Declare("c", "count");
	ExpectFold("{}", {{"c", "0"}, {"f", "5"}}, "5");
	ExpectFold("{}", {{"c", "0"}, {"f", "5"}, {"c", "0"}}, R"({"c":1})");
	ExpectFold("{}", {{"c", "0"}, {"f", R"({"c":41})"}, {"c", "0"}}, R"({"c":42})");
}

TEST_F(FoldTest, FunctionThatFails) {
	host_.Define("fail", [](const std::string &, std::string_view, const std::string &) -> std::string {
		throw DomainError("P0001", "it fails", "It always does.");
	});
	host_.Define("cancel", [](const std::string &, std::string_view, const std::string &) -> std::string { throw std::runtime_error("cancelled"); });
	Declare("e", "function", R"({"function":"fail"})");
	Declare("s", "function", R"({"function":"fail","on_error":"skip"})");
	Declare("x", "function", R"({"function":"cancel","on_error":"skip"})");
	Declare("a", "append", R"({"limit":2})");
	ExpectFold("{}", {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"s", "1"}, {"a", "4"}, {"s", "1"}}, R"({"a":[3,4]})");
	ExpectFold("7", {{"s", "1"}}, "7");
	Begin();
	for (const char *data : {"1", "2", "3"}) {
		Apply("a", data);
	}
	ExpectError("P0001", [&] { Apply("e", "1"); });
	EXPECT_EQ(State(), R"({"a":[2,3]})");
	EXPECT_THROW(Apply("x", "1"), std::runtime_error);
	EXPECT_EQ(State(), R"({"a":[2,3]})");
	Apply("a", "4");
	EXPECT_EQ(State(), R"({"a":[3,4]})");
}

// ---- categories -----------------------------------------------------------------------------------------------------

TEST_F(FoldTest, ReducersOfACategory) {
	Declare("t", "count");
	Declare("t", "append", R"({"category":"order"})");
	Declare("u", "sum", R"({"category":"order"})");
	const auto state = [this](const char *category) {
		Begin(category);
		Apply("t", R"({"x":1})");
		Apply("u", R"({"x":1,"y":"z"})");
		Apply("u", R"({"x":1,"y":"z"})");
		return State();
	};
	EXPECT_EQ(state("order"), R"({"t":[{"x":1}],"u":{"x":2}})");
	EXPECT_EQ(state("orders"), R"({"t":1,"u":{"x":1,"y":"z"}})");
	EXPECT_EQ(state(""), R"({"t":1,"u":{"x":1,"y":"z"}})");
}

// ---- a state reached before -----------------------------------------------------------------------------------------

TEST_F(FoldTest, StartBeginsAnew) {
	Declare("a", "append", R"({"limit":2})");
	Declare("c", "count");
	const auto turn = [this] {
		for (const char *data : {"1", "2", "3"}) {
			Apply("a", data);
			Apply("c", data);
		}
	};
	turn();
	Start(R"({"a":[8,9]})");
	EXPECT_EQ(State(), R"({"a":[8,9]})");
	Apply("a", "10");
	Apply("c", "1");
	EXPECT_EQ(State(), R"({"a":[9,10],"c":1})");
	Start("[1]");
	Apply("c", "1");
	EXPECT_EQ(State(), R"({"c":1})");
	Start("{}");
	EXPECT_EQ(State(), "{}");
	// not looked at in between: the rings of the state before are forgotten
	turn();
	Start(R"({"a":[8,9],"c":5})");
	Apply("c", "1");
	EXPECT_EQ(State(), R"({"a":[8,9],"c":6})");
}

TEST_F(FoldTest, StartWithItsOwnState) {
	Declare("a", "append", R"({"limit":3})");
	for (int i = 0; i < 20; i++) {
		Apply("a", std::to_string(i));
		Json copy = fold().state();
		fold().Start(std::move(copy));
	}
	EXPECT_EQ(State(), R"({"a":[17,18,19]})");
}

// ---- what is looked into --------------------------------------------------------------------------------------------

constexpr const char *kLarge = R"({"a":{"x":{"y":[1]}},"b":{"x":1},"c":[[1],[2]],"n":5})";

TEST_F(FoldTest, LooksIntoNoStateThatNothingChanges) {
	Declare("i", "ignore");
	Declare("s", "sum");
	Start(kLarge);
	Apply("i", R"({"a":{}})");
	Apply("s", R"({"a":"1"})");
	EXPECT_TRUE(fold().state().is(Json::Kind::kDocument));
	EXPECT_EQ(host_.expansions(), 0);
}

TEST_F(FoldTest, LooksIntoWhatChangesOnly) {
	struct Case {
		const char *kind;
		const char *options;
		const char *data;
		int expansions;
		int documents; // that are left of the state or came with the data
	};
	const Case cases[] = {
		{"latest", R"({"into":"a"})", R"({"z":{}})", 1, 3},
		{"latest", R"({"into":"z"})", "1", 1, 4}, // a number that nobody reads is a document too
		{"count", R"({"into":"n"})", R"({"z":{}})", 1, 3},
		{"count", R"({"into":"a"})", R"({"z":{}})", 2, 2},
		{"append", R"({"into":"c"})", R"({"z":{}})", 2, 5},
		{"merge", "{}", R"({"b":{"z":1}})", 2, 2},
		{"merge", R"({"into":"b"})", R"({"z":1})", 2, 2},
		{"merge", R"({"into":"a"})", R"({"z":1})", 2, 3},
		{"sum", R"({"into":"b"})", R"({"x":1})", 2, 2},
		// with the patch and its operation
		{"patch", R"({"into":"b"})", R"([{"op":"add","path":"/z","value":1}])", 4, 2},
		{"patch", "{}", R"([{"op":"add","path":"/a/x/z","value":1}])", 5, 3},
		{"patch", "{}", R"([{"op":"move","from":"/a","path":"/z"}])", 3, 3},
	};
	for (const Case &each : cases) {
		SCOPED_TRACE(std::string(each.kind) + " " + each.options + " " + each.data);
		reducers_ = ReducerSet();
		Declare("t", each.kind, each.options);
		Begin();
		Start(kLarge);
		const int before = host_.expansions();
		Apply("t", each.data);
		EXPECT_EQ(host_.expansions() - before, each.expansions);
		EXPECT_EQ(CountDocuments(fold().state()), each.documents);
	}
}

TEST_F(FoldTest, KeepsDataUnread) {
	Declare("a", "append", R"({"limit":2})");
	for (int i = 0; i < 10; i++) {
		Apply("a", R"({"x":[1]})");
		Apply("l", R"({"x":[1]})");
	}
	EXPECT_EQ(host_.expansions(), 0);
	EXPECT_EQ(CountDocuments(fold().state()), 3);
}

} // namespace
} // namespace auren
