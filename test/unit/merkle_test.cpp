#include "core/seals/merkle.hpp"

#include <gtest/gtest.h>

using namespace auren;

namespace {

std::vector<Digest>
Leaves(std::size_t count) {
	Hasher hasher;
	std::vector<Digest> leaves;
	for (std::size_t i = 0; i < count; i++) {
		leaves.push_back(hasher.Leaf(std::to_string(i)));
	}
	return leaves;
}

} // namespace

// The inputs and roots by which Certificate Transparency's logs are tested.
TEST(Merkle, RootsAreThoseOfTheLogs) {
	const std::vector<std::string> inputs = {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"};
	const char *roots[] = {
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
	Hasher hasher;
	MerkleTree tree(&hasher);
	std::vector<Digest> leaves;
	for (std::size_t count = 0; count <= inputs.size(); count++) {
		EXPECT_EQ(Hex(BytesOf(tree.Root())), roots[count]) << count;
		EXPECT_EQ(RootOf(&hasher, leaves.data(), leaves.size()), tree.Root()) << count;
		EXPECT_EQ(tree.size(), count);
		if (count < inputs.size()) {
			leaves.push_back(hasher.Leaf(FromHex(inputs[count])));
			tree.Add(leaves.back());
		}
	}
}

TEST(Merkle, EachPathLeadsToTheRootAndNoOther) {
	Hasher hasher;
	for (std::size_t count = 1; count <= 33; count++) {
		const std::vector<Digest> leaves = Leaves(count);
		const Digest root = RootOf(&hasher, leaves.data(), count);
		for (std::size_t index = 0; index < count; index++) {
			std::vector<Digest> path = PathOf(&hasher, leaves.data(), count, index);
			EXPECT_EQ(RootFromPath(&hasher, leaves[index], index, count, path), root) << index << " of " << count;
			for (std::size_t other = 0; other < count; other++) {
				EXPECT_EQ(other == index, RootFromPath(&hasher, leaves[index], other, count, path) == root) << index << " as " << other;
			}
			path.push_back(root);
			EXPECT_FALSE(RootFromPath(&hasher, leaves[index], index, count, path));
			path.resize(path.size() - 2 + (path.size() == 1));
			if (count > 1) {
				EXPECT_FALSE(RootFromPath(&hasher, leaves[index], index, count, path));
			}
		}
		EXPECT_FALSE(RootFromPath(&hasher, leaves[0], count, count, {}));
	}
}

TEST(Merkle, PacksMakeTheSameTree) {
	Hasher hasher;
	for (const std::size_t count : {1U, 255U, 256U, 257U, 511U, 512U, 513U, 1025U, 2000U}) {
		const std::vector<Digest> leaves = Leaves(count);
		std::vector<Digest> packs;
		for (std::size_t at = 0; at < count; at += kPackLeaves) {
			packs.push_back(RootOf(&hasher, leaves.data() + at, std::min(kPackLeaves, count - at)));
		}
		EXPECT_EQ(RootOf(&hasher, packs.data(), packs.size()), RootOf(&hasher, leaves.data(), count)) << count;
		for (const std::size_t index : {std::size_t{0}, count / 2, count - 1}) {
			const std::size_t pack = index / kPackLeaves;
			const std::size_t begin = pack * kPackLeaves;
			std::vector<Digest> path = PathOf(&hasher, leaves.data() + begin, std::min(kPackLeaves, count - begin), index - begin);
			for (const Digest &digest : PathOf(&hasher, packs.data(), packs.size(), pack)) {
				path.push_back(digest);
			}
			EXPECT_EQ(path, PathOf(&hasher, leaves.data(), count, index)) << index << " of " << count;
		}
	}
}
