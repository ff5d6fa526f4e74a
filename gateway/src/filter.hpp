#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event.hpp"

namespace auren::gateway {

using Names = std::vector<std::string>;

// Which events somebody asks for, or may see. What is not given lets everything through; a list that is given and empty lets nothing through.
// An event must pass all of them.
struct Filter {
	std::optional<Names> types;
	std::optional<Names> categories;
	std::optional<Names> streams;
	Names tags; // an event must have all of these
};

// Whether the list lets the name through.
bool Lets(const std::optional<Names> &names, std::string_view name);

bool Matches(const Filter &filter, const Event &event);

// The names that both lists let through.
std::optional<Names> Meet(const std::optional<Names> &asked, const std::optional<Names> &allowed);

// The filter that lets through what both do.
Filter Meet(const Filter &asked, const Filter &allowed);

// Whether a list of the filter is empty, so that no event passes.
bool LetsNothing(const Filter &filter);

} // namespace auren::gateway
