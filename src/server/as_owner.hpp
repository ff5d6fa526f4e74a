#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

// Takes the rights of a relation's owner, on whose behalf something of ours is done that the caller need not be allowed.
struct AsOwner {
	Oid user;
	int context;
	int guc_level;
};
AsOwner BecomeOwner(Server server, Oid relid);
// Those of the owner of the event triggers, a superuser: what follows the DDL of everybody.
AsOwner BecomeEventTriggerOwner(Server server);
void BecomeAgain(Server server, const AsOwner &before);

} // namespace auren::pg
