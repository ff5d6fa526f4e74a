#pragma once

#include <vector>

#include "pg/postgres.hpp"

namespace auren::pg {

// A key of a state and the jsonb that it holds.
struct StateEntry {
	Datum key;   // text
	Datum value; // jsonb
};

/*
 * One jsonb object of the entries. Values are taken over as they are: numbers keep their digits. C++ side.
 */
Datum ObjectOf(const std::vector<StateEntry> &entries);

} // namespace auren::pg
