#pragma once

#include <exception>
#include <type_traits>

#include "pg/postgres.hpp"

namespace auren::pg {

/*
 * An error of the server on its way through C++. It keeps the whole report, so that the entry can raise it again with
 * SQLSTATE, DETAIL, HINT and position intact. It is no std::exception on purpose: code that handles those must not
 * swallow a cancel or a terminate. Only the entry catches it.
 */
struct Error {
	ErrorData *report;
};

namespace internal {

// Runs fn(argument) with the server's errors turned into a thrown Error. The only frame that a longjmp of the server
// can reach; nothing with a destructor lives in it.
void RunGuarded(void (*fn)(void *), void *argument);

} // namespace internal

/*
 * Calls a function that calls the server. Inside it an error of the server jumps over every C++ frame: nothing in it
 * may have a destructor, so it holds plain data only, captures by reference, and returns plain data. It costs about
 * 3 ns, so a call per row is fine.
 */
template <typename F>
auto
Call(F &&function) -> std::invoke_result_t<F &> {
	using Function = std::remove_reference_t<F>;
	using Result = std::invoke_result_t<F &>;
	static_assert(std::is_trivially_destructible_v<Function>, "capture by reference: a longjmp runs no destructor");

	if constexpr (std::is_void_v<Result>) {
		internal::RunGuarded([](void *argument) { (*static_cast<Function *>(argument))(); }, &function);
	} else {
		static_assert(std::is_trivially_copyable_v<Result>, "return plain data: a longjmp runs no destructor");
		struct Frame {
			Function *function;
			Result result;
		} frame{&function, {}};
		internal::RunGuarded(
		    [](void *argument) {
			    auto *f = static_cast<Frame *>(argument);
			    f->result = (*f->function)();
		    },
		    &frame);
		return frame.result;
	}
}

} // namespace auren::pg
