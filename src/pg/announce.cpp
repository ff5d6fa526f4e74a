#include "pg/announce.hpp"

#include <algorithm>

#include "pg/entry.hpp"
#include "pg/feed_horizon.hpp"
#include "pg/guard.hpp"
#include "pg/notification_rules.hpp"
#include "pg/settings.hpp"
#include "pg/waker.hpp"

namespace auren::pg {

namespace {

// What this transaction has to tell.
struct Pending {
	Announcement announcement;
	SubTransactionId level;
};

std::vector<Pending> pending;
std::int64_t last_position = 0; // that this transaction drew, while there are rules
std::int64_t drawn = 0;         // how many it drew meanwhile

// What is done about the waker when the transaction's locks are gone, so that it finds the events final.
enum class Then { kNothing, kWake, kStart };
Then then = Then::kNothing;

// Server side. In the server's encoding from end to end: a text that UTF-8 has no place for must not fail a commit. Names are
// short enough for any payload.
const char *
PayloadOf(std::int64_t position, const char *stream, const char *event_type) {
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

void
TellAll(bool held_back) {
	if (held_back) {
		const auto rules = NotificationRules();
		for (const NotificationRule &rule : *rules) {
			const auto told = [&](const Pending &event) { return event.announcement.channel == rule.channel; };
			if (std::none_of(pending.begin(), pending.end(), told)) {
				pending.push_back({{rule.channel, last_position, "", ""}, TopSubTransactionId});
			}
		}
	}
	for (std::size_t i = 0; i < pending.size(); i++) {
		// the last of a channel counts
		const auto later = [&](const Pending &event) { return event.announcement.channel == pending[i].announcement.channel; };
		if (std::none_of(pending.begin() + static_cast<std::ptrdiff_t>(i) + 1, pending.end(), later)) {
			Tell(pending[i].announcement);
		}
	}
}

// Before the transaction commits or is prepared.
void
Decide(bool prepared) {
	struct Found {
		bool held_back;
		bool waker;
	};
	const bool something = !pending.empty();
	const Found found = Call([&] {
		Found f = {false, something && WakerRuns()};
		if (!f.waker) {
			f.held_back = OthersDrew(drawn);
			f.waker = !something && f.held_back && WakerRuns();
		}
		return f;
	});
	if (!something && !found.held_back) {
		return;
	}
	then = found.waker ? Then::kWake : Then::kStart;
	if (!found.waker && !prepared) {
		TellAll(found.held_back);
	}
}

void
OnTransaction(XactEvent event, void *) {
	switch (event) {
	case XACT_EVENT_PRE_COMMIT:
	case XACT_EVENT_PRE_PREPARE:
		if (last_position != 0) {
			(void)Entry([&] {
				Decide(event == XACT_EVENT_PRE_PREPARE);
				return Datum(0);
			});
		}
		break;
	case XACT_EVENT_ABORT:
		// it held others back, perhaps
		then = last_position != 0 ? Then::kWake : Then::kNothing;
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
	if (phase != RESOURCE_RELEASE_AFTER_LOCKS || !top_level || then == Then::kNothing) {
		return;
	}
	if (then == Then::kWake) {
		WakeWaker();
	} else {
		StartWaker();
	}
	then = Then::kNothing;
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId, void *) {
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		pending.erase(std::remove_if(pending.begin(), pending.end(), [&](const Pending &p) { return p.level >= level; }), pending.end());
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
	for (const NotificationRule &rule : *rules) {
		if (!rule.Asks(tenant, stream, event_type)) {
			continue;
		}
		const SubTransactionId level = GetCurrentSubTransactionId();
		const auto same = [&](const Pending &event) { return event.announcement.channel == rule.channel && event.level == level; };
		const auto found = std::find_if(pending.begin(), pending.end(), same);
		if (found != pending.end()) {
			pending.erase(found);
		}
		pending.push_back({{rule.channel, position, std::string(stream), std::string(event_type)}, level});
	}
}

void
Tell(const Announcement &announcement) {
	Call([&] {
		NotifyUnlessFull(announcement.channel.c_str(),
		                 PayloadOf(announcement.position, announcement.stream.c_str(), announcement.event_type.c_str()));
	});
}

bool
NotificationQueueNearlyFull() {
	return DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)) > NotifyBelow();
}

void
NotifyUnlessFull(const char *channel, const char *payload) {
	if (NotificationQueueNearlyFull()) {
		ereport(WARNING, (errmsg("channel %s was not told: the notification queue is nearly full", channel),
		                  errhint("events.notification_queue shows the listener that sleeps in a transaction.")));
		return;
	}
	Async_Notify(channel, payload);
}

void
RegisterAnnouncements() {
	RegisterNotificationRules();
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
	RegisterResourceReleaseCallback(OnLocksReleased, nullptr);
}

} // namespace auren::pg
