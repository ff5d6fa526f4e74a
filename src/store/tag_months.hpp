#pragma once

#include "core/store/month.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The index of tags: auren.event_tags has a partition for each month, with a row for each tag of an event of that month and one unique index on
 * tenant, tag and position that holds where the event lies, too. Keys stand for the names (core/tags/name_key.hpp): numbers are compared several
 * times as fast as texts. A row says where to look; whether the event has the tag, the event itself says.
 */

// Columns of auren.event_tags: those of its index come first.
enum EventTagColumn : int { kTagTenantKey, kTagKey, kTagPosition, kTagEventAt, kTagMonth, kEventTagColumns };

// Whether there is the index of tags: it came with 0.2.0, and the module works under the SQL objects of 0.1.0 until they are updated.
bool HasTagIndex(Server server);

// The partition of a month; InvalidOid where there is none.
Oid FindTagMonth(Server server, Month month);

// For _PG_init: from now on changes of the partitions are heard of.
void RegisterTagMonths(Server server);

} // namespace auren::pg
