#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * Up to which position the feed is final: no event at or below it can still commit.
 *
 * An appender takes, before it draws its first position, a shared lock whose tag carries the sequence's last value L of that
 * moment, to the end of its transaction. All positions of the transaction are above L. A reader reads the last value H, then the
 * tags that are held, then takes its snapshot. A transaction that drew a position up to H held its tag before that; one that takes its tag later
 * draws above H; and a lock goes only after its transaction is seen as committed. So everything up to min(H, smallest L held) is final, and nothing
 * but appends in flight, prepared ones included, holds it back. There is no state to lose and no clock.
 */

// For an appender, before it draws positions: takes the tag, or makes sure that this transaction still holds it.
void HoldBackHorizon(Server server);

// For a reader, before it takes the snapshot that it reads by. On a standby, where no locks of the primary are seen: the last
// horizon that the primary wrote down.
int64 FeedHorizon(Server server);

// Whether a position is final: at or below the horizon. The newest horizon that this session has found is remembered, so most are at or below it.
bool IsFinalPosition(Server server, int64 position);

// A position up to which a transaction's fixed snapshot sees every event: the newest horizon that was written down and committed before it.
int64 HorizonSeenBy(Server server, Snapshot fixed);

// Writes the horizon down for standbys, and returns it. Waits for nobody.
int64 WriteFeedHorizon(Server server);

// An append writes it down when its positions pass a multiple of this.
inline constexpr int64 kHorizonEvery = 1024;

// Whether others drew positions since this transaction took its tag; `drawn` says how many it drew itself.
bool OthersDrewPositions(Server server, int64 drawn);

// The sequence's last value; 0 before the first position was drawn.
int64 LastPosition(Server server);

} // namespace auren::pg
