// events.version: which module is loaded, and of which version the SQL objects are.

#include <cstring>

#include "server/entry.hpp"
#include "server/installed_version.hpp"

namespace auren {

AUREN_FUNCTION(auren_version) {
	return pg::Call([&](pg::Server server) {
		const char *installed = pg::InstalledVersion(server);
		Datum values[3] = {CStringGetTextDatum(pg::kModuleVersion)};
		bool isnull[3] = {false, installed == nullptr, false};
		if (installed != nullptr) {
			values[1] = CStringGetTextDatum(installed);
		}
		values[2] = BoolGetDatum(installed == nullptr || std::strcmp(installed, pg::kModuleVersion) != 0);
		TupleDesc descriptor;
		(void)get_call_result_type(fcinfo, nullptr, &descriptor);
		return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, isnull));
	});
}

} // namespace auren
