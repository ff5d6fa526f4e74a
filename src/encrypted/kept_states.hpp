#pragma once

#include <set>
#include <string>

#include "core/borrowed.hpp"
#include "encrypted/field_cipher.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A state of decrypted events, as a table may keep it: encrypted with the key of each person whose fields are in it, so that it opens only while
 * all of them have their keys. It is bound to its stream and version.
 */
struct KeptState {
	Borrowed tenant;
	Borrowed stream;
	int64 version;
};

// A jsonb with the persons and the envelope, in the caller's memory context. Throws ZE006 where a person was forgotten meanwhile.
Datum KeepState(const KeptState &of, const std::set<std::string> &persons, Datum state);

// What KeepState was given.
struct OpenedState {
	Datum state; // jsonb; 0 where it cannot be opened any more: a person was forgotten
	std::set<std::string> persons;
};
OpenedState OpenKeptState(const KeptState &of, Datum kept, Audited audited);

} // namespace auren::pg
