#include "metrics.hpp"

#include <array>
#include <map>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace auren::gateway {
namespace {

constexpr std::array<const char *, static_cast<size_t>(DropCause::kCount)> kCauses = {"stalled", "catch_up", "expired",
                                                                                      "refused", "protocol", "drained"};

} // namespace

struct Metrics::Families {
	// A figure that is kept elsewhere and copied when it is printed.
	template <typename Value> struct Copied {
		const Value *from;
		prometheus::Gauge *gauge = nullptr;
		prometheus::Counter *counter = nullptr;
	};

	void
	Count(const char *name, const char *help, const uint64_t *from) {
		auto &family = prometheus::BuildCounter().Name(std::string("auren_gateway_") + name).Help(help).Register(registry);
		counters.push_back({from, nullptr, &family.Add({})});
	}
	void
	Show(const char *name, const char *help, const double *from) {
		auto &family = prometheus::BuildGauge().Name(std::string("auren_gateway_") + name).Help(help).Register(registry);
		gauges.push_back({from, &family.Add({}), nullptr});
	}

	prometheus::Registry registry;
	std::vector<Copied<uint64_t>> counters;
	std::vector<Copied<double>> gauges;
	std::array<prometheus::Counter *, kCauses.size()> drops{};
	prometheus::Family<prometheus::Counter> *requests = nullptr;
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {
	auto &f = *families_;
	f.Count("events_read_total", "Events read from the end of the feed.", &events_read);
	f.Count("events_sent_total", "Events written to clients.", &events_sent);
	f.Count("bytes_sent_total", "Bytes written to clients of the feed.", &bytes_sent);
	f.Count("pages_read_total", "Pages of history read for clients that catch up.", &pages_read);
	f.Count("page_events_read_total", "Events in those pages.", &page_events_read);
	f.Count("horizon_polls_total", "Times that the feed's horizon was asked for.", &horizon_polls);
	f.Count("notifications_total", "Notifications that came on the channels.", &notifications);
	f.Count("database_connections_lost_total", "Connections to PostgreSQL that were lost.", &reconnects);
	f.Show("clients", "Connections of clients.", &clients);
	f.Show("sse_clients", "Clients that follow the feed by server-sent events.", &sse_clients);
	f.Show("websocket_clients", "Clients that follow the feed by WebSocket.", &ws_clients);
	f.Show("logs", "Feeds of tenants that are kept.", &logs);
	f.Show("ring_bytes", "Bytes of the events that are kept for all clients.", &ring_bytes);
	f.Show("page_bytes", "Bytes of the pages that clients which catch up hold.", &page_bytes);
	f.Show("pages_waiting", "Pages that clients wait for.", &pages_waiting);
	f.Show("lag_positions", "Positions between the feed's horizon and what was read of it, of the feed that is farthest from it.", &lag_positions);
	f.Show("ready", "Whether the gateway serves the feed: 1 or 0.", &ready);
	auto &drops = prometheus::BuildCounter().Name("auren_gateway_drops_total").Help("Clients that the gateway ended, by cause.").Register(f.registry);
	for (size_t i = 0; i < kCauses.size(); i++) {
		f.drops[i] = &drops.Add({{"cause", kCauses[i]}});
	}
	f.requests = &prometheus::BuildCounter().Name("auren_gateway_requests_total").Help("Requests answered, by status.").Register(f.registry);
}

Metrics::~Metrics() = default;

void
Metrics::Drop(DropCause cause) {
	families_->drops[static_cast<size_t>(cause)]->Increment();
}

void
Metrics::Request(int status) {
	families_->requests->Add({{"status", std::to_string(status)}}).Increment();
}

std::string
Metrics::Print() {
	for (const auto &one : families_->counters) {
		one.counter->Increment(static_cast<double>(*one.from) - one.counter->Value());
	}
	for (const auto &one : families_->gauges) {
		one.gauge->Set(*one.from);
	}
	return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

} // namespace auren::gateway
