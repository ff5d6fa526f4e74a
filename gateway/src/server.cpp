#include "server.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "log.hpp"
#include "session.hpp"

namespace auren::gateway {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

std::string
TicketSecret(const TokenConfig &config) {
	return config.ticket_secret_file.empty() ? RandomBytes(32) : ReadSecret(config.ticket_secret_file);
}

int64_t
Milliseconds() {
	return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Calls Tick of those that are still there, and forgets the others.
template <typename One>
void
TickAll(std::vector<std::weak_ptr<One>> &all) {
	size_t kept = 0;
	for (size_t i = 0; i < all.size(); i++) {
		if (const auto one = all[i].lock()) {
			one->Tick();
			all[kept++] = one;
		}
	}
	all.resize(kept);
}

} // namespace

Server::Server(boost::asio::io_context &loop, const Config &config)
	: loop_(loop), config_(config), tokens_(config.tokens), tickets_(TicketSecret(config.tokens), config.tokens),
	  rate_(config.limits.requests_per_second), feed_(loop, config_, metrics_), acceptor_(loop), tick_(loop), pause_(loop) {
}

Server::~Server() = default;

void
Server::Start() {
	const tcp::endpoint endpoint(boost::asio::ip::make_address(config_.address), config_.port);
	acceptor_.open(endpoint.protocol());
	acceptor_.set_option(tcp::acceptor::reuse_address(true));
	acceptor_.bind(endpoint);
	acceptor_.listen(4096);
	feed_.Start();
	Accept();
	TickSoon();
}

uint16_t
Server::Port() const {
	return acceptor_.local_endpoint().port();
}

void
Server::Accept() {
	acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
		if (draining_) {
			return;
		}
		if (!error) {
			Take(std::move(socket));
			Accept();
			return;
		}
		// no descriptors are left: others are given time to close
		pause_.expires_after(100ms);
		pause_.async_wait([this](boost::system::error_code failed) {
			if (!failed) {
				Accept();
			}
		});
	});
}

void
Server::Take(tcp::socket socket) {
	boost::system::error_code error;
	const auto address = socket.remote_endpoint(error).address();
	if (error) {
		return;
	}
	socket.set_option(tcp::no_delay(true), error);
	if (config_.limits.send_buffer_bytes > 0) {
		socket.set_option(boost::asio::socket_base::send_buffer_size(config_.limits.send_buffer_bytes), error);
	}
	const auto name = address.to_string();
	auto seat = IsProxy(name) ? std::make_shared<int>(0) : Seat(name);
	if (!seat || metrics_.clients > config_.limits.clients) {
		static constexpr std::string_view kFull =
			"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 35\r\n\r\n"
			R"({"error":"too many connections"}   )";
		metrics_.Request(429);
		socket.non_blocking(true, error);
		socket.write_some(boost::asio::buffer(kFull.data(), kFull.size()), error);
		socket.shutdown(tcp::socket::shutdown_send, error);
		return;
	}
	auto session = std::make_shared<Session>(std::move(socket), name, std::move(seat), *this);
	sessions_.push_back(session);
	session->Begin();
}

bool
Server::IsProxy(const std::string &address) const {
	return std::find(config_.trusted_proxies.begin(), config_.trusted_proxies.end(), address) != config_.trusted_proxies.end();
}

bool
Server::MayAsk(const std::string &address) {
	return rate_.Take(address, Milliseconds());
}

std::shared_ptr<void>
Server::Seat(const std::string &address) {
	int &taken = seats_[address];
	if (taken >= config_.limits.clients_per_address) {
		return nullptr;
	}
	taken++;
	metrics_.clients++;
	return std::shared_ptr<void>(this, [this, address](void *) {
		metrics_.clients--;
		const auto found = seats_.find(address);
		if (--found->second == 0) {
			seats_.erase(found);
		}
	});
}

void
Server::Add(const std::shared_ptr<Stream> &stream) {
	streams_.push_back(stream);
	if (draining_) {
		stream->Drop(DropCause::kDrained, "this gateway goes down; connect again");
	}
}

void
Server::TickSoon() {
	tick_.expires_after(draining_ ? 50ms : 1000ms);
	tick_.async_wait([this](boost::system::error_code error) {
		if (!error) {
			Tick();
		}
	});
}

void
Server::Tick() {
	TickAll(sessions_);
	TickAll(streams_);
	feed_.Tick();
	rate_.Forget(Milliseconds());
	const bool gone = streams_.empty() && sessions_.empty();
	if (draining_ && (gone || std::chrono::steady_clock::now() > drained_)) {
		LogLine(gone ? "drained" : "the time to drain is over");
		loop_.stop();
		return;
	}
	TickSoon();
}

void
Server::Drain() {
	if (draining_) {
		return;
	}
	LogLine("draining");
	draining_ = true;
	drained_ = std::chrono::steady_clock::now() + std::chrono::seconds(config_.limits.drain_seconds);
	boost::system::error_code ignored;
	acceptor_.close(ignored);
	for (const auto &weak : std::vector<std::weak_ptr<Stream>>(streams_)) {
		if (const auto stream = weak.lock()) {
			stream->Drop(DropCause::kDrained, "this gateway goes down; connect again");
		}
	}
	for (const auto &weak : std::vector<std::weak_ptr<Session>>(sessions_)) {
		if (const auto session = weak.lock()) {
			session->End();
		}
	}
	TickSoon();
}

} // namespace auren::gateway
