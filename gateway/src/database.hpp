#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <libpq-fe.h>

namespace auren::gateway {

// How a statement ended. An empty text: well. Otherwise the SQLSTATE ("" when the connection was lost) and the message.
struct Outcome {
	bool good = false;
	std::string state;
	std::string message;
};

// Statements that are sent together, in one round trip and one transaction.
struct Query {
	std::string sql;
	std::function<void(int statement, const PGresult *row)> row; // is called for each row, which is row 0 of the result
	std::function<void(const Outcome &)> done;                   // is called once, after the last row
};

// Places of a notification.
using NotifyHandler = std::function<void(std::string_view channel, std::string_view payload)>;

/*
 * A connection to PostgreSQL on the loop. It is made anew whenever it is lost, after a time that grows up to some seconds and has a random part. One
 * query is under way at a time. Nothing here blocks but the looking up of a host's name, which libpq does itself.
 */
class Database {
  public:
	struct Settings {
		std::string connection;
		std::string setup; // statements that each new connection runs first
		std::string name;  // of the application, as pg_stat_activity shows it
		std::chrono::seconds statement{10};
	};

	Database(boost::asio::io_context &loop, Settings settings);
	~Database();

	void Start();
	// Ends the connection for good; a query under way ends badly.
	void Stop();

	bool
	IsUp() const {
		return state_ == State::kUp;
	}
	bool
	IsIdle() const {
		return IsUp() && !running_;
	}
	// The connection is idle.
	void Run(Query query);
	// A literal with its quotes. The text has no zero bytes. The connection is up.
	std::string Literal(std::string_view text) const;
	std::string
	LastError() const {
		return error_;
	}

	std::function<void()> on_up;
	std::function<void()> on_down;
	NotifyHandler on_notify;

  private:
	enum class State { kDown, kConnecting, kSetup, kUp, kStopped };

	void Connect();
	void Poll();
	void Watch();
	void AwaitWrite();
	void OnReadable();
	void TakeResults();
	void TakeResult(const PGresult *result);
	void TakeNotifications();
	void FinishQuery();
	void Lose(std::string error);
	void Close();
	void Send(Query query);
	void ArmDeadline(std::chrono::milliseconds time);

	boost::asio::io_context &loop_;
	const Settings settings_;
	boost::asio::posix::stream_descriptor socket_;
	boost::asio::steady_timer retry_;
	boost::asio::steady_timer deadline_;
	PGconn *connection_ = nullptr;
	State state_ = State::kDown;
	uint64_t life_ = 0; // counts connections, so that a handler of an earlier one does nothing
	int failures_ = 0;
	bool running_ = false;
	Query query_;
	int statement_ = 0;
	Outcome outcome_;
	std::string error_;
};

} // namespace auren::gateway
