#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "feed.hpp"
#include "ws_frame.hpp"

namespace auren::gateway {

enum class Wire { kServerSentEvents, kWebSocket };

/*
 * A client that follows the feed on a socket, by server-sent events or by WebSocket. It holds its place in the feed, and what the socket did not take
 * of the last writing: nothing else is kept for it, however slow it is. Writing is tried at once; where the socket is full, it waits until there is
 * room.
 */
class Stream : public Subscriber {
  public:
	Stream(boost::asio::ip::tcp::socket socket, Wire wire, Feed &feed, Metrics &metrics, const LimitConfig &limits);
	~Stream() override;

	// Begins. The head is the HTTP response without the empty line at its end. With `waits` the client's first message comes first.
	// Early is what the client sent after its request.
	void Begin(std::string head, const FeedRequest &request, std::string_view early);
	void
	OnEnd(std::function<void()> ended) {
		ended_ = std::move(ended);
	}

	void Pump() override;
	void Tell(const std::string &name, const std::string &json) override;
	void Started(const std::string &from) override;
	void Drop(DropCause cause, const std::string &reason) override;

	// To be called every second.
	void Tick();
	Wire
	WireOf() const {
		return wire_;
	}

  private:
	// A part of what is to be written, and what keeps it in memory.
	struct Piece {
		std::shared_ptr<const void> owner;
		std::string_view bytes;
	};

	void Follow(const FeedRequest &request);
	void SendHead(const std::string &from);
	void Queue(std::string bytes);
	void QueueFrame(WsOpcode opcode, std::string_view payload);
	bool Collect(std::vector<Piece> &pieces);
	void AddEvent(std::vector<Piece> &pieces, const EventPtr &event) const;
	bool Write(std::vector<Piece> &pieces);
	void PumpSoon();
	void AwaitWrite();
	void AwaitRead();
	void OnRead();
	void TakeMessages(std::string_view bytes);
	void TakeMessage(const WsMessage &message);
	void Heartbeat();
	void CloseWhenWritten(uint16_t code, std::string_view reason);
	void End();

	boost::asio::ip::tcp::socket socket_;
	const Wire wire_;
	Feed &feed_;
	Metrics &metrics_;
	const LimitConfig &limits_;
	std::function<void()> ended_;
	std::string head_;                // until it is sent
	std::deque<std::string> control_; // goes out before events
	std::deque<Piece> unwritten_;
	std::unique_ptr<WsReader> reader_; // of a WebSocket
	bool waits_for_message_ = false;
	bool attached_ = false;
	bool waits_for_room_ = false;
	bool closing_ = false;
	bool ended_now_ = false;
	bool missed_ = false; // channels had more than the client took
	std::chrono::steady_clock::time_point begun_;
	std::chrono::steady_clock::time_point written_;
	std::chrono::steady_clock::time_point closes_;
};

} // namespace auren::gateway
