#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/name.hpp"

namespace auren {

inline constexpr std::size_t kMaxStreamIdCharacters = 255;
inline constexpr std::size_t kMaxEventTypeCharacters = 100;
inline constexpr std::size_t kMaxCreatedByCharacters = 255;
inline constexpr std::size_t kMaxTenantIdCharacters = 255;
inline constexpr std::size_t kMaxSubscriptionNameCharacters = 255;
inline constexpr std::size_t kMaxConsumerNameCharacters = 255;

// Each throws 22023 when the name is empty, too long, has a control character, or begins or ends with a blank.
void CheckStreamId(const Name &name);
void CheckEventType(const Name &name);
void CheckTenantId(const Name &name);
void CheckSubscriptionName(const Name &name);
void CheckConsumerName(const Name &name);
// created_by is prose: it may be empty and hold anything but more than 255 characters
void CheckCreatedBy(const Name &name);

// "user" of "user:42", the whole id when it has no colon
std::string_view Category(std::string_view stream_id);

// The naming practice that auren_events.naming asks for (snake_case, stream ids such as user:42): an empty string, or what is wrong with the name.
std::string NamingFlawOfEventType(std::string_view event_type);
std::string NamingFlawOfStreamId(std::string_view stream_id);

} // namespace auren
