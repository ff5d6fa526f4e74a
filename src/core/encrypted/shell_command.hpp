#pragma once

#include <sys/types.h>

namespace auren {

/*
 * A command of the shell whose output is read. It is the head of a process group, which is killed if it is still there at the
 * end: after an error, a cancel or too long a time nothing of it goes on. Throws F0000 where it cannot be started. One thread, and one
 * command at a time.
 */
class ShellCommand {
  public:
	explicit ShellCommand(const char *command);
	ShellCommand(const ShellCommand &) = delete;
	ShellCommand &operator=(const ShellCommand &) = delete;
	~ShellCommand();

	// Its output, which never waits: EAGAIN while there is none yet.
	int
	descriptor() const {
		return reading_;
	}
	// Whether it has ended; *status as waitpid gives it then. Throws F0000 where the system does not say how it ended: that is not a success.
	bool Ended(int *status);

	// Kills what runs, for a process that ends without destructors.
	static void EndAll() noexcept;

  private:
	int reading_ = -1;
	pid_t pid_ = 0;
	bool ended_ = false;
	int status_ = 0;
};

} // namespace auren
