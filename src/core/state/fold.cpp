#include "core/state/fold.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

void
RotateToFront(Json *ring, std::size_t start) {
	Json::Array &array = ring->array();
	std::rotate(array.begin(), array.begin() + static_cast<std::ptrdiff_t>(start), array.end());
}

// The pointers that a patch may use, right or wrong; what is not a patch has none. Expands what it looks into.
std::vector<std::string>
PointersOf(Json *patch, const JsonHost &host) {
	std::vector<std::string> pointers;
	ExpandInPlace(patch, host);
	if (!patch->is(Json::Kind::kArray)) {
		return pointers;
	}
	for (Json &operation : patch->array()) {
		ExpandInPlace(&operation, host);
		if (!operation.is(Json::Kind::kObject)) {
			continue;
		}
		for (const std::string_view name : {"path", "from"}) {
			const auto member = operation.object().find(name);
			if (member == operation.object().end()) {
				continue;
			}
			ExpandInPlace(&member->second, host);
			if (member->second.is(Json::Kind::kString)) {
				pointers.push_back(member->second.string());
			}
		}
	}
	return pointers;
}

} // namespace

Fold::BoundReducer *
Fold::BoundReducerOf(std::string_view event_type) {
	const auto found = bound_.find(event_type);
	if (found != bound_.end()) {
		return &found->second;
	}
	BoundReducer bound;
	if (const Reducer *reducer = reducers_.Find(event_type, category_)) {
		bound.reducer = *reducer;
	} else {
		bound.reducer.into = std::string(event_type);
	}
	names_.emplace_back(event_type);
	return &bound_.emplace(std::string_view(names_.back()), std::move(bound)).first->second;
}

Json *
Fold::Target(BoundReducer *bound) {
	if (bound->generation != generation_) {
		ExpandInPlace(&root_, *host_);
		if (!root_.is(Json::Kind::kObject)) {
			// as a merge would do: what is not an object gives way to one
			root_.SetObject();
			generation_++;
		}
		bound->target = &root_.object().try_emplace(*bound->reducer.into).first->second;
		bound->generation = generation_;
	}
	if (!rings_.empty()) {
		OrderRingUnless(bound->target, bound->reducer.kind == ReducerKind::kAppend ? bound->reducer.limit : 0);
	}
	return bound->target;
}

void
Fold::Count(BoundReducer *bound) {
	Json *target = Target(bound);
	ExpandInPlace(target, *host_);
	if (target->is(Json::Kind::kNumber)) {
		target->SetNumber(host_->Sum(target->number().bytes, host_->One()));
	} else {
		target->SetNumber(host_->One());
	}
}

Json *
Fold::PlaceOfNextElement(BoundReducer *bound) {
	Json *target = Target(bound);
	ExpandInPlace(target, *host_);
	Json::Array &array = target->is(Json::Kind::kArray) ? target->array() : target->SetArray();
	const std::size_t limit = bound->reducer.limit;
	if (array.size() < limit) {
		return &array.emplace_back();
	}
	if (array.size() > limit) {
		// others put more into it
		array.erase(array.begin(), std::prev(array.end(), static_cast<std::ptrdiff_t>(limit)));
	}
	Ring &ring = rings_.emplace(target, Ring{limit, 0}).first->second;
	Json *oldest = &array[ring.start];
	ring.start = (ring.start + 1) % limit;
	return oldest;
}

// Applies a patch to a value. False when it is one that is skipped, with the value as before.
bool
Fold::TryPatch(const Reducer &reducer, Json *target, const Json &patch) {
	try {
		ApplyPatch(target, patch, *host_);
		return true;
	} catch (const DomainError &error) {
		// what is wrong with the patch is skipped, not what is wrong with the server
		if (!reducer.skip_errors || error.sqlstate() != sqlstate::kInvalidParameter) {
			throw;
		}
		return false;
	}
}

void
Fold::Patch(BoundReducer *bound, Json *patch) {
	const Reducer &reducer = bound->reducer;
	if (!reducer.into) {
		OrderRingsNamedIn(patch);
		generation_++;
		(void)TryPatch(reducer, &root_, *patch);
		return;
	}
	ExpandInPlace(&root_, *host_);
	if (root_.is(Json::Kind::kObject) && root_.object().count(*reducer.into) != 0) {
		(void)TryPatch(reducer, Target(bound), *patch);
		return;
	}
	// a part of the state begins as {}, as the whole does, and is there only once a patch has made it
	Json part{Json::Object()};
	if (TryPatch(reducer, &part, *patch)) {
		*Target(bound) = std::move(part);
	}
}

void
Fold::OrderRings() {
	for (const auto &[array, ring] : rings_) {
		RotateToFront(array, ring.start);
	}
	rings_.clear();
}

void
Fold::OrderRingUnless(Json *array, std::size_t limit) {
	const auto ring = rings_.find(array);
	if (ring != rings_.end() && ring->second.limit != limit) {
		RotateToFront(array, ring->second.start);
		rings_.erase(ring);
	}
}

void
Fold::OrderRingOfMember(std::string_view key) {
	const auto member = root_.object().find(key);
	if (member != root_.object().end()) {
		OrderRingUnless(&member->second, 0);
	}
}

void
Fold::OrderRingsNamedIn(Json *patch) {
	if (rings_.empty()) {
		return;
	}
	for (const std::string &pointer : PointersOf(patch, *host_)) {
		const std::size_t end = pointer.find('/', 1);
		const std::string_view key = std::string_view(pointer).substr(0, end).substr(pointer.empty() ? 0 : 1);
		if (pointer.empty() || key.find('~') != std::string_view::npos) {
			// the whole state, or a key that is written in another way
			OrderRings();
			return;
		}
		OrderRingOfMember(key);
	}
}

} // namespace auren
