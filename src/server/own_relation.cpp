#include "server/own_relation.hpp"

#include "server/installed_version.hpp"
#include "server/relation_changes.hpp"
#include "server/wait_point.hpp"

namespace auren::pg {

namespace {

OwnRelation *first_asked = nullptr;

Oid
FindRelation(Server, const char *schema, const char *name) {
	const Oid schema_oid = get_namespace_oid(schema, true);
	return OidIsValid(schema_oid) ? get_relname_relid(name, schema_oid) : InvalidOid;
}

Oid
RelationNamed(Server server, const char *schema, const char *name) {
	const Oid oid = FindRelation(server, schema, name);
	if (!OidIsValid(oid)) {
		RaiseMissingRelation(server, schema, name);
	}
	return oid;
}

} // namespace

void
OwnRelation::List() noexcept {
	if (!listed_) {
		next_ = first_asked;
		first_asked = this;
		listed_ = true;
	}
}

Oid
OwnRelation::GetIfThere(Server server) {
	List();
	if (!freshness_.IsFresh() && !OidIsValid(FindRelation(server, schema_, name_))) {
		return InvalidOid;
	}
	return Get(server);
}

void
OwnRelation::LookUp(Server server) {
	List();
	const auto look = [this, server] {
		oid_ = RelationNamed(server, schema_, name_);
		AUREN_WAIT_POINT("own-relation");
		// The names may have come from a cache of the server's that has not heard yet of a change.
		AcceptInvalidationMessages();
	};
	freshness_.Refresh(look);
	// again where a change was told meanwhile: the caller would open a relation that is gone
	freshness_.Refresh(look);
}

// Counts only: nothing that can fail.
void
OwnRelation::ForgetOn(Oid relid) noexcept {
	for (OwnRelation *relation = first_asked; relation != nullptr; relation = relation->next_) {
		if (relation->MayBe(relid)) {
			relation->freshness_.Forget();
		}
	}
}

void
OwnRelation::Register(Server server) {
	OnRelationChange(server, ForgetOn);
}

} // namespace auren::pg
