#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/borrowed.hpp"
#include "core/encrypted/personal.hpp"
#include "encrypted/field_cipher.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * The rules that say which fields of an event are personal (encrypted.add_rule): kept until one of them changes.
 */
struct PersonalRule {
	std::string tenant;
	std::string event_type;
	std::string person; // as declared
	PersonSource source;
	std::vector<JsonPointer> paths;
};

struct EventNames {
	Borrowed tenant;
	Borrowed stream;
	Borrowed event_type;
};

// Whether a rule applies to an event; without one nothing of the event is looked at.
bool IsPersonal(const EventNames &event);
// An event's data with its personal fields encrypted, in the caller's memory context. Throws 22023 where they are nobody's.
Datum SealEvent(const EventNames &event, Datum data);
// And decrypted, as far as they can be.
Datum OpenEvent(const EventNames &event, Datum data, Audited audited);

// Whether the tenant has rules at all.
bool HasPersonalRules(std::string_view tenant);
// The persons of whom an event, as it is stored, has encrypted fields, but for those who were forgotten.
std::vector<std::string> PersonsIn(const EventNames &event, Datum data);

// Rules of a tenant and event type, for the check of a new one.
std::vector<PersonalRule> RulesOf(std::string_view tenant, std::string_view event_type);

/*
 * Waits for rules that are being added, and keeps others from being added to the end of the transaction: for whoever declares what must not overlap
 * an encrypted field, before it looks. Those that are added later look in their turn.
 */
void LockPersonalRules(Server server);
// Throws 55000 where a rule of the tenant and event type encrypts a place, a part of it, or what it is a part of. `what` is what the place is for.
void RequireNotPersonal(std::string_view tenant, std::string_view event_type, const JsonPointer &place, const char *what);
// Throws 55000 where a rule makes tags or spans of one of these places, or of what overlaps one: everybody may read tags who may read events.
void RequireNotInTags(std::string_view tenant, std::string_view event_type, const std::vector<JsonPointer> &paths);

void RegisterPersonalRules(Server server);

} // namespace auren::pg
