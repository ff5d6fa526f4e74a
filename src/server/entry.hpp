#pragma once

#include <exception>
#include <new>

#include "core/error.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

namespace internal {

/*
 * What an entry has to raise once it has left its handlers. Fixed buffers: nothing may fail while an exception is
 * being handled, and nothing with a destructor may be alive when the report is raised.
 */
struct Report {
	char sqlstate[6];
	char message[1536];
	char detail[3072];
	char hint[1024];
};

void Fill(Report *report, const DomainError &error) noexcept;
void Fill(Report *report, const char *sqlstate, const char *message) noexcept;
[[noreturn]] void Raise(const Report &report);

} // namespace internal

/*
 * The boundary of every function that the server calls: whatever C++ throws becomes the server's error, after all
 * handlers have been left (a longjmp out of one would leak its exception).
 */
template <typename F>
Datum
Entry(F &&body) {
	ErrorData *server_error = nullptr;
	internal::Report report;
	try {
		return body();
	} catch (const Error &error) {
		server_error = error.report;
	} catch (const DomainError &error) {
		internal::Fill(&report, error);
	} catch (const std::bad_alloc &) {
		internal::Fill(&report, "53200", "out of memory");
	} catch (const std::exception &error) {
		internal::Fill(&report, "XX000", error.what());
	} catch (...) {
		internal::Fill(&report, "XX000", "unexpected C++ exception");
	}
	if (server_error != nullptr) {
		ReThrowError(server_error);
	}
	internal::Raise(report);
}

} // namespace auren::pg

/*
 * Declares the C function of an SQL function. Its body is C++ and may throw.
 */
#define AUREN_FUNCTION(name)                                                                                                                         \
	extern "C" {                                                                                                                                     \
	PG_FUNCTION_INFO_V1(name);                                                                                                                       \
	Datum name(PG_FUNCTION_ARGS);                                                                                                                    \
	}                                                                                                                                                \
	static Datum name##_body(FunctionCallInfo fcinfo);                                                                                               \
	Datum name(PG_FUNCTION_ARGS) {                                                                                                                   \
		return ::auren::pg::Entry([fcinfo] { return name##_body(fcinfo); });                                                                         \
	}                                                                                                                                                \
	static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)

/*
 * Another name of an entry, by which a released install script knows it: that of a function that took fewer arguments, or gave fewer columns.
 */
#define AUREN_RELEASED_FUNCTION(released, name)                                                                                                      \
	extern "C" {                                                                                                                                     \
	PG_FUNCTION_INFO_V1(released);                                                                                                                   \
	Datum released(PG_FUNCTION_ARGS);                                                                                                                \
	Datum name(PG_FUNCTION_ARGS);                                                                                                                    \
	}                                                                                                                                                \
	Datum released(PG_FUNCTION_ARGS) {                                                                                                               \
		return name(fcinfo);                                                                                                                         \
	}
