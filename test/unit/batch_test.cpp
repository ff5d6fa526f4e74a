// core/append/batch.hpp: what a batch does to its streams.

#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "unit/batch_model.hpp"
#include "unit/expect_error.hpp"

namespace auren::test {
namespace {

TEST(Batch, OneElementIsVersionOneOfANewStream) {
	EXPECT_EQ(Describe(PlanAppend({{"s", "t", "1", "{}", {}, {}}}, {})), "taken: new@1");
}

TEST(Batch, VersionsGoOnPerStreamInTheOrderGiven) {
	const ModelStore store = {{{"a", {4, false}}}, {}};
	EXPECT_EQ(Describe(PlanAppend(
				  {{"b", "t", "1", "", {}, {}}, {"a", "t", "2", "", {}, {}}, {"b", "t", "3", "", {}, {}}, {"a", "t", "4", "", {}, {}}}, store)),
	          "taken: new@1 new@5 new@2 new@6");
}

TEST(Batch, StreamsAreLockedInTheOrderOfTheirBytes) {
	const std::vector<BatchElement> elements = {
		{"b", "t", "", "", {}}, {"\xC3\xBC", "t", "", "", {}}, {"B", "t", "", "", {}}, {"b", "t", "", "", {}}};
	AppendPlan plan(elements);
	ASSERT_EQ(plan.streams().size(), 3u);
	EXPECT_EQ(plan.streams()[0].id, "B");
	EXPECT_EQ(plan.streams()[1].id, "b");
	EXPECT_EQ(plan.streams()[2].id, "\xC3\xBC");
	EXPECT_EQ(plan.streams()[1].element, 0u);
	EXPECT_EQ(plan.elements()[3].stream, 1u);
}

TEST(Batch, ExpectationsOfAStreamAgreeOrAreAny) {
	const ModelStore store = {{{"s", {2, false}}}, {}};
	EXPECT_EQ(Describe(PlanAppend({{"s", "t", "1", "", {}, 2}, {"s", "t", "2", "", {}, {}}, {"s", "t", "3", "", {}, 2}}, store)),
	          "taken: new@3 new@4 new@5");
	const std::vector<BatchElement> elements = {{"s", "t", "", "", {}}, {"s", "t", "", "", {}}};
	AppendPlan plan(elements);
	plan.Expect(0, ExpectedVersion::FromNumber(2));
	const DomainError error = ExpectError("22023", [&] { plan.Expect(1, ExpectedVersion::FromNumber(3)); });
	EXPECT_TRUE(Contains(error.detail(), "2") && Contains(error.detail(), "3")) << error.detail();
}

TEST(Batch, ConflictNamesBothVersions) {
	const std::vector<BatchElement> elements = {{"s", "t", "", "", {}}};
	AppendPlan plan(elements);
	plan.Expect(0, ExpectedVersion::FromNumber(7));
	plan.streams()[0].version = 9;
	const DomainError error = ExpectError("ZE001", [&] { plan.AssignVersions(); });
	EXPECT_TRUE(Contains(error.detail(), "7") && Contains(error.detail(), "9")) << error.detail();
}

TEST(Batch, NothingIsExpectedOfAStreamThatGetsNothingNew) {
	const ModelStore store = {{{"s", {5, true}}}, {{1, 3}}};
	EXPECT_EQ(Describe(PlanAppend({{"s", "t", "1", "", 1, 0}}, store)), "taken: stored@3");
	EXPECT_EQ(PlanAppend({{"s", "t", "1", "", 1, 0}, {"s", "t", "2", "", 2, 0}}, store).sqlstate, "ZE004");
}

TEST(Batch, AnIdGivenTwiceIsOneEvent) {
	EXPECT_EQ(Describe(PlanAppend({{"s", "t", "1", "m", 1, {}}, {"s", "u", "2", "", {}, {}}, {"s", "t", "1", "m", 1, {}}}, {})),
	          "taken: new@1 new@2 repeated@1");
	for (const ModelElement &other : {ModelElement{"x", "t", "1", "m", 1, {}}, ModelElement{"s", "x", "1", "m", 1, {}},
	                                  ModelElement{"s", "t", "x", "m", 1, {}}, ModelElement{"s", "t", "1", "x", 1, {}}}) {
		EXPECT_EQ(PlanAppend({{"s", "t", "1", "m", 1, {}}, other}, {}).sqlstate, "ZE002");
	}
}

TEST(Batch, ReusedIdIsNamedAsTheServerPrintsIt) {
	EventId id;
	for (std::size_t i = 0; i < id.size(); i++) {
		id[i] = static_cast<std::uint8_t>(i * 17);
	}
	const DomainError error = ExpectError("ZE002", [&] { ThrowIdReused(id); });
	EXPECT_TRUE(Contains(error.message(), "00112233-4455-6677-8899-aabbccddeeff")) << error.message();
}

TEST(Batch, AStreamCanBeFull) {
	const ModelStore store = {{{"s", {INT64_MAX - 1, false}}}, {}};
	EXPECT_EQ(PlanAppend({{"s", "t", "1", "", {}, {}}}, store).sqlstate, "");
	EXPECT_EQ(PlanAppend({{"s", "t", "1", "", {}, {}}, {"s", "t", "2", "", {}, {}}}, store).sqlstate, "22003");
}

TEST(Batch, ClosedStreamTellsWhereItEndedAndWhatHelps) {
	const std::vector<BatchElement> elements = {{"s", "t", "", "", {}}};
	AppendPlan plan(elements);
	plan.streams()[0].version = 17;
	plan.streams()[0].closed = true;
	const DomainError error = ExpectError("ZE004", [&] { plan.AssignVersions(); });
	EXPECT_TRUE(Contains(error.message(), "\"s\"")) << error.message();
	EXPECT_TRUE(Contains(error.detail(), "17")) << error.detail();
	EXPECT_TRUE(Contains(error.hint(), "reopen_stream")) << error.hint();
}

// A closed stream is closed, whatever is expected of it; of two streams the first in the order of bytes speaks.
TEST(Batch, TheFirstReasonIsTheSameEachTime) {
	EXPECT_EQ(PlanAppend({{"s", "t", "1", "", {}, 9}}, {{{"s", {2, true}}}, {}}).sqlstate, "ZE004");
	const ModelStore store = {{{"a", {2, false}}, {"b", {2, true}}}, {}};
	EXPECT_EQ(PlanAppend({{"b", "t", "1", "", {}, {}}, {"a", "t", "1", "", {}, 1}}, store).sqlstate, "ZE001");
	EXPECT_EQ(PlanAppend({{"b", "t", "1", "", {}, {}}, {"a", "t", "1", "", {}, 2}}, store).sqlstate, "ZE004");
}

TEST(Batch, ARefusedBatchGivesNoVersion) {
	const std::vector<BatchElement> elements = {{"a", "t", "", "", {}}, {"b", "t", "", "", {}}};
	AppendPlan plan(elements);
	plan.Expect(1, ExpectedVersion::FromNumber(-1));
	ExpectError("ZE001", [&] { plan.AssignVersions(); });
	EXPECT_EQ(plan.elements()[0].version, 0);
	EXPECT_EQ(plan.elements()[1].version, 0);
}

TEST(Batch, ARepeatOfAStoredEventHasItsVersion) {
	EXPECT_EQ(
		Describe(PlanAppend({{"s", "t", "1", "", 1, {}}, {"s", "t", "1", "", 1, {}}, {"s", "t", "2", "", {}, {}}}, {{{"s", {4, false}}}, {{1, 3}}})),
		"taken: stored@3 repeated@3 new@5");
}

TEST(Batch, OnlyIdsThatAreGivenAreLookedUp) {
	const std::vector<BatchElement> elements = {
		{"s", "t", "1", "", IdOf(9)}, {"s", "t", "2", "", {}}, {"s", "t", "3", "", IdOf(2)}, {"s", "t", "1", "", IdOf(9)}};
	AppendPlan plan(elements);
	plan.ResolveRepeats(elements);
	EXPECT_EQ(plan.supplied(), (std::vector<std::uint32_t>{2, 0}));
	EXPECT_EQ(plan.elements()[3].fate, Fate::kRepeated);
	EXPECT_EQ(plan.elements()[3].original, 0u);
	const std::vector<BatchElement> without = {{"s", "t", "1", "", {}}, {"s", "t", "1", "", {}}};
	AppendPlan fresh(without);
	fresh.ResolveRepeats(without);
	EXPECT_TRUE(fresh.supplied().empty());
	fresh.AssignVersions();
	EXPECT_EQ(fresh.new_events(), 2u); // equal contents alone are no repeat
}

// Streams can be looked at again, after a wait say: what counts is what they are at last.
TEST(Batch, VersionsCanBeAssignedAnew) {
	const std::vector<BatchElement> elements = {{"s", "t", "1", "", {}}, {"s", "t", "2", "", IdOf(1)}};
	AppendPlan plan(elements);
	plan.ResolveRepeats(elements);
	plan.AssignVersions();
	EXPECT_EQ(plan.elements()[1].version, 2);
	plan.streams()[0].version = 7;
	plan.MarkStored(1, 5);
	plan.AssignVersions();
	EXPECT_EQ(plan.elements()[0].version, 8);
	EXPECT_EQ(plan.elements()[1].version, 5);
	EXPECT_EQ(plan.new_events(), 1u);
	EXPECT_EQ(plan.streams()[0].new_events, 1u);
}

TEST(Batch, HoldsAHundredThousandEvents) {
	constexpr std::uint32_t kEvents = 100'000;
	constexpr std::uint32_t kStreams = 1'000;
	std::vector<std::string> names;
	for (std::uint32_t i = 0; i < kStreams; i++) {
		names.push_back("user:" + std::to_string(i));
	}
	std::vector<BatchElement> elements;
	for (std::uint32_t i = 0; i < kEvents; i++) {
		EventId id{};
		for (int byte = 0; byte < 4; byte++) {
			id[static_cast<std::size_t>(byte)] = static_cast<std::uint8_t>((i * 2'654'435'761u) >> 8 * byte); // odd factor: no id twice
		}
		elements.push_back({names[i % kStreams], "t", "1", "", id});
	}
	AppendPlan plan(elements);
	plan.ResolveRepeats(elements);
	plan.AssignVersions();
	EXPECT_EQ(plan.new_events(), kEvents);
	ASSERT_EQ(plan.streams().size(), kStreams);
	EXPECT_EQ(plan.supplied().size(), kEvents);
	for (std::uint32_t i = 0; i < kEvents; i++) {
		ASSERT_EQ(plan.elements()[i].version, i / kStreams + 1);
		ASSERT_EQ(plan.streams()[plan.elements()[i].stream].id, names[i % kStreams]);
	}
}

TEST(Batch, EmptyBatchDoesNothing) {
	AppendPlan plan({});
	plan.AssignVersions();
	EXPECT_EQ(plan.new_events(), 0u);
	EXPECT_TRUE(plan.streams().empty());
}

// Small alphabets, so that streams, ids and contents meet often.
TEST(Batch, RandomBatchesDoWhatTheModelDoes) {
	std::mt19937 random(20261124);
	const auto pick = [&random](int n) {
		return static_cast<int>(random() % static_cast<unsigned>(n));
	};
	std::map<std::string, int> seen;
	for (int round = 0; round < 30'000; round++) {
		ModelStore store;
		for (const char *name : {"a", "b", "c"}) {
			if (pick(2) == 0) {
				store.streams[name] = {1 + pick(4), pick(6) == 0};
			}
		}
		for (std::uint8_t id = 0; id < 3; id++) {
			if (pick(3) == 0) {
				store.ids[id] = 1 + pick(3);
			}
		}
		std::vector<ModelElement> batch;
		for (int n = pick(6); n >= 0; n--) {
			ModelElement element{
				std::string(1, static_cast<char>('a' + pick(3))), "t", std::string(1, static_cast<char>('0' + pick(2))), "m", {}, {}};
			if (pick(2) == 0) {
				element.id = static_cast<std::uint8_t>(pick(5));
			}
			if (pick(3) == 0) {
				element.expected = pick(5) - 1;
			}
			batch.push_back(element);
		}
		const Outcome wanted = ModelAppend(batch, store);
		const Outcome got = PlanAppend(batch, store);
		ASSERT_EQ(Describe(got), Describe(wanted)) << Describe(batch, store);
		seen[wanted.sqlstate]++;
	}
	// the rounds reached every way out
	for (const char *sqlstate : {"", "22023", "ZE001", "ZE002", "ZE004"}) {
		EXPECT_GT(seen[sqlstate], 100) << sqlstate;
	}
}

} // namespace
} // namespace auren::test
