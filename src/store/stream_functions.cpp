// events.close_stream, events.reopen_stream, events.create_monthly_partitions

#include <string>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "store/months.hpp"
#include "store/stream_row.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

struct LockedStream {
	pg::StreamRows rows;
	pg::StreamRow row;
};

LockedStream
LockStream(const pg::Text &stream) {
	Call([] { PreventCommandIfReadOnly("closing or opening a stream"); });
	const pg::Tenant tenant = pg::CurrentTenant();
	const LockedStream locked = Call([&](Server server) {
		LockedStream found;
		found.rows = pg::OpenStreamRows(server, RowExclusiveLock);
		found.row = pg::LockStreamRow(server, &found.rows, tenant.text, stream.datum);
		return found;
	});
	if (!locked.row.found) {
		throw DomainError(sqlstate::kUndefinedObject, "stream \"" + std::string(stream.name.bytes) + "\" does not exist",
		                  "It has no event in this tenant.", "A stream begins with its first event.");
	}
	return locked;
}

} // namespace

AUREN_FUNCTION(auren_close_stream) {
	const pg::Text stream = pg::TextArgument(fcinfo, 0, "p_stream_id");
	const pg::Text reason = pg::TextArgument(fcinfo, 1, "p_reason");
	CheckStreamId(stream.name);
	const LockedStream locked = LockStream(stream);
	Call([&](Server server) {
		if (!locked.row.closed) {
			const Datum by = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
			pg::SetClosed(server, locked.rows, locked.row, by, reason.datum);
		}
		pg::Close(server, locked.rows);
	});
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_reopen_stream) {
	const pg::Text stream = pg::TextArgument(fcinfo, 0, "p_stream_id");
	CheckStreamId(stream.name);
	const LockedStream locked = LockStream(stream);
	Call([&](Server server) {
		if (locked.row.closed) {
			pg::SetOpen(server, locked.rows, locked.row);
		}
		pg::Close(server, locked.rows);
	});
	PG_RETURN_VOID();
}

AUREN_FUNCTION(auren_create_monthly_partitions) {
	constexpr int32 kMostMonthsAhead = 120;
	pg::RequireNotNull(fcinfo, 0, "p_months_ahead");
	const int32 ahead = PG_GETARG_INT32(0);
	if (ahead < 0 || ahead > kMostMonthsAhead) {
		throw DomainError(sqlstate::kInvalidParameter, "p_months_ahead must be between 0 and " + std::to_string(kMostMonthsAhead),
		                  "The number given is " + std::to_string(ahead) + ".", "3 is a good number for a monthly job.");
	}
	Call([] { PreventCommandIfReadOnly("events.create_monthly_partitions()"); });
	return Int32GetDatum(pg::MakeMonths(Month::FromMicros(GetCurrentTimestamp()), 1 + ahead));
}

} // namespace auren
