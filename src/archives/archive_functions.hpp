#pragma once

#include "server/postgres.hpp"
#include "server/row_source.hpp"

namespace auren {

// events.archive_lines: the lines of a month's archive.
pg::RowSource *OpenArchiveLines(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection direction);

} // namespace auren
