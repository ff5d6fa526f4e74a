// Functions that read events of many streams: events.events_by_time, events.find_events.

#include <cstring>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "core/store/names.hpp"
#include "server/arguments.hpp"
#include "server/entry.hpp"
#include "server/row_source.hpp"
#include "server/rows.hpp"
#include "store/event_arguments.hpp"
#include "store/partitions.hpp"
#include "store/query.hpp"
#include "store/read_functions.hpp"
#include "store/relations.hpp"
#include "store/shown_tags.hpp"
#include "store/tenant.hpp"
#include "store/tenant_search.hpp"

namespace auren {

namespace {

using pg::Call;
using pg::Server;

constexpr int kResultColumns = 10;
constexpr const char *kColumnsBeforeTags =
	"event_id, stream_id, stream_version, event_type, event_data, created_at, metadata, created_by, global_position, ";

// Puts the tags that callers are shown in the place of those that the row has.
void
ShowTags(Server server, Datum tenant, pg::ShownTagsRoom *room, Datum *values) {
	Datum &tags = values[kResultColumns - 1];
	tags = pg::ShownTags(server, pg::TaggedEvent{tenant, values[3], values[4], tags}, room);
}

/*
 * A SELECT on events.event_store under construction. Every operator is qualified: the caller's search path decides
 * nothing. It runs as the caller with the table's rights waived, so that policies hold.
 */
class Query {
  public:
	Query() {
		const char *tags = Call([](Server server) {
			Relation events = table_open(pg::own::events.Get(server), AccessShareLock);
			const char *expression = pg::TagExpression(server, events);
			table_close(events, NoLock);
			return expression;
		});
		tags_ = tags;
	}
	// The parameter ("$1") that stands for a value.
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
		return "SELECT " + std::string(kColumnsBeforeTags) + tags_ + " FROM events.event_store" + where_ + order;
	}
	// Begins to run a statement.
	void
	Start(Server server, pg::RunningQuery *query, const char *sql, Snapshot snapshot) {
		pg::StartQuery(server, query, sql, static_cast<int>(types_.size()), types_.data(), values_.data(), snapshot);
	}
	// Puts the rows of a statement into the result and returns how many there were.
	int64
	Run(const std::string &sql, Datum tenant, const pg::Rows &rows) {
		const char *text = sql.c_str();
		return Call([&](Server server) {
			int64 count = 0;
			pg::RunningQuery query;
			pg::ShownTagsRoom room = {CurrentMemoryContext, nullptr};
			Start(server, &query, text, GetActiveSnapshot());
			const Datum *values;
			const bool *isnull;
			while (pg::NextRow(server, &query, &values, &isnull)) {
				CHECK_FOR_INTERRUPTS();
				Datum row[kResultColumns];
				std::memcpy(row, values, sizeof row);
				ShowTags(server, tenant, &room, row);
				pg::PutRow(server, rows, row, isnull);
				count++;
			}
			pg::EndQuery(server, &query);
			return count;
		});
	}

  private:
	std::string tags_;
	std::vector<Oid> types_;
	std::vector<Datum> values_;
	std::string where_;
};

// The rows of a statement as the rows of a function.
struct QuerySource {
	pg::RowSource base;
	pg::RunningQuery query;
	pg::ShownTagsRoom tags;
	Datum tenant;
};

bool
NextOfQuery(Server server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<QuerySource *>(base);
	const Datum *row;
	const bool *nulls;
	if (!pg::NextRow(server, &source->query, &row, &nulls)) {
		return false;
	}
	std::memcpy(values, row, sizeof(Datum) * kResultColumns);
	ShowTags(server, source->tenant, &source->tags, values);
	std::memcpy(isnull, nulls, sizeof(bool) * kResultColumns);
	return true;
}

void
EndOfQuery(Server server, pg::RowSource *base) {
	pg::EndQuery(server, &reinterpret_cast<QuerySource *>(base)->query);
}

// A tenant's events as the rows of a function.
struct TenantSource {
	pg::RowSource base;
	pg::TenantSearch search;
	pg::ShownTagsRoom tags;
	int64 left;
};

bool
NextOfSearch(Server server, pg::RowSource *base, Datum *values, bool *isnull) {
	auto *source = reinterpret_cast<TenantSource *>(base);
	if (source->left <= 0 || !pg::NextTenantEvent(server, &source->search, values, isnull)) {
		return false;
	}
	source->left--;
	ShowTags(server, source->search.terms.tenant, &source->tags, values);
	return true;
}

void
EndOfSearch(Server server, pg::RowSource *base) {
	pg::EndTenantSearch(server, &reinterpret_cast<TenantSource *>(base)->search);
}

pg::RowSource *
OpenSearch(const pg::TenantSearchTerms &terms, int64 limit, Snapshot snapshot) {
	return Call([&](Server server) {
		auto *source = static_cast<TenantSource *>(palloc(sizeof(TenantSource)));
		source->base = {NextOfSearch, EndOfSearch};
		source->tags = {CurrentMemoryContext, nullptr};
		source->left = limit;
		pg::BeginTenantSearch(server, &source->search, terms, snapshot);
		return &source->base;
	});
}

// Puts the first events of a search into the result of a function.
void
RunSearch(const pg::TenantSearchTerms &terms, int64 limit, const pg::Rows &rows) {
	Call([&](Server server) {
		pg::TenantSearch search;
		pg::ShownTagsRoom room = {CurrentMemoryContext, nullptr};
		pg::BeginTenantSearch(server, &search, terms, GetActiveSnapshot());
		Datum values[kResultColumns];
		bool isnull[kResultColumns];
		for (int64 left = limit; left > 0 && pg::NextTenantEvent(server, &search, values, isnull); left--) {
			ShowTags(server, terms.tenant, &room, values);
			pg::PutRow(server, rows, values, isnull);
		}
		pg::EndTenantSearch(server, &search);
	});
}

Relation
OpenEvents() {
	return Call([](Server server) { return table_open(pg::own::events.Get(server), AccessShareLock); });
}

} // namespace

pg::RowSource *
OpenByTime(FunctionCallInfo fcinfo, Snapshot snapshot, ScanDirection) {
	pg::RequireNotNull(fcinfo, 0, "p_from");
	pg::RequireNotNull(fcinfo, 1, "p_to");
	const auto type = pg::OptionalTextArgument(fcinfo, 2);
	const int64 limit = LimitArgument(fcinfo, 3);
	const pg::Tenant tenant = pg::CurrentTenant();
	if (type) {
		CheckEventType(type->name);
	}
	if (pg::CallerIsBound()) {
		const int64 from = PG_GETARG_TIMESTAMPTZ(0);
		const bool next_page = !PG_ARGISNULL(4);
		return OpenSearch({tenant.text, type ? type->datum : 0, 0, from, PG_GETARG_TIMESTAMPTZ(1), ForwardScanDirection, next_page, from,
		                   next_page ? PG_GETARG_INT64(4) : 0},
		                  limit, snapshot);
	}

	Query query;
	query.Where("created_at", ">=", TIMESTAMPTZOID, PG_GETARG_DATUM(0));
	query.Where("created_at", "<", TIMESTAMPTZOID, PG_GETARG_DATUM(1));
	query.Where("tenant_id", "=", TEXTOID, tenant.text);
	if (type) {
		query.Where("event_type", "=", TEXTOID, type->datum);
	}
	if (!PG_ARGISNULL(4)) {
		// events of one time may be more than a page holds: the position goes on among them
		query.Where("(created_at OPERATOR(pg_catalog.>) " + query.Bind(TIMESTAMPTZOID, PG_GETARG_DATUM(0)) +
		            " OR global_position OPERATOR(pg_catalog.>) " + query.Bind(INT8OID, PG_GETARG_DATUM(4)) + ")");
	}
	const std::string sql = query.Select(" ORDER BY created_at, global_position LIMIT " + std::to_string(limit));
	const char *text = sql.c_str();
	return Call([&](Server server) {
		auto *source = static_cast<QuerySource *>(palloc(sizeof(QuerySource)));
		source->base = {NextOfQuery, EndOfQuery};
		source->tags = {CurrentMemoryContext, nullptr};
		source->tenant = tenant.text;
		query.Start(server, &source->query, text, snapshot);
		return &source->base;
	});
}

AUREN_RELEASED_FUNCTION(auren_events_by_time, auren_events_by_time_with_tags)
AUREN_FUNCTION(auren_events_by_time_with_tags) {
	return pg::Materialize(fcinfo, OpenByTime);
}

namespace {

// What the arguments of events.find_events ask for; the tenant is not set.
pg::TenantSearchTerms
FindArguments(FunctionCallInfo fcinfo) {
	pg::TenantSearchTerms terms = {};
	terms.contains = pg::JsonbOf(PG_GETARG_DATUM(0));
	if (const auto type = pg::OptionalTextArgument(fcinfo, 1)) {
		CheckEventType(type->name);
		terms.type = type->datum;
	}
	terms.from = PG_ARGISNULL(2) ? PG_INT64_MIN : PG_GETARG_TIMESTAMPTZ(2);
	const int64 to = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_TIMESTAMPTZ(3);
	terms.direction = BackwardScanDirection;
	terms.is_next_page = !PG_ARGISNULL(5);
	if (terms.is_next_page && PG_ARGISNULL(3)) {
		throw DomainError(sqlstate::kInvalidParameter, "p_before_position goes with p_to",
		                  "A position alone does not say where in time the next page begins.",
		                  "Give the last row's created_at as p_to and its global_position as p_before_position.");
	}
	terms.last_time = to;
	terms.last_position = terms.is_next_page ? PG_GETARG_INT64(5) : 0;
	terms.to = terms.is_next_page && to < PG_INT64_MAX ? to + 1 : to;
	return terms;
}

// The events of one month, up to a time in it, that a search asks for.
Query
QueryOfMonth(const pg::TenantSearchTerms &terms, const pg::PartitionRange &month, int64 upper) {
	Query query;
	query.Where("created_at", ">=", TIMESTAMPTZOID, TimestampTzGetDatum(Max(Max(terms.from, month.lower), static_cast<int64>(MIN_TIMESTAMP))));
	query.Where("created_at", "<", TIMESTAMPTZOID, TimestampTzGetDatum(Min(Min(upper, month.upper), static_cast<int64>(END_TIMESTAMP) - 1)));
	query.Where("tenant_id", "=", TEXTOID, terms.tenant);
	query.Where("event_data", "@>", JSONBOID, terms.contains);
	if (terms.type != 0) {
		query.Where("event_type", "=", TEXTOID, terms.type);
	}
	if (terms.is_next_page) {
		query.Where("(created_at OPERATOR(pg_catalog.<) " + query.Bind(TIMESTAMPTZOID, TimestampTzGetDatum(terms.last_time)) +
		            " OR global_position OPERATOR(pg_catalog.<) " + query.Bind(INT8OID, Int64GetDatum(terms.last_position)) + ")");
	}
	return query;
}

/*
 * Month by month from the newest on, so that a page of recent events reads no older month. In each the hits are taken
 * by the GIN index first and sorted then: a planner that expects many hits would else walk the whole month in order.
 */
void
FindByMonth(const pg::TenantSearchTerms &terms, int64 limit, const pg::Rows &rows) {
	const Relation events = OpenEvents();
	// every object contains {}: no index helps, and no sort is needed to find the newest
	const Jsonb *contained = DatumGetJsonbP(terms.contains);
	const bool everything = JB_ROOT_IS_OBJECT(contained) && JB_ROOT_COUNT(contained) == 0;
	const std::string order = " ORDER BY created_at DESC, global_position DESC LIMIT ";
	int64 upper = terms.to;
	for (int64 left = limit; left > 0;) {
		const pg::PartitionRange month =
			Call([&](Server server) { return pg::FirstPartition(server, events, terms.from, upper, BackwardScanDirection); });
		if (!OidIsValid(month.relid)) {
			break;
		}
		Query query = QueryOfMonth(terms, month, upper);
		const std::string page = order + std::to_string(left);
		left -= query.Run(everything ? query.Select(page)
		                             : "WITH hit AS MATERIALIZED (" + query.Select("") + ") SELECT " + kColumnsBeforeTags + "tags FROM hit" + page,
		                  terms.tenant, rows);
		upper = month.lower;
	}
	Call([&] { table_close(events, NoLock); });
}

} // namespace

/*
 * A role that is bound to tenants reads its tenant's own index entries instead of GIN, which has those of all tenants: the work would tell
 * what others store.
 */
AUREN_RELEASED_FUNCTION(auren_find_events, auren_find_events_with_tags)
AUREN_FUNCTION(auren_find_events_with_tags) {
	pg::RequireNotNull(fcinfo, 0, "p_contains");
	pg::TenantSearchTerms terms = FindArguments(fcinfo);
	const int64 limit = LimitArgument(fcinfo, 4);
	const pg::Tenant tenant = pg::CurrentTenant();
	terms.tenant = tenant.text;
	const pg::Rows rows = Call([&](Server server) { return pg::BeginRows(server, fcinfo); });
	if (pg::CallerIsBound()) {
		RunSearch(terms, limit, rows);
	} else {
		FindByMonth(terms, limit, rows);
	}
	return 0;
}

} // namespace auren
