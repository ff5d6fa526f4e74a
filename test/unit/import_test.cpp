// core/append/import.hpp: what only an import says of its events.

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/append/import.hpp"
#include "unit/batch_model.hpp"
#include "unit/expect_error.hpp"

namespace auren::test {
namespace {

constexpr std::int64_t kNow = 1'000'000'000'000;

struct Batch {
	std::vector<BatchElement> elements;
	std::vector<ImportedElement> imported;
};

// An event of a stream, with an id and a time.
void
Add(Batch *batch, const char *stream, std::uint8_t id, std::int64_t created_at) {
	batch->elements.push_back({stream, "t", "1", "{}", IdOf(id)});
	batch->imported.push_back({created_at, "somebody"});
}

AppendPlan
PlanOf(const Batch &batch) {
	AppendPlan plan(batch.elements);
	plan.ResolveRepeats(batch.elements);
	return plan;
}

ImportPlan
Import(const Batch &batch) {
	return ImportPlan(PlanOf(batch), batch.imported, kNow);
}

std::int64_t
TimeIn(int year, int month) {
	return Month::FromIndex((year - 2000) * 12 + month - 1).StartMicros();
}

TEST(Import, KnowsTheTimesOfEachStream) {
	Batch batch;
	Add(&batch, "b", 1, 50);
	Add(&batch, "a", 2, 10);
	Add(&batch, "b", 3, 50);
	Add(&batch, "b", 4, 70);
	const ImportPlan plan = Import(batch);
	ASSERT_EQ(plan.streams().size(), 2u);
	EXPECT_EQ(plan.streams()[0].events, 1);
	EXPECT_EQ(plan.streams()[0].first, 10);
	EXPECT_EQ(plan.streams()[1].events, 3);
	EXPECT_EQ(plan.streams()[1].first, 50);
	EXPECT_EQ(plan.streams()[1].last, 70);
}

TEST(Import, ARepeatIsNoEventOfItsStream) {
	Batch batch;
	Add(&batch, "a", 1, 10);
	Add(&batch, "a", 2, 20);
	Add(&batch, "a", 1, 10);
	EXPECT_EQ(Import(batch).streams()[0].events, 2);
}

TEST(Import, ARepeatHasTheSameTimeAndCreator) {
	Batch batch;
	Add(&batch, "a", 1, 10);
	Add(&batch, "a", 1, 11);
	const DomainError time = ExpectError("ZE002", [&] { Import(batch); });
	EXPECT_TRUE(Contains(time.detail(), "Element 2") && Contains(time.detail(), "element 1")) << time.detail();
	batch.imported[1] = {10, "somebody else"};
	ExpectError("ZE002", [&] { Import(batch); });
	batch.imported[1] = {10, "somebody"};
	EXPECT_FALSE(ErrorOf([&] { Import(batch); }));
}

TEST(Import, TimesDoNotDecreaseWithinAStream) {
	Batch batch;
	Add(&batch, "a", 1, 20);
	Add(&batch, "b", 2, 10);
	EXPECT_FALSE(ErrorOf([&] { Import(batch); }));
	Add(&batch, "a", 3, 19);
	const DomainError error = ExpectError("22023", [&] { Import(batch); });
	EXPECT_TRUE(Contains(error.message(), "\"a\"")) << error.message();
	EXPECT_TRUE(Contains(error.detail(), "Element 3")) << error.detail();
}

TEST(Import, NoTimeIsOfTheFuture) {
	Batch batch;
	Add(&batch, "a", 1, kNow);
	EXPECT_FALSE(ErrorOf([&] { Import(batch); }));
	Add(&batch, "b", 2, kNow + 1);
	EXPECT_TRUE(Contains(ExpectError("22023", [&] { Import(batch); }).detail(), "Element 2"));
}

TEST(Import, NoTimeIsBeforeTheYearOne) {
	Batch batch;
	Add(&batch, "a", 1, TimeIn(1, 1));
	EXPECT_EQ(Import(batch).months().front().Suffix(), "0001_01");
	batch.imported[0].created_at--;
	ExpectError("22023", [&] { Import(batch); });
	batch.imported[0].created_at = std::numeric_limits<std::int64_t>::min();
	ExpectError("22023", [&] { Import(batch); });
}

TEST(Import, MonthsAreNamedOnceInTheirOrder) {
	Batch batch;
	Add(&batch, "a", 1, TimeIn(1999, 12));
	Add(&batch, "b", 2, TimeIn(1998, 1));
	Add(&batch, "c", 3, TimeIn(1999, 12) + 5);
	Add(&batch, "d", 4, TimeIn(1999, 1));
	std::string months;
	const ImportPlan plan = Import(batch);
	for (const Month month : plan.months()) {
		months += month.Suffix() + " ";
	}
	EXPECT_EQ(months, "1998_01 1999_01 1999_12 ");
}

TEST(Import, ABatchHasSoManyMonthsAtMost) {
	Batch batch;
	for (int i = 0; i < static_cast<int>(ImportPlan::kMostMonths); i++) {
		Add(&batch, "a", static_cast<std::uint8_t>(i), TimeIn(1980, 1 + i));
	}
	EXPECT_FALSE(ErrorOf([&] { Import(batch); }));
	Add(&batch, "a", 200, TimeIn(1980, 1 + static_cast<int>(ImportPlan::kMostMonths)));
	EXPECT_TRUE(Contains(ExpectError("22023", [&] { Import(batch); }).detail(), "1980_01"));
}

TEST(Import, EventsAreWrittenMonthByMonthAsTheyWereGiven) {
	Batch batch;
	Add(&batch, "a", 1, TimeIn(1999, 2));
	Add(&batch, "b", 2, TimeIn(1999, 1));
	Add(&batch, "c", 3, TimeIn(1999, 2));
	Add(&batch, "d", 4, TimeIn(1999, 1));
	EXPECT_EQ(Import(batch).WriteOrder(batch.imported), (std::vector<std::uint32_t>{1, 3, 0, 2}));
	Batch one;
	Add(&one, "b", 1, 9);
	Add(&one, "a", 2, 5);
	EXPECT_EQ(Import(one).WriteOrder(one.imported), (std::vector<std::uint32_t>{0, 1}));
}

// The stream is at a version, and up to another its events were imported.
std::optional<DomainError>
ErrorOfStream(const Batch &batch, std::int64_t version, const ImportPlan::Found &found) {
	AppendPlan plan = PlanOf(batch);
	plan.streams()[0].version = version;
	plan.AssignVersions();
	return ErrorOf([&] { ImportPlan::CheckStreams(plan, batch.imported, {found}); });
}

TEST(Import, AStreamTakesImportsBeforeItsFirstOtherEvent) {
	Batch batch;
	Add(&batch, "a", 1, 10);
	EXPECT_FALSE(ErrorOfStream(batch, 0, {0, 0}));
	EXPECT_FALSE(ErrorOfStream(batch, 7, {7, 0}));
	const std::optional<DomainError> error = ErrorOfStream(batch, 9, {7, 0});
	ASSERT_TRUE(error);
	EXPECT_EQ(error->sqlstate(), "55000");
	EXPECT_TRUE(Contains(error->message(), "\"a\"") && Contains(error->detail(), "Version 8")) << error->detail();
}

TEST(Import, ANewEventIsNotOlderThanTheNewestOfItsStream) {
	Batch batch;
	Add(&batch, "a", 1, 10);
	EXPECT_FALSE(ErrorOfStream(batch, 7, {7, 10}));
	const std::optional<DomainError> error = ErrorOfStream(batch, 7, {7, 11});
	ASSERT_TRUE(error);
	EXPECT_EQ(error->sqlstate(), "22023");
	EXPECT_TRUE(Contains(error->detail(), "Element 1") && Contains(error->detail(), "version 7")) << error->detail();
}

TEST(Import, WhatIsStoredAlreadyIsNotLookedAt) {
	Batch batch;
	Add(&batch, "a", 1, 10);
	Add(&batch, "a", 2, 20);
	AppendPlan plan = PlanOf(batch);
	plan.MarkStored(0, 3);
	plan.streams()[0].version = 3;
	plan.AssignVersions();
	EXPECT_FALSE(ErrorOf([&] { ImportPlan::CheckStreams(plan, batch.imported, {{3, 15}}); }));
	plan.MarkStored(1, 4);
	plan.AssignVersions();
	EXPECT_FALSE(ErrorOf([&] { ImportPlan::CheckStreams(plan, batch.imported, {{0, 99}}); }));
}

} // namespace
} // namespace auren::test
