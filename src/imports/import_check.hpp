#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/store/month.hpp"
#include "imports/import_plan.hpp"

namespace auren::pg {

// Why a row cannot be imported, and what to do about it.
struct ImportRefusal {
	std::string reason;
	std::string to_do;
};

/*
 * Looks whether the store would take rows of ImportPlanQuery, without trying.
 */
class ImportCheck {
  public:
	// Reads which months were dropped.
	ImportCheck();

	std::optional<ImportRefusal> Look(const FetchedRow &row) const;

  private:
	bool IsDropped(TimestampTz time) const;
	std::optional<ImportRefusal> LookAtTime(const FetchedRow &row) const;

	std::vector<Month> dropped_; // in order
	TimestampTz now_;
};

// What a row that is not in the store yet becomes other than it was, as events.import_report says it; empty: nothing.
std::string ChangesOf(const FetchedRow &row);

} // namespace auren::pg
