#include "pg/random.hpp"

#include "pg/guard.hpp"

namespace auren::pg {

std::uint64_t
RandomBits() {
	static std::uint64_t drawn[512];
	static std::size_t left = 0; // a backend never forks, so nobody shares them
	if (left == 0) {
		Call([] {
			if (!pg_strong_random(drawn, sizeof drawn)) {
				ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random values")));
			}
		});
		left = sizeof drawn / sizeof drawn[0];
	}
	const std::uint64_t bits = drawn[--left];
	drawn[left] = 0;
	return bits;
}

} // namespace auren::pg
