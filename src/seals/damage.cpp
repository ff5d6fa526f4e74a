#include "seals/damage.hpp"

namespace auren::pg {

BeforeAttempt
BeginAttempt(Server) {
	const BeforeAttempt before = {CurrentMemoryContext, CurrentResourceOwner};
	BeginInternalSubTransaction(nullptr);
	MemoryContextSwitchTo(before.context);
	return before;
}

void
KeepAttempt(Server, const BeforeAttempt &before) {
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(before.context);
	CurrentResourceOwner = before.owner;
}

void
UndoAttempt(Server, const BeforeAttempt &before) {
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(before.context);
	CurrentResourceOwner = before.owner;
}

std::optional<std::string>
DamageIn(const Error &error) {
	const int code = error.report->sqlerrcode;
	const int category = ERRCODE_TO_CATEGORY(code);
	const bool damaged = category == ERRCODE_TO_CATEGORY(ERRCODE_INTERNAL_ERROR) || category == ERRCODE_TO_CATEGORY(ERRCODE_IO_ERROR) ||
	                     code == ERRCODE_CHARACTER_NOT_IN_REPERTOIRE || code == ERRCODE_UNTRANSLATABLE_CHARACTER;
	if (!damaged || error.report->message == nullptr) {
		return std::nullopt;
	}
	return std::string(error.report->message);
}

} // namespace auren::pg
