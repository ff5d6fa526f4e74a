#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace auren {

/*
 * A number as a text that an event carries it in: as JSON writes numbers ("72", "-0.5", "1e3"), with blanks around it or without. What is
 * too great for a double is infinite, as such a number of JSON is. Nothing where the text is not a number.
 */
std::optional<double> ParseReadingValue(std::string_view text);

// How long the names of a series (tenant, user, device, metric) can be together: one entry of an index holds them all.
constexpr std::size_t kMostNameBytes = 2500;
// How long a metric's name can be in attach_events, which leaves room for the other names.
constexpr std::size_t kMostMetricBytes = 255;

} // namespace auren
