// A batch does what the plain model does: the same fates and versions, or the same refusal. PlanAppend throws for what
// an outcome does not show: versions that are not dense, a refused batch that gave some, streams or ids out of order.

#include <cstdio>
#include <cstdlib>

#include "fuzz/bytes.hpp"
#include "unit/batch_model.cpp" // the model is code of the tests, not of a library

using namespace auren;
using namespace auren::test;

extern "C" int
LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
	Bytes bytes(data, size);
	ModelStore store;
	// one the beginning of another, one above 7 bits
	static const char *const names[] = {"a", "ab", "\xC3\xBC"};
	for (const char *name : names) {
		const std::uint8_t what = bytes.Byte();
		if (what % 2 == 1) {
			const std::int64_t version = 1 + what / 8 % 4;
			store.streams[name] = {what % 8 == 7 ? INT64_MAX - version : version, what / 64 == 3};
		}
	}
	for (std::uint8_t id = 0; id < 4; id++) {
		const std::uint8_t what = bytes.Byte();
		if (what % 3 == 1) {
			store.ids[id] = 1 + what / 8 % 4;
		}
	}
	std::vector<ModelElement> batch;
	while (!bytes.empty() && batch.size() < 40) {
		const std::uint8_t what = bytes.Byte();
		ModelElement element{names[what % 3], "t", std::to_string(what / 4 % 2), "m", {}, {}};
		if (what & 64) {
			element.id = bytes.Byte() % 6;
		}
		if (what & 128) {
			element.expected = bytes.Byte() % 6 - 1;
		}
		batch.push_back(element);
	}
	const std::string wanted = Describe(ModelAppend(batch, store));
	const std::string got = Describe(PlanAppend(batch, store));
	if (wanted != got) {
		std::fprintf(stderr, "%s\nmodel: %s\nplan:  %s\n", Describe(batch, store).c_str(), wanted.c_str(), got.c_str());
		std::abort();
	}
	return 0;
}
