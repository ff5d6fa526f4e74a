#pragma once

#include <vector>

#include "core/seals/seal.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Seals the final events after the last seal, `limit` of them at most: a tree a month, each a row of auren.seals with its digests in
 * auren.seal_leaves, and a notification on the channel seal. Gives the seals; none where there are no such events. The transaction's commit is
 * flushed whatever synchronous_commit says.
 *
 * It reads what the feed reads, of all tenants, and takes no lock that an append meets; one session does it at a time (55P03). Throws 55000 where the
 * key that the configuration names is not registered, and F0000 where there is none.
 */
std::vector<Seal> SealEvents(int64 limit);

} // namespace auren::pg
