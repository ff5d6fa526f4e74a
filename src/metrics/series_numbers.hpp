#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "metrics/series.hpp"

namespace auren::pg {

// Numbers for the series of a scan that are not those of auren.series: from 0, in the order in which they are met.
class SeriesNumbers {
  public:
	struct Named {
		std::string tenant;
		std::optional<std::string> user;
		std::optional<std::string> device;
		std::optional<std::string> metric;
	};

	int64
	NumberOf(const SeriesNames &names) {
		std::string key;
		for (const auto *name : {&names.user, &names.device, &names.metric}) {
			key += *name ? std::to_string((*name)->size()) + ":" : "-";
			key.append(*name ? **name : std::string_view());
		}
		const auto [found, added] = numbers_.emplace(key, static_cast<int64>(names_.size()));
		if (added) {
			const auto copy = [](const std::optional<std::string_view> &name) {
				return name ? std::optional<std::string>(*name) : std::nullopt;
			};
			names_.push_back({std::string(names.tenant), copy(names.user), copy(names.device), copy(names.metric)});
		}
		return found->second;
	}

	const Named &
	At(int64 number) const {
		return names_[static_cast<std::size_t>(number)];
	}

  private:
	std::map<std::string, int64> numbers_;
	std::vector<Named> names_;
};

} // namespace auren::pg
