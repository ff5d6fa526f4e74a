// events.append_event, events.append_events, events.append_if

#include <optional>
#include <string>

#include "conditions/query_argument.hpp"
#include "core/error.hpp"
#include "core/store/names.hpp"
#include "append/append.hpp"
#include "append/batch_arguments.hpp"
#include "counts/counts.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/settings.hpp"
#include "server/text.hpp"
#include "store/tenant.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

// The arguments of append_events, in their order. Those of append_if begin with its own.
enum Argument { kStreamIds, kTypes, kData, kCreatedBy, kMetadatas, kExpectedVersions, kIds, kTags };
constexpr int kConditionArguments = 2;

// The batch whose arguments begin with `first`.
pg::AppendRequest
ReadAppend(FunctionCallInfo fcinfo, int first) {
	const pg::Text created_by = pg::TextArgument(fcinfo, first + kCreatedBy, "p_created_by");
	CheckCreatedBy(created_by.name);
	pg::AppendRequest request =
		ReadBatch(fcinfo, {first + kStreamIds, first + kTypes, first + kData, first + kMetadatas, first + kIds, first + kTags});
	request.created_by = created_by.datum;
	const int count = static_cast<int>(request.elements.size());
	if (!PG_ARGISNULL(first + kExpectedVersions)) {
		const pg::Elements expected = pg::ArrayArgument(fcinfo, first + kExpectedVersions, "p_expected_versions", INT8OID);
		RequireLength(expected, count, "p_expected_versions");
		for (int i = 0; i < expected.count; i++) {
			request.expectations.push_back(expected.isnull[i] ? ExpectedVersion() : ExpectedVersion::FromNumber(DatumGetInt64(expected.values[i])));
		}
	}
	return request;
}

Datum
AppendOne(FunctionCallInfo fcinfo) {
	const pg::Text stream = pg::TextArgument(fcinfo, 0, "p_stream_id");
	const pg::Text type = pg::TextArgument(fcinfo, 1, "p_event_type");
	pg::RequireNotNull(fcinfo, 2, "p_event_data");
	const pg::Text created_by = pg::TextArgument(fcinfo, 3, "p_created_by");
	pg::RequireNotNull(fcinfo, 4, "p_metadata");
	CheckCreatedBy(created_by.name);

	pg::AppendRequest request;
	request.created_by = created_by.datum;
	std::optional<EventId> id;
	if (!PG_ARGISNULL(6)) {
		id = EventIdOf(PG_GETARG_DATUM(6));
	}
	AddElement(&request, {stream, type, pg::JsonbOf(PG_GETARG_DATUM(2)), pg::JsonbOf(PG_GETARG_DATUM(4)), id, pg::TagsArgument(fcinfo, 7)});
	if (!PG_ARGISNULL(5)) {
		request.expectations.push_back(ExpectedVersion::FromNumber(PG_GETARG_INT64(5)));
	}
	const EventId appended = pg::Append(request).front().id;
	return Call([&] {
		auto *result = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
		memcpy(result->data, appended.data(), appended.size());
		return UUIDPGetDatum(result);
	});
}

Datum
AppendIf(FunctionCallInfo fcinfo) {
	const QueryView query = QueryArgument(fcinfo, 0, Versions::kAllowed);
	const int64 after = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	if (after < 0) {
		throw DomainError(sqlstate::kInvalidParameter, "p_after must not be negative", "The position given is " + std::to_string(after) + ".",
		                  "Give the position up to which you have read, or NULL where no event at all may match.");
	}
	pg::AppendRequest request = ReadAppend(fcinfo, kConditionArguments);
	pg::Condition condition(query, after);
	request.condition = &condition;
	return AppendBatch(fcinfo, request);
}

// An append that was cancelled, or whose session was ended, was not refused.
void
CountRefused(int sqlstate) {
	if (sqlstate == MAKE_SQLSTATE('Z', 'E', '0', '0', '1')) {
		Count(pg::Work::kVersionConflicts);
	} else if (sqlstate == MAKE_SQLSTATE('Z', 'E', '0', '0', '2')) {
		Count(pg::Work::kIdConflicts);
	} else if (sqlstate == MAKE_SQLSTATE('Z', 'E', '0', '0', '8')) {
		Count(pg::Work::kConditionConflicts);
	} else if (sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED) {
		Count(pg::Work::kSerializationFailures);
	} else if (ERRCODE_TO_CATEGORY(sqlstate) != ERRCODE_OPERATOR_INTERVENTION) {
		Count(pg::Work::kAppendsRefused);
	}
}

// An append whose error, if any, is counted.
Datum
Counted(FunctionCallInfo fcinfo, Datum (*append)(FunctionCallInfo)) {
	try {
		if (pg::StatsByTenant()) {
			(void)pg::CurrentTenantId(); // arguments may be refused before anything else asks for it
		}
		return append(fcinfo);
	} catch (const pg::Error &error) {
		CountRefused(error.report->sqlerrcode);
		throw;
	} catch (const DomainError &error) {
		const char *s = error.sqlstate().c_str();
		CountRefused(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]));
		throw;
	}
}

} // namespace

AUREN_RELEASED_FUNCTION(auren_append_event, auren_append_event_with_tags)
AUREN_FUNCTION(auren_append_event_with_tags) {
	return Counted(fcinfo, AppendOne);
}

AUREN_RELEASED_FUNCTION(auren_append_events, auren_append_events_with_tags)
AUREN_FUNCTION(auren_append_events_with_tags) {
	return Counted(fcinfo, [](FunctionCallInfo call) { return AppendBatch(call, ReadAppend(call, 0)); });
}

AUREN_FUNCTION(auren_append_if) {
	return Counted(fcinfo, AppendIf);
}

} // namespace auren
