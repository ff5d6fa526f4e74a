// A patch is applied as a whole or leaves a value equal to the one before, whoever fails; it does the same to documents
// and to what they hold; and the difference between before and after does what the patch did.

#include "core/json/json_diff.hpp"
#include "core/json/json_equal.hpp"
#include "core/state/json_patch.hpp"
#include "fuzz/json_values.hpp"

using namespace auren;
using namespace auren::test;

namespace {

// Whether the patch was applied.
bool
Applied(Json *target, const Json &patch, const JsonHost &host) {
	try {
		ApplyPatch(target, patch, host);
	} catch (const DomainError &error) {
		Require(error.sqlstate() == "22023" && !error.message().empty() && !error.detail().empty());
		Require(error.message().back() != '.' && error.detail().back() == '.');
		return false;
	}
	return true;
}

// that after so many expansions the host's own failure leaves nothing of the patch
void
FailAfter(int expansions, const Json &before, const Json &patch) {
	Json target = before;
	try {
		Applied(&target, patch, BytesHost(expansions));
	} catch (const HostFailure &) {
		Require(Equal(target, before, BytesHost()));
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	const BytesHost host;
	const int expansions = bytes.Byte() % 16;
	const Json patch = JsonMaker::Patch(&bytes);
	const Json before = JsonMaker::Value(&bytes);

	Json after = before;
	const bool applied = Applied(&after, patch, host);
	Require(applied || Equal(after, before, host));

	Json expanded = before;
	ExpandAll(&expanded, host);
	Json expanded_patch = patch;
	ExpandAll(&expanded_patch, host);
	Require(Applied(&expanded, expanded_patch, host) == applied);
	Require(Equal(expanded, after, host));

	Json again = before;
	Require(Applied(&again, Diff(before, after, host), host));
	Require(Equal(again, after, host));

	FailAfter(expansions, before, patch);
	return 0;
}
