#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace auren::gateway {

// Why a client was ended by the gateway.
enum class DropCause { kStalled, kCatchUp, kExpired, kRefused, kProtocol, kDrained, kCount };

// Figures of the gateway, printed for Prometheus.
class Metrics {
  public:
	Metrics();
	~Metrics();

	void Drop(DropCause cause);
	void Request(int status);

	std::string Print();

	uint64_t events_read = 0;
	uint64_t events_sent = 0;
	uint64_t bytes_sent = 0;
	uint64_t pages_read = 0;
	uint64_t page_events_read = 0;
	uint64_t horizon_polls = 0;
	uint64_t notifications = 0;
	uint64_t reconnects = 0;
	double clients = 0;
	double sse_clients = 0;
	double ws_clients = 0;
	double logs = 0;
	double ring_bytes = 0;
	double page_bytes = 0;
	double pages_waiting = 0;
	double lag_positions = 0;
	double ready = 0;

  private:
	struct Families;
	std::unique_ptr<Families> families_;
};

} // namespace auren::gateway
