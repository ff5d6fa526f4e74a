#pragma once

#include "core/freshness.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * A relation of the extension, known by its name. Its OID is looked up when somebody first asks for it, and again after the relation
 * changed. Each room declares in its relations.hpp those that it needs, in namespace own; they live as long as the process.
 */
class OwnRelation {
  public:
	// Both names are literals.
	constexpr OwnRelation(const char *schema, const char *name) : schema_(schema), name_(name) {
	}
	OwnRelation(const OwnRelation &) = delete;
	OwnRelation &operator=(const OwnRelation &) = delete;

	/*
	 * The OID in this database. Takes no lock on the relation, so that it may be gone when the caller opens it. Raises undefined_table
	 * where there is none of the name.
	 */
	Oid
	Get(Server server) {
		if (!freshness_.IsFresh()) {
			LookUp(server);
		}
		return oid_;
	}

	// The same; InvalidOid where there is none, as under SQL objects of an older version.
	Oid GetIfThere(Server server);

	/*
	 * For the callbacks of the server's messages, which may look nothing up: whether a change of this OID (InvalidOid: any relation may
	 * have changed) may be one of the relation. Until somebody has looked its OID up it may be any.
	 */
	bool
	MayBe(Oid relid) const noexcept {
		return relid == InvalidOid || relid == oid_ || !freshness_.IsFresh();
	}

	// For _PG_init: from now on changes of the relations are heard of.
	static void Register(Server server);

  private:
	void List() noexcept;
	void LookUp(Server server);
	static void ForgetOn(Oid relid) noexcept;

	const char *schema_;
	const char *name_;
	Oid oid_ = InvalidOid;
	Freshness freshness_;
	bool listed_ = false;
	OwnRelation *next_ = nullptr; // of those that somebody has asked for
};

} // namespace auren::pg
