#include "core/encrypted/aes_gcm.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/encrypted/secret.hpp"

using namespace auren;

namespace {

std::string
Bytes(const std::string &hex) {
	std::string bytes;
	for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
		bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
	}
	return bytes;
}

const std::uint8_t *
Unsigned(const std::string &bytes) {
	return reinterpret_cast<const std::uint8_t *>(bytes.data());
}

struct Vector {
	const char *key;
	const char *nonce;
	const char *plain; // nullptr: NIST says FAIL
	const char *associated;
	const char *cipher;
	const char *tag;
};

// The cases for a key of 256 bits and a nonce of 96 of the specification that was submitted to NIST (McGrew and Viega, cases 13 to 16),
// and of NIST's gcmDecrypt256.rsp, lengths in bits: (plain, associated) = (0, 0), (0, 128), (128, 0), (408, 160), (408, 720), (104, 0).
const Vector kVectors[] = {
	{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
	{"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "00000000000000000000000000000000", "",
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255", "",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
	{"f5a2b27c74355872eb3ef6c5feafaa740e6ae990d9d48c3bd9bb8235e589f010", "58d2240f580a31c1d24948e9", "", "", "", "15e051a5e4a5f5da6cea92e2ebee5bac"},
	{"e5a8123f2e2e007d4e379ba114a2fb66e6613f57c72d4e4f024964053028a831", "51e43385bf533e168427e1ad", nullptr, "", "",
     "38fe845c66e66bdd884c2aecafd280e6"},
	{"6dfdafd6703c285c01f14fd10a6012862b2af950d4733abb403b2e745b26945d", "3749d0b3d5bacb71be06ade6", "", "c0d249871992e70302ae008193d1e89f", "",
     "4aa4cc69f84ee6ac16d9bfb4e05de500"},
	{"2c392a5eb1a9c705371beda3a901c7c61dca4d93b4291de1dd0dd15ec11ffc45", "0723fb84a08f4ea09841f32a", nullptr, "140be561b6171eab942c486a94d33d43", "",
     "aa0e1c9b57975bfc91aa137231977d2c"},
	{"4c8ebfe1444ec1b2d503c6986659af2c94fafe945f72c1e8486a5acfedb8a0f8", "473360e0ad24889959858995", "7789b41cb3ee548814ca0b388c10b343", "",
     "d2c78110ac7e8f107c0df0570bd7c90c", "c26a379b6d98ef2852ead8ce83a833a7"},
	{"3934f363fd9f771352c4c7a060682ed03c2864223a1573b3af997e2ababd60ab", "efe2656d878c586e41c539c4", "697aff2d6b77e5ed6232770e400c1ead", "",
     "e0de64302ac2d04048d65a87d2ad09fe", "33cbd8d2fb8a3a03e30c1eb1b53c1d99"},
	{"c997768e2d14e3d38259667a6649079de77beb4543589771e5068e6cd7cd0b14", "835090aed9552dbdd45277e2", nullptr, "", "9f6607d68e22ccf21928db0986be126e",
     "f32617f67c574fd9f44ef76ff880ab9f"},
	{"e9d381a9c413bee66175d5586a189836e5c20f5583535ab4d3f3e612dc21700e", "23e81571da1c7821c681c7ca", nullptr,
     "6f39c9ae7b8e8a58a95f0dd8ea6a9087cbccdfd6",
     "a25f3f580306cd5065d22a6b7e9660110af7204bb77d370f7f34bee547feeff7b32a596fce29c9040e68b1589aad48da881990", "5b6dcd70eefb0892fab1539298b92a4b"},
	{"6450d4501b1e6cfbe172c4c8570363e96b496591b842661c28c2f6c908379cad", "7e4262035e0bf3d60e91668a",
     "17449e236ef5858f6d891412495ead4607bfae2a2d735182a2a0242f9d52fc5345ef912dbe16f3bb4576fe3bcafe336dee6085",
     "f1c522f026e4c5d43851da516a1b78768ab18171",
     "5a99b336fd3cfd82f10fb08f7045012415f0d9a06bb92dcf59c6f0dbe62d433671aacb8a1c52ce7bbf6aea372bf51e2ba79406", "fe93b01636f7bb0458041f213e98de65"},
	{"5f72046245d3f4a0877e50a86554bfd57d1c5e073d1ed3b5451f6d0fc2a8507a", "ea6f5b391e44b751b26bce6f",
     "b0a881b751cc1eb0c912a4cf9bd971983707dbd2411725664503455c55db25cdb19bc669c2654a3a8011de6bf7eff3f9f07834",
     "9b3a68c941d42744673fb60fea49075eae77322e7e70e34502c115b6495ebfc796d6290807653c6b53cd84281bd0311656d0013f44619d2748177e99e8f8347c989a7b59f9d8dcf"
     "00f"
     "31db0684a4a83e037e8777bae55f799b0d",
     "0e6e0b2114c40769c15958d965a14dcf50b680e0185a4409d77d894ca15b1e698dd83b3536b18c05d8cd0873d1edce8150ecb5", "fdaaff86ceb937502cd9012d03585800"},
	{"a71dac1377a3bf5d7fb1b5e36bee70d2e01de2a84a1c1009ba7448f7f26131dc", "c5b60dda3f333b1146e9da7c", "5b87141335f2becac1a559e05f", "",
     "43af49ec1ae3738a20755034d6", "6f80b6ef2d8830a55eb63680a8dff9e0"},
	{"8b37c4b8cf634704920059866ad96c49e9da502c63fca4a3a7a4dcec74cb0610", "cb59344d2b06c4ae57cd0ea4", nullptr, "", "66ab935c93555e786b775637a3",
     "d8733acbb564d8afaa99d7ca2e2f92a9"},
};

} // namespace

// One cipher for all, as a session uses it: nothing of a key or a nonce stays.
TEST(AesGcm, AnswersOfNist) {
	AesGcm seal(AesGcm::Direction::kSeal);
	AesGcm open(AesGcm::Direction::kOpen);
	for (int round = 0; round < 2; round++) {
		for (const Vector &vector : kVectors) {
			SCOPED_TRACE(vector.tag);
			const std::string key = Bytes(vector.key);
			const std::string nonce = Bytes(vector.nonce);
			const std::string associated = Bytes(vector.associated);
			const std::string sealed = Bytes(std::string(vector.cipher) + vector.tag);
			std::string out(sealed.size(), '\0');
			open.SetKey(Unsigned(key));
			const bool opens = open.Open(Unsigned(nonce), associated, sealed, reinterpret_cast<std::uint8_t *>(&out[0]));
			out.resize(sealed.size() - AesGcm::kTagBytes);
			if (vector.plain == nullptr) {
				EXPECT_FALSE(opens);
				EXPECT_EQ(out, std::string(out.size(), '\0'));
				continue;
			}
			EXPECT_TRUE(opens);
			EXPECT_EQ(out, Bytes(vector.plain));
			seal.SetKey(Unsigned(key));
			out.resize(sealed.size());
			seal.Seal(Unsigned(nonce), associated, Bytes(vector.plain), reinterpret_cast<std::uint8_t *>(&out[0]));
			EXPECT_EQ(out, sealed);
			if (round == 1) {
				seal.Forget();
				EXPECT_FALSE(seal.has_key());
			}
		}
	}
}

TEST(AesGcm, EveryChangedBitIsRefused) {
	const std::string key(32, 'k');
	std::string nonce(12, 'n');
	std::string associated = "who";
	AesGcm seal(AesGcm::Direction::kSeal);
	AesGcm open(AesGcm::Direction::kOpen);
	seal.SetKey(Unsigned(key));
	open.SetKey(Unsigned(key));
	std::string sealed(5 + AesGcm::kTagBytes, '\0');
	seal.Seal(Unsigned(nonce), associated, "plain", reinterpret_cast<std::uint8_t *>(&sealed[0]));
	std::uint8_t out[5];
	ASSERT_TRUE(open.Open(Unsigned(nonce), associated, sealed, out));
	for (std::string *text : {&nonce, &associated, &sealed}) {
		for (std::size_t bit = 0; bit < text->size() * 8; bit++) {
			(*text)[bit / 8] = static_cast<char>((*text)[bit / 8] ^ 1 << bit % 8);
			EXPECT_FALSE(open.Open(Unsigned(nonce), associated, sealed, out)) << bit;
			(*text)[bit / 8] = static_cast<char>((*text)[bit / 8] ^ 1 << bit % 8);
		}
	}
	EXPECT_FALSE(open.Open(Unsigned(nonce), associated, "short", out));
	EXPECT_TRUE(open.Open(Unsigned(nonce), associated, sealed, out));
}

TEST(Secret, IsWipedWhenGivenBack) {
	const std::uint8_t *where;
	{
		Secret secret(32);
		where = secret.data();
		for (std::size_t i = 0; i < 32; i++) {
			secret.data()[i] = 0xAB;
		}
	}
	// its slot is still mapped; the first bytes hold the list of free ones
	for (std::size_t i = sizeof(void *); i < 32; i++) {
		EXPECT_EQ(where[i], 0);
	}
	std::vector<Secret> many;
	for (int i = 0; i < 5000; i++) {
		many.emplace_back(i % 2 == 0 ? 32U : 5000U);
		many.back().data()[many.back().size() - 1] = 1;
	}
	Secret moved = std::move(many[7]);
	EXPECT_EQ(moved.size(), 5000U);
	EXPECT_EQ(many[7].size(), 0U);
}
