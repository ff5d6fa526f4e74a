#include "metrics/named_zone.hpp"

#include "core/error.hpp"
#include "server/guard.hpp"

namespace auren::pg {

namespace {

// Whether AT TIME ZONE takes a name as an abbreviation, which it looks for first.
bool
IsAbbreviation(Server, const char *name) {
	SPI_connect();
	Oid types[1] = {TEXTOID};
	Datum values[1] = {CStringGetTextDatum(name)};
	SPI_execute_with_args("SELECT FROM pg_catalog.pg_timezone_abbrevs WHERE abbrev OPERATOR(pg_catalog.=) pg_catalog.upper($1)", 1, types, values,
	                      nullptr, true, 1);
	const bool is = SPI_processed > 0;
	SPI_finish();
	return is;
}

} // namespace

pg_tz *
NamedZone(const std::string &name) {
	struct Zone {
		pg_tz *known;
		bool ambiguous;
	};
	const Zone found = Call([&](Server server) {
		pg_tz *zone = pg_tzset(name.c_str());
		if (zone == nullptr || !pg_tz_acceptable(zone)) {
			return Zone{nullptr, false};
		}
		long offset;
		// a place such as Europe/Berlin is no abbreviation: the list of them need not be read for each chart
		const bool may_be = strchr(name.c_str(), '/') == nullptr && !pg_get_timezone_offset(zone, &offset);
		return Zone{zone, may_be && IsAbbreviation(server, name.c_str())};
	});
	if (found.known == nullptr) {
		throw DomainError(sqlstate::kInvalidParameter, "there is no time zone \"" + name + "\"", "It is in no list of zones of this server.",
		                  "pg_timezone_names lists them.");
	}
	if (found.ambiguous) {
		throw DomainError(sqlstate::kInvalidParameter, "\"" + name + "\" is a time zone and an abbreviation",
		                  "SQL takes it as the abbreviation, which has no summer time.", "Name a place of that zone, such as Europe/Berlin.");
	}
	return found.known;
}

} // namespace auren::pg
