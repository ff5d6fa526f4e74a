#pragma once

#include <optional>
#include <string>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A table of events of another store.
 */
struct ImportSource {
	std::string kind;   // hand-written, message-db or Marten
	std::string name;   // quoted, with its schema
	std::string select; // its rows as ImportPlan takes them; $1 is the tenant of rows that name none
};

/*
 * Recognises a table by its columns, or takes it for what the caller says. Throws 42P01 where there is no such relation, 42809 for one that is the
 * store's own, 22023 for a kind that does not exist, 42703 and 42804 where the columns are no kind's.
 */
ImportSource FindImportSource(Oid relid, const std::optional<std::string> &kind);

} // namespace auren::pg
