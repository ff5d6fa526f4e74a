#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace auren::pg {

/*
 * Announces appended events on the channels of the notification rules (events.add_notification_rule): at most one notification
 * a channel and transaction, with its last position, at commit. What a savepoint took back is not announced. A transaction that
 * is prepared announces nothing (the server refuses to prepare one that has notified); the next commit on the channel
 * gives a later position.
 *
 * A transaction that held the feed back, since others drew later positions while it was under way, tells every channel of a
 * rule when it ends: what they announced can only be read from then on.
 *
 * C++ side.
 */
void Announce(std::string_view tenant, std::string_view stream, std::string_view event_type, std::int64_t position);

// Notifies, unless the queue is nearly full: a full one would fail the commit, and no notification is worth an event. Server side.
void NotifyUnlessFull(const char *channel, const char *payload);

void RegisterAnnouncements();

} // namespace auren::pg
