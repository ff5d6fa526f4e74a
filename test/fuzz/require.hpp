#pragma once

#include <cstdlib>

namespace auren::test {

// Ends the fuzzer where a promise is not kept: it keeps the input that broke it.
inline void
Require(bool kept) {
	if (!kept) {
		std::abort();
	}
}

} // namespace auren::test
