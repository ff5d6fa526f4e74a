#include "session.hpp"

#include <algorithm>
#include <ctime>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "bad_input.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

namespace http = boost::beast::http;
using boost::asio::ip::tcp;

constexpr std::string_view kCookieHint = "send a token in the header Authorization: Bearer, in the cookie, or a ticket";

// A refusal that has a status of its own.
struct Refusal {
	int status;
	std::string message;
};

template <typename Text>
std::string
String(const Text &text) {
	return {text.data(), text.size()};
}

std::string
Header(const http::request<http::string_body> &request, http::field field) {
	return String(request[field]);
}

bool
HasToken(const std::string &list, const std::string &wanted) {
	for (const auto part : Split(list, ',')) {
		std::string token;
		for (const char c : part) {
			if (c != ' ' && c != '\t') {
				token += static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
			}
		}
		if (token == wanted) {
			return true;
		}
	}
	return false;
}

// The client's address as the proxy next to us saw it: the last one of the header.
std::string
ForwardedAddress(const std::string &header) {
	const auto last = header.substr(header.find_last_of(',') + 1);
	const size_t begin = last.find_first_not_of(' ');
	const size_t end = last.find_last_not_of(' ');
	boost::system::error_code error;
	const auto address = boost::asio::ip::make_address(begin == std::string::npos ? "" : last.substr(begin, end - begin + 1), error);
	if (error) {
		throw BadInput("X-Forwarded-For must end with an address");
	}
	return address.to_string();
}

} // namespace

Session::Session(tcp::socket socket, std::string address, std::shared_ptr<void> seat, Server &server)
	: socket_(std::move(socket)), peer_(address), address_(std::move(address)), seat_(std::move(seat)), server_(server),
	  since_(std::chrono::steady_clock::now()) {
}

void
Session::Begin() {
	Read();
}

void
Session::End() {
	gone_ = true;
	boost::system::error_code ignored;
	socket_.close(ignored);
}

void
Session::Tick() {
	if (!gone_ && std::chrono::steady_clock::now() - since_ > std::chrono::seconds(server_.GetConfig().limits.request_seconds)) {
		End();
	}
}

void
Session::Read() {
	const auto &limits = server_.GetConfig().limits;
	since_ = std::chrono::steady_clock::now();
	parser_.emplace();
	parser_->header_limit(static_cast<uint32_t>(limits.header_bytes));
	parser_->body_limit(static_cast<uint64_t>(limits.body_bytes));
	http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](boost::system::error_code error, size_t) {
		if (self->gone_) {
			return;
		}
		if (error) {
			self->OnBroken(error);
		} else {
			self->OnRequest();
		}
	});
}

void
Session::OnBroken(const boost::system::error_code &error) {
	if (error == http::error::end_of_stream || error.category() != http::make_error_code(http::error::bad_method).category()) {
		End();
		return;
	}
	const int status = error == http::error::header_limit ? 431 : error == http::error::body_limit ? 413 : 400;
	response_ = {};
	response_.keep_alive(false);
	AnswerError(status, status == 400 ? "this is not HTTP" : "the request is too large");
}

void
Session::OnRequest() {
	const Request &request = parser_->get();
	response_ = {};
	response_.version(request.version());
	response_.keep_alive(request.keep_alive());
	origin_ = Header(request, http::field::origin);
	try {
		if (Admit(request)) {
			Route(request);
		}
	} catch (const BadInput &bad) {
		AnswerError(400, bad.what());
	} catch (const BadToken &bad) {
		AnswerError(401, bad.what());
	} catch (const Refusal &refusal) {
		AnswerError(refusal.status, refusal.message);
	}
}

// Finds out whose request it is, and whether it may be made now.
bool
Session::Admit(const Request &request) {
	const auto header = String(request["X-Forwarded-For"]);
	if (!header.empty() && server_.IsProxy(peer_)) {
		address_ = ForwardedAddress(header);
		seat_.reset();
		seat_ = server_.Seat(address_);
		if (!seat_) {
			AnswerError(429, "too many connections");
			return false;
		}
	}
	if (!server_.MayAsk(address_)) {
		response_.set(http::field::retry_after, "1");
		AnswerError(429, "too many requests");
		return false;
	}
	return true;
}

void
Session::Route(const Request &request) {
	const auto target = ParseTarget(String(request.target()));
	const auto method = request.method();
	const std::string allowed = target.path == "/ticket" ? "POST" : "GET";
	const bool known = target.path == "/ticket" || target.path == "/events" || target.path == "/ws" || target.path == "/healthz" ||
	                   target.path == "/readyz" || target.path == "/metrics";
	if (!known) {
		AnswerError(404, "there is nothing here");
	} else if (method == http::verb::options) {
		ServePreflight();
	} else if (String(http::to_string(method)) != allowed) {
		response_.set(http::field::allow, allowed + ", OPTIONS");
		AnswerError(405, "the method must be " + allowed);
	} else if (target.path == "/ticket") {
		ServeTicket(request);
	} else if (target.path == "/events") {
		ServeEvents(request, target);
	} else if (target.path == "/ws") {
		ServeWebSocket(request, target);
	} else if (target.path == "/metrics") {
		ServeMetrics();
	} else {
		const bool good = target.path == "/healthz" || server_.IsReady();
		Answer(good ? 200 : 503, target.path == "/healthz" ? R"({"state":"alive"})" : good ? R"({"state":"ready"})" : R"({"state":"not ready"})");
	}
}

// ---- answers -----------------------------------------------------------------------------------------------------------

std::string
Session::AllowedOrigin() const {
	const auto &origins = server_.GetConfig().origins;
	return std::find(origins.begin(), origins.end(), origin_) == origins.end() ? "" : origin_;
}

void
Session::Answer(int status, const std::string &body) {
	response_.result(static_cast<unsigned>(status));
	if (response_.find(http::field::content_type) == response_.end()) {
		response_.set(http::field::content_type, "application/json");
	}
	response_.set(http::field::cache_control, "no-store");
	if (const auto origin = AllowedOrigin(); !origin.empty()) {
		response_.set(http::field::access_control_allow_origin, origin);
		response_.set(http::field::access_control_allow_credentials, "true");
		response_.set(http::field::vary, "Origin");
	}
	response_.body() = body;
	response_.prepare_payload();
	server_.GetMetrics().Request(status);
	Send();
}

void
Session::AnswerError(int status, const std::string &message) {
	std::string body = R"({"error":)";
	AppendJsonString(body, IsUtf8(message) ? message : "the request cannot be read");
	if (status == 401) {
		response_.set(http::field::www_authenticate, "Bearer");
	}
	Answer(status, body + '}');
}

void
Session::Send() {
	http::async_write(socket_, response_, [self = shared_from_this()](boost::system::error_code error, size_t) {
		if (self->gone_) {
			return;
		}
		if (error || !self->response_.keep_alive()) {
			boost::system::error_code ignored;
			self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
			self->End();
			return;
		}
		self->Read();
	});
}

void
Session::ServePreflight() {
	if (AllowedOrigin().empty()) {
		throw Refusal{403, "the origin is not one that may ask"};
	}
	response_.set(http::field::access_control_allow_methods, "GET, POST");
	response_.set(http::field::access_control_allow_headers, "Authorization, Last-Event-ID");
	response_.set(http::field::access_control_max_age, "600");
	Answer(200, "{}");
}

void
Session::ServeMetrics() {
	const auto &from = server_.GetConfig().metrics_from;
	if (std::find(from.begin(), from.end(), address_) == from.end()) {
		throw Refusal{403, "the figures are not for this address"};
	}
	server_.GetFeed().Measure();
	response_.set(http::field::content_type, "text/plain; version=0.0.4");
	Answer(200, server_.GetMetrics().Print());
}

// ---- who asks ----------------------------------------------------------------------------------------------------------

Session::Caller
Session::Identify(const Request &request, const std::string &ticket) {
	const int64_t now = std::time(nullptr);
	if (!ticket.empty()) {
		return {server_.GetTickets().Use(ticket, now), false};
	}
	const auto authorization = Header(request, http::field::authorization);
	if (authorization.compare(0, 7, "Bearer ") == 0) {
		return {server_.Tokens().Verify(authorization.substr(7), now), false};
	}
	const auto token = CookieOf(Header(request, http::field::cookie), server_.GetConfig().tokens.cookie);
	if (token.empty()) {
		throw BadToken(std::string(kCookieHint));
	}
	return {server_.Tokens().Verify(token, now), true};
}

// A page of somebody else must not use a visitor's cookie. A browser names the page's origin in all that matters here.
void
Session::CheckOrigin(const Request &request, const Caller &caller) const {
	const bool upgrade = !Header(request, http::field::upgrade).empty();
	const bool foreign = !origin_.empty() && AllowedOrigin().empty();
	if ((foreign && (caller.by_cookie || upgrade)) || (origin_.empty() && caller.by_cookie && upgrade)) {
		throw Refusal{403, "the origin is not one that may ask"};
	}
}

void
Session::ServeTicket(const Request &request) {
	const Caller caller = Identify(request, "");
	CheckOrigin(request, caller);
	const auto ticket = server_.GetTickets().Make(caller.principal, std::time(nullptr));
	Answer(200, R"({"ticket":")" + ticket + R"(","seconds":)" + std::to_string(server_.GetConfig().tokens.ticket_seconds) + '}');
}

// ---- the feed ----------------------------------------------------------------------------------------------------------

void
Session::ServeEvents(const Request &request, const Target &target) {
	const auto asked = ReadFeedRequest(target, String(request["Last-Event-ID"]));
	if (asked.waits) {
		throw BadInput("wait is for a WebSocket");
	}
	auto caller = Identify(request, asked.ticket);
	CheckOrigin(request, caller);
	std::string head =
		"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\nConnection: close\r\n";
	if (const auto origin = AllowedOrigin(); !origin.empty()) {
		head += "Access-Control-Allow-Origin: " + origin +
		        "\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: Event-Resumed-From\r\nVary: Origin\r\n";
	}
	Follow(Wire::kServerSentEvents, std::move(head), std::move(caller), asked);
}

void
Session::ServeWebSocket(const Request &request, const Target &target) {
	if (!HasToken(Header(request, http::field::upgrade), "websocket") || !HasToken(Header(request, http::field::connection), "upgrade")) {
		response_.set(http::field::upgrade, "websocket");
		throw Refusal{426, "this is for WebSockets"};
	}
	if (String(request["Sec-WebSocket-Version"]) != "13") {
		response_.set("Sec-WebSocket-Version", "13");
		throw Refusal{426, "the version of the WebSocket protocol must be 13"};
	}
	const auto accept = WsAccept(String(request["Sec-WebSocket-Key"]));
	const auto asked = ReadFeedRequest(target, "");
	auto caller = Identify(request, asked.ticket);
	CheckOrigin(request, caller);
	Follow(Wire::kWebSocket,
	       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n",
	       std::move(caller), asked);
}

void
Session::Follow(Wire wire, std::string head, Caller caller, const FeedRequest &asked) {
	gone_ = true;
	server_.GetMetrics().Request(wire == Wire::kWebSocket ? 101 : 200);
	const auto early = boost::beast::buffers_to_string(buffer_.data());
	auto stream = std::make_shared<Stream>(std::move(socket_), wire, server_.GetFeed(), server_.GetMetrics(), server_.GetConfig().limits);
	stream->principal = std::move(caller.principal);
	stream->OnEnd([seat = std::move(seat_)]() mutable { seat.reset(); });
	stream->Begin(std::move(head), asked, early);
	server_.Add(stream);
}

} // namespace auren::gateway
