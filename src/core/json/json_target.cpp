#include "core/json/json_target.hpp"

#include <optional>
#include <type_traits>
#include <utility>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

namespace auren {

using Kind = Json::Kind;

namespace {

// Taking changes back moves values and must not fail half way.
static_assert(std::is_nothrow_move_constructible_v<Json> && std::is_nothrow_move_assignable_v<Json>);

std::string
Elements(std::size_t count) {
	return std::to_string(count) + (count == 1 ? " element" : " elements");
}

Json::Array::iterator
At(Json::Array *array, std::size_t index) {
	return array->begin() + static_cast<Json::Array::difference_type>(index);
}

[[noreturn]] void
ThrowMissing(const JsonPointer &path, std::string detail, std::string hint = {}) {
	ThrowBadPatch("path " + QuotedPointer(PointerText(path)) + " names nothing in the target", std::move(detail), std::move(hint));
}

[[noreturn]] void
ThrowNoContainer(const JsonPointer &path, std::size_t token, Kind kind) {
	ThrowMissing(path, "What is at " + Place(path, token) + " is " + KindText(kind) + ", so that " + QuotedPointer(path.tokens[token]) +
	                       " cannot be in it.");
}

// The index that a token means in an array.
std::size_t
IndexIn(const JsonPointer &path, std::size_t token) {
	const std::optional<std::size_t> index = ArrayIndex(path.tokens[token]);
	if (!index) {
		ThrowBadPatch(QuotedPointer(path.tokens[token]) + " is not an array index", "What is at " + Place(path, token) + " is an array.",
		              "Write an index as digits without a leading zero, from 0; \"-\" is the place after the last element.");
	}
	return *index;
}

} // namespace

// The member or element that a path's token names in what the tokens before it name.
Json *
PatchTarget::FindIn(Json *container, const JsonPointer &path, std::size_t token) {
	ExpandInPlace(container, host_);
	const std::string &key = path.tokens[token];
	if (container->is(Kind::kObject)) {
		const auto member = container->object().find(key);
		if (member == container->object().end()) {
			ThrowMissing(path, "The object at " + Place(path, token) + " has no member " + QuotedPointer(key) + ".");
		}
		return &member->second;
	}
	if (!container->is(Kind::kArray)) {
		ThrowNoContainer(path, token, container->kind());
	}
	Json::Array &array = container->array();
	const std::size_t index = IndexIn(path, token);
	if (index == kPastTheEnd) {
		ThrowMissing(path, "In the array at " + Place(path, token) + ", \"-\" is the place after the last element.",
		             "Name an element by its index; \"-\" can only be where something is added.");
	}
	if (index >= array.size()) {
		ThrowMissing(path, "The array at " + Place(path, token) + " has " + Elements(array.size()) + ".");
	}
	return &array[index];
}

// What the first tokens of a path name. Documents on the way are expanded, one at the end is not: it can be compared,
// copied and moved as it is.
Json *
PatchTarget::Find(const JsonPointer &path, std::size_t tokens) {
	Json *place = root_;
	for (std::size_t i = 0; i < tokens; i++) {
		place = FindIn(place, path, i);
	}
	return place;
}

// The object or array, or else value of another kind, that a path's last token speaks of.
Json *
PatchTarget::Parent(const JsonPointer &path) {
	Json *parent = Find(path, path.tokens.size() - 1);
	ExpandInPlace(parent, host_);
	return parent;
}

void
PatchTarget::Change(const JsonPointer &path, Json *place, Json *value) {
	Step &step = steps_.emplace_front(path);
	step.kind = Step::Kind::kChanged;
	step.value = std::move(*place);
	*place = std::move(*value);
}

void
PatchTarget::Add(const JsonPointer &path, Json *value) {
	if (path.tokens.empty()) {
		Change(path, root_, value);
		return;
	}
	Json *parent = Parent(path);
	const std::size_t last = path.tokens.size() - 1;
	const std::string &key = path.tokens[last];
	if (parent->is(Kind::kObject)) {
		Json::Object &object = parent->object();
		const auto member = object.lower_bound(key);
		if (member != object.end() && member->first == key) {
			Change(path, &member->second, value);
			return;
		}
		Step &step = steps_.emplace_front(path);
		object.emplace_hint(member, key, std::move(*value)); // the value is moved when nothing can fail any more
		step.kind = Step::Kind::kAddedMember;
		return;
	}
	if (!parent->is(Kind::kArray)) {
		ThrowNoContainer(path, last, parent->kind());
	}
	Json::Array &array = parent->array();
	std::size_t index = IndexIn(path, last);
	if (index == kPastTheEnd) {
		index = array.size();
	}
	if (index > array.size()) {
		ThrowBadPatch("array index " + QuotedPointer(key) + " is past the end",
		              "The array at " + Place(path, last) + " has " + Elements(array.size()) + ".",
		              "Add at an index up to the number of elements, or at \"-\".");
	}
	Step &step = steps_.emplace_front(path);
	array.insert(At(&array, index), std::move(*value));
	step.index = index;
	step.kind = Step::Kind::kAddedElement;
}

void
PatchTarget::Replace(const JsonPointer &path, Json *value) {
	Json *place = Find(path, path.tokens.size());
	Change(path, place, value);
}

void
PatchTarget::Remove(const JsonPointer &path) {
	Json *place = Find(path, path.tokens.size());
	if (path.tokens.empty()) {
		Json null;
		Change(path, place, &null);
		return;
	}
	Json *parent = Parent(path);
	Step &step = steps_.emplace_front(path);
	step.value = std::move(*place);
	if (parent->is(Kind::kObject)) {
		Json::Object &object = parent->object();
		step.member = object.extract(object.find(path.tokens.back()));
		step.kind = Step::Kind::kRemovedMember;
		return;
	}
	Json::Array &array = parent->array();
	step.index = static_cast<std::size_t>(place - array.data());
	array.erase(At(&array, step.index));
	step.kind = Step::Kind::kRemovedElement;
}

void
PatchTarget::Move(const JsonPointer &from, const JsonPointer &path) {
	Remove(from);
	Step &removed = steps_.front();
	Add(path, &removed.value);
	removed.moved = true;
}

// Find for a place that is there.
Json *
PatchTarget::Known(const JsonPointer &path, std::size_t tokens) noexcept {
	Json *place = root_;
	for (std::size_t i = 0; i < tokens; i++) {
		if (place->is(Kind::kObject)) {
			place = &place->object().find(path.tokens[i])->second;
		} else {
			place = &place->array()[*ArrayIndex(path.tokens[i])];
		}
	}
	return place;
}

void
PatchTarget::TakeBack() noexcept {
	Json taken; // what the change taken back last had put into the target
	for (; !steps_.empty(); steps_.pop_front()) {
		TakeBack(&steps_.front(), &taken);
	}
}

void
PatchTarget::TakeBack(Step *step, Json *taken) noexcept {
	if (step->kind == Step::Kind::kNone) {
		return;
	}
	if (step->moved) {
		step->value = std::move(*taken);
	}
	const std::size_t tokens = step->path.tokens.size();
	if (step->kind == Step::Kind::kChanged) {
		Json *place = Known(step->path, tokens);
		*taken = std::move(*place);
		*place = std::move(step->value);
		return;
	}
	Json *parent = Known(step->path, tokens - 1);
	switch (step->kind) {
	case Step::Kind::kAddedMember: {
		const auto member = parent->object().find(step->path.tokens.back());
		*taken = std::move(member->second);
		parent->object().erase(member);
		break;
	}
	case Step::Kind::kAddedElement: {
		const auto element = At(&parent->array(), step->index);
		*taken = std::move(*element);
		parent->array().erase(element);
		break;
	}
	case Step::Kind::kRemovedMember:
		step->member.mapped() = std::move(step->value);
		parent->object().insert(std::move(step->member));
		break;
	case Step::Kind::kRemovedElement:
		// an array keeps the memory of an element that was removed, so that this allocates none
		parent->array().insert(At(&parent->array(), step->index), std::move(step->value));
		break;
	case Step::Kind::kNone:
	case Step::Kind::kChanged:
		break;
	}
}

void
ThrowBadPatch(std::string message, std::string detail, std::string hint) {
	throw DomainError(sqlstate::kInvalidParameter, std::move(message), std::move(detail), std::move(hint));
}

const char *
KindText(Kind kind) {
	switch (kind) {
	case Kind::kNull:
		return "null";
	case Kind::kBool:
		return "a boolean";
	case Kind::kNumber:
		return "a number";
	case Kind::kString:
		return "a string";
	case Kind::kArray:
		return "an array";
	case Kind::kObject:
		return "an object";
	case Kind::kDocument:
		break;
	}
	return "a document";
}

std::string
Place(const JsonPointer &path, std::size_t tokens) {
	return tokens == 0 ? "the root" : QuotedPointer(PointerText(path, tokens));
}

} // namespace auren
