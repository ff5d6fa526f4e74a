// A batch does what the plain model does: the same fates and versions, or the same refusal.

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
	for (const char *name : {"a", "b", "c"}) {
		const std::uint8_t what = bytes.Byte();
		if (what % 2 == 1) {
			store.streams[name] = {1 + what / 8 % 4, what / 64 == 3};
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
		ModelElement element{std::string(1, static_cast<char>('a' + what % 3)), "t", std::to_string(what / 4 % 2), "m", {}, {}};
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
