#pragma once

#include <optional>
#include <string>
#include <vector>

namespace auren {

/*
 * Values as a line of eight heights of bars in UTF-8, from the least value to the greatest; a space where there is none or it is
 * no finite number.
 */
std::string Sparkline(const std::vector<std::optional<double>> &values);

} // namespace auren
