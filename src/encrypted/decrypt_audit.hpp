#pragma once

#include <string_view>

#include "encrypted/field_cipher.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Writes down that the current role decrypts a field of a person, in a transaction of its own that is committed when this returns: once
 * for each of the client's statements, person, field, role and reason. A worker does it, of which the sessions of the server share a few: it
 * ends when nobody has needed it for a while, or when another session waits for one. Throws where it cannot be written.
 */
void WriteAudit(const PersonalField &of);

// Adds a row on what this transaction does, with it.
void AddAuditRow(const char *action, std::string_view tenant, std::string_view user, const char *reason, int keys);

// What the worker runs.
void RunAuditWorker(Server server, Datum argument);

} // namespace auren::pg
