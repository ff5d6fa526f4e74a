#pragma once

#include <cstring>

#include "server/postgres.hpp"

namespace auren::pg {

// A dynamic background worker of ours in a database, as pg_stat_activity names it, that runs a function of the module (src/module/module.cpp).
inline BackgroundWorker
WorkerOf(const char *type, const char *function) {
	BackgroundWorker worker;
	std::memset(&worker, 0, sizeof worker);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_name, type, sizeof worker.bgw_name);
	strlcpy(worker.bgw_type, type, sizeof worker.bgw_type);
	strlcpy(worker.bgw_library_name, "auren_events", sizeof worker.bgw_library_name);
	strlcpy(worker.bgw_function_name, function, sizeof worker.bgw_function_name);
	return worker;
}

} // namespace auren::pg
