#include "filter.hpp"

#include <algorithm>

#include "core/store/names.hpp"

namespace auren::gateway {
namespace {

bool
Contains(const Names &names, std::string_view name) {
	return std::find(names.begin(), names.end(), name) != names.end();
}

bool
GivenEmpty(const std::optional<Names> &names) {
	return names && names->empty();
}

} // namespace

bool
Lets(const std::optional<Names> &names, std::string_view name) {
	return !names || Contains(*names, name);
}

bool
Matches(const Filter &filter, const Event &event) {
	if (!Lets(filter.types, event.type) || !Lets(filter.streams, event.stream)) {
		return false;
	}
	if (filter.categories && !Contains(*filter.categories, Category(event.stream))) {
		return false;
	}
	return std::all_of(filter.tags.begin(), filter.tags.end(), [&](const auto &tag) { return Contains(event.tags, tag); });
}

std::optional<Names>
Meet(const std::optional<Names> &asked, const std::optional<Names> &allowed) {
	if (!asked || !allowed) {
		return asked ? asked : allowed;
	}
	Names both;
	std::copy_if(asked->begin(), asked->end(), std::back_inserter(both), [&](const auto &name) { return Contains(*allowed, name); });
	return both;
}

Filter
Meet(const Filter &asked, const Filter &allowed) {
	Filter filter;
	filter.types = Meet(asked.types, allowed.types);
	filter.categories = Meet(asked.categories, allowed.categories);
	filter.streams = Meet(asked.streams, allowed.streams);
	filter.tags = asked.tags;
	filter.tags.insert(filter.tags.end(), allowed.tags.begin(), allowed.tags.end());
	return filter;
}

bool
LetsNothing(const Filter &filter) {
	return GivenEmpty(filter.types) || GivenEmpty(filter.categories) || GivenEmpty(filter.streams);
}

} // namespace auren::gateway
