#include "encrypted/master_key.hpp"

#include <cerrno>
#include <string>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/encrypted/shell_command.hpp"
#include "core/error.hpp"
#include "encrypted/key_file.hpp"
#include "server/guard.hpp"
#include "server/postgres.hpp"
#include "server/settings.hpp"

namespace auren::pg {

namespace {

// What the kept keys were read from.
struct Source {
	std::string file;
	std::string command;
	TimestampTz configured = 0;
	dev_t device = 0;
	ino_t inode = 0;
	off_t size = 0;
	timespec changed = {0, 0};

	bool
	operator==(const Source &other) const {
		return file == other.file && command == other.command && configured == other.configured && device == other.device && inode == other.inode &&
		       size == other.size && changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
	}
};

std::shared_ptr<const MasterKeys> kept;
Source kept_source;

[[noreturn]] void
ThrowConfiguration(const std::string &message, const std::string &detail, const std::string &hint) {
	throw DomainError("F0000", message, detail, hint);
}

// The file is not named: the setting is for superusers only.
constexpr const char *kFileText = "the file of auren_events.master_key_file";
constexpr const char *kCommandText = "the output of auren_events.master_key_command";
constexpr KeyFileNames kNames = {"the master key", "auren_events.master_key_file",
                                 "Use auren_events.master_key_command for a source that is not a file."};

std::string_view
TextOf(const Secret &secret, std::size_t size) {
	return {reinterpret_cast<const char *>(secret.data()), size};
}

void
EndCommands(int, Datum) {
	ShellCommand::EndAll();
}

std::shared_ptr<const MasterKeys>
RunCommand(const char *text) {
	Secret output(kMostKeyFileBytes + 1);
	std::size_t size = 0;
	static bool ends_commands = false;
	if (!ends_commands) {
		// a session that is terminated, or whose server has gone, unwinds nothing
		Call([] { on_proc_exit(EndCommands, 0); });
		ends_commands = true;
	}
	ShellCommand command(text);
	const TimestampTz begin = GetCurrentTimestamp();
	const long most = MasterKeyTimeout();
	bool open = true;
	int status = 0;
	for (;;) {
		if (open) {
			const ssize_t got = read(command.descriptor(), output.data() + size, output.size() - size);
			if (got > 0) {
				size += static_cast<std::size_t>(got);
				if (size > kMostKeyFileBytes) {
					ThrowKeysTooLong(kCommandText);
				}
				continue;
			}
			open = got < 0 && (errno == EAGAIN || errno == EINTR);
		}
		if (!open && command.Ended(&status)) {
			break;
		}
		const long left = most - TimestampDifferenceMilliseconds(begin, GetCurrentTimestamp());
		if (left <= 0) {
			ThrowConfiguration("the command for the master key took too long",
			                   "It was ended after " + std::to_string(most) + " ms (auren_events.master_key_timeout).",
			                   "Look why it waits, or give it more time.");
		}
		const int fd = command.descriptor();
		const bool readable = open;
		Call([&] {
			const int events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;
			// the end of a command whose output is closed is looked for every so often
			(void)WaitLatchOrSocket(MyLatch, readable ? events | WL_SOCKET_READABLE : events, readable ? fd : PGINVALID_SOCKET,
			                        readable ? left : Min(left, 10), PG_WAIT_EXTENSION);
			ResetLatch(MyLatch);
			CHECK_FOR_INTERRUPTS();
		});
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		const std::string how = WIFEXITED(status) ? "ended with status " + std::to_string(WEXITSTATUS(status))
		                                          : "was ended by signal " + std::to_string(WTERMSIG(status));
		ThrowConfiguration("the command for the master key failed", "It " + how + ".",
		                   "Run the command of auren_events.master_key_command by hand, as the server's user.");
	}
	return std::make_shared<const MasterKeys>(MasterKeys::Parse(TextOf(output, size), kCommandText));
}

} // namespace

std::shared_ptr<const MasterKeys>
CurrentMasterKeys() {
	Source source;
	source.file = MasterKeyFile() == nullptr ? "" : MasterKeyFile();
	source.command = MasterKeyCommand() == nullptr ? "" : MasterKeyCommand();
	source.configured = PgReloadTime;
	if (source.file.empty() && source.command.empty()) {
		kept.reset();
		ThrowConfiguration("no master key is configured", "Neither auren_events.master_key_file nor auren_events.master_key_command is set.",
		                   "Make a file with scripts/make_master_key, name it in postgresql.conf and reload the configuration.");
	}
	if (!source.file.empty() && !source.command.empty()) {
		kept.reset();
		ThrowConfiguration("two sources of the master key are configured",
		                   "Both auren_events.master_key_file and auren_events.master_key_command are set.", "Set one of them.");
	}
	if (source.file.empty()) {
		if (!kept || !(source == kept_source)) {
			kept.reset();
			kept = RunCommand(source.command.c_str());
			kept_source = source;
			Call([](Server server) { WarnIfKeySourceIsShown(server); });
		}
		return kept;
	}
	// looked at each time: a key that was taken away, or a file that others can read now, is not used any more
	try {
		const KeyFile file(source.file, kNames);
		const struct stat &info = file.info();
		source.device = info.st_dev;
		source.inode = info.st_ino;
		source.size = info.st_size;
		source.changed = info.st_ctim;
		if (!kept || !(source == kept_source)) {
			const KeyText text = file.Read();
			kept = std::make_shared<const MasterKeys>(MasterKeys::Parse(TextOf(text.bytes, text.size), kFileText));
			kept_source = source;
			Call([](Server server) { WarnIfKeySourceIsShown(server); });
		}
	} catch (...) {
		kept.reset();
		throw;
	}
	return kept;
}

} // namespace auren::pg
