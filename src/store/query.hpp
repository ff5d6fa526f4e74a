#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A SELECT on events.event_store of ours while its rows are taken one by one: planned anew each time, run as the current
 * user with the table's rights waived (the right to call our function is enough, policies see the caller), in the caller's
 * memory context and resource owner. So it lives and ends with the query that calls us, a cursor WITH HOLD included.
 */
struct RunningQuery {
	MemoryContext context;
	QueryDesc *desc;
	TupleTableSlot *row; // the last one, nullptr after the last one
};
void StartQuery(Server server, RunningQuery *query, const char *sql, int parameter_count, Oid *types, const Datum *values, Snapshot snapshot);
// The next row's columns, valid until the one after; false after the last one.
bool NextRow(Server server, RunningQuery *query, const Datum **values, const bool **isnull);
void EndQuery(Server server, RunningQuery *query);

/*
 * Prepares a statement on events.event_store or biometric.biometric_events for SPI that runs as the current user with the table's rights waived: the
 * right to call our function is enough, while policies and triggers see the caller. For one execution; inside an SPI connection and with the table
 * locked.
 */
SPIPlanPtr PrepareWithRightsWaived(Server server, const char *sql, int argument_count, Oid *argument_types, int cursor_options);

// Prepares and runs such a statement once; returns how many rows it changed.
uint64 ExecuteWithRightsWaived(Server server, const char *sql, int argument_count, Oid *argument_types, Datum *values, const char *nulls);

/*
 * Runs a statement on the store's own tables once, as their owner: nobody else may name what lies in schema auren, and the right to call
 * our function is enough. session_user is the caller's. Returns how many rows it changed.
 */
uint64 ExecuteAsStore(Server server, const char *sql, int argument_count, Oid *argument_types, Datum *values, const char *nulls);

} // namespace auren::pg
