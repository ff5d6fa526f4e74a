#pragma once

#include <string_view>

#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What all CloudEvents of a call have in common.
 */
struct CloudEventOrigin {
	std::string_view source;
	std::string_view type_prefix;
};

/*
 * An event that is to be shown as a CloudEvent: texts of the database, whatever their encoding, and datums as a row has them. What is not
 * known is nullptr, 0 or negative, and an infinite time.
 */
struct ShownEvent {
	const pg_uuid_t *id;
	std::string_view stream_id;
	std::string_view event_type;
	Datum event_data;
	Datum metadata;         // 0: none
	TimestampTz created_at; // infinite: none
	int64 stream_version;   // negative: none
	int64 global_position;  // negative: none
};

/*
 * The CloudEvent (specification 1.0, JSON format) of an event, a jsonb in the caller's memory context. The event's data is copied as it is.
 */
Datum WriteCloudEvent(const CloudEventOrigin &origin, const ShownEvent &event);

} // namespace auren::pg
