#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Takes the rights of a relation's owner, on whose behalf something of ours is done that the caller need not be allowed.
struct SavedUser {
	Oid user;
	int context;
	int guc_level;
};
SavedUser SwitchToOwner(Server server, Oid relid);
// Those of the owner of the event triggers, a superuser: what follows the DDL of everybody.
SavedUser BecomeEventTriggerOwner(Server server);
void SwitchBack(Server server, const SavedUser &before);

} // namespace auren::pg
