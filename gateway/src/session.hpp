#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/message.hpp>

#include "server.hpp"

namespace auren::gateway {

// One connection of HTTP, from the first byte to the last answer, or until it becomes a Stream.
class Session : public std::enable_shared_from_this<Session> {
  public:
	Session(boost::asio::ip::tcp::socket socket, std::string address, std::shared_ptr<void> seat, Server &server);

	void Begin();
	// To be called every second: ends a connection that takes too long.
	void Tick();
	void End();

  private:
	using Request = boost::beast::http::request<boost::beast::http::string_body>;
	using Response = boost::beast::http::response<boost::beast::http::string_body>;

	// Somebody whose token was taken, and how it came.
	struct Caller {
		Principal principal;
		bool by_cookie = false;
	};

	void Read();
	void OnRequest();
	void Route(const Request &request);
	bool Admit(const Request &request);
	void Answer(int status, const std::string &body);
	void AnswerError(int status, const std::string &message);
	void Send();
	void OnBroken(const boost::system::error_code &error);

	void ServeMetrics();
	void ServeTicket(const Request &request);
	void ServeEvents(const Request &request, const Target &target);
	void ServeWebSocket(const Request &request, const Target &target);
	void ServePreflight();
	void Follow(Wire wire, std::string head, Caller caller, const FeedRequest &asked);
	Caller Identify(const Request &request, const std::string &ticket);
	void CheckOrigin(const Request &request, const Caller &caller) const;
	std::string AllowedOrigin() const;

	boost::asio::ip::tcp::socket socket_;
	const std::string peer_;
	std::string address_; // of the client itself, also where it comes through trusted proxies
	std::shared_ptr<void> seat_;
	Server &server_;
	boost::beast::flat_buffer buffer_;
	std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
	Response response_;
	std::string origin_;
	std::chrono::steady_clock::time_point since_;
	bool gone_ = false; // became a stream, or ended
};

} // namespace auren::gateway
