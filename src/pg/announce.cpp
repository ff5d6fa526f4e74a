#include "pg/announce.hpp"

#include <algorithm>
#include <vector>

#include "core/names.hpp"
#include "pg/entry.hpp"
#include "pg/feed_horizon.hpp"
#include "pg/guard.hpp"
#include "pg/store.hpp"

namespace auren::pg {

namespace {

struct Rule {
	std::string tenant;
	std::string channel;
	std::string event_type; // empty: all
	std::string category;   // empty: all
};

// What this transaction has to tell.
struct Pending {
	std::string channel;
	std::int64_t position;
	std::string stream;
	std::string event_type;
	SubTransactionId level;
};

std::vector<Rule> rules;
bool rules_valid = false;
Oid rules_relid = InvalidOid;
std::vector<Pending> pending;
std::int64_t last_position = 0; // that this transaction drew, while there are rules

// A row as the scan gives it, in the caller's memory context.
struct Row {
	const char *columns[4];
};

// Server side.
int
ReadRows(Row **rows) {
	rules_relid = Oids().notification_rules;
	Relation relation = table_open(rules_relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	int count = 0;
	int room = 8;
	*rows = static_cast<Row *>(palloc(sizeof(Row) * static_cast<Size>(room)));
	HeapTuple tuple;
	while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
		if (count == room) {
			room *= 2;
			*rows = static_cast<Row *>(repalloc(*rows, sizeof(Row) * static_cast<Size>(room)));
		}
		for (int column = 0; column < 4; column++) {
			bool isnull;
			(*rows)[count].columns[column] = TextDatumGetCString(heap_getattr(tuple, column + 1, RelationGetDescr(relation), &isnull));
		}
		count++;
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return count;
}

void
EnsureRules() {
	while (!rules_valid) {
		// set first: a change that arrives while they are read unsets it, and is not lost
		rules_valid = true;
		Row *rows = nullptr;
		try {
			const int count = Call([&] { return ReadRows(&rows); });
			rules.clear();
			for (int i = 0; i < count; i++) {
				rules.push_back({rows[i].columns[0], rows[i].columns[1], rows[i].columns[2], rows[i].columns[3]});
			}
		} catch (...) {
			rules_valid = false;
			throw;
		}
	}
}

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
TellAll() {
	if (last_position != 0 && Call([] { return LastPosition(); }) > last_position) {
		for (const Rule &rule : rules) {
			const auto told = [&](const Pending &event) { return event.channel == rule.channel; };
			if (std::none_of(pending.begin(), pending.end(), told)) {
				pending.push_back({rule.channel, last_position, "", "", TopSubTransactionId});
			}
		}
	}
	for (std::size_t i = 0; i < pending.size(); i++) {
		// the last of a channel counts
		const auto later = [&](const Pending &event) { return event.channel == pending[i].channel; };
		if (std::any_of(pending.begin() + static_cast<std::ptrdiff_t>(i) + 1, pending.end(), later)) {
			continue;
		}
		const Pending &event = pending[i];
		Call([&] {
			NotifyUnlessFull(event.channel.c_str(), PayloadOf(event.position, event.stream.c_str(), event.event_type.c_str()));
		});
	}
}

void
OnTransaction(XactEvent event, void *) {
	if (event == XACT_EVENT_PRE_COMMIT && last_position != 0) {
		(void)Entry([] {
			TellAll();
			return Datum(0);
		});
	}
	if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PRE_PREPARE && event != XACT_EVENT_PARALLEL_PRE_COMMIT) {
		pending.clear();
		last_position = 0;
	}
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId, void *) {
	if (event == SUBXACT_EVENT_ABORT_SUB) {
		pending.erase(std::remove_if(pending.begin(), pending.end(), [&](const Pending &p) { return p.level >= level; }), pending.end());
	}
}

void
ForgetOnRelation(Datum, Oid relid) {
	if (relid == InvalidOid || relid == rules_relid) {
		rules_valid = false;
	}
}

} // namespace

void
Announce(std::string_view tenant, std::string_view stream, std::string_view event_type, std::int64_t position) {
	EnsureRules();
	if (rules.empty()) {
		return;
	}
	last_position = position;
	const std::string_view category = Category(stream);
	for (const Rule &rule : rules) {
		if (rule.tenant != tenant || (!rule.event_type.empty() && rule.event_type != event_type) ||
		    (!rule.category.empty() && rule.category != category)) {
			continue;
		}
		const SubTransactionId level = GetCurrentSubTransactionId();
		const auto same = [&](const Pending &event) { return event.channel == rule.channel && event.level == level; };
		const auto found = std::find_if(pending.begin(), pending.end(), same);
		if (found != pending.end()) {
			pending.erase(found);
		}
		pending.push_back({rule.channel, position, std::string(stream), std::string(event_type), level});
	}
}

void
NotifyUnlessFull(const char *channel, const char *payload) {
	constexpr double kNearlyFull = 0.95;
	const double usage = DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE));
	if (usage > kNearlyFull) {
		ereport(WARNING, (errmsg("channel %s was not told: the notification queue is nearly full", channel),
		                  errhint("pg_stat_activity shows the listener that sleeps in a transaction.")));
		return;
	}
	Async_Notify(channel, payload);
}

void
RegisterAnnouncements() {
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
	CacheRegisterRelcacheCallback(ForgetOnRelation, 0);
}

} // namespace auren::pg
