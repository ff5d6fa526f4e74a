#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace auren::pg {

// Which appended events are announced on which channel (events.add_notification_rule).
struct NotificationRule {
	std::string tenant;
	std::string channel;
	std::string event_type; // empty: all
	std::string category;   // empty: all

	bool Asks(std::string_view for_tenant, std::string_view stream, std::string_view type) const;
};

// The rules of all tenants, as this process last heard of them. C++ side; throws what the server raises.
std::shared_ptr<const std::vector<NotificationRule>> NotificationRules();

void RegisterNotificationRules();

} // namespace auren::pg
