#include "server/random.hpp"

#include "server/guard.hpp"

namespace auren::pg::internal {

Drawn drawn; // a backend never forks, so nobody shares them

void
Draw() {
	Call([] {
		if (!pg_strong_random(drawn.bits, sizeof drawn.bits)) {
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
		}
	});
	drawn.left = sizeof drawn.bits / sizeof drawn.bits[0];
}

} // namespace auren::pg::internal
