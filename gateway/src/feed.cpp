#include "feed.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>

#include "bad_input.hpp"
#include "log.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

using namespace std::chrono_literals;

constexpr auto kPause = 200ms; // after a statement that failed
constexpr auto kLinger = 60s;  // a log without clients is kept for those who come back
constexpr auto kWarm = 10s;    // after an event the horizon is asked for more often
constexpr JsonBounds kPayloadBounds = {8192, 32};
constexpr std::string_view kCancelled = "57014";

std::string
Identifier(std::string_view name) {
	std::string quoted = "\"";
	for (const char c : name) {
		quoted += c;
		if (c == '"') {
			quoted += '"';
		}
	}
	return quoted + '"';
}

std::string_view
Column(const PGresult *row, int column) {
	return {PQgetvalue(row, 0, column), static_cast<size_t>(PQgetlength(row, 0, column))};
}

std::string
ArrayLiteral(const Database &database, const Names &names) {
	std::string array = "ARRAY[";
	for (const auto &name : names) {
		array += (array.back() == '[' ? "" : ",") + database.Literal(name);
	}
	return array + "]::pg_catalog.text[]";
}

// Says at which state the connection to the store is.
std::string
State(const std::string &state) {
	return R"({"state":")" + state + R"("})";
}

// What of the filter the database can apply to a page: one category, the one stream as a prefix, types and tags.
Filter
Pushed(const Filter &filter) {
	Filter pushed;
	pushed.types = filter.types;
	pushed.tags = filter.tags;
	if (filter.categories && filter.categories->size() == 1) {
		pushed.categories = filter.categories;
	}
	if (filter.streams && filter.streams->size() == 1) {
		pushed.streams = filter.streams;
	}
	return pushed;
}

std::string
KeyOf(const Filter &filter) {
	std::string key;
	const auto add = [&](const Names &names) {
		for (const auto &name : names) {
			key += std::to_string(name.size()) + ':' + name;
		}
		key += ';';
	};
	add(filter.types.value_or(Names()));
	add(filter.categories.value_or(Names()));
	add(filter.streams.value_or(Names()));
	add(filter.tags);
	return key;
}

std::string
ListenStatements(const Config &config) {
	std::string sql;
	for (const auto &channel : config.channels) {
		sql += "; LISTEN " + Identifier(channel.name);
	}
	if (!config.database.hint_channel.empty()) {
		sql += "; LISTEN " + Identifier(config.database.hint_channel);
	}
	return sql;
}

// Each connection's settings, whatever the defaults of its role are. Above READ COMMITTED the feed ends where a statement's transaction sees no
// more, so a horizon that is newer would be no end of what was read. What a client knows must be on disk.
Database::Settings
SettingsOf(const Config &config, const std::string &name, const std::string &more) {
	const auto seconds = config.database.statement_seconds;
	return {config.database.connection,
	        "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = on; SET auren_events.read_flushed = on; SET "
	        "TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET statement_timeout = '" +
	            std::to_string(seconds) + "s'" + more,
	        "auren gateway: " + name, std::chrono::seconds(seconds)};
}

} // namespace

// What a statement reads: the head of the feed, and events after a position.
struct Feed::Reading {
	int64_t after = 0;
	size_t limit = 0; // 0: the head alone
	size_t most_bytes = 0;
	std::string epoch;
	int64_t horizon = 0;
	std::vector<EventPtr> events;
	size_t bytes = 0;
	bool cut = false; // there were more bytes than wanted

	// Up to where everything was read.
	int64_t
	End() const {
		if (!events.empty() && (cut || events.size() >= limit)) {
			return events.back()->position;
		}
		return std::max({after, horizon, events.empty() ? 0 : events.back()->position});
	}
};

struct Feed::PageRequest {
	std::string key;
	std::shared_ptr<Log> log;
	int64_t after = 0;
	Filter filter;
	std::vector<std::weak_ptr<Subscriber>> subscribers;
};

Feed::Feed(boost::asio::io_context &loop, const Config &config, Metrics &metrics)
	: loop_(loop), config_(config), metrics_(metrics), listener_(loop, SettingsOf(config, "listener", ListenStatements(config))),
	  live_(loop, SettingsOf(config, "live", "")), pages_one_(loop, SettingsOf(config, "pages 1", "")),
	  pages_two_(loop, SettingsOf(config, "pages 2", "")), poll_timer_(loop), again_(loop) {
}

void
Feed::Start() {
	listener_.on_notify = [this](std::string_view channel, std::string_view payload) {
		OnNotify(channel, payload);
	};
	listener_.on_up = [this] {
		if (heard_) {
			for (auto &[key, log] : logs_) {
				for (Subscriber *subscriber : log->subscribers) {
					TellMissed(*subscriber, "the gateway was not connected to the server");
				}
			}
		}
		heard_ = true;
		PollSoon(0ms);
	};
	live_.on_up = [this] {
		for (auto &[key, log] : logs_) {
			log->fresh = false;
			Enqueue(*log);
		}
		OnDatabase("database_up");
		ReadLogs();
		PollSoon(0ms);
	};
	for (Database *database : {&pages_one_, &pages_two_}) {
		database->on_up = [this] {
			ServePages();
		};
		database->on_down = [this] {
			metrics_.reconnects++;
		};
	}
	listener_.on_down = [this] {
		metrics_.reconnects++;
	};
	live_.on_down = [this] {
		metrics_.reconnects++;
		OnDatabase("database_down");
	};
	for (Database *database : {&listener_, &live_, &pages_one_, &pages_two_}) {
		database->Start();
	}
}

void
Feed::Stop() {
	for (Database *database : {&listener_, &live_, &pages_one_, &pages_two_}) {
		database->Stop();
	}
	poll_timer_.cancel();
	again_.cancel();
}

bool
Feed::IsReady() const {
	return listener_.IsUp() && live_.IsUp() && (pages_one_.IsUp() || pages_two_.IsUp());
}

void
Feed::OnDatabase(std::string_view state) {
	TellAll("status", State(std::string(state)));
}

void
Feed::TellAll(const std::string &name, const std::string &json) {
	for (auto &[key, log] : logs_) {
		for (Subscriber *subscriber : log->subscribers) {
			subscriber->Tell(name, json);
		}
	}
}

void
Feed::Measure() {
	metrics_.logs = static_cast<double>(logs_.size());
	metrics_.page_bytes = static_cast<double>(*page_bytes_);
	metrics_.pages_waiting = static_cast<double>(requests_.size());
	metrics_.ready = IsReady() ? 1 : 0;
	metrics_.ring_bytes = 0;
	metrics_.lag_positions = 0;
	for (const auto &[key, log] : logs_) {
		metrics_.ring_bytes += static_cast<double>(log->ring.Bytes());
		if (!log->subscribers.empty()) {
			metrics_.lag_positions = std::max(metrics_.lag_positions, static_cast<double>(std::max(horizon_, log->head) - log->position));
		}
	}
}

// ---- logs and their subscribers ----------------------------------------------------------------------------------------

const RoleConfig &
Feed::RoleOf(const Principal &principal) const {
	return config_.tokens.roles.at(principal.role);
}

Log &
Feed::LogOf(const Principal &principal) {
	const auto &role = RoleOf(principal).database_role;
	auto &log = logs_[{principal.tenant, role}];
	if (!log) {
		log = std::make_shared<Log>(principal.tenant, role);
		BoundRings();
	}
	return *log;
}

// All rings together stay within a bound, however many tenants there are.
void
Feed::BoundRings() {
	const size_t share = static_cast<size_t>(config_.limits.all_rings_bytes) / logs_.size();
	for (auto &[key, log] : logs_) {
		log->ring.Bound(std::min(share, static_cast<size_t>(config_.limits.ring_bytes)));
	}
}

void
Feed::Tick() {
	const auto now = std::chrono::steady_clock::now();
	const std::chrono::seconds patience(config_.limits.stall_seconds);
	for (auto &[key, log] : logs_) {
		for (Subscriber *subscriber : log->subscribers) {
			if (subscriber->waits_for_page_ && IsReady() && now - subscriber->waits_since_ > patience) {
				subscriber->Drop(DropCause::kCatchUp, "too many clients catch up; try again later");
			}
		}
	}
	for (auto one = logs_.begin(); one != logs_.end();) {
		Log &log = *one->second;
		log.left = log.subscribers.empty() ? log.left : now;
		const bool needed = !log.subscribers.empty() || log.queued || log.reading || one->second.use_count() > 1;
		one = needed || now - log.left < kLinger ? std::next(one) : logs_.erase(one);
	}
	if (!logs_.empty()) {
		BoundRings();
	}
}

void
Feed::Attach(const SubscriberPtr &subscriber) {
	Log &log = LogOf(subscriber->principal);
	if (log.subscribers.empty()) {
		log.fresh = false;
	}
	subscriber->log_ = &log;
	subscriber->index_ = log.subscribers.size();
	log.subscribers.push_back(subscriber.get());
	if (++subscribers_ == 1) {
		PollSoon(0ms);
	}
	if (!live_.IsUp()) {
		subscriber->Tell("status", State("database_down"));
	}
	if (subscriber->after && !config_.channels.empty()) {
		TellMissed(*subscriber, "you were away");
	}
	if (log.fresh) {
		boost::asio::post(loop_, [subscriber] { subscriber->Pump(); });
		return;
	}
	Enqueue(log);
	ReadLogs();
}

void
Feed::Detach(Subscriber &subscriber) {
	Log *log = subscriber.log_;
	if (log == nullptr) {
		return;
	}
	log->subscribers[subscriber.index_] = log->subscribers.back();
	log->subscribers[subscriber.index_]->index_ = subscriber.index_;
	log->subscribers.pop_back();
	subscriber.log_ = nullptr;
	subscriber.page_.reset();
	subscribers_--;
	ServePages();
}

std::string
Feed::Place(const Subscriber &subscriber) const {
	if (!subscriber.started_ || subscriber.log_ == nullptr || subscriber.generation_ != subscriber.log_->generation) {
		return "";
	}
	return PrintCursor(subscriber.log_->epoch, subscriber.cursor_);
}

// Where a subscriber begins, once the log knows the store's history and its end.
void
Feed::Resolve(Subscriber &subscriber) {
	const Log &log = *subscriber.log_;
	const std::string was = subscriber.after ? subscriber.after->epoch : "";
	subscriber.started_ = true;
	subscriber.generation_ = log.generation;
	subscriber.cursor_ = subscriber.after ? subscriber.after->position : log.head;
	if (!was.empty() && was != log.epoch) {
		Reset(subscriber, was);
	}
	subscriber.number_ = log.ring.FirstAfter(subscriber.cursor_);
	subscriber.Started(PrintCursor(log.epoch, subscriber.cursor_));
}

// The store has another history than the subscriber knows. Positions up to the place where the two part mean the same, and only the client can say
// what it makes of the rest: it goes on from where it is, or from the end of a history that is shorter.
void
Feed::Reset(Subscriber &subscriber, const std::string &was) {
	const Log &log = *subscriber.log_;
	const int64_t before = subscriber.cursor_;
	subscriber.cursor_ = std::min(subscriber.cursor_, log.head);
	std::string json = R"({"id":)";
	AppendJsonString(json, PrintCursor(log.epoch, subscriber.cursor_));
	json += R"(,"was":)";
	AppendJsonString(json, was.empty() ? std::to_string(before) : PrintCursor(was, before));
	subscriber.Tell("reset", json + '}');
}

EventPtr
Feed::Next(Subscriber &subscriber) {
	Log *log = subscriber.log_;
	if (log == nullptr || !log->fresh || LetsNothing(subscriber.filter)) {
		if (log != nullptr && log->fresh && !subscriber.started_) {
			Resolve(subscriber);
		}
		return nullptr;
	}
	if (!subscriber.started_) {
		Resolve(subscriber);
	}
	if (subscriber.generation_ != log->generation) {
		subscriber.page_.reset();
		subscriber.generation_ = log->generation;
		Reset(subscriber, "");
		subscriber.number_ = log->ring.FirstAfter(subscriber.cursor_);
	}
	if (EventPtr event = NextOfPage(subscriber)) {
		return event;
	}
	if (subscriber.cursor_ >= log->ring.Floor()) {
		return NextOfRing(subscriber);
	}
	RequestPage(subscriber);
	return nullptr;
}

EventPtr
Feed::NextOfPage(Subscriber &subscriber) {
	while (subscriber.page_) {
		const auto &events = subscriber.page_->events;
		while (subscriber.page_index_ < events.size()) {
			const EventPtr &event = events[subscriber.page_index_++];
			if (event->position > subscriber.cursor_) {
				subscriber.cursor_ = event->position;
				if (Matches(subscriber.filter, *event)) {
					return event;
				}
			}
		}
		subscriber.cursor_ = std::max(subscriber.cursor_, subscriber.page_->end);
		subscriber.page_.reset();
		boost::asio::post(loop_, [this] { ServePages(); });
	}
	return nullptr;
}

EventPtr
Feed::NextOfRing(Subscriber &subscriber) {
	const Log &log = *subscriber.log_;
	if (subscriber.catching_up_) {
		subscriber.catching_up_ = false;
		subscriber.number_ = log.ring.FirstAfter(subscriber.cursor_);
		subscriber.Tell("status", State("live"));
	}
	if (subscriber.number_ < log.ring.Begin()) {
		subscriber.number_ = log.ring.FirstAfter(subscriber.cursor_);
	}
	while (subscriber.number_ < log.ring.End()) {
		const EventPtr &event = log.ring.At(subscriber.number_++);
		if (event->position > subscriber.cursor_) {
			subscriber.cursor_ = event->position;
			if (Matches(subscriber.filter, *event)) {
				return event;
			}
		}
	}
	subscriber.cursor_ = std::max(subscriber.cursor_, log.position);
	return nullptr;
}

// ---- the end of the feed -----------------------------------------------------------------------------------------------

void
Feed::PollSoon(std::chrono::milliseconds time) {
	poll_timer_.expires_after(time);
	poll_timer_.async_wait([this](boost::system::error_code error) {
		if (!error) {
			Poll();
		}
	});
}

void
Feed::Poll() {
	Database &asked = listener_.IsUp() ? listener_ : live_;
	if (subscribers_ == 0 || !asked.IsUp()) {
		return; // asked again when somebody comes, or when a connection is there
	}
	const auto now = std::chrono::steady_clock::now();
	const auto &database = config_.database;
	const std::chrono::milliseconds next(now - last_event_ < kWarm ? database.poll_milliseconds
	                                                               : std::max(database.poll_milliseconds, database.idle_poll_milliseconds));
	if (!asked.IsIdle()) {
		PollSoon(next);
		return;
	}
	const auto somebody = std::find_if(logs_.begin(), logs_.end(), [](const auto &one) { return !one.second->subscribers.empty(); });
	metrics_.horizon_polls++;
	asked.Run({"SELECT pg_catalog.set_config('app.tenant_id', " + asked.Literal(somebody->first.first) + ", true); SELECT events.feed_horizon()",
	           [this](int statement, const PGresult *row) {
				   if (statement == 1) {
					   OnHorizon(std::stoll(std::string(Column(row, 0))));
				   }
			   },
	           [this, next](const Outcome &outcome) {
				   PollSoon(outcome.good ? next : std::max<std::chrono::milliseconds>(next, kPause));
			   }});
}

void
Feed::OnHorizon(int64_t horizon) {
	if (horizon != horizon_) {
		horizon_ = horizon;
		last_event_ = std::chrono::steady_clock::now();
	}
	for (auto &[key, log] : logs_) {
		if (log->position < horizon) {
			Enqueue(*log);
		}
	}
	ReadLogs();
}

void
Feed::Enqueue(Log &log) {
	if (!log.queued && !log.subscribers.empty()) {
		log.queued = true;
		to_read_.push_back(&log);
	}
}

void
Feed::ReadLogs() {
	while (live_.IsIdle() && !to_read_.empty()) {
		Log &log = *to_read_.front();
		to_read_.pop_front();
		log.queued = false;
		if (!log.subscribers.empty()) {
			BeginReading(log);
		}
	}
}

size_t
Feed::PageLimit(const Log &log) const {
	const size_t by_bytes = static_cast<size_t>(config_.limits.page_bytes) / std::max<size_t>(1, log.event_bytes);
	return std::clamp<size_t>(by_bytes, 1, static_cast<size_t>(config_.limits.page_events));
}

std::string
Feed::ReadStatement(Database &database, const Log &log, const Reading &reading, const Filter &filter) const {
	std::string sql = "SELECT pg_catalog.set_config('app.tenant_id', " + database.Literal(log.tenant) + ", true)";
	if (!log.database_role.empty()) {
		sql += ", pg_catalog.set_config('role', " + database.Literal(log.database_role) + ", true)";
	}
	sql += "; SELECT events.feed_horizon(), events.store_epoch()";
	if (reading.limit == 0) {
		return sql;
	}
	sql += "; SELECT global_position, event_id, stream_id, stream_version, event_type, event_data, metadata, created_at, created_by,"
	       " pg_catalog.array_to_json(tags) FROM events.read_all(" +
	       std::to_string(reading.after) + ", " + std::to_string(reading.limit) + ", ";
	sql += filter.types ? ArrayLiteral(database, *filter.types) : "NULL";
	sql += ", ";
	sql += filter.categories ? database.Literal(filter.categories->front()) : "NULL";
	sql += ", ";
	sql += filter.streams ? database.Literal(filter.streams->front()) : "NULL";
	sql += ", NULL, ";
	sql += filter.tags.empty() ? "NULL" : ArrayLiteral(database, filter.tags);
	return sql + ")";
}

void
Feed::TakeRow(Reading &reading, int statement, const PGresult *row) const {
	if (statement == 1) {
		reading.horizon = std::stoll(std::string(Column(row, 0)));
		reading.epoch = Column(row, 1);
		return;
	}
	if (statement != 2) {
		return;
	}
	if (reading.bytes >= reading.most_bytes) {
		reading.cut = true;
		return;
	}
	reading.events.push_back(MakeEvent(reading.epoch, {Column(row, 0), Column(row, 1), Column(row, 2), Column(row, 3), Column(row, 4), Column(row, 5),
	                                                   Column(row, 6), Column(row, 7), Column(row, 8), Column(row, 9)}));
	reading.bytes += reading.events.back()->Bytes();
}

// A log that is not fresh is asked for its head first: it begins so many positions before it.
void
Feed::BeginReading(Log &log) {
	auto reading = std::make_shared<Reading>();
	reading->after = log.position;
	reading->limit = log.fresh ? PageLimit(log) : 0;
	reading->most_bytes = static_cast<size_t>(config_.limits.page_bytes);
	log.reading = true;
	live_.Run({ReadStatement(live_, log, *reading, Filter()),
	           [this, reading](int statement, const PGresult *row) { TakeRow(*reading, statement, row); },
	           [this, reading, &log](const Outcome &outcome) {
				   log.reading = false;
				   EndReading(log, *reading, outcome);
			   }});
}

void
Feed::EndReading(Log &log, const Reading &reading, const Outcome &outcome) {
	if (!outcome.good) {
		RefuseLog(log, outcome);
		return;
	}
	TakeHead(log, reading);
	if (reading.limit == 0) {
		log.fresh = true;
		Enqueue(log);
	} else if (reading.epoch == log.epoch && reading.after == log.position) {
		for (const auto &event : reading.events) {
			log.ring.Push(event);
			log.event_bytes = (log.event_bytes * 15 + event->Bytes()) / 16;
		}
		metrics_.events_read += reading.events.size();
		log.position = reading.End();
	}
	if (log.position < log.head) {
		Enqueue(log);
	}
	PumpLog(log);
	ReadLogs();
}

// Another epoch, or a log that nobody has followed for long, begins anew near its end.
void
Feed::TakeHead(Log &log, const Reading &reading) {
	log.head = reading.horizon;
	const int64_t begin = std::max<int64_t>(0, log.head - config_.limits.preload_positions);
	if (reading.epoch != log.epoch) {
		log.epoch = reading.epoch;
		log.generation++;
	} else if (log.fresh || log.position >= begin) {
		return;
	}
	log.position = begin;
	log.ring.Restart(begin);
}

// The server will not give this feed to us, or not now.
void
Feed::RefuseLog(Log &log, const Outcome &outcome) {
	if (outcome.state == "42501" || outcome.state == "22023" || outcome.state == "42704") {
		LogLine("the feed of a tenant was refused: " + outcome.message);
		for (Subscriber *subscriber : log.subscribers) {
			subscriber->Drop(DropCause::kRefused, "the store does not let this tenant's feed be read");
		}
	} else if (!outcome.state.empty()) {
		LogLine("the feed could not be read: " + outcome.state + " " + outcome.message);
		Enqueue(log);
	} else {
		Enqueue(log);
	}
	TryAgain();
}

void
Feed::TryAgain() {
	again_.expires_after(kPause);
	again_.async_wait([this](boost::system::error_code error) {
		if (!error) {
			ReadLogs();
			ServePages();
		}
	});
}

void
Feed::PumpLog(Log &log) {
	for (size_t i = 0; i < log.subscribers.size(); i++) {
		log.subscribers[i]->Pump();
	}
}

// ---- catching up -------------------------------------------------------------------------------------------------------

void
Feed::RequestPage(Subscriber &subscriber) {
	if (subscriber.waits_for_page_) {
		return;
	}
	if (!subscriber.catching_up_) {
		subscriber.catching_up_ = true;
		subscriber.Tell("status", R"({"state":"catching_up","from":)" + std::to_string(subscriber.cursor_) + R"(,"to":)" +
		                              std::to_string(subscriber.log_->head) + '}');
	}
	subscriber.waits_for_page_ = true;
	subscriber.waits_since_ = std::chrono::steady_clock::now();
	const Filter filter = subscriber.reads_plainly_ ? Filter() : Pushed(subscriber.filter);
	const Log &log = *subscriber.log_;
	const std::string key = std::to_string(reinterpret_cast<uintptr_t>(&log)) + '/' + std::to_string(subscriber.cursor_) + '/' + KeyOf(filter);
	auto &request = requests_[key];
	if (!request) {
		request = std::make_shared<PageRequest>();
		request->key = key;
		request->log = logs_.at({log.tenant, log.database_role});
		request->after = subscriber.cursor_;
		request->filter = filter;
		waiting_.push_back(request);
	}
	request->subscribers.push_back(subscriber.weak_from_this());
	ServePages();
}

// Requests are served in the order in which they came, and nobody has more than one: so a client of long history delays the others by a page at most.
void
Feed::ServePages() {
	for (Database *database : {&pages_one_, &pages_two_}) {
		while (!waiting_.empty() && database->IsIdle() && *page_bytes_ < static_cast<size_t>(config_.limits.catch_up_bytes)) {
			const auto request = waiting_.front();
			waiting_.pop_front();
			ReadPage(*database, request);
		}
	}
}

void
Feed::ReadPage(Database &database, const std::shared_ptr<PageRequest> &request) {
	const auto gone = [](const auto &weak) {
		const auto subscriber = weak.lock();
		return !subscriber || subscriber->log_ == nullptr;
	};
	if (std::all_of(request->subscribers.begin(), request->subscribers.end(), gone)) {
		requests_.erase(request->key);
		return;
	}
	auto reading = std::make_shared<Reading>();
	reading->after = request->after;
	reading->limit = PageLimit(*request->log);
	reading->most_bytes = static_cast<size_t>(config_.limits.page_bytes);
	database.Run({ReadStatement(database, *request->log, *reading, request->filter),
	              [this, reading](int statement, const PGresult *row) { TakeRow(*reading, statement, row); },
	              [this, reading, request](const Outcome &outcome) {
					  EndPage(*request, *reading, outcome);
				  }});
}

void
Feed::EndPage(PageRequest &request, const Reading &reading, const Outcome &outcome) {
	if (!outcome.good) {
		RepeatPage(request, outcome);
		return;
	}
	// Where the history is another one, the log finds it out for itself; the page is asked for again.
	if (reading.epoch != request.log->epoch) {
		request.log->fresh = false;
		Enqueue(*request.log);
		waiting_.push_back(requests_[request.key]);
		TryAgain();
		return;
	}
	auto page = std::make_shared<Page>();
	page->epoch = reading.epoch;
	page->events = reading.events;
	page->end = reading.End();
	page->bytes = reading.bytes;
	page->total = page_bytes_;
	*page_bytes_ += page->bytes;
	metrics_.pages_read++;
	metrics_.page_events_read += reading.events.size();
	for (const auto &event : reading.events) {
		request.log->event_bytes = (request.log->event_bytes * 15 + event->Bytes()) / 16;
	}
	GivePage(request, page);
}

void
Feed::GivePage(PageRequest &request, const std::shared_ptr<const Page> &page) {
	const auto kept = requests_[request.key];
	requests_.erase(request.key);
	for (const auto &weak : request.subscribers) {
		const auto subscriber = weak.lock();
		if (!subscriber || subscriber->log_ == nullptr) {
			continue;
		}
		subscriber->waits_for_page_ = false;
		// after a reset a client may be before the page
		subscriber->page_ = subscriber->cursor_ < request.after ? nullptr : page;
		subscriber->page_index_ = 0;
		subscriber->Pump();
	}
	ServePages();
}

// A filter that lets little through can make a page take too long: then pages are read without it, and the gateway filters.
void
Feed::RepeatPage(PageRequest &request, const Outcome &outcome) {
	if (outcome.state == kCancelled && KeyOf(request.filter) != KeyOf(Filter())) {
		for (const auto &weak : request.subscribers) {
			if (const auto subscriber = weak.lock()) {
				subscriber->reads_plainly_ = true;
			}
		}
		GivePage(request, nullptr);
		return;
	}
	if (!outcome.state.empty()) {
		LogLine("a page of the feed could not be read: " + outcome.state + " " + outcome.message);
	}
	waiting_.push_back(requests_[request.key]);
	TryAgain();
}

// ---- channels ----------------------------------------------------------------------------------------------------------

void
Feed::OnNotify(std::string_view channel, std::string_view payload) {
	if (channel == config_.database.hint_channel) {
		for (auto &[key, log] : logs_) {
			Enqueue(*log);
		}
		last_event_ = std::chrono::steady_clock::now();
		ReadLogs();
	}
	for (const auto &one : config_.channels) {
		if (one.name == channel) {
			metrics_.notifications++;
			PassOn(one, payload);
		}
	}
}

// Whom a payload is about stands in it under the configured keys.
void
Feed::PassOn(const ChannelConfig &channel, std::string_view payload) {
	std::string tenant = channel.tenant;
	std::optional<std::string> stream;
	try {
		const auto value = ParseJson(payload, kPayloadBounds);
		const auto text = [&](const std::string &key) {
			const auto found = value.is_object() ? value.find(key) : value.end();
			return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
		};
		const auto named = text(channel.tenant_key);
		tenant = named.empty() ? tenant : named;
		const auto whose = text(channel.stream_key);
		stream = whose.empty() ? std::nullopt : std::make_optional(channel.stream_prefix + whose);
	} catch (const BadInput &) {
		// any text may be notified: it is passed on as a JSON text to those who may hear everything
	}
	const auto line = JsonLine(payload);
	for (auto &[key, log] : logs_) {
		if (tenant != "*" && key.first != tenant) {
			continue;
		}
		for (Subscriber *subscriber : log->subscribers) {
			if (MayHear(*subscriber, channel, stream)) {
				subscriber->Tell(channel.name, line);
			}
		}
	}
}

// Whoever may see some streams only, or asks for some only, hears what is about one of them.
bool
Feed::MayHear(const Subscriber &subscriber, const ChannelConfig &channel, const std::optional<std::string> &stream) const {
	if (!Lets(subscriber.channels, channel.name)) {
		return false;
	}
	Filter filter;
	filter.streams = subscriber.filter.streams;
	filter.categories = subscriber.filter.categories;
	if (!filter.streams && !filter.categories) {
		return true;
	}
	Event event;
	event.stream = stream.value_or("");
	return stream && Matches(filter, event);
}

void
Feed::TellMissed(Subscriber &subscriber, const std::string &reason) {
	std::string json = R"({"channels":[)";
	for (const auto &channel : config_.channels) {
		if (Lets(subscriber.channels, channel.name)) {
			json += json.back() == '[' ? "" : ",";
			AppendJsonString(json, channel.name);
		}
	}
	if (json.back() == '[') {
		return;
	}
	subscriber.Tell("missed", json + R"(],"reason":)" + nlohmann::json(reason).dump() + '}');
}

} // namespace auren::gateway
