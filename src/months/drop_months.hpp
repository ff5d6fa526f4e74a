#pragma once

#include <string>
#include <vector>

#include "months/month_list.hpp"
#include "months/steps.hpp"

namespace auren::pg {

// What the caller overrides, each as events.months shows it in held_by, or more broadly: 'subscription:name' in every tenant, 'unsealed:*'.
class Forced {
  public:
	// Throws 22023 for a text that names nothing of the kind.
	explicit Forced(std::vector<std::string> names);
	bool Covers(const std::string &holder) const;
	const std::vector<std::string> &
	names() const {
		return names_;
	}

  private:
	std::vector<std::string> names_;
};

// The months that lie wholly before a time, in their order, without those that were dropped and are attached.
std::vector<MonthFigures> MonthsBefore(int64 micros);
// What of a month's holders is not overridden.
std::vector<std::string> HoldersLeft(const MonthFigures &month, const Forced &forced);
// Throws 55000 where something that is not overridden needs one of the months, and names it.
void RequireDroppable(const std::vector<MonthFigures> &months, const Forced &forced);

/*
 * Carries and drops a month in steps: RequireDroppable holds, and no older month is there. The last step takes ACCESS EXCLUSIVE on the month, on
 * events.event_store and on the two of the index of tags, each for a moment: it tries for 40 ms, and 40 more, lets everybody pass, and tries again,
 * until the patience of the steps is used up (55P03, naming who was in the way). A call that was interrupted is made again and goes on.
 */
void DropMonth(Steps *steps, const MonthFigures &month, const Forced &forced);

} // namespace auren::pg
