#pragma once

#include <string_view>

#include "counts/counts.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Where the counts of a database are kept: files below pg_stat/ of the data directory, where the server keeps its own statistics. They are mapped
 * shared by each session that has counted. The additions are atomic, so no session waits for another, nothing is lost when sessions add at once, and
 * what was added is there after a crash of the server, though not after one of the machine.
 *
 * The layout's number is part of the name, so that two versions of the module work side by side. A base backup takes the files along; pg_upgrade, a
 * dump and CREATE DATABASE ... TEMPLATE do not. A file that is missing, too short or not ours is made anew.
 *
 * Nothing here raises an error, but where a function takes the token. A disk that is full, or a file that somebody cuts short while it is mapped,
 * ends the counting for some seconds.
 */

// A row of the table of tenants, as long as the table is the one in which it was found: when the counts are set back, and when the file is made
// anew, other tenants get the rows.
struct CountedTenant {
	int row;
	uint32 table;

	bool
	operator==(const CountedTenant &other) const {
		return row == other.row && table == other.table;
	}
};
inline constexpr int kNoRow = -1;
inline constexpr CountedTenant kAllTenants = {kNoRow, 0}; // counted for all tenants together only

// A table has so many tenants, and one row for all that come after them.
inline constexpr int kMostCountedTenants = 1000;
inline constexpr int kOtherTenants = kMostCountedTenants;

// In bytes; a name that is longer has no row of its own.
inline constexpr std::size_t kLongestCountedTenant = 1020;

// Adds to the counts of all tenants and of one, and sets to 0 what was added. False where the file of all tenants did not take everything. For a
// tenant whose row is another's by now it is added to the counts of all tenants only.
bool AddToFile(CountedTenant tenant, int64 *counts);

// The row of a tenant, which gets one where it has none; kAllTenants where the file cannot be had.
CountedTenant FindCountedTenant(std::string_view tenant);
// Whether what it found is still the tenant's row.
bool IsStillCounted(CountedTenant tenant);

// What is in the file.
struct ReadCounts {
	TimestampTz since;
	int64 counts[kCountPlaces];
};
// Raises the error of the file where it cannot be had.
ReadCounts ReadCountsOfAll(Server server);

// What is counted of a tenant, in the current memory context. The name is nullptr for those that have no row of their own.
struct ReadTenantCounts {
	const char *tenant;
	int64 counts[kCountPlaces];
};
// Tenants of which something is counted. Likewise; none where nothing was ever counted by tenant.
ReadTenantCounts *ReadCountsOfTenants(Server server, int *count);

// Sets all counts of the database to 0, and gives back the tenants' rows. Likewise.
void ResetCounts(Server server);

// Removes files of databases that are no more. What cannot be removed stays.
void RemoveCountsOfDropped(Server server);

} // namespace auren::pg
