#include "stream.hpp"

#include <array>
#include <ctime>
#include <random>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include "bad_input.hpp"
#include "text.hpp"

namespace auren::gateway {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

constexpr size_t kPiecesAtOnce = 192;
constexpr size_t kBytesAtOnce = 131072;
constexpr int kWritingsATurn = 4;
constexpr size_t kMostControl = 64;
constexpr size_t kMostMessageBytes = 4096;
constexpr auto kHeadTime = 2s;  // a response without a place in the feed goes out after this time
constexpr auto kCloseTime = 3s; // for a client to take its last bytes

int
Jittered(int milliseconds) {
	static std::mt19937 random{std::random_device{}()};
	return std::uniform_int_distribution<int>(milliseconds / 2, milliseconds + milliseconds / 2)(random);
}

} // namespace

Stream::Stream(tcp::socket socket, Wire wire, Feed &feed, Metrics &metrics, const LimitConfig &limits)
	: socket_(std::move(socket)), wire_(wire), feed_(feed), metrics_(metrics), limits_(limits), begun_(std::chrono::steady_clock::now()),
	  written_(begun_), closes_(begun_) {
	(wire_ == Wire::kWebSocket ? metrics_.ws_clients : metrics_.sse_clients) += 1;
	if (wire_ == Wire::kWebSocket) {
		reader_ = std::make_unique<WsReader>(kMostMessageBytes);
	}
}

Stream::~Stream() {
	(wire_ == Wire::kWebSocket ? metrics_.ws_clients : metrics_.sse_clients) -= 1;
}

void
Stream::Begin(std::string head, const FeedRequest &request, std::string_view early) {
	boost::system::error_code ignored;
	socket_.non_blocking(true, ignored);
	head_ = std::move(head);
	waits_for_message_ = request.waits;
	AwaitRead();
	if (wire_ == Wire::kWebSocket) {
		SendHead("");
	}
	if (!waits_for_message_) {
		Follow(request);
	}
	if (reader_ && !early.empty()) {
		TakeMessages(early);
	}
}

void
Stream::Follow(const FeedRequest &request) {
	filter = Meet(request.filter, principal.allowed);
	channels = Meet(request.channels, principal.channels);
	after = request.after;
	attached_ = true;
	feed_.Attach(std::static_pointer_cast<Stream>(shared_from_this()));
}

// The head of the response, with the place from which the client follows where it is known.
void
Stream::SendHead(const std::string &from) {
	if (head_.empty()) {
		return;
	}
	std::string bytes = std::move(head_);
	head_.clear();
	if (!from.empty()) {
		bytes += "Event-Resumed-From: " + from + "\r\n";
	}
	bytes += "\r\n";
	if (wire_ == Wire::kServerSentEvents) {
		bytes += "retry: " + std::to_string(Jittered(limits_.retry_milliseconds)) + "\n\n";
	}
	control_.push_front(std::move(bytes));
	PumpSoon();
}

void
Stream::Started(const std::string &from) {
	SendHead(from);
	Tell("status", R"({"state":"following","from":")" + from + R"("})");
}

void
Stream::Tell(const std::string &name, const std::string &json) {
	if (closing_) {
		return;
	}
	if (control_.size() >= kMostControl) {
		missed_ = true;
		return;
	}
	if (wire_ == Wire::kServerSentEvents) {
		std::string id;
		if (name == "reset") {
			id = "id: " + json.substr(7, json.find('"', 7) - 7) + '\n';
		}
		Queue(id + "event: " + name + "\ndata: " + json + "\n\n");
	} else {
		std::string message = R"({"event":)";
		AppendJsonString(message, name);
		QueueFrame(WsOpcode::kText, message + R"(,"data":)" + json + '}');
	}
}

void
Stream::Queue(std::string bytes) {
	control_.push_back(std::move(bytes));
	if (!waits_for_room_) {
		PumpSoon();
	}
}

void
Stream::PumpSoon() {
	boost::asio::post(socket_.get_executor(), [self = std::static_pointer_cast<Stream>(shared_from_this())] { self->Pump(); });
}

void
Stream::QueueFrame(WsOpcode opcode, std::string_view payload) {
	Queue(WsFrame(opcode, payload));
}

void
Stream::AddEvent(std::vector<Piece> &pieces, const EventPtr &event) const {
	metrics_.events_sent++;
	if (wire_ == Wire::kServerSentEvents) {
		pieces.push_back({event, event->text});
		return;
	}
	pieces.push_back({event, event->ws_header});
	pieces.push_back({nullptr, kWsBegin});
	pieces.push_back({event, event->Id()});
	pieces.push_back({nullptr, kWsMiddle});
	pieces.push_back({event, event->Json()});
	pieces.push_back({nullptr, kWsEnd});
}

// What is to be written next: what was left, then messages, then events; false when there is nothing.
bool
Stream::Collect(std::vector<Piece> &pieces) {
	size_t bytes = 0;
	const auto more = [&] {
		return pieces.size() < kPiecesAtOnce && bytes < kBytesAtOnce;
	};
	for (; !unwritten_.empty() && more(); unwritten_.pop_front()) {
		bytes += unwritten_.front().bytes.size();
		pieces.push_back(std::move(unwritten_.front()));
	}
	while (unwritten_.empty() && more()) {
		if (missed_ && !closing_) {
			missed_ = false;
			Tell("missed", R"({"channels":[],"reason":"you took notifications too slowly"})");
		}
		const EventPtr event = closing_ || !attached_ ? nullptr : feed_.Next(*this);
		if (!head_.empty()) {
			break; // the place in the feed is not known yet
		}
		// what the feed told before it gave the event comes before it
		for (; !control_.empty(); control_.pop_front()) {
			auto message = std::make_shared<const std::string>(std::move(control_.front()));
			bytes += message->size();
			pieces.push_back({message, *message});
		}
		if (!event) {
			break;
		}
		bytes += event->text.size();
		AddEvent(pieces, event);
	}
	return !pieces.empty();
}

// Writes what the socket takes now. Returns whether it took everything; the rest is kept.
bool
Stream::Write(std::vector<Piece> &pieces) {
	static std::vector<boost::asio::const_buffer> buffers;
	buffers.clear();
	for (const auto &piece : pieces) {
		buffers.emplace_back(piece.bytes.data(), piece.bytes.size());
	}
	boost::system::error_code error;
	size_t written = socket_.write_some(buffers, error);
	if (error && error != boost::asio::error::would_block && error != boost::asio::error::try_again) {
		End();
		return false;
	}
	metrics_.bytes_sent += written;
	if (written > 0) {
		written_ = std::chrono::steady_clock::now();
	}
	std::deque<Piece> rest;
	for (auto &piece : pieces) {
		const size_t taken = std::min(written, piece.bytes.size());
		written -= taken;
		piece.bytes.remove_prefix(taken);
		if (!piece.bytes.empty()) {
			rest.push_back(std::move(piece));
		}
	}
	rest.insert(rest.end(), unwritten_.begin(), unwritten_.end());
	unwritten_ = std::move(rest);
	return unwritten_.empty();
}

void
Stream::Pump() {
	if (waits_for_room_ || ended_now_) {
		return;
	}
	for (int i = 0; i < kWritingsATurn; i++) {
		std::vector<Piece> pieces;
		if (!Collect(pieces)) {
			if (closing_ && head_.empty()) {
				boost::system::error_code ignored;
				socket_.shutdown(tcp::socket::shutdown_send, ignored);
			}
			return;
		}
		if (!Write(pieces)) {
			if (!ended_now_) {
				AwaitWrite();
			}
			return;
		}
	}
	PumpSoon();
}

void
Stream::AwaitWrite() {
	waits_for_room_ = true;
	socket_.async_wait(tcp::socket::wait_write, [self = std::static_pointer_cast<Stream>(shared_from_this())](boost::system::error_code error) {
		self->waits_for_room_ = false;
		if (!error) {
			self->Pump();
		}
	});
}

void
Stream::AwaitRead() {
	socket_.async_wait(tcp::socket::wait_read, [self = std::static_pointer_cast<Stream>(shared_from_this())](boost::system::error_code error) {
		if (error) {
			self->End();
		} else if (!self->ended_now_) {
			self->OnRead();
		}
	});
}

void
Stream::OnRead() {
	std::array<char, 4096> buffer;
	boost::system::error_code error;
	const size_t size = socket_.read_some(boost::asio::buffer(buffer), error);
	if (error == boost::asio::error::would_block || error == boost::asio::error::try_again) {
		AwaitRead();
		return;
	}
	if (error || size == 0) {
		End();
		return;
	}
	if (reader_ && !closing_) {
		TakeMessages({buffer.data(), size});
	}
	if (!ended_now_) {
		AwaitRead();
	}
}

void
Stream::TakeMessages(std::string_view bytes) {
	try {
		for (const auto &message : reader_->Take(bytes)) {
			if (!closing_) {
				TakeMessage(message);
			}
		}
	} catch (const BadInput &bad) {
		metrics_.Drop(DropCause::kProtocol);
		CloseWhenWritten(1002, bad.what());
	}
}

void
Stream::TakeMessage(const WsMessage &message) {
	if (message.opcode == WsOpcode::kPing) {
		if (control_.size() < kMostControl) {
			QueueFrame(WsOpcode::kPong, message.payload);
		}
	} else if (message.opcode == WsOpcode::kClose) {
		CloseWhenWritten(1000, "");
	} else if (message.opcode == WsOpcode::kText && waits_for_message_) {
		const auto request = ReadFirstMessage(message.payload);
		waits_for_message_ = false;
		Follow(request);
	} else if (message.opcode != WsOpcode::kPong) {
		throw BadInput("nothing may be sent here but the first message of a client that asked to wait for it");
	}
}

void
Stream::Drop(DropCause cause, const std::string &reason) {
	if (closing_ || ended_now_) {
		return;
	}
	metrics_.Drop(cause);
	std::string json = R"({"state":"ended","reason":)";
	AppendJsonString(json, reason);
	Tell("status", json + '}');
	CloseWhenWritten(cause == DropCause::kDrained ? 1001 : cause == DropCause::kProtocol ? 1002 : 1008, reason);
}

// What is queued goes out, and nothing after it.
void
Stream::CloseWhenWritten(uint16_t code, std::string_view reason) {
	if (closing_) {
		return;
	}
	SendHead("");
	if (wire_ == Wire::kWebSocket) {
		QueueFrame(WsOpcode::kClose, WsClosePayload(code, reason));
	}
	closing_ = true;
	closes_ = std::chrono::steady_clock::now() + kCloseTime;
	PumpSoon();
}

// An event source takes the id of a message without data too: so a client whose filter lets little through resumes from where it is.
void
Stream::Heartbeat() {
	const auto place = feed_.Place(*this);
	if (wire_ == Wire::kWebSocket) {
		QueueFrame(WsOpcode::kPing, "");
		if (!place.empty()) {
			Tell("heartbeat", R"({"id":")" + place + R"("})");
		}
		return;
	}
	Queue(place.empty() ? ":\n\n" : ":\nid: " + place + "\n\n");
}

void
Stream::Tick() {
	const auto now = std::chrono::steady_clock::now();
	if (closing_ && now > closes_) {
		End();
		return;
	}
	if (closing_ || ended_now_) {
		return;
	}
	if (principal.expires <= std::time(nullptr)) {
		Drop(DropCause::kExpired, "the token has expired");
		return;
	}
	if (waits_for_message_ && now - begun_ > std::chrono::seconds(limits_.request_seconds)) {
		Drop(DropCause::kProtocol, "the first message did not come");
		return;
	}
	if (waits_for_room_) {
		if (now - written_ > std::chrono::seconds(limits_.stall_seconds)) {
			// it cannot be told: nothing goes through
			metrics_.Drop(DropCause::kStalled);
			End();
		}
		return;
	}
	if (!head_.empty() && now - begun_ > kHeadTime) {
		SendHead("");
		Pump();
	}
	if (head_.empty() && now - written_ >= std::chrono::seconds(limits_.heartbeat_seconds)) {
		Heartbeat();
	}
}

// The feed forgets the stream later, from the loop: it may be the caller.
void
Stream::End() {
	if (ended_now_) {
		return;
	}
	ended_now_ = true;
	closing_ = true;
	boost::system::error_code ignored;
	socket_.close(ignored);
	boost::asio::post(socket_.get_executor(), [self = std::static_pointer_cast<Stream>(shared_from_this())] {
		if (self->attached_) {
			self->feed_.Detach(*self);
		}
		if (self->ended_) {
			self->ended_();
		}
	});
}

} // namespace auren::gateway
