#pragma once

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <string>

#include "core/json/json.hpp"
#include "core/json/json_pointer.hpp"

namespace auren {

/*
 * The value that a patch changes. It remembers how to take back every change, and does so at its end unless Keep was
 * called. Places are remembered by their path: one that is valid after a change is valid again once all later changes
 * are taken back, while addresses are not.
 */
class PatchTarget {
  public:
	PatchTarget(Json *root, const JsonHost &host) : root_(root), host_(host) {
	}
	~PatchTarget() {
		TakeBack();
	}
	PatchTarget(const PatchTarget &) = delete;
	PatchTarget &operator=(const PatchTarget &) = delete;

	// What is at a path; throws, as the changes do, when there is nothing.
	const Json &
	Get(const JsonPointer &path) {
		return *Find(path, path.tokens.size());
	}
	// The changes are those of the RFC's operations. A value is moved from, and a document stays one.
	void Add(const JsonPointer &path, Json *value);
	void Replace(const JsonPointer &path, Json *value);
	void Remove(const JsonPointer &path);
	void Move(const JsonPointer &from, const JsonPointer &path);
	void
	Keep() noexcept {
		steps_.clear();
	}

  private:
	// How to take back one change.
	struct Step {
		enum class Kind : std::uint8_t { kNone, kAddedMember, kAddedElement, kChanged, kRemovedMember, kRemovedElement };

		explicit Step(const JsonPointer &at) : path(at) {
		}

		Kind kind = Kind::kNone; // until the change is made
		bool moved = false;      // the value is where the next change put it
		JsonPointer path;
		std::size_t index = 0;          // of the element, since the path may end in "-"
		Json value;                     // what was there
		Json::Object::node_type member; // with its key: to put it back needs no memory
	};

	Json *Find(const JsonPointer &path, std::size_t tokens);
	Json *FindIn(Json *container, const JsonPointer &path, std::size_t token);
	Json *Parent(const JsonPointer &path);
	void Change(const JsonPointer &path, Json *place, Json *value);
	Json *Known(const JsonPointer &path, std::size_t tokens) noexcept;
	void TakeBack() noexcept;
	void TakeBack(Step *step, Json *taken) noexcept;

	Json *root_;
	const JsonHost &host_;
	std::forward_list<Step> steps_; // the last one first; none moves in memory
};

// 22023, for what RFC 6902 calls an error.
[[noreturn]] void ThrowBadPatch(std::string message, std::string detail, std::string hint = {});

// What the texts of errors call a kind, and the place that the first tokens of a path name.
const char *KindText(Json::Kind kind);
std::string Place(const JsonPointer &path, std::size_t tokens);

} // namespace auren
