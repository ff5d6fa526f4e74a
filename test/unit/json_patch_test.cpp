#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/encrypted/envelope.hpp"
#include "core/state/json_patch.hpp"
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

struct Patch {
	const char *target;
	const char *patch;
	const char *result;
};

struct BadPatch {
	const char *target;
	const char *patch;
	const char *message; // a part of it
	const char *detail;  // a part of it
};

// Calls back with the target and the patch as values and as documents, in all four ways.
template <typename F>
void
InEveryForm(const char *target, const char *patch, F &&call) {
	for (const bool target_document : {false, true}) {
		for (const bool patch_document : {false, true}) {
			SCOPED_TRACE(std::string(target) + " by " + patch + (target_document ? ", target" : "") + (patch_document ? ", patch" : ""));
			call(target_document ? DocumentOf(target) : FromText(target), patch_document ? DocumentOf(patch) : FromText(patch));
		}
	}
}

void
ExpectPatch(const Patch &patch) {
	InEveryForm(patch.target, patch.patch, [&](Json target, const Json &operations) {
		const auto error = ErrorOf([&] { ApplyPatch(&target, operations, TextHost()); });
		ASSERT_FALSE(error) << error->message() << ": " << error->detail();
		EXPECT_EQ(ToText(target), ToText(FromText(patch.result)));
		EXPECT_EQ(ToText(operations), ToText(FromText(patch.patch)));
	});
}

void
ExpectBadPatch(const BadPatch &patch) {
	InEveryForm(patch.target, patch.patch, [&](Json target, const Json &operations) {
		const auto error = ExpectError("22023", [&] { ApplyPatch(&target, operations, TextHost()); });
		EXPECT_TRUE(Contains(error.message(), patch.message)) << error.message() << ": " << error.detail();
		EXPECT_TRUE(Contains(error.detail(), patch.detail)) << error.message() << ": " << error.detail();
		EXPECT_EQ(ToText(target), ToText(FromText(patch.target)));
	});
}

// ---- the examples of the RFCs ---------------------------------------------------------------------------------------

TEST(Patch, AppendixA1AddingAnObjectMember) {
	ExpectPatch({R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])", R"({"baz":"qux","foo":"bar"})"});
}

TEST(Patch, AppendixA2AddingAnArrayElement) {
	ExpectPatch({R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])", R"({"foo":["bar","qux","baz"]})"});
}

TEST(Patch, AppendixA3RemovingAnObjectMember) {
	ExpectPatch({R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"});
}

TEST(Patch, AppendixA4RemovingAnArrayElement) {
	ExpectPatch({R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"});
}

TEST(Patch, AppendixA5ReplacingAValue) {
	ExpectPatch({R"({"baz":"qux","foo":"bar"})", R"([{"op":"replace","path":"/baz","value":"boo"}])", R"({"baz":"boo","foo":"bar"})"});
}

TEST(Patch, AppendixA6MovingAValue) {
	ExpectPatch({R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})", R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
	             R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"});
}

TEST(Patch, AppendixA7MovingAnArrayElement) {
	ExpectPatch(
		{R"({"foo":["all","grass","cows","eat"]})", R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])", R"({"foo":["all","cows","eat","grass"]})"});
}

TEST(Patch, AppendixA8TestingAValueSuccess) {
	ExpectPatch({R"({"baz":"qux","foo":["a",2,"c"]})", R"([{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}])",
	             R"({"baz":"qux","foo":["a",2,"c"]})"});
}

TEST(Patch, AppendixA9TestingAValueError) {
	ExpectBadPatch({R"({"baz":"qux"})", R"([{"op":"test","path":"/baz","value":"bar"}])", "test failed", R"(Operation 0 is "test" at "/baz")"});
}

TEST(Patch, AppendixA10AddingANestedMemberObject) {
	ExpectPatch({R"({"foo":"bar"})", R"([{"op":"add","path":"/child","value":{"grandchild":{}}}])", R"({"foo":"bar","child":{"grandchild":{}}})"});
}

TEST(Patch, AppendixA11IgnoringUnrecognizedElements) {
	ExpectPatch({R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","xyz":123}])", R"({"foo":"bar","baz":"qux"})"});
}

TEST(Patch, AppendixA12AddingToANonexistentTarget) {
	ExpectBadPatch({R"({"foo":"bar"})", R"([{"op":"add","path":"/baz/bat","value":"qux"}])", R"(path "/baz/bat" names nothing)",
	                R"(The object at the root has no member "baz")"});
}

// The parser keeps the last "op" of two, which removes what is not there.
TEST(Patch, AppendixA13InvalidJsonPatchDocument) {
	ExpectBadPatch({R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux","op":"remove"}])", R"(path "/baz" names nothing)",
	                R"(Operation 0 is "remove" at "/baz")"});
}

TEST(Patch, AppendixA14EscapeOrdering) {
	ExpectPatch({R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])", R"({"/":9,"~1":10})"});
}

TEST(Patch, AppendixA15ComparingStringsAndNumbers) {
	ExpectBadPatch({R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":"10"}])", "test failed", "/~01"});
}

TEST(Patch, AppendixA16AddingAnArrayValue) {
	ExpectPatch({R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc","def"]}])", R"({"foo":["bar",["abc","def"]]})"});
}

TEST(Patch, DoesTheExamplesOfTheText) {
	// section 3
	ExpectPatch({R"({"a":{"b":{"c":"foo"}}})",
	             R"([{"op":"test","path":"/a/b/c","value":"foo"},
					 {"op":"remove","path":"/a/b/c"},
					 {"op":"add","path":"/a/b/c","value":["foo","bar"]},
					 {"op":"replace","path":"/a/b/c","value":42},
					 {"op":"move","from":"/a/b/c","path":"/a/b/d"},
					 {"op":"copy","from":"/a/b/d","path":"/a/b/e"}])",
	             R"({"a":{"b":{"d":42,"e":42}}})"});
	// section 4.1: the object must be there, but need not have the member
	ExpectPatch({R"({"a":{"foo":1}})", R"([{"op":"add","path":"/a/b","value":2}])", R"({"a":{"b":2,"foo":1}})"});
	ExpectBadPatch({R"({"q":{"bar":2}})", R"([{"op":"add","path":"/a/b","value":2}])", R"(path "/a/b")", R"("a")"});
	// section 5
	ExpectBadPatch({R"({"a":{"b":{"c":"x"}}})", R"([{"op":"replace","path":"/a/b/c","value":42},{"op":"test","path":"/a/b/c","value":"C"}])",
	                "test failed", R"(Operation 1 is "test" at "/a/b/c")"});
}

// RFC 6901, section 5
TEST(Patch, FindsThePointersOfTheRfc) {
	const char *target = R"({"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8})";
	const std::pair<std::string, std::string> places[] = {
		{R"()", target},
		{R"(/foo)", R"(["bar","baz"])"},
		{R"(/foo/0)", R"("bar")"},
		{R"(/)", "0"},
		{R"(/a~1b)", "1"},
		{R"(/c%d)", "2"},
		{R"(/e^f)", "3"},
		{R"(/g|h)", "4"},
		{R"(/i\\j)", "5"},
		{R"(/k\"l)", "6"},
		{R"(/ )", "7"},
		{R"(/m~0n)", "8"},
	};
	for (const auto &[pointer, value] : places) {
		const std::string patch = R"([{"op":"test","path":")" + pointer + R"(","value":)" + value + "}]";
		ExpectPatch({target, patch.c_str(), target});
	}
}

// ---- what operations do ---------------------------------------------------------------------------------------------

TEST(Patch, MayBeEmpty) {
	ExpectPatch({R"({"a":1})", "[]", R"({"a":1})"});
	ExpectPatch({"1", "[]", "1"});
}

TEST(Patch, AddsAndReplaces) {
	ExpectPatch({R"({"a":1})", R"([{"op":"add","path":"/a","value":2}])", R"({"a":2})"});
	ExpectPatch({R"([1])", R"([{"op":"add","path":"/0","value":0},{"op":"add","path":"/2","value":2}])", "[0,1,2]"});
	ExpectPatch({R"([])", R"([{"op":"add","path":"/-","value":1},{"op":"add","path":"/-","value":2}])", "[1,2]"});
	ExpectPatch({R"([1,2])", R"([{"op":"replace","path":"/1","value":[3]},{"op":"add","path":"/1/-","value":4}])", "[1,[3,4]]"});
	ExpectPatch({R"({"a":{}})", R"([{"op":"add","path":"/a/","value":1},{"op":"add","path":"/a/0","value":2},
									{"op":"add","path":"/a/-","value":3},{"op":"add","path":"/a/01","value":4}])",
	             R"({"a":{"":1,"0":2,"-":3,"01":4}})"});
}

TEST(Patch, TakesNullForAValue) {
	ExpectPatch({R"({"a":1})",
	             R"([{"op":"add","path":"/b","value":null},{"op":"replace","path":"/a","value":null},
					 {"op":"test","path":"/a","value":null}])",
	             R"({"a":null,"b":null})"});
}

TEST(Patch, ChangesTheRoot) {
	ExpectPatch({R"({"a":1})", R"([{"op":"add","path":"","value":[1]}])", "[1]"});
	ExpectPatch({R"({"a":1})", R"([{"op":"replace","path":"","value":"x"}])", R"("x")"});
	ExpectPatch({R"({"a":1})", R"([{"op":"remove","path":""}])", "null"});
	ExpectPatch({R"({"a":1})", R"([{"op":"remove","path":""},{"op":"test","path":"","value":null},
									{"op":"add","path":"","value":{}},{"op":"add","path":"/b","value":1}])",
	             R"({"b":1})"});
	ExpectPatch({R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":""}])", R"({"b":1})"});
	ExpectPatch({R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":""}])", R"({"b":1})"});
	ExpectPatch({R"({"a":1})", R"([{"op":"copy","from":"","path":"/b"}])", R"({"a":1,"b":{"a":1}})"});
	ExpectPatch({R"({"a":1})", R"([{"op":"move","from":"","path":""}])", R"({"a":1})"});
	ExpectPatch({R"([1])", R"([{"op":"test","path":"","value":[1]}])", "[1]"});
}

TEST(Patch, MovesAndCopies) {
	ExpectPatch({R"({"a":1})", R"([{"op":"move","from":"/a","path":"/a"}])", R"({"a":1})"});
	ExpectPatch({R"([1,2])", R"([{"op":"move","from":"/1","path":"/1"}])", "[1,2]"});
	ExpectPatch({R"({"a":1,"b":2})", R"([{"op":"move","from":"/a","path":"/b"}])", R"({"b":1})"});
	ExpectPatch({R"({"a":{"b":{"c":1}}})", R"([{"op":"move","from":"/a/b/c","path":"/a"}])", R"({"a":1})"});
	ExpectPatch({R"([1,2,3])", R"([{"op":"move","from":"/0","path":"/-"}])", "[2,3,1]"});
	ExpectPatch({R"([1,2,3])", R"([{"op":"move","from":"/2","path":"/0"}])", "[3,1,2]"});
	// the path is looked for when the value is gone from where it was
	ExpectPatch({R"([1,[],[]])", R"([{"op":"move","from":"/0","path":"/1/-"}])", "[[],[1]]"});
	// a key that only begins with the other is no child
	ExpectPatch({R"({"a":1,"ab":{}})", R"([{"op":"move","from":"/a","path":"/ab/c"}])", R"({"ab":{"c":1}})"});
	ExpectPatch({R"({"a":[1]})", R"([{"op":"copy","from":"/a","path":"/a/0"},{"op":"add","path":"/a/0/-","value":2}])", R"({"a":[[1,2],1]})"});
}

TEST(Patch, TestsByValue) {
	const char *target = R"({"n":0.10,"s":"a","o":{"x":1,"y":[1e2,null]},"t":true})";
	ExpectPatch({target,
	             R"([{"op":"test","path":"/n","value":0.1},{"op":"test","path":"/n","value":10e-2},
					 {"op":"test","path":"/o","value":{"y":[100.0,null],"x":1.0}},{"op":"test","path":"/t","value":true}])",
	             target});
	for (const char *patch : {R"([{"op":"test","path":"/n","value":0.11}])", R"([{"op":"test","path":"/t","value":false}])",
	                          R"([{"op":"test","path":"/t","value":"true"}])", R"([{"op":"test","path":"/s","value":"A"}])",
	                          R"([{"op":"test","path":"/o","value":{"x":1}}])", R"([{"op":"test","path":"","value":{}}])",
	                          R"([{"op":"test","path":"/o/y","value":[null,100]}])", R"([{"op":"test","path":"/o/y/1","value":false}])"}) {
		ExpectBadPatch({target, patch, "test failed", "Operation 0 is \"test\""});
	}
}

TEST(Patch, KeepsTheBytesOfNumbers) {
	ExpectPatch({R"({"a":0.10,"b":[1e400,12345678901234567890]})",
	             R"([{"op":"copy","from":"/a","path":"/c"},{"op":"move","from":"/b/0","path":"/d"},
					 {"op":"add","path":"/e","value":1.000}])",
	             R"({"a":0.10,"b":[12345678901234567890],"c":0.10,"d":1e400,"e":1.000})"});
}

TEST(Patch, LeavesDocumentsOffItsWay) {
	Json target = DocumentOf(R"({"a":{"x":[1]},"b":{"y":{"z":1}},"c":[[1],[2]]})");
	ApplyPatch(&target, FromText(R"([{"op":"add","path":"/c/1/-","value":3},{"op":"move","from":"/b/y","path":"/d"},
							{"op":"copy","from":"/a","path":"/e"},{"op":"test","path":"/a","value":{"x":[1]}}])"),
	           TextHost());
	EXPECT_EQ(ToText(target), R"({"a":{"x":[1]},"b":{},"c":[[1],[2,3]],"d":{"z":1},"e":{"x":[1]}})");
	for (const char *key : {"a", "d", "e"}) {
		EXPECT_TRUE(target.object().at(key).is(Json::Kind::kDocument)) << key;
	}
	EXPECT_TRUE(target.object().at("c").array().at(0).is(Json::Kind::kDocument));
	ApplyPatch(&target, DocumentOf(R"([{"op":"add","path":"","value":{"a":[1]}}])"), TextHost());
	EXPECT_TRUE(target.is(Json::Kind::kDocument));
}

// ---- errors ---------------------------------------------------------------------------------------------------------

TEST(Patch, IsAnArrayOfObjects) {
	for (const char *patch : {"null", "1", "\"add\"", R"({"op":"add","path":"/a","value":1})"}) {
		ExpectBadPatch({R"({"a":1})", patch, "JSON patch is not an array", "It is "});
	}
	for (const char *element : {"null", "1", "\"add\"", "[]", R"([{"op":"remove","path":"/a"}])"}) {
		const std::string patch = R"([{"op":"add","path":"/b","value":1},)" + std::string(element) + "]";
		ExpectBadPatch({R"({"a":1})", patch.c_str(), "operation of the patch is not an object", "Operation 1 is "});
	}
}

TEST(Patch, HasKnownOperations) {
	ExpectBadPatch({"{}", R"([{}])", R"(operation has no "op")", "Operation 0 is without an op without a path"});
	ExpectBadPatch({"{}", R"([{"path":"/a","value":1}])", R"(operation has no "op")", R"(without an op at "/a")"});
	for (const char *op : {"", "Add", "ADD", "add ", "insert", "merge", "delete", "_get"}) {
		const std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/a","value":1}])";
		const std::string message = "unknown operation \"" + std::string(op) + "\"";
		ExpectBadPatch({"{}", patch.c_str(), message.c_str(), R"(at "/a")"});
	}
	for (const char *op : {"null", "1", "[\"add\"]", "{}", "true"}) {
		const std::string patch = R"([{"op":)" + std::string(op) + R"(,"path":"/a","value":1}])";
		ExpectBadPatch({"{}", patch.c_str(), R"("op" of an operation is not a string)", "Operation 0"});
	}
}

TEST(Patch, HasEveryMemberThatAnOperationNeeds) {
	for (const char *op : {"add", "remove", "replace", "move", "copy", "test"}) {
		const std::string begin = R"([{"op":")" + std::string(op) + "\"";
		const std::string detail = "Operation 0 is \"" + std::string(op) + "\" ";
		std::string patch = begin + R"(,"from":"/a","value":1}])";
		ExpectBadPatch({R"({"a":1})", patch.c_str(), R"(operation has no "path")", detail.c_str()});
		for (const char *path : {"null", "1", "[]", "{}", "[\"a\"]"}) {
			patch = begin + R"(,"from":"/a","value":1,"path":)" + path + "}]";
			ExpectBadPatch({R"({"a":1})", patch.c_str(), R"("path" of an operation is not a string)", detail.c_str()});
		}
	}
	for (const char *op : {"add", "replace", "test"}) {
		const std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/a"}])";
		const std::string detail = "Operation 0 is \"" + std::string(op) + "\" at \"/a\"";
		ExpectBadPatch({R"({"a":1})", patch.c_str(), R"(operation has no "value")", detail.c_str()});
	}
	for (const char *op : {"move", "copy"}) {
		std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/b"}])";
		const std::string detail = "Operation 0 is \"" + std::string(op) + "\" ";
		ExpectBadPatch({R"({"a":1})", patch.c_str(), R"(operation has no "from")", detail.c_str()});
		patch = R"([{"op":")" + std::string(op) + R"(","path":"/b","from":1}])";
		ExpectBadPatch({R"({"a":1})", patch.c_str(), R"("from" of an operation is not a string)", detail.c_str()});
	}
}

TEST(Patch, HasPointers) {
	for (const char *op : {"add", "remove", "replace", "move", "copy", "test"}) {
		for (const char *bad : {"a", "#/a", "/~", "/a~2", "0"}) {
			std::string patch = R"([{"op":")" + std::string(op) + R"(","path":")" + bad + R"(","from":"/a","value":1}])";
			const std::string detail = "at \"" + std::string(bad) + "\"";
			ExpectBadPatch({R"({"a":1})", patch.c_str(), "JSON pointer", detail.c_str()});
		}
	}
	for (const char *op : {"move", "copy"}) {
		for (const char *bad : {"a", "/~", "/a~2"}) {
			const std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/b","from":")" + bad + R"("}])";
			const std::string detail = "from \"" + std::string(bad) + "\" at \"/b\"";
			ExpectBadPatch({R"({"a":1})", patch.c_str(), "JSON pointer", detail.c_str()});
		}
	}
}

TEST(Patch, NamesWhatIsThere) {
	const char *target = R"({"a":[1,{"b":2}],"n":1,"s":"x","z":null})";
	const std::pair<const char *, const char *> paths[] = {
		{"/x", R"(The object at the root has no member "x")"},
		{"/", R"(has no member "")"},
		{"/a/1/c", R"(The object at "/a/1" has no member "c")"},
		{"/a/1/b/c", R"(What is at "/a/1/b" is a number)"},
		{"/n/0", R"(What is at "/n" is a number)"},
		{"/s/0", R"(What is at "/s" is a string)"},
		{"/z/y/x", R"(What is at "/z" is null)"},
		{"/x/y/z", R"(The object at the root has no member "x")"},
		{"/a/2", R"(The array at "/a" has 2 elements)"},
		{"/a/99999999999999999999", R"(The array at "/a" has 2 elements)"},
		{"/a/-", R"("-" is the place after the last element)"},
		{"/a/-/b", R"("-" is the place after the last element)"},
	};
	for (const auto &[path, detail] : paths) {
		for (const char *op : {"remove", "replace", "test"}) {
			const std::string patch = R"([{"op":")" + std::string(op) + R"(","path":")" + path + R"(","value":1}])";
			const std::string message = "path \"" + std::string(path) + "\" names nothing";
			ExpectBadPatch({target, patch.c_str(), message.c_str(), detail});
		}
		for (const char *op : {"move", "copy"}) {
			const std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/t","from":")" + path + R"("}])";
			const std::string message = "path \"" + std::string(path) + "\" names nothing";
			ExpectBadPatch({target, patch.c_str(), message.c_str(), detail});
		}
	}
}

TEST(Patch, HasArrayIndexesWithoutLeadingZeros) {
	for (const char *index : {"00", "01", "-1", "+1", "1e0", "1.0", "x", "", " 1"}) {
		const std::string message = "\"" + std::string(index) + "\" is not an array index";
		for (const char *op : {"add", "remove", "replace", "test"}) {
			std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/a/)" + index + R"(","value":1}])";
			ExpectBadPatch({R"({"a":[1,2]})", patch.c_str(), message.c_str(), R"(What is at "/a" is an array)"});
			patch = R"([{"op":")" + std::string(op) + R"(","path":"/a/)" + index + R"(/b","value":1}])";
			ExpectBadPatch({R"({"a":[{"b":1},{"b":1}]})", patch.c_str(), message.c_str(), "Operation 0"});
		}
		for (const char *op : {"move", "copy"}) {
			std::string patch = R"([{"op":")" + std::string(op) + R"(","path":"/b","from":"/a/)" + index + R"("}])";
			ExpectBadPatch({R"({"a":[1,2]})", patch.c_str(), message.c_str(), "Operation 0"});
			patch = R"([{"op":")" + std::string(op) + R"(","from":"/b","path":"/a/)" + index + R"("}])";
			ExpectBadPatch({R"({"a":[1,2],"b":{"c":[1]}})", patch.c_str(), message.c_str(), "Operation 0"});
		}
	}
}

TEST(Patch, AddsWithinAnArrayOrAtItsEnd) {
	for (const char *index : {"3", "4", "18446744073709551615", "18446744073709551616"}) {
		const std::string patch = R"([{"op":"add","path":"/a/)" + std::string(index) + R"(","value":1}])";
		const std::string message = "array index \"" + std::string(index) + "\" is past the end";
		ExpectBadPatch({R"({"a":[1,2]})", patch.c_str(), message.c_str(), R"(The array at "/a" has 2 elements)"});
	}
	// once the value is gone from the array there is one element less
	ExpectBadPatch({"[1,2]", R"([{"op":"move","from":"/0","path":"/2"}])", "past the end", "has 1 element."});
	ExpectBadPatch({"[[1],2]", R"([{"op":"move","from":"/0","path":"/3"}])", "past the end", R"(from "/0" at "/3")"});
}

TEST(Patch, AddsToObjectsAndArraysOnly) {
	for (const char *value : {"null", "true", "1", "\"x\""}) {
		const std::string target = R"({"a":)" + std::string(value) + R"(,"b":[1]})";
		for (const char *token : {"0", "-", "x", ""}) {
			std::string patch = R"([{"op":"add","path":"/a/)" + std::string(token) + R"(","value":1}])";
			ExpectBadPatch({target.c_str(), patch.c_str(), "names nothing", R"(What is at "/a" is )"});
			for (const char *op : {"move", "copy"}) {
				patch = R"([{"op":")" + std::string(op) + R"(","from":"/b","path":"/a/)" + token + R"("}])";
				ExpectBadPatch({target.c_str(), patch.c_str(), "names nothing", R"(What is at "/a" is )"});
			}
		}
		ExpectBadPatch({value, R"([{"op":"add","path":"/a","value":1}])", "names nothing", "What is at the root is "});
	}
	ExpectBadPatch({R"({"a":[]})", R"([{"op":"add","path":"/a/0/b","value":1}])", "names nothing", "has 0 elements"});
	ExpectBadPatch({R"({"a":[]})", R"([{"op":"add","path":"/a/-/b","value":1}])", "names nothing", R"("-")"});
}

TEST(Patch, MovesNothingIntoItself) {
	ExpectBadPatch({R"({"a":{"b":{}}})", R"([{"op":"move","from":"/a","path":"/a/b"}])", "moved into itself",
	                R"("/a/b" is inside of "/a". Operation 0 is "move" from "/a" at "/a/b".)"});
	ExpectBadPatch({R"({"a":{"b":{}}})", R"([{"op":"move","from":"/a","path":"/a/b/c"}])", "moved into itself", "/a/b/c"});
	ExpectBadPatch({R"({"a":1})", R"([{"op":"move","from":"","path":"/b"}])", "moved into itself", "the root"});
	ExpectBadPatch({"[[1],2]", R"([{"op":"move","from":"/0","path":"/0/-"}])", "moved into itself", "/0/-"});
	ExpectBadPatch({"[[1],[2]]", R"([{"op":"move","from":"/0","path":"/0/0"}])", "moved into itself", "/0/0"});
}

// Each way to change a value, and each way to fail after it: nothing is left of it.
TEST(Patch, IsAppliedAsAWholeOrNotAtAll) {
	const char *const target = R"({"a":{"b":[1,2,{"c":3}],"d":null},"e":"f","g":[[],[[4]]]})";
	const std::vector<std::string> changes = {
		R"({"op":"add","path":"/x","value":1})",
		R"({"op":"add","path":"/e","value":[1,2]})",
		R"({"op":"add","path":"/a/b/0","value":{"x":1}})",
		R"({"op":"add","path":"/g/-","value":[5]})",
		R"({"op":"add","path":"","value":{"a":{"b":[1],"d":2},"e":3,"g":[[]]}})",
		R"({"op":"remove","path":"/a/d"})",
		R"({"op":"remove","path":"/a/b/0"})",
		R"({"op":"remove","path":"/g"})",
		R"({"op":"remove","path":""})",
		R"({"op":"replace","path":"/a/b","value":[0,0,0,0,0]})",
		R"({"op":"replace","path":"/a/b/0","value":"first"})",
		R"({"op":"replace","path":"","value":[{"a":1}]})",
		R"({"op":"move","from":"/a/b","path":"/g/0"})",
		R"({"op":"move","from":"/a/b","path":"/e"})",
		R"({"op":"move","from":"/g/0","path":"/g/-"})",
		R"({"op":"move","from":"/a/b/0","path":"/a/x"})",
		R"({"op":"move","from":"/a","path":""})",
		R"({"op":"move","from":"/g/1/0","path":"/g"})",
		R"({"op":"move","from":"","path":""})",
		R"({"op":"copy","from":"","path":"/a/d"})",
		R"({"op":"copy","from":"/a/b","path":"/g/0"})",
		R"({"op":"copy","from":"/g","path":""})",
	};
	const char *const failures[] = {
		R"({"op":"test","path":"","value":"nothing like it"})",
		R"({"op":"remove","path":"/no/such/place"})",
		R"({"op":"jump","path":""})",
		R"({"op":"move","from":"/no","path":"/x"})",
		R"({"op":"move","from":"","path":"/x"})",
		"1",
	};
	for (const std::string &first : changes) {
		for (const char *failure : failures) {
			const std::string patch = "[" + first + "," + failure + "]";
			ExpectBadPatch({target, patch.c_str(), "", "Operation 1 is "});
		}
		for (const std::string &second : changes) {
			for (const std::string &third : changes) {
				Json changed = FromText(target);
				const std::string patch = "[" + first + "," + second + "," + third + "," + failures[0] + "]";
				const auto error = ErrorOf([&] { ApplyPatch(&changed, FromText(patch), TextHost()); });
				ASSERT_TRUE(error) << patch;
				ASSERT_EQ(ToText(changed), ToText(FromText(target))) << patch;
			}
		}
	}
}

// A move that fails when its value is already taken gives it back.
TEST(Patch, GivesBackWhatItCouldNotMove) {
	ExpectBadPatch({R"({"a":{"b":1},"c":[]})", R"([{"op":"move","from":"/a","path":"/c/1"}])", "past the end", "0 elements"});
	ExpectBadPatch({R"([{"b":1},{"c":1}])", R"([{"op":"move","from":"/0","path":"/1/c"}])", "names nothing", "1 element."});
	ExpectBadPatch({R"([1,2,3])", R"([{"op":"move","from":"/1","path":"/x"}])", "not an array index", "root"});
}

TEST(Patch, IsTakenBackWhenTheHostFails) {
	class Failing : public TextHost {
	  public:
		explicit Failing(int expansions) : left_(expansions) {
		}
		Json
		Expand(std::string_view document) const override {
			if (left_-- == 0) {
				throw std::runtime_error("out of expansions");
			}
			return TextHost::Expand(document);
		}

	  private:
		mutable int left_;
	};
	const char *target = R"({"a":{"b":[1]},"c":{"d":[2]},"e":{"f":{}}})";
	const char *patch = R"([{"op":"add","path":"/a/b/-","value":[2]},{"op":"move","from":"/c/d","path":"/a/d"},
							{"op":"remove","path":"/c"},{"op":"copy","from":"/a","path":"/e/f/g"},
							{"op":"add","path":"/e/f/g/b/1/0","value":1}])";
	int expansions = 0;
	for (bool failed = true; failed; expansions++) {
		ASSERT_LT(expansions, 100);
		Json value = DocumentOf(target);
		try {
			ApplyPatch(&value, DocumentOf(patch), Failing(expansions));
			EXPECT_EQ(ToText(value), R"({"a":{"b":[1,[2]],"d":[2]},"e":{"f":{"g":{"b":[1,[1,2]],"d":[2]}}}})");
			failed = false;
		} catch (const std::runtime_error &) {
			EXPECT_EQ(ToText(value), target);
		}
	}
	EXPECT_GT(expansions, 10);
}

// ---- limits ---------------------------------------------------------------------------------------------------------

TEST(Patch, ErrorsNameTheOperationByNumber) {
	Json target = FromText(R"({})");
	const Json patch = FromText(R"([{"op":"add","path":"/a","value":1},{"op":"remove","path":"/b"}])");
	try {
		ApplyPatch(&target, patch, TextHost());
		FAIL() << "no error";
	} catch (const PatchError &error) {
		EXPECT_EQ(error.operation(), 1u);
		EXPECT_TRUE(Contains(error.detail(), DescribeOperation(patch, 1, TextHost()).c_str())) << error.detail();
	}
}

TEST(Patch, DescriptionsShowNoEnvelopes) {
	const std::string envelope = "phi1:" + std::string(60, 'A');
	ASSERT_TRUE(LooksLikeEnvelope(envelope));
	const Json whole = FromText("[\"" + envelope + "\"]");
	EXPECT_EQ(DescribeOperation(whole, 0, TextHost()), "Operation 0 is encrypted.");
	const Json place = DocumentOf(R"([{"op":"move","from":"/a","path":")" + envelope + "\"}]");
	EXPECT_EQ(DescribeOperation(place, 0, TextHost()), "Operation 0 is \"move\" from \"/a\" at (encrypted).");
	const Json op = FromText(R"([{"path":"/a","op":")" + envelope + "\"}]");
	EXPECT_EQ(DescribeOperation(op, 0, TextHost()), "Operation 0 is (encrypted) at \"/a\".");
	EXPECT_EQ(DescribeOperation(op, 1, TextHost()), "The patch is encrypted.");
	EXPECT_EQ(DescribeOperation(FromText("\"" + envelope + "\""), 0, TextHost()), "The patch is encrypted.");
}

TEST(Patch, NestsUpToALimit) {
	const TextHost host;
	const std::string levels(kMaxPatchDepth - 1, '[');
	const std::string deepest = levels + std::string(kMaxPatchDepth - 1, ']');
	Json target = FromText("{}");
	const auto add = [&](const std::string &value) {
		ApplyPatch(&target, FromText(R"([{"op":"add","path":"/a","value":)" + value + "}]"), host);
	};
	add(deepest);
	ExpectError("22023", [&] { add("[" + deepest + "]"); });
	ExpectError("22023", [&] { ApplyPatch(&target, FromText(R"([{"op":"copy","from":"","path":"/b"}])"), host); });
	ExpectError("22023",
	            [&] { ApplyPatch(&target, FromText(R"([{"op":"add","path":"/b","value":{}},{"op":"move","from":"/a","path":"/b/c"}])"), host); });
	EXPECT_EQ(ToText(target), R"({"a":)" + deepest + "}");
	ApplyPatch(&target, FromText(R"([{"op":"move","from":"/a","path":"/b"}])"), host);
	EXPECT_EQ(ToText(target), R"({"b":)" + deepest + "}");
}

TEST(Patch, DoesNotNestWithoutEndByCopies) {
	std::string patch = "[";
	for (std::size_t i = 0; i <= kMaxPatchDepth; i++) {
		patch += R"({"op":"copy","from":"","path":"/a"},)";
	}
	patch.back() = ']';
	Json target = FromText("{}");
	const auto error = ExpectError("22023", [&] { ApplyPatch(&target, FromText(patch), TextHost()); });
	EXPECT_TRUE(Contains(error.message(), "deep")) << error.message();
	EXPECT_TRUE(Contains(error.detail(), "Operation 999 is \"copy\" from \"\" at \"/a\".")) << error.detail();
	EXPECT_EQ(ToText(target), "{}");
}

TEST(Patch, DoesNotDoubleWithoutEndByCopies) {
	std::string patch = "[";
	for (int i = 0; i < 60; i++) {
		patch += R"({"op":"copy","from":"/a","path":"/a/-"},)";
	}
	patch.back() = ']';
	Json target = FromText(R"({"a":[")" + std::string(1 << 20, 'x') + R"("]})");
	const std::string before = ToText(target);
	const auto error = ExpectError("22023", [&] { ApplyPatch(&target, FromText(patch), TextHost()); });
	EXPECT_TRUE(Contains(error.message(), "copies too much")) << error.message();
	EXPECT_TRUE(Contains(error.detail(), "256 MB")) << error.detail();
	EXPECT_EQ(ToText(target), before);
}

// A pointer may be long: it is walked, not recursed into, and an error shows its begin.
TEST(Patch, WalksLongPointers) {
	std::string path;
	for (int i = 0; i < 100'000; i++) {
		path += "/a";
	}
	Json target = FromText(R"({"a":{}})");
	for (const char *op : {"add", "remove", "replace", "test"}) {
		const auto error = ExpectError("22023", [&] {
			ApplyPatch(&target, FromText(R"([{"op":")" + std::string(op) + R"(","path":")" + path + R"(","value":1}])"), TextHost());
		});
		EXPECT_LT(error.message().size() + error.detail().size(), 1000u);
	}
	EXPECT_EQ(ToText(target), R"({"a":{}})");
}

// ---- against another way to do it -----------------------------------------------------------------------------------

// The RFC word by word on values that are copied at every step.
namespace model {

using Value = nlohmann::json;
using Tokens = std::vector<std::string>;
using Result = std::optional<Value>;

// the index of an element, or of the place after the last where that is allowed
std::optional<std::size_t>
Index(const Value &array, const std::string &token, bool end) {
	for (std::size_t i = 0; i < array.size() + (end ? 1 : 0); i++) {
		if (token == std::to_string(i) || (i == array.size() && token == "-")) {
			return i;
		}
	}
	return std::nullopt;
}

Result
Get(const Value &value, const Tokens &tokens) {
	if (tokens.empty()) {
		return value;
	}
	const Tokens rest(tokens.begin() + 1, tokens.end());
	if (value.is_object() && value.count(tokens[0]) == 1) {
		return Get(value[tokens[0]], rest);
	}
	const auto index = value.is_array() ? Index(value, tokens[0], false) : std::nullopt;
	return index ? Get(value[*index], rest) : std::nullopt;
}

// the value with what is at the tokens added, or removed when there is nothing to add
Result
With(Value value, const Tokens &tokens, const Result &added) {
	if (tokens.empty()) {
		return added ? added : Value();
	}
	const bool last = tokens.size() == 1;
	const Tokens rest(tokens.begin() + 1, tokens.end());
	if (value.is_object() && last) {
		if (!added) {
			return value.erase(tokens[0]) == 1 ? Result(value) : std::nullopt;
		}
		value[tokens[0]] = *added;
		return value;
	}
	if (value.is_object() && value.count(tokens[0]) == 1) {
		const Result inner = With(value[tokens[0]], rest, added);
		if (inner) {
			value[tokens[0]] = *inner;
		}
		return inner ? Result(value) : std::nullopt;
	}
	const auto index = value.is_array() ? Index(value, tokens[0], last && added) : std::nullopt;
	if (!index) {
		return std::nullopt;
	}
	const auto at = value.begin() + static_cast<std::ptrdiff_t>(*index);
	if (last && added) {
		value.insert(at, *added);
	} else if (last) {
		value.erase(at);
	} else {
		const Result inner = With(*at, rest, added);
		if (!inner) {
			return std::nullopt;
		}
		*at = *inner;
	}
	return value;
}

Result
Moved(const Value &target, const Tokens &from, const Tokens &path) {
	const Result value = Get(target, from);
	const bool child = from.size() < path.size() && std::equal(from.begin(), from.end(), path.begin());
	if (!value || child) {
		return std::nullopt;
	}
	const Result without = With(target, from, std::nullopt);
	return without ? With(*without, path, value) : std::nullopt;
}

Result
Apply(const Value &target, const std::string &op, const Tokens &from, const Tokens &path, const Value &value) {
	const Result there = Get(target, path);
	if (op == "add") {
		return With(target, path, value);
	}
	if (op == "remove") {
		return there ? With(target, path, std::nullopt) : std::nullopt;
	}
	if (op == "replace") {
		const Result without = there ? With(target, path, std::nullopt) : std::nullopt;
		return without ? With(*without, path, value) : std::nullopt;
	}
	if (op == "test") {
		return there && *there == value ? Result(target) : std::nullopt;
	}
	if (op == "move") {
		return Moved(target, from, path);
	}
	const Result source = Get(target, from);
	return source ? With(target, path, source) : std::nullopt;
}

// ---- values at random -----------------------------------------------------------------------------------------------

const char *const kKeys[] = {"a", "b", "", "0", "1", "~", "/"};
const char *const kTokens[] = {"a", "b", "", "0", "1", "2", "-", "~", "/", "00"};
const char *const kOps[] = {"add", "remove", "replace", "move", "copy", "test"};

Value
RandomValue(std::mt19937 *random, int depth) {
	switch ((*random)() % (depth > 0 ? 8 : 4)) {
	case 0:
		return nullptr;
	case 1:
		return (*random)() % 2 == 0;
	case 2:
		return (*random)() % 3;
	case 3:
		return "x";
	case 4:
	case 5: {
		Value array = Value::array();
		for (std::size_t n = (*random)() % 4; n > 0; n--) {
			array.push_back(RandomValue(random, depth - 1));
		}
		return array;
	}
	default: {
		Value object = Value::object();
		for (std::size_t n = (*random)() % 5; n > 0; n--) {
			object[kKeys[(*random)() % std::size(kKeys)]] = RandomValue(random, depth - 1);
		}
		return object;
	}
	}
}

// mostly a place that is there, or one beside it
Tokens
RandomPath(std::mt19937 *random, const Value &value) {
	Tokens tokens;
	Value at = value;
	while ((*random)() % 5 != 0) {
		const bool known = (*random)() % 16 != 0 && at.is_structured() && !at.empty();
		if (!known) {
			tokens.push_back(kTokens[(*random)() % std::size(kTokens)]);
			return tokens;
		}
		auto chosen = at.begin();
		const auto step = static_cast<std::ptrdiff_t>((*random)() % at.size());
		std::advance(chosen, step);
		tokens.push_back(at.is_object() ? chosen.key() : std::to_string(step));
		const Value deeper = *chosen;
		at = deeper;
	}
	return tokens;
}

std::string
Text(const Tokens &tokens) {
	std::string text;
	for (const std::string &token : tokens) {
		text += '/';
		for (const char c : token) {
			text += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
		}
	}
	return text;
}

} // namespace model

TEST(Patch, DoesWhatTheRfcSaysAtRandom) {
	std::mt19937 random(6902);
	int applied = 0;
	int refused = 0;
	for (int i = 0; i < 20'000; i++) {
		model::Value before = model::RandomValue(&random, 4);
		while (!before.is_structured()) {
			before = model::RandomValue(&random, 4);
		}
		model::Result after = before;
		model::Value patch = model::Value::array();
		for (std::size_t n = 1 + random() % 4; n > 0 && after; n--) {
			const std::string op = model::kOps[random() % std::size(model::kOps)];
			const model::Tokens from = model::RandomPath(&random, *after);
			const model::Tokens path = model::RandomPath(&random, *after);
			const model::Result there = model::Get(*after, path);
			const model::Value value = there && op == "test" && random() % 8 != 0 ? *there : model::RandomValue(&random, 2);
			patch.push_back({{"op", op}, {"from", model::Text(from)}, {"path", model::Text(path)}, {"value", value}});
			after = model::Apply(*after, op, from, path, value);
		}
		const Json operations = random() % 2 == 0 ? FromText(patch.dump()) : DocumentOf(patch.dump());
		Json target = random() % 2 == 0 ? FromText(before.dump()) : DocumentOf(before.dump());
		const auto error = ErrorOf([&] { ApplyPatch(&target, operations, TextHost()); });
		ASSERT_EQ(!error, after.has_value()) << before << " by " << patch << ": " << (error ? error->message() : "");
		ASSERT_EQ(ToText(target), ToText(FromText((after ? *after : before).dump()))) << before << " by " << patch;
		if (error) {
			const std::string number = "Operation " + std::to_string(patch.size() - 1) + " is ";
			ASSERT_TRUE(Contains(error->detail(), number)) << error->detail() << ": " << patch;
		}
		(error ? refused : applied)++;
	}
	EXPECT_GT(applied, 2000);
	EXPECT_GT(refused, 5000);
}

} // namespace
} // namespace auren
