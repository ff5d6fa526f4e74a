#include "core/encrypted/shell_command.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.hpp"
#include "core/no_postgres.hpp"

extern char **environ;

namespace auren {

namespace {

pid_t running = 0; // 0: none

std::string
ErrorText(int error) {
	return std::string("The system says: ") + std::strerror(error) + ".";
}

[[noreturn]] void
ThrowNotStarted(int error) {
	throw DomainError("F0000", "the command for the master key cannot be started", ErrorText(error), "Try again.");
}

// Starts the shell with its output to `writing`; an error number, or 0.
int
Start(const char *command, int writing, pid_t *pid) {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, writing, STDOUT_FILENO);
	// what it says of errors may hold what it was to keep: it does not reach the log
	(void)posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	sigset_t none;
	sigset_t all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &all);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	char shell[] = "sh";
	char option[] = "-c";
	char *const arguments[] = {shell, option, const_cast<char *>(command), nullptr};
	const int error = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return error;
}

} // namespace

ShellCommand::ShellCommand(const char *command) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0) {
		ThrowNotStarted(errno);
	}
	reading_ = ends[0];
	const int error = Start(command, ends[1], &pid_);
	(void)close(ends[1]);
	if (error != 0) {
		(void)close(reading_);
		ThrowNotStarted(error);
	}
	running = pid_;
	(void)fcntl(reading_, F_SETFL, O_NONBLOCK);
}

ShellCommand::~ShellCommand() {
	(void)close(reading_);
	if (!ended_) {
		(void)kill(-pid_, SIGKILL);
		int status;
		while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
		}
	}
	running = 0;
}

bool
ShellCommand::Ended(int *status) {
	if (!ended_) {
		const pid_t got = waitpid(pid_, &status_, WNOHANG);
		if (got == 0 || (got < 0 && errno == EINTR)) {
			return false;
		}
		ended_ = true;
		running = 0;
		if (got < 0) {
			throw DomainError("F0000", "it is not known how the command for the master key ended", ErrorText(errno),
			                  "What it wrote is not used. Try again.");
		}
	}
	*status = status_;
	return true;
}

void
ShellCommand::EndAll() noexcept {
	if (running != 0) {
		(void)kill(-running, SIGKILL);
		running = 0;
	}
}

} // namespace auren
