#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/store/month.hpp"

namespace auren::pg {

// A row's columns as texts; NULL has none.
using TextRow = std::vector<std::optional<std::string>>;

/*
 * Runs a statement of ours as the owner of the store's tables, with every parameter a text, and returns its rows. Names in it mean the server's own
 * unless they have a schema.
 */
std::vector<TextRow> QueryAsOwner(const std::string &sql, const std::vector<std::string> &arguments = {});

// "events.event_store_2026_11"
std::string PartitionName(Month month);
// "2026-11", as callers name a month
std::string MonthText(Month month);
// "2026-11-01"
std::string DateText(Month month);

} // namespace auren::pg
