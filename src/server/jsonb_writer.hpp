#pragma once

#include "core/json/json.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The jsonb of a value, in the caller's memory context. It is written in the server's own form (utils/jsonb.h, one for all
 * versions, since it is on disk) rather than pushed piece by piece, so that a document within it is copied, not taken apart.
 * Throws 54000 where the value is too large for a jsonb.
 */
Datum WriteJsonb(const Json &value);

} // namespace auren::pg
