#pragma once

namespace auren::pg {

// Columns of events.event_store, in the table's order.
enum EventColumn : int {
	kEventId,
	kStreamId,
	kStreamVersion,
	kEventType,
	kEventData,
	kMetadata,
	kCreatedAt,
	kCreatedBy,
	kTenantId,
	kGlobalPosition,
	kTags,
	kEventColumns
};

} // namespace auren::pg
