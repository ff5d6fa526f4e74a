#include <string>

#include <gtest/gtest.h>

#include "core/json/json_merge.hpp"
#include "unit/json_text.hpp"

namespace auren {
namespace {

using test::DocumentOf;
using test::FromText;
using test::TextHost;
using test::ToText;

struct Merge {
	const char *target;
	const char *patch;
	const char *result;
};

// whether the target, the patch, both or none are documents
void
ExpectMerge(const Merge &merge) {
	const TextHost host;
	for (const bool target_document : {false, true}) {
		for (const bool patch_document : {false, true}) {
			SCOPED_TRACE(std::string(merge.target) + " and " + merge.patch + (target_document ? ", target" : "") + (patch_document ? ", patch" : ""));
			Json target = target_document ? DocumentOf(merge.target) : FromText(merge.target);
			const Json patch = patch_document ? DocumentOf(merge.patch) : FromText(merge.patch);
			MergePatch(&target, patch, host);
			EXPECT_EQ(ToText(target), ToText(FromText(merge.result)));
			EXPECT_EQ(ToText(patch), ToText(FromText(merge.patch)));
			// twice is once
			MergePatch(&target, patch, host);
			EXPECT_EQ(ToText(target), ToText(FromText(merge.result)));
		}
	}
}

// RFC 7396, appendix A, in its order
TEST(MergePatch, DoesTheExamplesOfTheRfc) {
	const Merge merges[] = {
		{R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
		{R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
		{R"({"a":"b"})", R"({"a":null})", R"({})"},
		{R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
		{R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
		{R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
		{R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
		{R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
		{R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
		{R"({"a":"b"})", R"(["c"])", R"(["c"])"},
		{R"({"a":"foo"})", R"(null)", R"(null)"},
		{R"({"a":"foo"})", R"("bar")", R"("bar")"},
		{R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
		{R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
		{R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
	};
	for (const Merge &merge : merges) {
		ExpectMerge(merge);
	}
}

// its sections 1 and 3
TEST(MergePatch, DoesTheExamplesOfTheText) {
	ExpectMerge({R"({"a":"b","c":{"d":"e","f":"g"}})", R"({"a":"z","c":{"f":null}})", R"({"a":"z","c":{"d":"e"}})"});
	ExpectMerge({R"({"title": "Goodbye!", "author": {"givenName": "John", "familyName": "Doe"},
					 "tags": ["example", "sample"], "content": "This will be unchanged"})",
	             R"({"title": "Hello!", "phoneNumber": "+01-123-456-7890", "author": {"familyName": null},
					 "tags": ["example"]})",
	             R"({"title": "Hello!", "author": {"givenName": "John"}, "tags": ["example"],
					 "content": "This will be unchanged", "phoneNumber": "+01-123-456-7890"})"});
}

TEST(MergePatch, LeavesNoNullOfThePatchButThoseInArrays) {
	ExpectMerge({R"({})", R"({"a":{"b":{"c":null,"d":1},"e":null}})", R"({"a":{"b":{"d":1}}})"});
	ExpectMerge({R"({"a":1})", R"({"a":{"b":null}})", R"({"a":{}})"});
	ExpectMerge({R"({"a":[1]})", R"({"a":{"b":{"c":null}}})", R"({"a":{"b":{}}})"});
	ExpectMerge({R"({})", R"({"a":[null,{"b":null}]})", R"({"a":[null,{"b":null}]})"});
	ExpectMerge({R"({"a":{"b":1}})", R"({"a":{}})", R"({"a":{"b":1}})"});
	ExpectMerge({R"(null)", R"({})", R"({})"});
	ExpectMerge({R"({"":1})", R"({"":null})", R"({})"});
}

TEST(MergePatch, KeepsTheBytesOfNumbers) {
	ExpectMerge({R"({"a":0.10,"b":1e400,"c":{"d":12345678901234567890}})", R"({"a":1.00,"c":{"e":-0.50}})",
	             R"({"a":1.00,"b":1e400,"c":{"d":12345678901234567890,"e":-0.50}})"});
}

// What no patch names is not looked into.
TEST(MergePatch, LeavesDocumentsOffItsWay) {
	Json target = DocumentOf(R"({"a":{"x":[1]},"b":{"y":1,"z":{}},"c":[1]})");
	MergePatch(&target, DocumentOf(R"({"b":{"y":[2]}})"), TextHost());
	EXPECT_EQ(ToText(target), R"({"a":{"x":[1]},"b":{"y":[2],"z":{}},"c":[1]})");
	EXPECT_TRUE(target.object().at("a").is(Json::Kind::kDocument));
	EXPECT_TRUE(target.object().at("b").object().at("z").is(Json::Kind::kDocument));
	EXPECT_TRUE(target.object().at("c").is(Json::Kind::kDocument));
}

} // namespace
} // namespace auren
