// Functions that read events of many streams: events.events_by_time, events.find_events.

#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/names.hpp"
#include "pg/arguments.hpp"
#include "pg/entry.hpp"
#include "pg/event_read.hpp"
#include "pg/rows.hpp"
#include "pg/store.hpp"
#include "pg/tenant.hpp"

namespace auren {

namespace {

using pg::Call;

constexpr int kResultColumns = 9;
constexpr const char *kResultColumnList =
    "event_id, stream_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position";

/*
 * A SELECT on events.event_store under construction. Every operator is qualified: the caller's search path decides
 * nothing. It runs as the caller with the table's rights waived, so that policies hold.
 */
class Query {
  public:
	// The placeholder of a value.
	std::string
	Bind(Oid type, Datum value) {
		types_.push_back(type);
		values_.push_back(value);
		return "$" + std::to_string(values_.size());
	}
	void
	Where(const char *column, const char *op, Oid type, Datum value) {
		Where(std::string(column) + " OPERATOR(pg_catalog." + op + ") " + Bind(type, value));
	}
	void
	Where(const std::string &condition) {
		where_ += (where_.empty() ? " WHERE " : " AND ") + condition;
	}
	std::string
	Select(const std::string &order) const {
		return std::string("SELECT ") + kResultColumnList + " FROM events.event_store" + where_ + order;
	}
	// Puts the rows of a statement into the result, a few at a time, and returns how many there were.
	int64
	Run(const std::string &sql, const pg::Rows &rows) {
		const char *text = sql.c_str();
		return Call([&] { return RunSql(text, rows); });
	}

  private:
	// Server side.
	int64
	RunSql(const char *sql, const pg::Rows &rows) {
		constexpr long kFetchRows = 500;
		int64 count = 0;
		SPI_connect();
		SPIPlanPtr plan = pg::PrepareWaived(sql, static_cast<int>(types_.size()), types_.data(), 0);
		Portal portal = SPI_cursor_open(nullptr, plan, values_.data(), nullptr, true);
		for (;;) {
			CHECK_FOR_INTERRUPTS();
			SPI_cursor_fetch(portal, true, kFetchRows);
			if (SPI_processed == 0) {
				break;
			}
			for (uint64 i = 0; i < SPI_processed; i++) {
				Datum values[kResultColumns];
				bool isnull[kResultColumns];
				heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, isnull);
				pg::PutRow(rows, values, isnull);
			}
			count += static_cast<int64>(SPI_processed);
			SPI_freetuptable(SPI_tuptable);
		}
		SPI_cursor_close(portal);
		SPI_finish();
		return count;
	}

	std::vector<Oid> types_;
	std::vector<Datum> values_;
	std::string where_;
};

int64
LimitArgument(FunctionCallInfo fcinfo, int argument) {
	pg::RequireNotNull(fcinfo, argument, "p_limit");
	const int64 limit = PG_GETARG_INT32(argument);
	if (limit < 0) {
		throw DomainError(sqlstate::kInvalidParameter, "p_limit must not be negative",
		                  "The limit given is " + std::to_string(limit) + ".", "Give the number of rows of a page.");
	}
	return limit;
}

Relation
OpenEvents() {
	return Call([] { return table_open(pg::Oids().events, AccessShareLock); });
}

} // namespace

AUREN_FUNCTION(auren_events_by_time) {
	pg::RequireNotNull(fcinfo, 0, "p_from");
	pg::RequireNotNull(fcinfo, 1, "p_to");
	const auto type = pg::OptionalTextArgument(fcinfo, 2);
	const int64 limit = LimitArgument(fcinfo, 3);
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&] { return pg::BeginRows(fcinfo); });
	const Relation events = OpenEvents();

	Query query;
	query.Where("created_at", ">=", TIMESTAMPTZOID, PG_GETARG_DATUM(0));
	query.Where("created_at", "<", TIMESTAMPTZOID, PG_GETARG_DATUM(1));
	query.Where("tenant_id", "=", TEXTOID, tenant.text);
	if (type) {
		CheckEventType(type->name);
		query.Where("event_type", "=", TEXTOID, type->datum);
	}
	if (!PG_ARGISNULL(4)) {
		// events of one time may be more than a page holds: the position goes on among them
		query.Where("(created_at OPERATOR(pg_catalog.>) " + query.Bind(TIMESTAMPTZOID, PG_GETARG_DATUM(0)) +
		            " OR global_position OPERATOR(pg_catalog.>) " + query.Bind(INT8OID, PG_GETARG_DATUM(4)) + ")");
	}
	query.Run(query.Select(" ORDER BY created_at, global_position LIMIT " + std::to_string(limit)), rows);
	Call([&] { table_close(events, NoLock); });
	return 0;
}

/*
 * Month by month from the newest on, so that a page of recent events reads no older month. In each the hits are taken
 * by the GIN index first and sorted then: a planner that expects many hits would else walk the whole month in order.
 */
AUREN_FUNCTION(auren_find_events) {
	pg::RequireNotNull(fcinfo, 0, "p_contains");
	const Datum contains = pg::JsonbOf(PG_GETARG_DATUM(0));
	const auto type = pg::OptionalTextArgument(fcinfo, 1);
	if (type) {
		CheckEventType(type->name);
	}
	const int64 from = PG_ARGISNULL(2) ? PG_INT64_MIN : PG_GETARG_TIMESTAMPTZ(2);
	const int64 to = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_TIMESTAMPTZ(3);
	int64 left = LimitArgument(fcinfo, 4);
	const bool next_page = !PG_ARGISNULL(5);
	if (next_page && PG_ARGISNULL(3)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_before_position goes with p_to",
		                  "A position alone does not say where in time the next page begins.",
		                  "Give the last row's created_at as p_to and its global_position as p_before_position.");
	}
	const pg::Tenant tenant = pg::CurrentTenant();
	const pg::Rows rows = Call([&] { return pg::BeginRows(fcinfo); });
	const Relation events = OpenEvents();
	// every object contains {}: no index helps, and no sort is needed to find the newest
	const bool everything = JB_ROOT_IS_OBJECT(DatumGetJsonbP(contains)) && JB_ROOT_COUNT(DatumGetJsonbP(contains)) == 0;
	const std::string order = " ORDER BY created_at DESC, global_position DESC LIMIT ";

	int64 upper = next_page && to < PG_INT64_MAX ? to + 1 : to;
	while (left > 0) {
		const pg::PartitionRange month = Call([&] { return pg::FirstPartition(events, from, upper, true); });
		if (!OidIsValid(month.relid)) {
			break;
		}
		Query query;
		query.Where("created_at", ">=", TIMESTAMPTZOID,
		            TimestampTzGetDatum(Max(Max(from, month.lower), static_cast<int64>(MIN_TIMESTAMP))));
		query.Where("created_at", "<", TIMESTAMPTZOID,
		            TimestampTzGetDatum(Min(Min(upper, month.upper), static_cast<int64>(END_TIMESTAMP) - 1)));
		query.Where("tenant_id", "=", TEXTOID, tenant.text);
		query.Where("event_data", "@>", JSONBOID, contains);
		if (type) {
			query.Where("event_type", "=", TEXTOID, type->datum);
		}
		if (next_page) {
			query.Where("(created_at OPERATOR(pg_catalog.<) " + query.Bind(TIMESTAMPTZOID, TimestampTzGetDatum(to)) +
			            " OR global_position OPERATOR(pg_catalog.<) " + query.Bind(INT8OID, PG_GETARG_DATUM(5)) + ")");
		}
		const std::string page = order + std::to_string(left);
		left -= query.Run(everything ? query.Select(page)
		                             : "WITH hit AS MATERIALIZED (" + query.Select("") + ") SELECT " + kResultColumnList +
		                                   " FROM hit" + page,
		                  rows);
		upper = month.lower;
	}
	Call([&] { table_close(events, NoLock); });
	return 0;
}

} // namespace auren
