#pragma once

#include <string_view>

#include "core/archives/event_line_reader.hpp"
#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "server/row_writer.hpp"
#include "store/event_columns.hpp"
#include "store/months.hpp"
#include "tags/tag_rules.hpp"

namespace auren::pg {

/*
 * Puts events of an archive into the tables of a month that is not attached yet, some hundred at a time, with the rows by which they are found by
 * their tags. Plain data: it is in no need of an end after an error.
 */
struct MonthLoad {
	Month month;
	Relation events;
	AttrNumber attnum[kEventColumns];
	BulkInsertState bulk;
	RowWriter tag_rows;
	MemoryContext batch; // of the values
	int count;
	int made;   // slots
	Size bytes; // of the lines of the batch
	TupleTableSlot **slots;
	TextList *tags; // by which each event is found
	std::string_view *tenants;
};
void BeginLoad(Server server, MonthLoad *load, Month month, const UnattachedMonth &tables);
// Throws 22P04 for a time outside of the month, and what the server says of texts and JSON that it does not take.
void LoadEvent(MonthLoad *load, const EventOfLine &event, std::size_t line_bytes);
void EndLoad(Server server, MonthLoad *load);

} // namespace auren::pg
