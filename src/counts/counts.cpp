#include "counts/counts.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "counts/count_file.hpp"
#include "server/settings.hpp"

namespace auren::pg {

namespace internal {

int64 counted[kCountPlaces];

} // namespace internal

namespace {

using internal::counted;

/*
 * What an open transaction or savepoint of some depth has counted for the time when it is committed. They are in the order of their depths. The
 * memory is the C library's and stays: a count must not raise an error.
 */
struct Level {
	int depth;
	CountedTenant tenant;
	int64 counts[static_cast<int>(Committed::kCount)];
};
Level *levels = nullptr;
int level_count = 0;
int level_room = 0;

// Whose work is counted now: the row, and the name for which it was found. A longer one has no row of its own.
CountedTenant current_tenant = kAllTenants;
char current_name[kLongestCountedTenant];
std::size_t current_length = 0;

// What the file did not take, of whatever tenants.
int64 left_over[kCountPlaces];
bool is_left_over = false;

CountedTenant
TenantNow() {
	return StatsByTenant() ? current_tenant : kAllTenants;
}

// The last of a depth and tenant, nullptr where there is none.
Level *
FindLevel(int depth, CountedTenant tenant) {
	for (int i = level_count; i > 0 && levels[i - 1].depth >= depth; i--) {
		if (levels[i - 1].depth == depth && levels[i - 1].tenant == tenant) {
			return &levels[i - 1];
		}
	}
	return nullptr;
}

// nullptr where there is no memory.
Level *
AddLevel(int depth, CountedTenant tenant) {
	if (level_count == level_room) {
		const int room = std::max(8, 2 * level_room);
		auto *more = static_cast<Level *>(std::realloc(levels, sizeof(Level) * static_cast<std::size_t>(room)));
		if (more == nullptr) {
			return nullptr;
		}
		levels = more;
		level_room = room;
	}
	Level *level = &levels[level_count++];
	*level = {depth, tenant, {}};
	return level;
}

void
AddTo(int64 *sums, const Level &level) {
	for (int i = 0; i < static_cast<int>(Committed::kCount); i++) {
		sums[i] += level.counts[i];
	}
}

bool
AnyOf(const int64 (&counts)[kCountPlaces]) {
	int64 all = 0;
	ForEachPlace([&](int place) { all |= counts[place]; });
	return all != 0;
}

// Brings counts to the file, and sets them to 0. What it does not take is kept for the next time.
void
Deliver(CountedTenant tenant, int64 (&counts)[kCountPlaces]) {
	if (!AnyOf(counts) || AddToFile(tenant, counts)) {
		return;
	}
	for (int i = 0; i < kCountPlaces; i++) {
		left_over[i] += counts[i];
		counts[i] = 0;
	}
	is_left_over = true;
}

void
DeliverCommitted() {
	for (int i = 0; i < level_count; i++) {
		if (levels[i].tenant == TenantNow()) {
			AddTo(counted, levels[i]);
		} else {
			int64 counts[kCountPlaces] = {};
			AddTo(counts, levels[i]);
			Deliver(levels[i].tenant, counts);
		}
	}
}

void
OnTransaction(XactEvent event, void *) {
	switch (event) {
	case XACT_EVENT_COMMIT:
	case XACT_EVENT_PARALLEL_COMMIT:
	case XACT_EVENT_PREPARE:
		DeliverCommitted();
		break;
	case XACT_EVENT_ABORT:
	case XACT_EVENT_PARALLEL_ABORT:
		break;
	default:
		return;
	}
	level_count = 0;
	if (is_left_over) {
		is_left_over = !AddToFile(kAllTenants, left_over);
	}
	Deliver(TenantNow(), counted);
}

void
OnSubtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
	if (level_count == 0 || (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)) {
		return;
	}
	const int depth = GetCurrentTransactionNestLevel();
	int begin = level_count;
	while (begin > 0 && levels[begin - 1].depth >= depth) {
		begin--;
	}
	const int end = level_count;
	level_count = begin;
	for (int i = begin; i < end && event == SUBXACT_EVENT_COMMIT_SUB; i++) {
		const Level own = levels[i];
		Level *parent = FindLevel(depth - 1, own.tenant);
		if (parent != nullptr) {
			AddTo(parent->counts, own);
		} else {
			levels[level_count] = own;
			levels[level_count++].depth = depth - 1;
		}
	}
}

} // namespace

void
CountWhenCommitted(Committed what, int64 times) {
	const int depth = GetCurrentTransactionNestLevel();
	const CountedTenant tenant = TenantNow();
	Level *level = FindLevel(depth, tenant);
	if (level == nullptr) {
		level = AddLevel(depth, tenant);
	}
	if (level != nullptr) {
		level->counts[PlaceOf(what)] += times;
	}
}

void
CountForTenant(std::string_view tenant) {
	if (!StatsByTenant() || (tenant == std::string_view(current_name, current_length) && IsStillCounted(current_tenant))) {
		return;
	}
	Deliver(current_tenant, counted);
	current_tenant = FindCountedTenant(tenant);
	current_length = std::min(tenant.size(), sizeof current_name);
	std::memcpy(current_name, tenant.data(), current_length);
}

void
CountForNobody() {
	if (StatsByTenant() && !(current_tenant == kAllTenants)) {
		Deliver(current_tenant, counted);
		current_tenant = kAllTenants;
	}
}

void
RegisterCounts(Server) {
	RegisterXactCallback(OnTransaction, nullptr);
	RegisterSubXactCallback(OnSubtransaction, nullptr);
}

} // namespace auren::pg
