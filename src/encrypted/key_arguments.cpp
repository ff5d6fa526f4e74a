#include "encrypted/key_arguments.hpp"

#include <string>

#include "core/error.hpp"
#include "encrypted/key_ring.hpp"
#include "server/entry.hpp"
#include "server/settings.hpp"

namespace auren {

using pg::Call;

pg::Text
UserArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text user = pg::TextArgument(fcinfo, argument, "p_user_id");
	pg::CheckUserId(user.name.bytes, user.name.characters);
	return user;
}

const char *
ReasonArgument(FunctionCallInfo fcinfo, int argument) {
	const pg::Text reason = pg::TextArgument(fcinfo, argument, "p_reason");
	if (reason.name.bytes.empty()) {
		throw DomainError(sqlstate::kInvalidParameter, "p_reason must not be empty", "It is kept in the audit.", "Say why it is done.");
	}
	if (reason.name.bytes.size() > pg::kLongestReason) {
		throw DomainError(sqlstate::kInvalidParameter, "p_reason is too long",
		                  "It has " + std::to_string(reason.name.bytes.size()) + " bytes, and the audit keeps reasons of up to " +
		                      std::to_string(pg::kLongestReason) + ".",
		                  "Say it shorter, or name where it is written down.");
	}
	return Call([&] { return static_cast<const char *>(TextDatumGetCString(reason.datum)); });
}

void
RequireWrite(const char *function) {
	if (XactReadOnly || IsInParallelMode()) { // a standby is read-only too
		Call([&] {
			PreventCommandIfReadOnly(function);
			PreventCommandIfParallelMode(function);
		});
	}
}

} // namespace auren
