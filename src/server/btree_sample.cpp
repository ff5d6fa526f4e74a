#include "server/btree_sample.hpp"

#include <cstring>

#include "server/compat.hpp"

namespace auren::pg {

namespace {

// Leaves that are looked at to learn how many entries a leaf has.
constexpr int kLeavesToCount = 32;

// Pages of one level, as they were. Those that do not belong to it any more are left out.
struct Level {
	uint32 number; // 0: leaves
	Page *pages;
	int count;
};

BTPageOpaque
OpaqueOf(Page page) {
	return BTPageGetOpaque(page);
}

int
EntriesOf(Page page) {
	return static_cast<int>(PageGetMaxOffsetNumber(page)) - static_cast<int>(P_FIRSTDATAKEY(OpaqueOf(page))) + 1;
}

IndexTuple
EntryAt(Page page, OffsetNumber offset) {
	return reinterpret_cast<IndexTuple>(PageGetItem(page, PageGetItemId(page, offset)));
}

Page
CopyOf(Server, Relation index, Buffer buffer) {
	auto *copy = static_cast<char *>(palloc(BLCKSZ));
	std::memcpy(copy, BufferGetPage(buffer), BLCKSZ);
	_bt_relbuf(index, buffer);
	return copy;
}

// A page that a parent names, or nullptr where it was given up or used for something else since.
Page
ReadPage(Server server, Relation index, BlockNumber block, uint32 level) {
	const Buffer buffer = ReadBuffer(index, block);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	Page page = BufferGetPage(buffer);
	if (PageIsNew(page) || PageGetSpecialSize(page) != MAXALIGN(sizeof(BTPageOpaqueData)) || P_IGNORE(OpaqueOf(page)) ||
	    OpaqueOf(page)->btpo_level != level) {
		UnlockReleaseBuffer(buffer);
		return nullptr;
	}
	return CopyOf(server, index, buffer);
}

int
EntriesOf(const Level &level) {
	int entries = 0;
	for (int i = 0; i < level.count; i++) {
		entries += EntriesOf(level.pages[i]);
	}
	return entries;
}

Level
LevelBelow(Server server, Relation index, const Level &above, int children) {
	Level below = {above.number - 1, static_cast<Page *>(palloc(sizeof(Page) * static_cast<Size>(children))), 0};
	for (int i = 0; i < above.count; i++) {
		Page page = above.pages[i];
		for (OffsetNumber offset = P_FIRSTDATAKEY(OpaqueOf(page)); offset <= PageGetMaxOffsetNumber(page); offset = OffsetNumberNext(offset)) {
			CHECK_FOR_INTERRUPTS();
			Page child = ReadPage(server, index, BTreeTupleGetDownLink(EntryAt(page, offset)), below.number);
			if (child != nullptr) {
				below.pages[below.count++] = child;
			}
		}
	}
	return below;
}

// How many entries the leaf has to which the first entry of each page leads, from an entry on.
int
CountLeaf(Server server, Relation index, IndexTuple entry, uint32 level) {
	for (;;) {
		Page page = ReadPage(server, index, BTreeTupleGetDownLink(entry), --level);
		if (page == nullptr || level == 0) {
			return page == nullptr ? 0 : EntriesOf(page);
		}
		if (EntriesOf(page) < 1) {
			return 0;
		}
		entry = EntryAt(page, P_FIRSTDATAKEY(OpaqueOf(page)));
	}
}

// About how many entries the index has, by some of its leaves.
double
Estimate(Server server, Relation index, const Level &level, int entries) {
	int looked = 0;
	int64 counted = 0;
	for (int i = 0; i < level.count; i++) {
		Page page = level.pages[i];
		const int every = Max(1, entries / kLeavesToCount);
		for (int k = every / 2; k < EntriesOf(page) && looked < 2 * kLeavesToCount; k += every) {
			const int found = CountLeaf(server, index, EntryAt(page, static_cast<OffsetNumber>(P_FIRSTDATAKEY(OpaqueOf(page)) + k)), level.number);
			counted += found;
			looked += found > 0 ? 1 : 0;
		}
	}
	// every page that is no leaf has some hundred entries: they do not count here
	const double leaves = level.number == 1 ? entries : static_cast<double>(RelationGetNumberOfBlocks(index));
	return looked == 0 ? 0 : leaves * static_cast<double>(counted) / looked;
}

/*
 * The parts of a level. The first entry of a page above the leaves has no key: that of the page begins where the page before ends.
 */
void
PutParts(Relation index, const Level &level, BtreeSample *sample) {
	for (int i = 0; i < level.count; i++) {
		Page page = level.pages[i];
		const OffsetNumber first = P_FIRSTDATAKEY(OpaqueOf(page));
		for (OffsetNumber offset = first; offset <= PageGetMaxOffsetNumber(page); offset = OffsetNumberNext(offset)) {
			IndexTuple from = EntryAt(page, offset);
			if (level.number > 0 && offset == first) {
				from = i > 0 && !P_RIGHTMOST(OpaqueOf(level.pages[i - 1])) ? EntryAt(level.pages[i - 1], P_HIKEY) : nullptr;
			}
			const int columns = from == nullptr ? 0 : static_cast<int>(BTreeTupleGetNAtts(from, index));
			sample->parts[sample->count++] = {from, columns, level.number == 0};
		}
	}
}

} // namespace

BtreeSample
SampleBtree(Server server, Relation index, int most_pages) {
	BtreeSample sample = {nullptr, 0, 0};
	const Buffer root = compat::BtreeRoot(index);
	if (!BufferIsValid(root)) {
		return sample;
	}
	Level level = {OpaqueOf(BufferGetPage(root))->btpo_level, static_cast<Page *>(palloc(sizeof(Page))), 1};
	level.pages[0] = CopyOf(server, index, root);
	int entries = EntriesOf(level);
	while (level.number > 0 && entries <= most_pages) {
		level = LevelBelow(server, index, level, entries);
		entries = EntriesOf(level);
	}
	sample.parts = static_cast<BtreeSample::Part *>(palloc(sizeof(BtreeSample::Part) * static_cast<Size>(Max(entries, 1))));
	sample.entries = level.number == 0 ? entries : Estimate(server, index, level, entries);
	PutParts(index, level, &sample);
	return sample;
}

} // namespace auren::pg
