#include "core/metrics/sparkline.hpp"

#include <algorithm>
#include <cmath>

#include "core/no_postgres.hpp"

namespace auren {

std::string
Sparkline(const std::vector<std::optional<double>> &values) {
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	constexpr double kBars = 8;
	std::optional<double> least;
	std::optional<double> greatest;
	for (const auto &value : values) {
		if (value && std::isfinite(*value)) {
			least = least ? std::min(*least, *value) : *value;
			greatest = greatest ? std::max(*greatest, *value) : *value;
		}
	}
	std::string line;
	for (const auto &value : values) {
		if (!value || !std::isfinite(*value)) {
			line += ' ';
			continue;
		}
		// halves: the span of two great values may be no finite number
		const double span = *greatest / 2 - *least / 2;
		const double share = span > 0 ? (*value / 2 - *least / 2) / span : 0.5;
		line += bars[static_cast<int>(std::min(share * kBars, kBars - 1))];
	}
	return line;
}

} // namespace auren
