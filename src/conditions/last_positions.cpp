#include "conditions/last_positions.hpp"

#include "server/btree.hpp"
#include "server/relation_changes.hpp"

namespace auren::pg {

namespace {

struct KnownMonth {
	Oid month; // hash key
	Oid index;
	LastLeaf leaf;
};

HTAB *known_months = nullptr;

// Relcache callback: forgets only, nothing that can fail.
void
ForgetMonth(Oid relid) {
	if (known_months == nullptr) {
		return;
	}
	HASH_SEQ_STATUS status;
	hash_seq_init(&status, known_months);
	while (auto *known = static_cast<KnownMonth *>(hash_seq_search(&status))) {
		if (relid == InvalidOid || relid == known->month || relid == known->index) {
			known->leaf.buffer = InvalidBuffer;
		}
	}
}

HTAB *
KnownMonths(Server) {
	if (known_months == nullptr) {
		HASHCTL control = {};
		control.keysize = sizeof(Oid);
		control.entrysize = sizeof(KnownMonth);
		control.hcxt = CacheMemoryContext;
		known_months = hash_create("auren_events last positions", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	return known_months;
}

bool
Ends(Lookup newest, int64 last, int64 position) {
	return newest == Lookup::kAbsent || (newest == Lookup::kOne && last <= position);
}

} // namespace

void
BeginAskingMonths(Server) {
	AcceptInvalidationMessages();
}

MonthEnd
KnownEnd(Server server, Oid month, int64 position) {
	const auto *known = static_cast<const KnownMonth *>(hash_search(KnownMonths(server), &month, HASH_FIND, nullptr));
	if (known == nullptr) {
		return MonthEnd::kUnknown;
	}
	int64 last = 0;
	const Lookup newest = ReadLastLeaf(server, known->leaf, &last);
	if (newest == Lookup::kAsk) {
		return MonthEnd::kUnknown;
	}
	return Ends(newest, last, position) ? MonthEnd::kNotAfter : MonthEnd::kAfter;
}

bool
EndsBefore(Server server, Oid month, Relation position_index, int64 position) {
	bool found;
	auto *known = static_cast<KnownMonth *>(hash_search(KnownMonths(server), &month, HASH_ENTER, &found));
	known->index = RelationGetRelid(position_index);
	int64 last = 0;
	const Lookup newest = FindLastLeaf(server, position_index, &known->leaf, &last);
	return Ends(newest, last, position);
}

void
RegisterLastPositions(Server server) {
	OnRelationChange(server, ForgetMonth);
}

} // namespace auren::pg
