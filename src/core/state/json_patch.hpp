#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "core/json/json.hpp"

namespace auren {

// How deep a patch may build: the levels of a value that it puts somewhere and of the path that leads there. A patch of
// short copies nests without an end otherwise, and a value is walked and freed level by level on the stack.
inline constexpr std::size_t kMaxPatchDepth = 1000;
// How much the copies of one patch may take in memory: each "copy" can double a value.
inline constexpr std::size_t kMaxPatchCopies = std::size_t{256} << 20;

// What is wrong with an operation of a patch, which has a number from 0.
class PatchError : public DomainError {
  public:
	PatchError(const DomainError &error, std::string detail, std::size_t operation)
		: DomainError(error.sqlstate().c_str(), error.message(), std::move(detail), error.hint()), operation_(operation) {
	}

	std::size_t
	operation() const noexcept {
		return operation_;
	}

  private:
	std::size_t operation_;
};

// A sentence on an operation of a patch, for an error: its number, op and places; of an envelope only that it is encrypted.
std::string DescribeOperation(const Json &patch, std::size_t number, const JsonHost &host);

/*
 * Changes *target by a patch of RFC 6902, all operations or none: an error leaves a value equal to the one before, of
 * which only documents on the patch's way may have been expanded. The cost is that of the places that the patch names,
 * not of the whole target. Removing the root leaves null.
 *
 * Throws 22023 for what the RFC calls an error, a PatchError where it is one operation's; DETAIL names the operation by its number from 0, its op and
 * its path. Members that the RFC does not know are ignored.
 */
void ApplyPatch(Json *target, const Json &patch, const JsonHost &host);

} // namespace auren
