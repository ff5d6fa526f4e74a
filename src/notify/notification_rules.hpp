#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/names.hpp"
#include "server/guard.hpp"

namespace auren::pg {

// Which events of a tenant and type are announced on which channel (events.add_notification_rule).
struct NotificationRule {
	std::string channel;
	std::string category; // empty: all
};

/*
 * The rules of all tenants, by tenant and type: what an event costs depends on the rules of its own tenant and type alone.
 */
class NotificationRuleBook {
  public:
	void Add(std::string_view tenant, std::string_view event_type, NotificationRule rule);

	bool
	empty() const {
		return by_tenant_.empty();
	}

	// Calls for each channel on which the event is announced; for one with several rules perhaps more than once.
	template <typename F>
	void
	ForEachChannel(std::string_view tenant, std::string_view stream, std::string_view type, F &&announce) const {
		const auto types = by_tenant_.find(tenant);
		if (types == by_tenant_.end()) {
			return;
		}
		for (const std::string_view asked : {type, std::string_view()}) {
			const auto rules = types->second.find(asked);
			if (rules == types->second.end()) {
				continue;
			}
			for (const NotificationRule &rule : rules->second) {
				if (rule.category.empty() || rule.category == Category(stream)) {
					announce(rule.channel);
				}
			}
		}
	}

	// How many rules a tenant has.
	std::size_t CountOf(std::string_view tenant) const;
	bool Has(std::string_view tenant, std::string_view event_type, const NotificationRule &rule) const;

	// The channels of all tenants, each once.
	const std::vector<std::string> &
	Channels() const {
		return channels_;
	}
	// Once all rules are added.
	void Complete();

  private:
	using ByType = std::map<std::string, std::vector<NotificationRule>, std::less<>>; // "": of all types
	std::map<std::string, ByType, std::less<>> by_tenant_;
	std::vector<std::string> channels_;
};

// The rules as this process last heard of them. Throws what the server raises.
std::shared_ptr<const NotificationRuleBook> NotificationRules();

void RegisterNotificationRules(Server server);

} // namespace auren::pg
