#pragma once

#include <string>

#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The time zone of that name, as SQL takes the name: 22023 where there is none, and where AT TIME ZONE takes the name as an abbreviation,
 * which has no summer time, while the zone has one (CET). Takes no lock.
 */
pg_tz *NamedZone(const std::string &name);

} // namespace auren::pg
