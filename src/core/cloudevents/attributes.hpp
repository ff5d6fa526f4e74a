#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auren {

/*
 * The `time` of a CloudEvent: RFC 3339 in UTC with microseconds ("2025-01-29T10:00:00.000000Z"). Nothing where the year is not one of 1 to
 * 9999, which RFC 3339 cannot say. The time is microseconds since 2000-01-01 00:00 UTC.
 */
std::optional<std::string> CloudEventTime(std::int64_t micros);

/*
 * The `sequence` of a CloudEvent: a position in 19 digits, so that comparing texts compares positions. Not for negative ones.
 */
std::string CloudEventSequence(std::int64_t position);

/*
 * A text as a String attribute of a CloudEvent, which may hold neither control characters nor noncharacters of Unicode: the bytes of these
 * are percent-encoded. The text is UTF-8.
 */
std::string CloudEventString(std::string_view utf8);

// Whether a text, which is UTF-8, may be a String attribute as it is.
bool IsCloudEventString(std::string_view utf8);

} // namespace auren
