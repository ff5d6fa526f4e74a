#include "server/run_sql.hpp"

namespace auren::pg {

namespace {

void
SetLocally(Server, const char *setting, const char *value) {
	(void)set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

} // namespace

void
RunSql(Server server, const char *statements) {
	const int level = NewGUCNestLevel();
	SetLocally(server, "search_path", "pg_catalog, pg_temp");
	SetLocally(server, "client_min_messages", "warning");
	SetLocally(server, "default_tablespace", "");
	SetLocally(server, "default_table_access_method", "heap");
	SetLocally(server, "default_toast_compression", "pglz");
	SPI_connect();
	const int result = SPI_execute(statements, false, 0);
	if (result < 0) {
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("a statement failed: %s", SPI_result_code_string(result))));
	}
	SPI_finish();
	AtEOXact_GUC(true, level);
}

} // namespace auren::pg
