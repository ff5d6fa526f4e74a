#pragma once

#include <cstddef>
#include <string>

#include <sys/stat.h>

#include "core/encrypted/secret.hpp"

namespace auren::pg {

// Bytes that a file of keys, or the output of a command for them, may have.
inline constexpr std::size_t kMostKeyFileBytes = 256 * 1024;

// How errors speak of a file of keys, which they do not name: the setting is for superusers only.
struct KeyFileNames {
	const char *key;       // "the master key"
	const char *setting;   // that names the file
	const char *otherwise; // what to do where the key is not in a file
};

// What was read, in memory that no core dump holds.
struct KeyText {
	Secret bytes;
	std::size_t size = 0;
};

/*
 * A file that holds keys, open until the end of its scope. Its constructor throws F0000 where the server's user cannot read it or others can: as the
 * server judges the file of its TLS key, it belongs to the server's user alone, or to root and is readable by a group of the server's at most.
 */
class KeyFile {
  public:
	KeyFile(const std::string &path, const KeyFileNames &names);
	KeyFile(const KeyFile &) = delete;
	KeyFile &operator=(const KeyFile &) = delete;
	~KeyFile();

	const struct stat &
	info() const {
		return info_;
	}
	KeyText Read() const;

  private:
	void CheckRights() const;
	[[noreturn]] void ThrowUnreadable(int error) const;

	const KeyFileNames &names_;
	int fd_;
	struct stat info_;
};

[[noreturn]] void ThrowKeysTooLong(const std::string &source);

} // namespace auren::pg
