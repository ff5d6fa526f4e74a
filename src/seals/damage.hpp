#pragma once

#include <optional>
#include <string>

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// The state of the session before a subtransaction of ours began.
struct BeforeAttempt {
	MemoryContext context;
	ResourceOwner owner;
};
BeforeAttempt BeginAttempt(Server server);
void KeepAttempt(Server server, const BeforeAttempt &before);
void UndoAttempt(Server server, const BeforeAttempt &before);

// What the server says of data that it cannot read (a page, a value that was moved out, a file that is gone); nothing for any other error.
std::optional<std::string> DamageIn(const Error &error);

/*
 * Reads stored data that may be damaged, in a subtransaction: nothing of the server's (a scan, a pin, a slot) may be left open at its end. Returns
 * what the server said where the data is damaged; other errors, a cancel above all, are thrown.
 */
template <typename F>
std::optional<std::string>
ReadDamageable(F &&read) {
	const BeforeAttempt before = Call([](Server server) { return BeginAttempt(server); });
	try {
		read();
	} catch (const Error &error) {
		Call([&](Server server) { UndoAttempt(server, before); });
		std::optional<std::string> damage = DamageIn(error);
		if (!damage) {
			throw;
		}
		return damage;
	} catch (...) {
		Call([&](Server server) { UndoAttempt(server, before); });
		throw;
	}
	Call([&](Server server) { KeepAttempt(server, before); });
	return std::nullopt;
}

} // namespace auren::pg
