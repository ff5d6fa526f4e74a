#pragma once

#include <functional>
#include <optional>
#include <string>

#include "imports/import_check.hpp"
#include "months/steps.hpp"

namespace auren::pg {

// What a source holds.
struct ImportCounts {
	int64 events = 0;
	int64 stored = 0;  // that are in the store already
	int64 changed = 0; // of the others, those that have to be changed
	int64 refused = 0; // and those that the store would refuse
};

/*
 * Calls visit for each row that would be changed or refused (then the second argument is given). Writes nothing. Inside an SPI connection.
 */
ImportCounts RehearseImport(const ImportSource &source, const std::function<void(const FetchedRow &, const std::optional<ImportRefusal> &)> &visit);

/*
 * Imports what is not there yet of a table, `batch` events in a transaction, and compares both sides. Throws 55006 while another session imports a
 * store, 22023 where the store would refuse a row (before anything is imported), XX001 where the sides differ, 40001 where somebody wrote to a stream
 * meanwhile, and what events.import_events throws.
 */
void ImportStore(Procedure *procedure, Oid table, const std::optional<std::string> &kind, int batch);

} // namespace auren::pg
