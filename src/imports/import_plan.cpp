#include "imports/import_plan.hpp"

#include "store/query.hpp"

namespace auren::pg {

namespace {

/*
 * Rows whose id says which event they are, and those where it does not: the id is given twice, is that of an event of another stream, or there is
 * none. One of the rows with an id keeps it: the one that is in the store under it, or the first one. The others get an id that is made of what the
 * row says, so that another call gives them the same.
 */
constexpr const char *kFlawed = R"(
repeated AS MATERIALIZED (
	SELECT s.tenant_id, s.old_id FROM source s WHERE s.old_id IS NOT NULL GROUP BY s.tenant_id, s.old_id HAVING count(*) > 1
	UNION SELECT s.tenant_id, s.old_id FROM source s JOIN taken e ON e.tenant_id = s.tenant_id AND e.event_id = s.old_id WHERE e.stream_id <> s.stream_id
),
flawed AS NOT MATERIALIZED (
	SELECT s.*, md5(concat_ws(' ', s.tenant_id, s.stream_id, s.old_id, s.old_version, extract(epoch FROM s.old_time), s.event_type, s.created_by, md5(s.event_data::text), md5(s.metadata::text),
		row_number() OVER (PARTITION BY s.tenant_id, s.stream_id, s.old_id, s.old_version, s.old_time, s.event_type, s.created_by, s.event_data, s.metadata ORDER BY s.n)))::uuid AS made_id
	FROM source s LEFT JOIN repeated r ON r.tenant_id = s.tenant_id AND r.old_id = s.old_id
	WHERE s.old_id IS NULL OR r.old_id IS NOT NULL
))";

constexpr const char *kNumbered = R"(,
sound AS NOT MATERIALIZED (
	SELECT s.*, s.old_id AS event_id, e.stream_version AS stored_version, e.created_at AS stored_time
	FROM source s
	LEFT JOIN repeated r ON r.tenant_id = s.tenant_id AND r.old_id = s.old_id
	LEFT JOIN events.event_store e ON e.tenant_id = s.tenant_id AND e.event_id = s.old_id
	WHERE s.old_id IS NOT NULL AND r.old_id IS NULL
),
known AS MATERIALIZED (
	SELECT e.tenant_id, e.event_id, e.stream_id, e.stream_version, e.created_at, e.event_type, e.event_data, e.metadata, e.created_by
	FROM events.event_store e JOIN repeated r ON r.tenant_id = e.tenant_id AND r.old_id = e.event_id
),
reported AS MATERIALIZED (
	SELECT p.tenant_id, p.event_id, p.old_version, p.old_created_at FROM events.import_report p JOIN repeated r ON r.tenant_id = p.tenant_id AND r.old_id = p.event_id
),
looked_up AS NOT MATERIALIZED (
	SELECT f.*, e.stream_id = f.stream_id AS same_stream, e.stream_version AS id_version, e.created_at AS id_time,
	       CASE WHEN p.event_id IS NULL THEN (f.old_version, f.old_time) IS NOT DISTINCT FROM (e.stream_version, e.created_at)
	            ELSE (f.old_version, f.old_time) IS NOT DISTINCT FROM (p.old_version, p.old_created_at) END AS same_place,
	       (f.event_type, f.metadata, f.created_by) = (e.event_type, e.metadata, e.created_by) AS same_names, f.event_data = e.event_data AS same_data,
	       m.stream_version AS made_version, m.created_at AS made_time
	FROM flawed f
	LEFT JOIN known e ON e.tenant_id = f.tenant_id AND e.event_id = f.old_id
	LEFT JOIN reported p ON p.tenant_id = f.tenant_id AND p.event_id = f.old_id
	LEFT JOIN events.event_store m ON m.tenant_id = f.tenant_id AND m.event_id = f.made_id
),
chosen AS NOT MATERIALIZED (
	SELECT l.*, l.old_id IS NOT NULL AND l.made_version IS NULL AND l.same_stream IS NOT false AND row_number() OVER (
		PARTITION BY l.tenant_id, l.old_id
		ORDER BY l.made_version IS NOT NULL, l.same_stream IS NOT true, l.same_place IS NOT true, l.same_names IS NOT true, l.same_data IS NOT true,
			l.old_version, l.old_time, l.n, l.made_id) = 1 AS keeps_id
	FROM looked_up l
),
identified AS NOT MATERIALIZED (
	SELECT n, tenant_id, no_tenant, old_id, stream_id, old_version, event_type, event_data, no_data, metadata, old_time, created_by, event_id, stored_version, stored_time FROM sound
	UNION ALL
	SELECT n, tenant_id, no_tenant, old_id, stream_id, old_version, event_type, event_data, no_data, metadata, old_time, created_by,
	       CASE WHEN keeps_id THEN old_id ELSE made_id END, CASE WHEN keeps_id THEN id_version ELSE made_version END, CASE WHEN keeps_id THEN id_time ELSE made_time END FROM chosen
),
ends AS NOT MATERIALIZED (
	SELECT e.tenant_id, e.stream_id, max(e.stream_version) AS version, max(e.created_at) AS last_time FROM events.event_store e GROUP BY e.tenant_id, e.stream_id
),
numbered AS NOT MATERIALIZED (
	SELECT i.*, coalesce(i.stored_version, greatest(e.version, s.dropped_version, 0) + row_number() OVER w) AS version,
	       coalesce(i.stored_time, greatest(e.last_time, max(i.old_time) OVER w)) AS created_at, max(i.n) OVER w AS place,
	       greatest(e.version, s.dropped_version, 0) AS end_version, coalesce(s.imported_version, 0) AS imported_version, coalesce(s.closed, false) AS closed
	FROM identified i
	LEFT JOIN ends e ON e.tenant_id = i.tenant_id AND e.stream_id = i.stream_id
	LEFT JOIN events.imported_streams s ON s.tenant_id = i.tenant_id AND s.stream_id = i.stream_id
	WINDOW w AS (PARTITION BY i.tenant_id, i.stream_id, i.stored_version IS NOT NULL ORDER BY i.old_version, i.old_time, i.n, i.old_id, i.event_id
		ROWS UNBOUNDED PRECEDING)
)
)";

std::string
Flawed(const ImportSource &source) {
	return "WITH source AS NOT MATERIALIZED (" + source.select +
	       "),\ntaken AS NOT MATERIALIZED (SELECT e.tenant_id, e.event_id, e.stream_id FROM events.event_store e)," + kFlawed;
}

void
SetLocally(Server, const char *setting, const char *value) {
	(void)set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

Portal
Open(Server server, const char *sql, const char *tenant, Kept kept) {
	const int level = NewGUCNestLevel();
	SetLocally(server, "search_path", "pg_catalog, pg_temp");
	// Whatever statistics say: those of a store that was filled a moment ago do not know it yet. All joins compare ids or streams, and a hash join
	// takes the same time for each row.
	SetLocally(server, "enable_nestloop", "off");
	SetLocally(server, "enable_mergejoin", "off");
	SetLocally(server, "enable_hashjoin", "on");
	SetLocally(server, "jit", "off"); // a large query with little to compute
	Oid type = TEXTOID;
	Datum value = CStringGetTextDatum(tenant);
	SPIPlanPtr plan = PrepareWithRightsWaived(server, sql, 1, &type, kept == Kept::kOverCommits ? CURSOR_OPT_SCROLL : 0);
	Portal portal = SPI_cursor_open(nullptr, plan, &value, nullptr, true);
	if (kept == Kept::kOverCommits) {
		PinPortal(portal);
	}
	AtEOXact_GUC(true, level);
	return portal;
}

} // namespace

void
SayHowToFindValue(ErrorData *report) {
	const bool of_value = ERRCODE_TO_CATEGORY(report->sqlerrcode) == ERRCODE_DATA_EXCEPTION || report->sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED;
	if (of_value && report->hint == nullptr) {
		Call([report] {
			report->hint =
				MemoryContextStrdup(report->assoc_context, "A value of the table cannot become that of an event. doc/moving-in.md has a query "
			                                               "that finds such rows; make a view over the table that mends them, and import that.");
		});
	}
}

std::string
ImportPlanQuery(const ImportSource &source) {
	return Flawed(source) + kNumbered +
	       "SELECT tenant_id, stream_id, version, event_id, event_type, event_data, metadata, created_at, created_by, stored_version IS NOT NULL, "
	       "old_version, old_id, old_time, no_tenant, no_data, end_version, imported_version, closed FROM numbered "
	       "ORDER BY tenant_id, place, created_at, stream_id, version";
}

std::string
ImportedEventsQuery(const ImportSource &source) {
	return Flawed(source) +
	       ", ids AS NOT MATERIALIZED (SELECT tenant_id, old_id AS event_id, stream_id FROM source UNION ALL SELECT tenant_id, made_id, stream_id "
	       "FROM flawed) "
	       "SELECT e.event_id, e.stream_id, e.stream_version, e.event_type, e.event_data, e.metadata, e.created_at, e.created_by, e.tenant_id, "
	       "0::bigint, "
	       "'{}'::text[] FROM events.event_store e WHERE (e.tenant_id, e.event_id, e.stream_id) IN (SELECT tenant_id, event_id, stream_id FROM ids)";
}

std::string
DifferencesQuery(const ImportSource &source) {
	return Flawed(source) + kNumbered +
	       "SELECT n.tenant_id, n.stream_id, n.version, e.event_type, (e.event_type, e.metadata, e.created_by, e.created_at >= n.old_time) IS NOT "
	       "DISTINCT FROM "
	       "(n.event_type, n.metadata, n.created_by, true) FROM numbered n JOIN events.event_store e ON e.tenant_id = n.tenant_id AND e.event_id = "
	       "n.event_id "
	       "WHERE n.stored_version IS NOT NULL AND (e.event_type, e.event_data, e.metadata, e.created_by, e.created_at >= n.old_time) IS DISTINCT "
	       "FROM "
	       "(n.event_type, n.event_data, n.metadata, n.created_by, true) ORDER BY n.tenant_id, n.stream_id, n.version";
}

ImportCursor::ImportCursor(const std::string &sql, const std::string &tenant, Kept kept) : pinned_(kept == Kept::kOverCommits) {
	const char *text = sql.c_str();
	const char *value = tenant.c_str();
	context_ = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events import", ALLOCSET_DEFAULT_SIZES); });
	portal_ = Call([&](Server server) { return Open(server, text, value, kept); });
}

void
ImportCursor::Deform(Server) {
	columns_ = table_->tupdesc->natts;
	const Size cells = static_cast<Size>(table_->numvals) * static_cast<Size>(columns_);
	MemoryContext before = MemoryContextSwitchTo(context_);
	values_ = static_cast<Datum *>(palloc(sizeof(Datum) * (cells + 1)));
	isnull_ = static_cast<bool *>(palloc(sizeof(bool) * (cells + 1)));
	for (uint64 i = 0; i < table_->numvals; i++) {
		heap_deform_tuple(table_->vals[i], table_->tupdesc, values_ + i * static_cast<uint64>(columns_), isnull_ + i * static_cast<uint64>(columns_));
	}
	MemoryContextSwitchTo(before);
}

int
ImportCursor::Fetch(int count) {
	try {
		return Call([&](Server server) {
			if (table_ != nullptr) {
				SPI_freetuptable(table_);
			}
			MemoryContextReset(context_);
			SPI_cursor_fetch(portal_, true, count);
			table_ = SPI_tuptable;
			Deform(server);
			return static_cast<int>(table_->numvals);
		});
	} catch (const Error &error) {
		SayHowToFindValue(error.report);
		throw;
	}
}

void
ImportCursor::Rewind() {
	Call([&] { SPI_scroll_cursor_move(portal_, FETCH_ABSOLUTE, 0); });
}

void
ImportCursor::Close() {
	Call([&] {
		if (pinned_) {
			UnpinPortal(portal_);
		}
		SPI_cursor_close(portal_);
	});
}

} // namespace auren::pg
