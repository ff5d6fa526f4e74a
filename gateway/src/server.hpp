#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config.hpp"
#include "feed.hpp"
#include "metrics.hpp"
#include "rate.hpp"
#include "stream.hpp"
#include "tickets.hpp"
#include "token.hpp"

namespace auren::gateway {

class Session;

// Takes connections, counts them, and ends them in good order.
class Server {
  public:
	Server(boost::asio::io_context &loop, const Config &config);
	~Server();

	// Listens; throws boost::system::system_error when the address cannot be had.
	void Start();
	// Takes nobody more, tells everybody, and stops the loop when all are gone or the time is over.
	void Drain();

	const Config &
	GetConfig() const {
		return config_;
	}
	Metrics &
	GetMetrics() {
		return metrics_;
	}
	Feed &
	GetFeed() {
		return feed_;
	}
	const TokenVerifier &
	Tokens() const {
		return tokens_;
	}
	Tickets &
	GetTickets() {
		return tickets_;
	}
	bool
	IsReady() const {
		return !draining_ && feed_.IsReady();
	}

	// Whether the address may make one more request now.
	bool MayAsk(const std::string &address);
	// A place for a connection of the address, which is free again when the last copy is gone; nullptr when it has too many.
	std::shared_ptr<void> Seat(const std::string &address);
	bool IsProxy(const std::string &address) const;
	void Add(const std::shared_ptr<Stream> &stream);
	uint16_t Port() const;

  private:
	void Accept();
	void Take(boost::asio::ip::tcp::socket socket);
	void Tick();
	void TickSoon();

	boost::asio::io_context &loop_;
	const Config config_;
	Metrics metrics_;
	TokenVerifier tokens_;
	Tickets tickets_;
	RateLimit rate_;
	Feed feed_;
	boost::asio::ip::tcp::acceptor acceptor_;
	boost::asio::steady_timer tick_;
	boost::asio::steady_timer pause_;
	std::unordered_map<std::string, int> seats_; // taken by address
	std::vector<std::weak_ptr<Session>> sessions_;
	std::vector<std::weak_ptr<Stream>> streams_;
	bool draining_ = false;
	std::chrono::steady_clock::time_point drained_;
};

} // namespace auren::gateway
