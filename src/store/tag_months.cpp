#include "store/tag_months.hpp"

#include "core/freshness.hpp"
#include "server/relation_changes.hpp"
#include "store/relations.hpp"

namespace auren::pg {

namespace {

struct TagMonth {
	int32 start_days;
	Oid relid;
};

// The partitions in the order of their months.
struct TagMonths {
	MemoryContext context;
	TagMonth *items;
	int count;
	Freshness freshness;
};
TagMonths tag_months;

// Relcache callback: counts only, nothing that can fail.
void
ForgetTagMonths(Oid relid) {
	if (own::event_tags.MayBe(relid)) {
		tag_months.freshness.Forget();
	}
}

void
LoadTagMonths(Server server) {
	Relation parent = table_open(own::event_tags.Get(server), AccessShareLock);
	PartitionDesc descriptor = RelationGetPartitionDesc(parent, true);
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext, "auren_events tag months", ALLOCSET_SMALL_SIZES);
	auto *items = static_cast<TagMonth *>(MemoryContextAlloc(context, sizeof(TagMonth) * static_cast<Size>(descriptor->nparts + 1)));
	int count = 0;
	if (descriptor->nparts > 0 && descriptor->boundinfo->strategy == PARTITION_STRATEGY_LIST) {
		PartitionBoundInfo bounds = descriptor->boundinfo;
		for (int i = 0; i < bounds->ndatums && count < descriptor->nparts; i++) {
			items[count++] = {DatumGetDateADT(bounds->datums[i][0]), descriptor->oids[bounds->indexes[i]]};
		}
	}
	table_close(parent, NoLock);
	if (tag_months.context != nullptr) {
		MemoryContextDelete(tag_months.context);
	}
	tag_months.context = context;
	tag_months.items = items;
	tag_months.count = count;
}

} // namespace

bool
HasTagIndex(Server) {
	const Oid schema = get_namespace_oid("auren", true);
	return OidIsValid(schema) && OidIsValid(get_relname_relid("event_tags", schema));
}

Oid
FindTagMonth(Server server, Month month) {
	// A second look after the news, as FindPartition has it.
	for (int look = 0; look < 2; look++) {
		if (look > 0) {
			AcceptInvalidationMessages();
		}
		tag_months.freshness.Refresh([server] { LoadTagMonths(server); });
		int low = 0;
		int high = tag_months.count;
		while (low < high) {
			const int middle = (low + high) / 2;
			if (tag_months.items[middle].start_days < month.StartDays()) {
				low = middle + 1;
			} else {
				high = middle;
			}
		}
		if (low < tag_months.count && tag_months.items[low].start_days == month.StartDays()) {
			return tag_months.items[low].relid;
		}
	}
	return InvalidOid;
}

void
RegisterTagMonths(Server server) {
	OnRelationChange(server, ForgetTagMonths);
}

} // namespace auren::pg
