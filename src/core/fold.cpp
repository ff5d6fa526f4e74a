#include "core/fold.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "core/no_postgres.hpp"

namespace auren {

namespace {

void
Straighten(Json *ring, std::size_t start) {
	Json::Array &array = ring->array();
	std::rotate(array.begin(), array.begin() + static_cast<std::ptrdiff_t>(start), array.end());
}

} // namespace

Fold::Bound *
Fold::BoundOf(std::string_view event_type) {
	const auto found = bound_.find(event_type);
	if (found != bound_.end()) {
		return &found->second;
	}
	Bound bound;
	if (const Reducer *reducer = reducers_.Find(event_type, category_)) {
		bound.reducer = *reducer;
	} else {
		bound.reducer.into = std::string(event_type);
	}
	names_.emplace_back(event_type);
	return &bound_.emplace(std::string_view(names_.back()), std::move(bound)).first->second;
}

Json *
Fold::Target(Bound *bound, bool *made) {
	if (bound->generation != generation_) {
		ExpandInPlace(&root_, *host_);
		if (!root_.is(Json::Kind::kObject)) {
			// as a merge would do: what is no object gives way to one
			root_.SetObject();
			generation_++;
		}
		const auto [place, inserted] = root_.object().try_emplace(*bound->reducer.into);
		bound->target = &place->second;
		bound->generation = generation_;
		if (made != nullptr) {
			*made = inserted;
		}
	} else if (made != nullptr) {
		*made = false;
	}
	if (!rings_.empty()) {
		SettleUnless(bound->target, bound->reducer.kind == ReducerKind::kAppend ? bound->reducer.limit : 0);
	}
	return bound->target;
}

void
Fold::Count(Bound *bound) {
	Json *target = Target(bound);
	ExpandInPlace(target, *host_);
	if (target->is(Json::Kind::kNumber)) {
		target->SetNumber(host_->Sum(target->number().bytes, host_->One()));
	} else {
		target->SetNumber(host_->One());
	}
}

Json *
Fold::Place(Bound *bound) {
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
	Ring *ring = RingOf(bound, target);
	Json *oldest = &array[ring->start];
	ring->start = (ring->start + 1) % limit;
	return oldest;
}

Fold::Ring *
Fold::RingOf(Bound *bound, Json *array) {
	if (bound->ring < rings_.size() && rings_[bound->ring].array == array) {
		return &rings_[bound->ring];
	}
	for (std::size_t i = 0; i < rings_.size(); i++) {
		if (rings_[i].array == array) {
			bound->ring = i;
			return &rings_[i];
		}
	}
	bound->ring = rings_.size();
	rings_.push_back({array, bound->reducer.limit, 0});
	return &rings_.back();
}

void
Fold::Patch(Bound *bound, const Json &patch) {
	const Reducer &reducer = bound->reducer;
	bool made = false;
	Json *target = &root_;
	if (reducer.into) {
		target = Target(bound, &made);
		if (made) {
			// a state begins as {}, and so does a part of it
			target->SetObject();
		}
	} else {
		Settle();
		generation_++;
	}
	try {
		ApplyPatch(target, patch, *host_);
	} catch (const DomainError &error) {
		if (made) {
			root_.object().erase(*reducer.into);
			generation_++;
		}
		// what is wrong with the patch is skipped, not what is wrong with the server
		if (!reducer.skip_errors || error.sqlstate() != sqlstate::kInvalidParameter) {
			throw;
		}
	}
}

void
Fold::Settle() {
	for (const Ring &ring : rings_) {
		Straighten(ring.array, ring.start);
	}
	rings_.clear();
}

void
Fold::SettleUnless(const Json *array, std::size_t limit) {
	for (std::size_t i = 0; i < rings_.size(); i++) {
		if (rings_[i].array == array && rings_[i].limit != limit) {
			Straighten(rings_[i].array, rings_[i].start);
			rings_.erase(rings_.begin() + static_cast<std::ptrdiff_t>(i));
			return;
		}
	}
}

} // namespace auren
