#include "notify/announce.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <utility>

#include "counts/counts.hpp"
#include "feed/feed_horizon.hpp"
#include "notify/notification_rules.hpp"
#include "notify/notifier.hpp"
#include "server/entry.hpp"
#include "server/guard.hpp"
#include "server/settings.hpp"

namespace auren::pg {

namespace {

// What this transaction has to tell.
struct Pending {
	Announcement announcement;
	SubTransactionId level;
};

// By channel: one for each subtransaction that is open and has announced there, the last one last.
std::map<std::string, std::vector<Pending>, std::less<>> pending;
constexpr std::size_t kMostChannelsOfOthers = 4096;
std::int64_t last_position = 0; // that this transaction drew, while there are rules
std::int64_t drawn = 0;         // how many it drew meanwhile

// What is done about the notifier when the transaction's locks are gone, so that it finds the events final.
enum class AfterLocks { kNothing, kWakeNotifier, kStartNotifier };
AfterLocks after_locks = AfterLocks::kNothing;

// The payload in the server's encoding, without a conversion: a text that UTF-8 does not have must not fail a commit. Names are short enough
// to fit into a payload.
const char *
PayloadOf(Server, std::int64_t position, const char *stream, const char *event_type) {
	StringInfoData payload;
	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"position\": " INT64_FORMAT ", \"stream_id\": ", static_cast<int64>(position));
	for (const char *name : {stream, event_type}) {
		if (name[0] == '\0') {
			appendStringInfoString(&payload, "null");
		} else {
			escape_json(&payload, name);
		}
		appendStringInfoString(&payload, name == stream ? ", \"event_type\": " : "}");
	}
	return payload.data;
}

/*
 * What others announced while this transaction held the feed back can be read only now. At most kMostChannelsOfOthers channels are notified,
 * beginning with another one each time: a commit does a bounded amount of work, however many rules there are.
 */
void
NotifyChannelsOfOthers() {
	const auto rules = NotificationRules();
	const std::vector<std::string> &channels = rules->Channels();
	const std::size_t count = std::min(channels.size(), kMostChannelsOfOthers);
	for (std::size_t i = 0; i < count; i++) {
		const std::string &channel = channels[(static_cast<std::size_t>(last_position) + i) % channels.size()];
		if (pending.find(channel) == pending.end()) {
			SendNotification({channel, last_position, "", ""});
		}
	}
}

void
NotifyOwnChannels() {
	std::vector<const Announcement *> told;
	told.reserve(pending.size());
	for (const auto &channel : pending) {
		told.push_back(&channel.second.back().announcement);
	}
	std::sort(told.begin(), told.end(), [](const Announcement *a, const Announcement *b) { return a->position < b->position; });
	for (const Announcement *announcement : told) {
		SendNotification(*announcement);
	}
}

// How the transaction's work in this session ends.
enum class Ending { kCommit, kPrepare };

// Before the transaction commits or is prepared.
void
NotifyOrLeaveToNotifier(Ending ending) {
	struct Found {
		bool held_back;
		bool notifier;
	};
	const bool something = !pending.empty();
	const Found found = Call([&](Server server) {
		Found f = {false, something && NotifierRuns(server)};
		if (!f.notifier) {
			f.held_back = OthersDrewPositions(server, drawn);
			f.notifier = !something && f.held_back && NotifierRuns(server);
		}
		return f;
	});
	if (!something && !found.held_back) {
		return;
	}
	after_locks = found.notifier ? AfterLocks::kWakeNotifier : AfterLocks::kStartNotifier;
	if (found.notifier || ending == Ending::kPrepare) {
		return;
	}
	NotifyOwnChannels();
	if (found.held_back) {
		NotifyChannelsOfOthers();
	}
}

void
OnTransaction(XactEvent event, void *) {
	switch (event) {
	case XACT_EVENT_PRE_COMMIT:
	case XACT_EVENT_PRE_PREPARE:
		if (last_position != 0) {
			(void)Entry([&] {
				NotifyOrLeaveToNotifier(event == XACT_EVENT_PRE_PREPARE ? Ending::kPrepare : Ending::kCommit);
				return Datum(0);
			});
		}
		break;
	case XACT_EVENT_ABORT:
		// it held others back, perhaps
		after_locks = last_position != 0 ? AfterLocks::kWakeNotifier : AfterLocks::kNothing;
		[[fallthrough]];
	case XACT_EVENT_COMMIT:
	case XACT_EVENT_PREPARE:
		pending.clear();
		last_position = 0;
		drawn = 0;
		break;
	default:
		break;
	}
}

void
OnLocksReleased(ResourceReleasePhase phase, bool, bool top_level, void *) {
	const Server server = Server::Callback();
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !top_level || after_locks == AfterLocks::kNothing) {
		return;
	}
	if (after_locks == AfterLocks::kWakeNotifier) {
		WakeNotifier();
	} else {
		StartNotifier(server);
	}
	after_locks = AfterLocks::kNothing;
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId parent, void *) {
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB) {
		return;
	}
	for (auto channel = pending.begin(); channel != pending.end();) {
		std::vector<Pending> &levels = channel->second;
		if (levels.back().level >= level && event == SUBXACT_EVENT_ABORT_SUB) {
			levels.pop_back();
		} else if (levels.back().level >= level) {
			// of the parent from now on, in place of what that had
			levels.back().level = parent;
			if (levels.size() > 1 && levels[levels.size() - 2].level == parent) {
				levels.erase(levels.end() - 2);
			}
		}
		channel = levels.empty() ? pending.erase(channel) : std::next(channel);
	}
}

} // namespace

void
Announce(std::string_view tenant, std::string_view stream, std::string_view event_type, std::int64_t position) {
	const auto rules = NotificationRules();
	if (rules->empty()) {
		return;
	}
	last_position = position;
	drawn++;
	const SubTransactionId level = GetCurrentSubTransactionId();
	rules->ForEachChannel(tenant, stream, event_type, [&](const std::string &channel) {
		Pending last = {{channel, position, std::string(stream), std::string(event_type)}, level};
		std::vector<Pending> &levels = pending[channel];
		if (!levels.empty() && levels.back().level == level) {
			levels.back() = std::move(last);
		} else {
			levels.push_back(std::move(last));
		}
	});
}

void
SendNotification(const Announcement &announcement) {
	Call([&](Server server) {
		CHECK_FOR_INTERRUPTS();
		NotifyUnlessFull(server, announcement.channel.c_str(),
		                 PayloadOf(server, announcement.position, announcement.stream.c_str(), announcement.event_type.c_str()));
	});
}

bool
NotificationQueueNearlyFull(Server) {
	return DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)) > NotifyBelow();
}

void
NotifyUnlessFull(Server server, const char *channel, const char *payload) {
	if (NotificationQueueNearlyFull(server)) {
		Count(Work::kNotificationsDropped);
		ereport(WARNING, (errmsg("channel %s was not told: the notification queue is nearly full", channel),
		                  errhint("events.notification_queue shows the listener that sleeps in a transaction.")));
		return;
	}
	Async_Notify(channel, payload);
	CountWhenCommitted(Committed::kNotificationsSent);
}

void
RegisterAnnouncements(Server server) {
	RegisterNotificationRules(server);
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
	RegisterResourceReleaseCallback(OnLocksReleased, nullptr);
}

} // namespace auren::pg
