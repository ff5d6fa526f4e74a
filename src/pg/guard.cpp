#include "pg/guard.hpp"

namespace auren::pg::internal {

namespace {

// Takes the report out of the server's error stack into the memory of whoever made the guarded call.
ErrorData *
TakeReport(MemoryContext context) {
	MemoryContextSwitchTo(context);
	ErrorData *report = CopyErrorData();
	FlushErrorState();
	return report;
}

} // namespace

void
RunGuarded(void (*fn)(void *), void *argument) {
	sigjmp_buf *const outer_stack = PG_exception_stack;
	ErrorContextCallback *const outer_context_stack = error_context_stack;
	MemoryContext const context = CurrentMemoryContext;
	sigjmp_buf here;

	// Signal masks are not saved, as PG_TRY does not: that would be a system call each time.
	if (sigsetjmp(here, 0) == 0) {
		PG_exception_stack = &here;
		fn(argument);
		PG_exception_stack = outer_stack;
		error_context_stack = outer_context_stack;
		return;
	}
	PG_exception_stack = outer_stack;
	error_context_stack = outer_context_stack;
	throw Error{TakeReport(context)};
}

} // namespace auren::pg::internal
