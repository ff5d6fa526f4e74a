#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/json/json.hpp"
#include "core/json/json_merge.hpp"
#include "core/json/json_view.hpp"
#include "core/state/json_patch.hpp"
#include "core/state/reducer.hpp"

namespace auren {

/*
 * What a fold asks of the server beyond what all JSON asks.
 */
class FoldHost : public JsonHost {
  public:
	// The number 1.
	virtual std::string_view One() const = 0;
	// What the function of a reducer makes of a state and an event. Throws what the function raises; returns false when it
	// failed and the reducer says that failures are skipped.
	virtual bool CallFunction(const Reducer &reducer, const Json &state, std::string_view event_type, const Json &data, Json *result) = 0;
};

/*
 * The state of a stream while its events are applied to it in order of version, each by the reducer of its type.
 *
 * Memory is bounded by the state, not by the number of events.
 */
class Fold {
  public:
	Fold(const ReducerSet &reducers, std::string_view category, FoldHost *host) : reducers_(reducers), category_(category), host_(host) {
		root_.SetObject();
	}
	Fold(const Fold &) = delete;
	Fold &operator=(const Fold &) = delete;

	// Begins anew, with a state that was reached before.
	void
	Start(Json state) {
		rings_.clear();
		root_ = std::move(state);
		generation_++;
	}
	// Throws what makes an event impossible to apply where its reducer does not skip that. What is wrong with a patch or a
	// function leaves the state as before; what is wrong with the server may leave a part of the event.
	template <typename View> void Apply(std::string_view event_type, const View &data);
	// The state so far.
	const Json &
	state() {
		OrderRings();
		return root_;
	}

  private:
	// An event type that was met, with the place in the state that its reducer changes.
	struct BoundReducer {
		Reducer reducer;
		Json *target = nullptr;
		std::uint64_t generation = 0;
	};
	// A full array of `append`, used as a ring: the next element takes the place of the oldest, at `start`.
	struct Ring {
		std::size_t limit;
		std::size_t start;
	};

	BoundReducer *BoundReducerOf(std::string_view event_type);
	// The place that a bound reducer changes; made, as null, when the state has none.
	Json *Target(BoundReducer *bound);
	void Count(BoundReducer *bound);
	// The place for one more element.
	Json *PlaceOfNextElement(BoundReducer *bound);
	bool TryPatch(const Reducer &reducer, Json *target, const Json &patch);
	void Patch(BoundReducer *bound, Json *patch);
	template <typename View> void MergeIntoRoot(const View &data);
	template <typename View> void Sum(BoundReducer *bound, const View &data);
	// Puts the elements of rings in order: of all; of one, unless it is of that limit; of a member of the state; of those
	// that a patch of the state names. Where appends and changes of the whole state take turns, putting all in order each
	// time would cost more than everything else.
	void OrderRings();
	void OrderRingUnless(Json *array, std::size_t limit);
	void OrderRingOfMember(std::string_view key);
	void OrderRingsNamedIn(Json *patch);

	const ReducerSet &reducers_;
	std::string category_;
	FoldHost *host_;
	Json root_;
	// goes up when places in the state may have moved
	std::uint64_t generation_ = 1;
	std::unordered_map<std::string_view, BoundReducer> bound_;
	std::deque<std::string> names_;          // what the keys of bound_ point to
	std::unordered_map<Json *, Ring> rings_; // by their array; only where the state is an object
};

template <typename View>
void
Fold::MergeIntoRoot(const View &data) {
	if (data.kind() != Json::Kind::kObject) {
		rings_.clear(); // all go with the state
	} else if (!rings_.empty()) {
		data.ForEachMember([this](std::string_view key, const auto &) { OrderRingOfMember(key); });
	}
	generation_++;
	MergeView(&root_, data, *host_);
}

template <typename View>
void
Fold::Sum(BoundReducer *bound, const View &data) {
	if (data.kind() != Json::Kind::kObject) {
		return;
	}
	const std::vector<std::string> &fields = bound->reducer.fields;
	Json::Object *sums = nullptr;
	data.ForEachMember([&](std::string_view key, const auto &value) {
		if (value.kind() != Json::Kind::kNumber) {
			return;
		}
		if (!fields.empty()) {
			bool asked = false;
			for (const std::string &field : fields) {
				asked |= field == key;
			}
			if (!asked) {
				return;
			}
		}
		if (sums == nullptr) {
			Json *target = Target(bound);
			ExpandInPlace(target, *host_);
			sums = target->is(Json::Kind::kObject) ? &target->object() : &target->SetObject();
		}
		auto sum = sums->lower_bound(key);
		if (sum == sums->end() || sum->first != key) {
			sum = sums->emplace_hint(sum, std::string(key), Json());
		}
		ExpandInPlace(&sum->second, *host_); // a number too, where a patch moved the whole data of an event here
		if (sum->second.is(Json::Kind::kNumber)) {
			sum->second.SetNumber(host_->Sum(sum->second.number().bytes, value.bytes()));
		} else {
			sum->second.SetNumber(value.bytes());
		}
	});
}

template <typename View>
void
Fold::Apply(std::string_view event_type, const View &data) {
	BoundReducer *bound = BoundReducerOf(event_type);
	const Reducer &reducer = bound->reducer;
	switch (reducer.kind) {
	case ReducerKind::kIgnore:
		break;
	case ReducerKind::kLatest:
		Store(Target(bound), data);
		break;
	case ReducerKind::kMerge:
		if (reducer.into) {
			MergeView(Target(bound), data, *host_);
		} else {
			MergeIntoRoot(data);
		}
		break;
	case ReducerKind::kSum:
		Sum(bound, data);
		break;
	case ReducerKind::kCount:
		Count(bound);
		break;
	case ReducerKind::kAppend:
		Store(PlaceOfNextElement(bound), data);
		break;
	case ReducerKind::kPatch: {
		Json patch;
		Store(&patch, data);
		Patch(bound, &patch);
		break;
	}
	case ReducerKind::kFunction: {
		Json value;
		Store(&value, data);
		OrderRings();
		Json result;
		if (host_->CallFunction(reducer, root_, event_type, value, &result)) {
			root_ = std::move(result);
			generation_++;
		}
		break;
	}
	}
}

} // namespace auren
