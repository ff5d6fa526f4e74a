#pragma once

#include <exception>
#include <type_traits>

#include "server/postgres.hpp"

namespace auren::pg {

/*
 * An error of the server on its way through C++. It keeps the whole report, so that the entry can raise it again with
 * SQLSTATE, DETAIL, HINT and position intact. It is not a std::exception, on purpose: code that handles those must not
 * swallow a cancel or a terminate. Only the entry catches it.
 */
struct Error {
	ErrorData *report;
};

namespace internal {

template <typename F> class Guarded;

} // namespace internal

/*
 * A token that says: its holder runs on the server's side of the wall. An error of the server may jump over the
 * holder's frame and over those that it calls, up to the guard, so nothing in them has a destructor and none of them
 * throws.
 *
 * A function that calls the server and does not guard the call asks for the token as its first parameter. A function
 * that does not ask for it only computes, or is C++: that one may throw, and guards what it calls.
 *
 * Call hands it to its lambda. A function that the server itself calls, such as a hook or a callback, takes it by
 * Callback(), and no other does. It is empty and costs nothing.
 */
class Server {
  public:
	static constexpr Server
	Callback() {
		return Server();
	}

  private:
	template <typename F> friend class internal::Guarded;

	// Not defaulted: Server{} would then be an aggregate, which anybody can make.
	constexpr Server() {
	}
};

namespace internal {

// Runs what a guard was given: with the token where it asks for one.
template <typename F> class Guarded {
  public:
	static decltype(auto)
	Run(F &function) {
		if constexpr (std::is_invocable_v<F &, Server>) {
			return function(Server());
		} else {
			return function();
		}
	}
};

static_assert(std::is_empty_v<Server> && !std::is_default_constructible_v<Server> && !std::is_aggregate_v<Server>, "only the guard makes one");

// Runs fn(argument) with the server's errors turned into a thrown Error. The only frame that a longjmp of the server
// can reach; nothing with a destructor lives in it.
void RunGuarded(void (*fn)(void *), void *argument);

} // namespace internal

/*
 * Calls a function that calls the server, and hands it the token if it asks for one. Inside it an error of the server
 * jumps over every C++ frame: nothing in it may have a destructor, so it holds plain data only, captures by reference,
 * and returns plain data. It costs about 3 ns, so a call per row is fine.
 */
template <typename F>
auto
Call(F &&function) -> decltype(internal::Guarded<std::remove_reference_t<F>>::Run(function)) {
	using Function = std::remove_reference_t<F>;
	using Result = decltype(internal::Guarded<Function>::Run(function));
	static_assert(!std::is_same_v<Result, Server>, "the token stays in the guard");
	static_assert(std::is_trivially_destructible_v<Function>, "capture by reference: a longjmp runs no destructor");

	if constexpr (std::is_void_v<Result>) {
		internal::RunGuarded([](void *argument) { internal::Guarded<Function>::Run(*static_cast<Function *>(argument)); }, &function);
	} else {
		static_assert(std::is_trivially_copyable_v<Result>, "return plain data: a longjmp runs no destructor");
		struct Frame {
			Function *function;
			Result result;
		} frame{&function, {}};
		internal::RunGuarded(
			[](void *argument) {
				auto *f = static_cast<Frame *>(argument);
				f->result = internal::Guarded<Function>::Run(*f->function);
			},
			&frame);
		return frame.result;
	}
}

} // namespace auren::pg
