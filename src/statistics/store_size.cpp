#include "statistics/store_size.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "core/store/names.hpp"
#include "server/btree_sample.hpp"
#include "server/guard.hpp"
#include "server/text.hpp"
#include "store/partitions.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

// Pages of indexes that are read of all months together, and of one month at least and at most.
constexpr int kMostPages = 2400;
constexpr int kLeastPagesOfMonth = 8;
constexpr int kMostPagesOfMonth = 64;
constexpr int kMostMonths = 4096;

struct MonthSize {
	Oid relid;
	int64 lower;
	double events; // negative: not known
	int64 bytes;
	BtreeSample sample;
	TupleDesc key; // of the sample
};

int
ListPartitions(Server server, MonthSize *months) {
	Relation events = table_open(own::events.Get(server), AccessShareLock);
	int count = 0;
	int64 lower = PG_INT64_MIN;
	while (count < kMostMonths) {
		CHECK_FOR_INTERRUPTS();
		const PartitionRange range = FirstPartition(server, events, lower, PG_INT64_MAX, ForwardScanDirection);
		if (!OidIsValid(range.relid)) {
			break;
		}
		lower = range.upper;
		if (range.lower != PG_INT64_MIN) {
			months[count++] = {range.relid, range.lower, -1, 0, {nullptr, 0, 0}, nullptr};
		}
	}
	table_close(events, NoLock);
	return count;
}

// As the last vacuum or analyze saw them, and as many more as the table has grown.
double
EventsByCatalog(Server, Relation heap) {
	const FormData_pg_class *form = heap->rd_rel;
	const BlockNumber blocks = RelationGetNumberOfBlocks(heap);
	if (blocks == 0) {
		return 0;
	}
	return form->reltuples < 0 || form->relpages <= 0 ? -1 : static_cast<double>(form->reltuples) / form->relpages * blocks;
}

// The locks are given back at once: the months may be many.
void
ReadMonth(Server server, MonthSize *month, int most_pages) {
	Relation heap = try_table_open(month->relid, AccessShareLock);
	if (heap == nullptr) {
		return; // dropped meanwhile
	}
	if (heap->rd_rel->relkind == RELKIND_RELATION) {
		month->events = EventsByCatalog(server, heap);
		month->bytes = DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(month->relid)));
	}
	const Oid stream_index = ShapeOf(server, heap)->stream_index;
	if (OidIsValid(stream_index)) {
		Relation index = index_open(stream_index, AccessShareLock);
		month->sample = SampleBtree(server, index, most_pages);
		month->key = CreateTupleDescCopy(RelationGetDescr(index));
		index_close(index, AccessShareLock);
		if (month->events < 0) {
			month->events = month->sample.entries;
		}
	}
	table_close(heap, AccessShareLock);
}

// Whose a key is, as far as its columns are there. The bytes are those of the sample.
struct Owner {
	bool has_tenant = false;
	bool has_category = false;
	std::string_view tenant;
	std::string_view category;
	double width = 0; // of an entry like it, in bytes; 0: not known
};

Owner
OwnerOf(TupleDesc key, const BtreeSample::Part &part) {
	constexpr int kOtherBytes = 28; // of an entry beside its texts: header, version, line pointer, alignment
	Owner owner;
	bool isnull = true;
	Datum text = part.columns > 0 ? index_getattr(part.from, 1, key, &isnull) : 0;
	if (isnull || !IsPlainText(text)) {
		return owner;
	}
	owner.tenant = TextBytes(text);
	owner.has_tenant = true;
	isnull = true;
	text = part.columns > 1 ? index_getattr(part.from, 2, key, &isnull) : 0;
	if (isnull || !IsPlainText(text)) {
		return owner;
	}
	const std::string_view stream = TextBytes(text);
	owner.category = Category(stream);
	owner.has_category = true;
	owner.width = static_cast<double>(owner.tenant.size() + stream.size() + kOtherBytes);
	return owner;
}

// The shares of a month, which come to 1 in all.
class Shares {
  public:
	explicit Shares(const MonthSize &month) {
		const BtreeSample &sample = month.sample;
		Owner from = sample.count > 0 ? OwnerOf(month.key, sample.parts[0]) : Owner();
		for (int i = 0; i < sample.count; i++) {
			const Owner next = i + 1 < sample.count ? OwnerOf(month.key, sample.parts[i + 1]) : from;
			if (sample.parts[i].counted) {
				Add(from, 1);
			} else {
				// a part lies between two keys: half of it is taken for each one's; the wider they are, the fewer fit
				const double weight = 0.5 / (from.width > 0 ? from.width : next.width > 0 ? next.width : kUsualWidth);
				const Owner &begin = Begin(from, next);
				Add(begin, weight);
				Add(next.has_category ? next : begin, weight);
			}
			from = next;
		}
	}

	template <typename F>
	void
	ForEach(F &&call) const {
		for (const auto &[whose, weight] : weights_) {
			call(whose, weight / sum_);
		}
	}
	bool
	empty() const {
		return weights_.empty();
	}

  private:
	using Key = std::pair<std::string, std::string>;
	static constexpr double kUsualWidth = 50;

	// Whose the beginning of a part is. A key without a category stands before all of its tenant, and where a part ends with one, nothing of that
	// tenant is in it.
	static const Owner &
	Begin(const Owner &from, const Owner &next) {
		const bool next_is_as_good = next.has_category && (!from.has_tenant || next.tenant == from.tenant);
		return !from.has_category && next_is_as_good ? next : from;
	}

	void
	Add(const Owner &owner, double weight) {
		if (last_ == nullptr || last_->first.first != owner.tenant || last_->first.second != owner.category) {
			last_ = &*weights_.try_emplace(Key(owner.tenant, owner.category), 0).first;
		}
		last_->second += weight;
		sum_ += weight;
	}

	std::map<Key, double> weights_;
	std::pair<const Key, double> *last_ = nullptr;
	double sum_ = 0;
};

void
PutShares(const MonthSize &month, std::vector<StoreShare> *shares) {
	const Month start = Month::FromMicros(month.lower);
	const auto bytes = static_cast<double>(month.bytes);
	const Shares found(month);
	if (found.empty()) {
		shares->push_back({start, false, {}, {}, month.events, bytes});
		return;
	}
	found.ForEach([&](const std::pair<std::string, std::string> &whose, double share) {
		shares->push_back({start, true, whose.first, whose.second, month.events * share, bytes * share});
	});
}

} // namespace

std::vector<StoreShare>
SharesOfStore() {
	std::vector<StoreShare> shares;
	MonthSize *months = Call([](Server) { return static_cast<MonthSize *>(palloc(sizeof(MonthSize) * kMostMonths)); });
	const int count = Call([&](Server server) { return ListPartitions(server, months); });
	const int most_pages = std::clamp(kMostPages / std::max(count, 1), kLeastPagesOfMonth, kMostPagesOfMonth);
	MemoryContext context = Call([] { return AllocSetContextCreate(CurrentMemoryContext, "auren_events month", ALLOCSET_DEFAULT_SIZES); });
	for (int i = 0; i < count; i++) {
		MemoryContext before = MemoryContextSwitchTo(context);
		Call([&](Server server) { ReadMonth(server, &months[i], most_pages); });
		MemoryContextSwitchTo(before);
		PutShares(months[i], &shares);
		Call([&] { MemoryContextReset(context); });
	}
	return shares;
}

} // namespace auren::pg
