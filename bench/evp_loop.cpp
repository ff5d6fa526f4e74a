// What the fields of encrypted.encrypt_phi_field cost without a server: the same EVP calls in a loop, with the key set before.
//
//   evp_loop VALUES BYTES ASSOCIATED    prints nanoseconds a value: encrypting, decrypting

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include <openssl/evp.h>

int
main(int argc, char **argv) {
	if (argc != 4) {
		return 2;
	}
	const int values = std::atoi(argv[1]);
	const int bytes = std::atoi(argv[2]);
	const int associated_bytes = std::atoi(argv[3]);
	unsigned char key[32] = {1};
	unsigned char nonce[12] = {};
	const std::vector<unsigned char> associated(static_cast<std::size_t>(associated_bytes), 'a');
	const std::vector<unsigned char> plain(static_cast<std::size_t>(bytes), 'p');
	const std::size_t room = plain.size() + 16;
	std::vector<unsigned char> sealed(room * static_cast<std::size_t>(values));
	std::vector<unsigned char> out(plain.size() + 16);
	EVP_CIPHER_CTX *seal = EVP_CIPHER_CTX_new();
	EVP_CIPHER_CTX *open = EVP_CIPHER_CTX_new();
	if (EVP_EncryptInit_ex(seal, EVP_aes_256_gcm(), nullptr, key, nullptr) != 1 ||
	    EVP_DecryptInit_ex(open, EVP_aes_256_gcm(), nullptr, key, nullptr) != 1) {
		return 1;
	}
	// of the CPU, so that others on the machine are not counted
	const auto now = [] {
		timespec time;
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
		return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
	};
	int n = 0;
	bool done = true;
	double encrypting = 0;
	double decrypting = 0;
	for (int round = 0; round < 2; round++) { // the second one counts
		double begin = now();
		for (int i = 0; i < values; i++) {
			std::memcpy(nonce, &i, sizeof i);
			unsigned char *to = &sealed[room * static_cast<std::size_t>(i)];
			done &= EVP_EncryptInit_ex(seal, nullptr, nullptr, nullptr, nonce) == 1;
			done &= EVP_EncryptUpdate(seal, nullptr, &n, associated.data(), associated_bytes) == 1;
			done &= EVP_EncryptUpdate(seal, to, &n, plain.data(), bytes) == 1;
			done &= EVP_EncryptFinal_ex(seal, to + n, &n) == 1;
			done &= EVP_CIPHER_CTX_ctrl(seal, EVP_CTRL_GCM_GET_TAG, 16, to + bytes) == 1;
		}
		encrypting = (now() - begin) / values;
		begin = now();
		for (int i = 0; i < values; i++) {
			std::memcpy(nonce, &i, sizeof i);
			unsigned char *from = &sealed[room * static_cast<std::size_t>(i)];
			done &= EVP_DecryptInit_ex(open, nullptr, nullptr, nullptr, nonce) == 1;
			done &= EVP_DecryptUpdate(open, nullptr, &n, associated.data(), associated_bytes) == 1;
			done &= EVP_DecryptUpdate(open, out.data(), &n, from, bytes) == 1;
			done &= EVP_CIPHER_CTX_ctrl(open, EVP_CTRL_GCM_SET_TAG, 16, from + bytes) == 1;
			done &= EVP_DecryptFinal_ex(open, out.data() + n, &n) == 1;
		}
		decrypting = (now() - begin) / values;
	}
	std::printf("%.1f %.1f\n", encrypting, decrypting);
	EVP_CIPHER_CTX_free(seal);
	EVP_CIPHER_CTX_free(open);
	return done ? 0 : 1;
}
