#include "server/guard.hpp"

namespace auren::pg::internal {

namespace {

// Stands for a report that could not be kept. The entry only reads it; nobody frees it.
ErrorData *
ReportOfNoMemory() {
	static char message[] = "out of memory";
	static char detail[] = "The report of another error could not be kept.";
	static ErrorData report;
	report.elevel = ERROR;
	report.output_to_server = true;
	report.output_to_client = true;
	report.sqlerrcode = ERRCODE_OUT_OF_MEMORY;
	report.message = message;
	report.detail = detail;
	return &report;
}

/*
 * Takes the report out of the server's error stack into the memory of whoever made the guarded call. To copy it takes memory, and the error
 * may be that there is none: a second one would jump over the frames of C++ to the handler outside. So it is caught here.
 */
ErrorData *
TakeReport(MemoryContext context) {
	sigjmp_buf *const outer_stack = PG_exception_stack;
	ErrorData *volatile report = nullptr;
	sigjmp_buf here;

	MemoryContextSwitchTo(context);
	if (sigsetjmp(here, 0) == 0) {
		PG_exception_stack = &here;
		report = CopyErrorData();
	} else {
		MemoryContextSwitchTo(context);
		report = ReportOfNoMemory();
	}
	PG_exception_stack = outer_stack;
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
