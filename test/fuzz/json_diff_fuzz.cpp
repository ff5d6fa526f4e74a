// The difference of two values is a patch that turns one into the other, and is empty when they are equal; a merge done
// twice is done once, and adds nothing but what its patch says.

#include "core/json/json_diff.hpp"
#include "core/json/json_equal.hpp"
#include "core/json/json_merge.hpp"
#include "core/state/json_patch.hpp"
#include "fuzz/json_values.hpp"

using namespace auren;
using namespace auren::test;

namespace {

void
CheckDiff(const Json &from, const Json &to, const JsonHost &host) {
	const Json patch = Diff(from, to, host);
	Require(patch.array().empty() == Equal(from, to, host));
	for (const Json &operation : patch.array()) {
		const std::string &op = operation.object().at("op").string();
		Require(op == "add" || op == "remove" || op == "replace");
		Require((op == "remove") == (operation.object().count("value") == 0));
	}
	Json target = from;
	ApplyPatch(&target, patch, host);
	Require(Equal(target, to, host));
	Require(Equal(Diff(from, to, host), patch, host));
}

void
CheckMerge(const Json &value, const Json &patch, const JsonHost &host) {
	Json once = value;
	MergePatch(&once, patch, host);
	Json twice = once;
	MergePatch(&twice, patch, host);
	Require(Equal(once, twice, host));

	Json expanded = value;
	ExpandAll(&expanded, host);
	Json expanded_patch = patch;
	ExpandAll(&expanded_patch, host);
	MergePatch(&expanded, expanded_patch, host);
	Require(Equal(once, expanded, host));
	if (!expanded_patch.is(Json::Kind::kObject)) {
		Require(Equal(expanded, expanded_patch, host));
		return;
	}
	for (const auto &[key, member] : expanded_patch.object()) {
		Require((expanded.object().count(key) == 0) == member.is(Json::Kind::kNull));
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const BytesHost host;
	const Json from = JsonMaker::Value(&bytes);
	const Json to = JsonMaker::Value(&bytes);
	Require(Equal(from, from, host) && Equal(from, to, host) == Equal(to, from, host));
	CheckDiff(from, to, host);
	CheckDiff(from, from, host);
	CheckMerge(from, to, host);
	return 0;
}
