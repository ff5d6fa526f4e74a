#pragma once

#include <memory>
#include <utility>

#include "core/freshness.hpp"
#include "server/guard.hpp"
#include "server/own_relation.hpp"

namespace auren::pg {

/*
 * What was made of the rows of one of the extension's tables, kept until the table changes. The callbacks of the server's
 * invalidation messages call Forget and ForgetOn, which only count.
 */
template <typename T> class Cached {
  public:
	explicit constexpr Cached(OwnRelation &table) : table_(table) {
	}

	/*
	 * The value; read(relid) gives it anew where the table changed, and throws what the server raises. The caller holds
	 * the pointer for as long as it looks at the value: what it calls meanwhile may have the value made anew.
	 */
	template <typename Read>
	std::shared_ptr<const T>
	Get(Read &&read) {
		freshness_.Refresh([&] {
			const Oid relid = Call([this](Server server) { return table_.Get(server); });
			value_ = std::make_shared<const T>(read(relid));
		});
		return value_;
	}

	void
	Forget() noexcept {
		freshness_.Forget();
	}

	// InvalidOid: any relation may have changed.
	void
	ForgetOn(Oid relid) noexcept {
		if (table_.MayBe(relid)) {
			freshness_.Forget();
		}
	}

  private:
	OwnRelation &table_;
	Freshness freshness_;
	std::shared_ptr<const T> value_;
};

} // namespace auren::pg
