#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/append/batch.hpp"
#include "core/error.hpp"

namespace auren::test {

/*
 * What an append of a batch must do, told in the plainest way: quadratic, with nothing of the plan's code. Unit tests
 * and the fuzzer compare the plan with it.
 */
struct ModelElement {
	std::string stream;
	std::string type;
	std::string data;
	std::string metadata;
	std::optional<std::uint8_t> id; // stands for a whole id
	std::optional<std::int64_t> expected;
};

struct ModelStream {
	std::int64_t version = 0;
	bool closed = false;
};

struct ModelStore {
	std::map<std::string, ModelStream> streams;
	std::map<std::uint8_t, std::int64_t> ids; // with the version under which the event is stored
};

struct Outcome {
	std::string sqlstate; // empty: the batch was taken
	std::vector<Fate> fates;
	std::vector<std::int64_t> versions;
};

// The one byte in the middle, so that the order of ids is that of all their bytes.
inline EventId
IdOf(std::uint8_t number) {
	EventId id{};
	id[7] = number;
	return id;
}

inline bool
AsExpected(std::int64_t expected, std::int64_t actual) {
	if (expected == -1) {
		return actual >= 1;
	}
	return expected == actual;
}

inline Outcome
ModelAppend(const std::vector<ModelElement> &batch, const ModelStore &store) {
	const auto refused = [](const char *sqlstate) {
		return Outcome{sqlstate, {}, {}};
	};
	for (const ModelElement &a : batch) {
		for (const ModelElement &b : batch) {
			if (a.stream == b.stream && a.expected && b.expected && *a.expected != *b.expected) {
				return refused("22023");
			}
		}
	}
	for (const ModelElement &a : batch) {
		for (const ModelElement &b : batch) {
			const bool same = a.stream == b.stream && a.type == b.type && a.data == b.data && a.metadata == b.metadata;
			if (a.id && b.id && *a.id == *b.id && !same) {
				return refused("ZE002");
			}
		}
	}
	Outcome outcome;
	std::map<std::uint8_t, std::int64_t> versions_of_ids = store.ids;
	std::map<std::string, std::int64_t> versions;
	std::set<std::string> written;
	std::set<std::uint8_t> given;
	for (const ModelElement &element : batch) {
		const auto in_store = store.streams.find(element.stream);
		versions.emplace(element.stream, in_store == store.streams.end() ? 0 : in_store->second.version);
		if (element.id && versions_of_ids.count(*element.id) != 0) {
			outcome.fates.push_back(given.count(*element.id) != 0 ? Fate::kRepeated : Fate::kStored);
			outcome.versions.push_back(versions_of_ids[*element.id]);
		} else {
			if (versions[element.stream] < INT64_MAX) { // else refused below
				versions[element.stream]++;
			}
			written.insert(element.stream);
			outcome.fates.push_back(Fate::kNew);
			outcome.versions.push_back(versions[element.stream]);
			if (element.id) {
				versions_of_ids[*element.id] = outcome.versions.back();
			}
		}
		if (element.id) {
			given.insert(*element.id);
		}
	}
	for (const std::string &stream : written) { // a set of strings is in the order of bytes
		const auto in_store = store.streams.find(stream);
		const ModelStream state = in_store == store.streams.end() ? ModelStream() : in_store->second;
		if (state.closed) {
			return refused("ZE004");
		}
		for (const ModelElement &element : batch) {
			if (element.stream == stream && element.expected && !AsExpected(*element.expected, state.version)) {
				return refused("ZE001");
			}
		}
		std::int64_t room = INT64_MAX - state.version;
		for (std::size_t i = 0; i < batch.size(); i++) {
			if (batch[i].stream == stream && outcome.fates[i] == Fate::kNew && room-- == 0) {
				return refused("22003");
			}
		}
	}
	return outcome;
}

// ---- the plan, driven as the server drives it
// --------------------------------------------------------------------------

inline std::vector<BatchElement>
ElementsOf(const std::vector<ModelElement> &batch) {
	std::vector<BatchElement> elements;
	for (const ModelElement &element : batch) {
		elements.push_back({element.stream, element.type, element.data, element.metadata, std::nullopt});
		if (element.id) {
			elements.back().supplied_id = IdOf(*element.id);
		}
	}
	return elements;
}

inline void
Prepare(AppendPlan *plan, const std::vector<ModelElement> &batch, const std::vector<BatchElement> &elements, const ModelStore &store) {
	for (std::size_t i = 0; i < batch.size(); i++) {
		plan->Expect(i, batch[i].expected ? ExpectedVersion::FromNumber(*batch[i].expected) : ExpectedVersion());
	}
	plan->ResolveRepeats(elements);
	for (AppendPlan::Stream &stream : plan->streams()) {
		const auto in_store = store.streams.find(std::string(stream.id));
		if (in_store != store.streams.end()) {
			stream.version = in_store->second.version;
			stream.closed = in_store->second.closed;
		}
	}
	for (const std::uint32_t element : plan->supplied()) {
		const auto in_store = store.ids.find(*batch[element].id);
		if (in_store != store.ids.end()) {
			plan->MarkStored(element, in_store->second);
		}
	}
}

// Throws std::logic_error for a broken promise that the outcome does not show.
Outcome PlanAppend(const std::vector<ModelElement> &batch, const ModelStore &store);

// What an outcome says, for the message of a test that fails.
std::string Describe(const Outcome &outcome);
std::string Describe(const std::vector<ModelElement> &batch, const ModelStore &store);

} // namespace auren::test
