#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Names the history that positions belong to, without a state of its own: made of the cluster's identifier, its timeline (another one
 * after a promotion or a point-in-time recovery), the database and the table (others after a restore from a dump). A standby has
 * the epoch of its primary.
 */
pg_uuid_t StoreEpoch(Server server);

} // namespace auren::pg
