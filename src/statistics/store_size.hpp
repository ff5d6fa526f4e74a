#pragma once

#include <string>
#include <vector>

#include "core/store/month.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// About how many events of a month are of a tenant and category, and the bytes that they take with all that belongs to them.
struct StoreShare {
	Month month;
	bool known; // whose they are
	std::string tenant;
	std::string category;
	double events;
	double bytes;
};

/*
 * The shares of all months that are there, by samples of their indexes of streams. Reads a bounded number of pages, and keeps no lock.
 */
std::vector<StoreShare> SharesOfStore();

} // namespace auren::pg
