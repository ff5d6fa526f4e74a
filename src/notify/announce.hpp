#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/guard.hpp"

namespace auren::pg {

/*
 * Announces appended events on the channels of the notification rules (events.add_notification_rule): at most one notification
 * a channel and transaction, with its last position. What a savepoint took back is not announced.
 *
 * While the notifier runs (notify/notifier.hpp) it is left to it, off the commit path. Else the transaction notifies when it commits, and
 * asks for a notifier for those that come after it. Such a transaction that held the feed back, since others drew positions while
 * it was under way, tells every channel of a rule when it commits: what they announced can only be read from then on. The server
 * refuses to prepare a transaction that has notified, so one that is prepared only asks for the notifier.
 */
void Announce(std::string_view tenant, std::string_view stream, std::string_view event_type, std::int64_t position);

// The last event to be told on a channel. Stream and type may be empty: what it was is not known, and told as null.
struct Announcement {
	std::string channel;
	std::int64_t position;
	std::string stream;
	std::string event_type;
};
// Notifies at this transaction's commit.
void SendNotification(const Announcement &announcement);

// Whether the queue of notifications is nearly full (auren_events.notify_below): a full one would fail the commit.
bool NotificationQueueNearlyFull(Server server);
// Notifies at this transaction's commit, unless the queue is nearly full: then the notification is left out, with a WARNING, and the event stays.
void NotifyUnlessFull(Server server, const char *channel, const char *payload);

void RegisterAnnouncements(Server server);

} // namespace auren::pg
