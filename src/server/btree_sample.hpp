#pragma once

#include "server/guard.hpp"
#include "server/postgres.hpp"

namespace auren::pg {

/*
 * What a b-tree says of the distribution of its keys, without reading all of it: a small one is read as a whole; of a large one the pages above the
 * leaves, of which each entry stands for about as many keys as the next. In the order of the index.
 */
struct BtreeSample {
	struct Part {
		IndexTuple from; // the key at which it begins; nullptr: not known
		int columns;     // that it has: they may be cut off from the right
		bool counted;    // one entry, and not some that nobody counted
	};
	Part *parts;
	int count;
	double entries; // how many entries the index has: counted, or about
};

/*
 * Takes a sample in the current memory context. It reads most_pages pages and some more, and takes no lock beyond the pages'. While others write to
 * the index it may miss what they split.
 */
BtreeSample SampleBtree(Server server, Relation index, int most_pages);

} // namespace auren::pg
