#include "core/seals/merkle.hpp"

#include "core/no_postgres.hpp"

namespace auren {

namespace {

// The largest power of two that is less than the count, which is two or more.
std::size_t
SplitOf(std::size_t count) {
	std::size_t split = 1;
	while (2 * split < count) {
		split *= 2;
	}
	return split;
}

void
AppendPath(Hasher *hasher, const Digest *leaves, std::size_t count, std::size_t index, std::vector<Digest> *path) {
	if (count <= 1) {
		return;
	}
	const std::size_t split = SplitOf(count);
	if (index < split) {
		AppendPath(hasher, leaves, split, index, path);
		path->push_back(RootOf(hasher, leaves + split, count - split));
	} else {
		AppendPath(hasher, leaves + split, count - split, index - split, path);
		path->push_back(RootOf(hasher, leaves, split));
	}
}

} // namespace

void
MerkleTree::Add(const Digest &leaf) {
	Digest digest = leaf;
	// each one at the end of the number's binary form is a full subtree as large as the one that is being closed
	for (std::uint64_t full = size_; (full & 1) != 0; full >>= 1) {
		digest = hasher_->Node(peaks_.back(), digest);
		peaks_.pop_back();
	}
	peaks_.push_back(digest);
	size_++;
}

Digest
MerkleTree::Root() const {
	if (peaks_.empty()) {
		return hasher_->Plain({});
	}
	Digest root = peaks_.back();
	for (std::size_t i = peaks_.size() - 1; i > 0; i--) {
		root = hasher_->Node(peaks_[i - 1], root);
	}
	return root;
}

Digest
RootOf(Hasher *hasher, const Digest *leaves, std::size_t count) {
	MerkleTree tree(hasher);
	for (std::size_t i = 0; i < count; i++) {
		tree.Add(leaves[i]);
	}
	return tree.Root();
}

std::vector<Digest>
PathOf(Hasher *hasher, const Digest *leaves, std::size_t count, std::size_t index) {
	std::vector<Digest> path;
	if (index < count) {
		AppendPath(hasher, leaves, count, index, &path);
	}
	return path;
}

std::optional<Digest>
RootFromPath(Hasher *hasher, Digest leaf, std::uint64_t index, std::uint64_t count, const std::vector<Digest> &path) {
	if (index >= count) {
		return std::nullopt;
	}
	std::uint64_t node = index;
	std::uint64_t last = count - 1;
	for (const Digest &other : path) {
		if (last == 0) {
			return std::nullopt;
		}
		if ((node & 1) != 0 || node == last) {
			leaf = hasher->Node(other, leaf);
			while ((node & 1) == 0 && node != 0) {
				node >>= 1;
				last >>= 1;
			}
		} else {
			leaf = hasher->Node(leaf, other);
		}
		node >>= 1;
		last >>= 1;
	}
	if (last != 0) {
		return std::nullopt;
	}
	return leaf;
}

} // namespace auren
