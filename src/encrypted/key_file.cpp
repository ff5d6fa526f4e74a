#include "encrypted/key_file.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "core/error.hpp"

namespace auren::pg {

namespace {

[[noreturn]] void
ThrowConfiguration(const std::string &message, const std::string &detail, const std::string &hint) {
	throw DomainError("F0000", message, detail, hint);
}

} // namespace

// Not one of the server's own descriptors: it is closed before anything else happens.
KeyFile::KeyFile(const std::string &path, const KeyFileNames &names)
	: names_(names), fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
	if (fd_ < 0) {
		ThrowUnreadable(errno);
	}
	try {
		if (fstat(fd_, &info_) != 0) {
			ThrowUnreadable(errno);
		}
		CheckRights();
	} catch (...) {
		(void)close(fd_);
		throw;
	}
}

KeyFile::~KeyFile() {
	(void)close(fd_);
}

void
KeyFile::ThrowUnreadable(int error) const {
	ThrowConfiguration(std::string(names_.key) + " cannot be read", std::string("The system says: ") + strerror(error) + ".",
	                   std::string("Look whether ") + names_.setting + " names a file that the server's user can read.");
}

void
KeyFile::CheckRights() const {
	const std::string file = std::string("the file of ") + names_.key;
	if (!S_ISREG(info_.st_mode)) {
		ThrowConfiguration(std::string(names_.key) + " is not in a regular file", std::string(names_.setting) + " names something else.",
		                   names_.otherwise);
	}
	if (info_.st_uid != geteuid() && info_.st_uid != 0) {
		ThrowConfiguration(file + " belongs to another user", "It must belong to the user that the server runs as, or to root.", "Use chown.");
	}
	const mode_t refused = info_.st_uid == 0 && geteuid() != 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
	if ((info_.st_mode & refused) != 0) {
		ThrowConfiguration(file + " can be read by others", "It must have mode 0600 or less, or 0640 or less if it belongs to root.",
		                   "Use chmod 0600.");
	}
}

KeyText
KeyFile::Read() const {
	KeyText text;
	text.bytes = Secret(kMostKeyFileBytes + 1);
	for (;;) {
		const ssize_t got = read(fd_, text.bytes.data() + text.size, text.bytes.size() - text.size);
		if (got < 0 && errno == EINTR) {
			continue;
		}
		if (got < 0) {
			ThrowUnreadable(errno);
		}
		if (got == 0) {
			return text;
		}
		text.size += static_cast<std::size_t>(got);
		if (text.size > kMostKeyFileBytes) {
			ThrowKeysTooLong(std::string("the file of ") + names_.setting);
		}
	}
}

void
ThrowKeysTooLong(const std::string &source) {
	ThrowConfiguration(source + " is too long", "It has more than " + std::to_string(kMostKeyFileBytes) + " bytes.",
	                   "It should hold the keys and nothing else.");
}

} // namespace auren::pg
