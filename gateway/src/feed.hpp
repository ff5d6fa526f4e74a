#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config.hpp"
#include "database.hpp"
#include "metrics.hpp"
#include "request.hpp"
#include "ring.hpp"
#include "token.hpp"

namespace auren::gateway {

class Feed;
struct Log;

// A piece of the history that was read for clients which are not near its end.
struct Page {
	std::string epoch;
	std::vector<EventPtr> events;
	int64_t end = 0; // everything up to here was looked at
	size_t bytes = 0;
	std::shared_ptr<size_t> total; // of all pages that somebody holds

	~Page() {
		if (total) {
			*total -= bytes;
		}
	}
};

/*
 * Somebody who follows the feed, whatever the wire: the feed keeps in here where they are. Pump, Tell and Drop return at once, and none of them
 * makes the feed forget the subscriber before it returns.
 */
class Subscriber : public std::enable_shared_from_this<Subscriber> {
  public:
	virtual ~Subscriber() = default;

	// There may be something to write.
	virtual void Pump() = 0;
	// A message beside the feed: JSON under a name. It goes out before the events that were not asked for yet.
	virtual void Tell(const std::string &name, const std::string &json) = 0;
	// The place from which the subscriber follows is known now. Called once, before any event.
	virtual void Started(const std::string &from) = 0;
	// The subscriber is told why, and ended.
	virtual void Drop(DropCause cause, const std::string &reason) = 0;

	Principal principal;
	Filter filter; // what they ask and may see
	std::optional<Names> channels;
	std::optional<Cursor> after;

  private:
	friend class Feed;

	Log *log_ = nullptr;
	size_t index_ = 0; // in the log
	bool started_ = false;
	bool catching_up_ = false;
	bool waits_for_page_ = false;
	std::chrono::steady_clock::time_point waits_since_;
	bool reads_plainly_ = false; // a page with the filter took too long: the gateway filters
	uint64_t generation_ = 0;
	int64_t cursor_ = 0;
	uint64_t number_ = 0; // in the ring, of the next event to look at
	std::shared_ptr<const Page> page_;
	size_t page_index_ = 0;
};

using SubscriberPtr = std::shared_ptr<Subscriber>;

// The feed of a tenant as a role of the database sees it.
struct Log {
	Log(std::string tenant_name, std::string role_name) : tenant(std::move(tenant_name)), database_role(std::move(role_name)) {
	}

	const std::string tenant;
	const std::string database_role;
	Ring ring;
	std::string epoch;
	uint64_t generation = 0; // counts epochs; 0: nothing was read yet
	int64_t position = 0;    // everything up to here was read
	int64_t head = 0;        // the last horizon that was seen
	bool fresh = false;      // the head is of the time since somebody is here
	bool queued = false;     // waits to be read
	bool reading = false;
	std::chrono::steady_clock::time_point left = std::chrono::steady_clock::now(); // when somebody was last here
	size_t event_bytes = 512;                                                      // of an event, on average
	std::vector<Subscriber *> subscribers;
};

/*
 * One cursor over history and present. Each tenant that has clients has a log: the end of its feed, read once and kept in a ring from which all its
 * clients are served. Whoever is not within the ring reads pages from the database until they are.
 *
 * Why nobody misses an event: a client's cursor only moves to the position of an event that it was given or that its filter refuses, to the end
 * of a page, or to the end of the log. A page ends at its last event when there may be more, otherwise at a horizon that was taken before it was
 * read, below which no event can appear any more. A client enters the ring only when its cursor is not below the ring's floor, after which
 * the ring has everything. Nobody gets an event twice, since what is not after the cursor is passed by.
 */
class Feed {
  public:
	Feed(boost::asio::io_context &loop, const Config &config, Metrics &metrics);

	void Start();
	void Stop();

	void Attach(const SubscriberPtr &subscriber);
	void Detach(Subscriber &subscriber);

	// The next event for a subscriber; nullptr when there is none now: Pump is called when there may be one.
	EventPtr Next(Subscriber &subscriber);
	// Where a subscriber is: an id from which it can resume, empty while it has not started.
	std::string Place(const Subscriber &subscriber) const;

	bool IsReady() const;
	size_t
	Subscribers() const {
		return subscribers_;
	}
	// Tells everybody.
	void TellAll(const std::string &name, const std::string &json);
	// To be called every second: ends those who wait too long, and forgets the logs that nobody follows.
	void Tick();
	// Sets the figures that are not counted as they happen.
	void Measure();

  private:
	struct Reading;
	struct PageRequest;

	Log &LogOf(const Principal &principal);
	const RoleConfig &RoleOf(const Principal &principal) const;

	// live
	void PollSoon(std::chrono::milliseconds time);
	void Poll();
	void OnHorizon(int64_t horizon);
	void Enqueue(Log &log);
	void ReadLogs();
	void BeginReading(Log &log);
	void EndReading(Log &log, const Reading &reading, const Outcome &outcome);
	void RefuseLog(Log &log, const Outcome &outcome);
	void TakeHead(Log &log, const Reading &reading);
	void PumpLog(Log &log);
	std::string ReadStatement(Database &database, const Log &log, const Reading &reading, const Filter &filter) const;
	void TakeRow(Reading &reading, int statement, const PGresult *row) const;
	size_t PageLimit(const Log &log) const;

	// subscribers
	void Resolve(Subscriber &subscriber);
	void Reset(Subscriber &subscriber, const std::string &was);
	EventPtr NextOfPage(Subscriber &subscriber);
	EventPtr NextOfRing(Subscriber &subscriber);

	// catch-up
	void RequestPage(Subscriber &subscriber);
	void ServePages();
	void ReadPage(Database &database, const std::shared_ptr<PageRequest> &request);
	void EndPage(PageRequest &request, const Reading &reading, const Outcome &outcome);
	void GivePage(PageRequest &request, const std::shared_ptr<const Page> &page);
	void RepeatPage(PageRequest &request, const Outcome &outcome);

	// channels
	void OnNotify(std::string_view channel, std::string_view payload);
	void PassOn(const ChannelConfig &channel, std::string_view payload);
	bool MayHear(const Subscriber &subscriber, const ChannelConfig &channel, const std::optional<std::string> &stream) const;
	void TellMissed(Subscriber &subscriber, const std::string &reason);

	void OnDatabase(std::string_view state);
	void TryAgain();
	void BoundRings();

	boost::asio::io_context &loop_;
	const Config &config_;
	Metrics &metrics_;
	Database listener_;
	Database live_;
	Database pages_one_;
	Database pages_two_;
	boost::asio::steady_timer poll_timer_;
	boost::asio::steady_timer again_;
	std::map<std::pair<std::string, std::string>, std::shared_ptr<Log>> logs_;
	std::deque<Log *> to_read_;
	std::map<std::string, std::shared_ptr<PageRequest>> requests_;
	std::deque<std::shared_ptr<PageRequest>> waiting_;
	std::shared_ptr<size_t> page_bytes_ = std::make_shared<size_t>(0);
	size_t subscribers_ = 0;
	int64_t horizon_ = 0;
	bool heard_ = false; // the listener was connected before
	std::chrono::steady_clock::time_point last_event_;
};

} // namespace auren::gateway
