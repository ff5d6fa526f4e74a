// The claims of README.md through libpqxx. JSON is text here: choose a library for it.
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <pqxx/pqxx>

namespace {

using std::string;
using Strings = std::vector<string>;

string
Environment(const char *name) {
	const char *value = std::getenv(name);
	return value == nullptr ? "" : value;
}

const string kLabel = Environment("DRIVERS_LABEL");

// shown in doc/drivers.md: begin
// Gives the event's id. A pqxx::sql_error has sqlstate(); DETAIL and HINT are lines of its what().
string
Append(pqxx::transaction_base &tx, const string &stream, const string &type, const string &data, const char *expected = nullptr) {
	return tx.exec_params("SELECT events.append_event($1, $2, $3, p_expected_version := $4)", stream, type, data, expected)[0][0].as<string>();
}

template <typename Apply>
void
Replay(pqxx::transaction_base &tx, const string &stream, const Apply &apply) {
	tx.exec_params("DECLARE replay NO SCROLL CURSOR FOR SELECT stream_version, event_data FROM events.replay_stream($1)", stream);
	for (pqxx::result rows; !(rows = tx.exec("FETCH 100 FROM replay")).empty();)
		for (const auto &row : rows)
			apply(row[0].as<long long>(), row[1].as<string>());
	tx.exec("CLOSE replay");
}

// Listens as long as it lives; db.await_notification() waits and calls it.
struct Listener : pqxx::notification_receiver {
	std::function<void(const string &)> tell;
	Listener(pqxx::connection_base &db, std::function<void(const string &)> teller)
		: notification_receiver(db, "mode_switch"), tell(std::move(teller)) {
	}
	void
	operator()(const string &payload, int /* pid */) override {
		tell(payload);
	}
};

// One round: gives how many events were handled. Call it again at once if some were, else after a while.
template <typename Handle>
size_t
Work(pqxx::connection_base &db, const string &subscription, const string &worker, const Handle &handle) {
	pqxx::work tx(db);
	const auto given = tx.exec_params("SELECT global_position, event_data FROM events.fetch($1, $2)", subscription, worker);
	for (const auto &event : given)
		handle(event[1].as<string>());
	if (!given.empty())
		tx.exec_params("SELECT events.acknowledge($1, $2, $3)", subscription, worker, given.back()[0].as<string>());
	tx.commit();
	return given.size();
}
// shown in doc/drivers.md: end

string
Shown(const string &value) {
	return value;
}

string
Shown(const Strings &values) {
	string shown;
	for (const auto &value : values)
		shown += value + "|";
	return shown;
}

template <typename Value>
void
Same(const Value &got, const Value &wanted) {
	if (got != wanted)
		throw std::runtime_error("got " + Shown(got) + ", wanted " + Shown(wanted));
}

struct Failure {
	string state, detail, hint;
};

const Failure kStale{"ZE001", "Expected version 1, actual version 3.", "Read the stream again, decide again, and append with the version read."};
const Failure kOtherContent{"ZE002", "An event with this id exists; its stream, type, data, metadata, tags or created_by differs.",
                            "Give a new event a new id; repeat an append with exactly what it was called with first."};
const Failure kEmptyName{"22023", "The name given has no character.", "Give a name of 1 to 100 characters."};
const Failure kLeaseLost{"ZE005", "It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.",
                         "Fetch again, and take what comes as not done before."};

template <typename Call>
void
Fails(const Failure &wanted, const Call &call) {
	try {
		call();
	} catch (const pqxx::sql_error &error) {
		const string text = error.what();
		const size_t detail = text.find("\nDETAIL:  ");
		Same(error.sqlstate(), wanted.state);
		Same(detail == string::npos ? text : text.substr(detail), "\nDETAIL:  " + wanted.detail + "\nHINT:  " + wanted.hint + "\n");
		return;
	}
	throw std::runtime_error("nothing was raised, wanted " + wanted.state);
}

Strings
Everything(pqxx::transaction_base &tx, const string &stream) {
	Strings events;
	Replay(tx, stream, [&](long long version, const string &data) { events.push_back(std::to_string(version) + " " + data); });
	return events;
}

Strings
Column(const pqxx::result &rows) {
	Strings found;
	for (const auto &row : rows)
		found.push_back(row[0].as<string>());
	return found;
}

string
Number(int n) {
	return "{\"n\": " + std::to_string(n) + "}";
}

// What a claim does in a transaction of its own.
template <typename Steps>
void
Within(pqxx::connection_base &db, const Steps &steps) {
	pqxx::work tx(db);
	steps(tx);
	tx.commit();
}

void
GiveTasks(pqxx::connection_base &db, int first, int last) {
	Within(db, [&](pqxx::work &tx) {
		for (int n = first; n <= last; n++)
			Append(tx, kLabel + ":work", "task_given", Number(n));
	});
}

Strings
Worked(pqxx::connection_base &db, const string &worker, size_t count) {
	Strings handled;
	while (handled.size() < count)
		if (Work(db, kLabel, worker, [&](const string &data) { handled.push_back(data); }) == 0)
			std::this_thread::sleep_for(std::chrono::milliseconds(20));
	return handled;
}

void
AppendFirst(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		Same(std::to_string(Append(tx, kLabel + ":a", "vitals_recorded", Number(1)).size()), string("36"));
		Append(tx, kLabel + ":a", "vitals_recorded", Number(2), "1");
		Append(tx, kLabel + ":a", "vitals_recorded", Number(3), "-1");
	});
}

void
ReplayAll(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		Same(Everything(tx, kLabel + ":a"), {"1 {\"n\": 1}", "2 {\"n\": 2}", "3 {\"n\": 3}"});
		Same(Everything(tx, kLabel + ":nothing"), {});
	});
}

void
State(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		Same(Column(tx.exec_params("SELECT events.get_stream_state($1)", kLabel + ":a")), {"{\"vitals_recorded\": {\"n\": 3}}"});
	});
}

void
Webhook(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		tx.exec_params("SELECT events.append_event('hook:' || $1, 'biometric_received', $2::jsonb, 'webhook_processor')", kLabel,
		               "{\"heart_rate\": 72}");
		Same(Everything(tx, "hook:" + kLabel), {"1 {\"heart_rate\": 72}"});
	});
}

void
ManyTimes(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		// A statement with a name is of the connection; behind a pooler in transaction mode give the text each time.
		const bool named = Environment("DRIVERS_WAY") != "transaction";
		const string call = "SELECT events.append_event($1, $2, $3)";
		if (named)
			tx.conn().prepare("append", call);
		Strings wanted;
		for (int n = 0; n < 20; n++) {
			if (named)
				tx.exec_prepared("append", kLabel + ":many", "vitals_recorded", Number(n));
			else
				tx.exec_params(call, kLabel + ":many", "vitals_recorded", Number(n));
			wanted.push_back(std::to_string(n + 1) + " " + Number(n));
		}
		Same(Everything(tx, kLabel + ":many"), wanted);
	});
}

void
Stale(pqxx::connection_base &db) {
	Fails(kStale, [&] { Within(db, [](pqxx::work &tx) { Append(tx, kLabel + ":a", "vitals_recorded", "{}", "1"); }); });
}

void
OtherContent(pqxx::connection_base &db) {
	string used;
	Within(db, [&](pqxx::work &tx) { used = Append(tx, kLabel + ":id", "vitals_recorded", Number(1)); });
	Fails(kOtherContent, [&] {
		Within(db, [&](pqxx::work &tx) {
			tx.exec_params("SELECT events.append_event($1, 'vitals_recorded', '{}', p_event_id := $2)", kLabel + ":id", used);
		});
	});
}

void
EmptyName(pqxx::connection_base &db) {
	Fails(kEmptyName, [&] { Within(db, [](pqxx::work &tx) { Append(tx, kLabel + ":a", "", "{}"); }); });
}

void
Batch(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		const string odd = R"({"n": "\"é\\"})";
		const auto rows = tx.exec_params("SELECT stream_id || ' ' || stream_version FROM events.append_events(ARRAY[$1, $2, $1], "
		                                 "array_fill('reading_taken'::text, '{3}'), ARRAY[$3, $4, $5]::jsonb[])",
		                                 kLabel + ":b1", kLabel + ":b2", Number(1), Number(2), odd);
		Same(Column(rows), {kLabel + ":b1 1", kLabel + ":b2 1", kLabel + ":b1 2"});
		Same(Everything(tx, kLabel + ":b1"), {"1 " + Number(1), "2 " + odd});
	});
}

void
Undone(pqxx::connection_base &db) {
	Fails(kEmptyName, [&] {
		Within(db, [](pqxx::work &tx) {
			Append(tx, kLabel + ":undone", "reading_taken", "{}");
			Append(tx, kLabel + ":undone", "", "{}");
		});
	});
	Within(db, [](pqxx::work &tx) { Same(Everything(tx, kLabel + ":undone"), {}); });
}

void
Pieces(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		tx.exec_params("DECLARE pieces CURSOR FOR SELECT stream_version FROM events.replay_stream($1)", kLabel + ":many");
		Strings sizes;
		for (int i = 0; i < 4; i++)
			sizes.push_back(std::to_string(tx.exec("FETCH 8 FROM pieces").size()));
		Same(sizes, {"8", "8", "4", "0"});
	});
}

void
Listening(pqxx::connection_base &db) {
	pqxx::connection listening("port=" + Environment("DRIVERS_LISTEN_PORT"));
	string told;
	const Listener listener(listening, [&](const string &payload) { told = payload; });
	Within(db, [](pqxx::work &tx) { tx.exec_params("INSERT INTO mode_history VALUES ($1, 'baseline', 'recovery', 0.87)", kLabel); });
	while (told.empty())
		listening.await_notification();
	Same(told.substr(0, told.find(", \"timestamp\"")),
	     "{\"user_id\": \"" + kLabel + "\", \"from_mode\": \"baseline\", \"to_mode\": \"recovery\", \"confidence\": 0.870");
}

void
Tenant(pqxx::connection_base &db) {
	Within(db, [](pqxx::work &tx) {
		tx.exec("SET LOCAL app.tenant_id = 'acme'");
		Append(tx, kLabel + ":a", "seen", "{}");
		Same(Everything(tx, kLabel + ":a"), {"1 {}"});
	});
	Within(db, [](pqxx::work &tx) { Same(std::to_string(Everything(tx, kLabel + ":a").size()), string("3")); });
}

void
OneWorker(pqxx::connection_base &db) {
	GiveTasks(db, 1, 3);
	Same(Worked(db, "one", 3), {Number(1), Number(2), Number(3)});
	Same(std::to_string(Work(db, kLabel, "one", [](const string &data) { throw std::runtime_error(data + " came once more"); })), string("0"));
}

void
TakeOver(pqxx::connection_base &db) {
	GiveTasks(db, 4, 5);
	Strings positions;
	while (positions.size() < 2)
		Within(db, [&](pqxx::work &tx) { positions = Column(tx.exec_params("SELECT global_position FROM events.fetch($1, 'one')", kLabel)); });
	Same(Worked(db, "two", 2), {Number(4), Number(5)});
	Fails(kLeaseLost, [&] { Within(db, [&](pqxx::work &tx) { tx.exec_params("SELECT events.acknowledge($1, 'one', $2)", kLabel, positions[1]); }); });
}

struct Claim {
	const char *name;
	void (*hold)(pqxx::connection_base &db);
};

constexpr Claim kClaims[] = {
	{"an append returns the id of its event", AppendFirst},
	{"a stream is replayed in order", ReplayAll},
	{"the state of a stream is read", State},
	{"the data of a webhook is appended", Webhook},
	{"one statement appends many times", ManyTimes},
	{"a stale version is ZE001, with DETAIL and HINT", Stale},
	{"an id with other content is ZE002, with DETAIL and HINT", OtherContent},
	{"an empty name is 22023, with DETAIL and HINT", EmptyName},
	{"a batch is there as a whole", Batch},
	{"a transaction that fails leaves nothing", Undone},
	{"a cursor gives a stream in pieces", Pieces},
	{"a listener is told of a mode switch", Listening},
	{"a tenant named by SET LOCAL ends with its transaction", Tenant},
	{"a worker is given each event once", OneWorker},
	{"a second worker takes over when the first is gone", TakeOver},
};

} // namespace

int
main() {
	pqxx::connection db;
	for (const auto &claim : kClaims) {
		try {
			claim.hold(db);
			std::cout << "ok - " << claim.name << std::endl;
		} catch (const std::exception &error) {
			string text = error.what();
			for (size_t at = 0; (at = text.find('\n', at)) != string::npos; at += 3)
				text.replace(at, 1, "\n# ");
			std::cout << "not ok - " << claim.name << "\n# " << text << std::endl;
		}
	}
}
