#include "core/encrypted/shell_command.hpp"

#include <string>

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/expect_error.hpp"

using namespace auren;
using namespace auren::test;

namespace {

// All that the command writes.
std::string
OutputOf(const ShellCommand &command) {
	std::string output;
	char buffer[256];
	for (;;) {
		const ssize_t got = read(command.descriptor(), buffer, sizeof buffer);
		if (got == 0) {
			return output;
		}
		if (got > 0) {
			output.append(buffer, static_cast<std::size_t>(got));
			continue;
		}
		pollfd waiting = {command.descriptor(), POLLIN, 0};
		(void)poll(&waiting, 1, -1);
	}
}

int
StatusOf(ShellCommand *command) {
	int status = 0;
	while (!command->Ended(&status)) {
		(void)poll(nullptr, 0, 1);
	}
	return status;
}

} // namespace

TEST(ShellCommand, OutputAndStatus) {
	ShellCommand command("echo a key; exit 3");
	EXPECT_EQ(OutputOf(command), "a key\n");
	const int status = StatusOf(&command);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(ShellCommand, AnUnknownEndIsNoSuccess) {
	ShellCommand command("exit 3");
	(void)OutputOf(command);
	int status;
	ASSERT_GT(waitpid(-1, &status, 0), 0); // somebody else has taken its status
	ExpectError("F0000", [&] { (void)command.Ended(&status); });
}

TEST(ShellCommand, EndAllKillsTheGroup) {
	// cat has the pipe too: its end is seen when nobody of the group is left
	ShellCommand command("echo begun; sleep 1000 | cat; true");
	std::string begun;
	while (begun.empty()) {
		char buffer[16];
		pollfd waiting = {command.descriptor(), POLLIN, 0};
		(void)poll(&waiting, 1, -1);
		const ssize_t got = read(command.descriptor(), buffer, sizeof buffer);
		begun.append(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
	}
	ShellCommand::EndAll();
	EXPECT_EQ(OutputOf(command), "");
	const int status = StatusOf(&command);
	EXPECT_TRUE(WIFSIGNALED(status));
	ShellCommand::EndAll(); // of nothing
}
