/* SPDX-License-Identifier: GPL-2.0-only */
/* version.c - which tgtd is this? The running program's own file is started once more with --version.
 *
 * tgtd tells its version nowhere else: no symbol, no variable, only this option, which it handles before it does
 * anything (modules are not loaded yet). The child gets no environment, so that a preloaded module is not loaded there,
 * and is killed if it takes too long.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "tgt/module.h"

#define CHILD_MS 5000

/* The versions whose sources were read and laid side by side with tgt_layout.h. */
static const char *const known[] = { "1.0.74", "1.0.79", "1.0.85", "1.0.97" };

bool version_is_known(const char *version)
{
	for (unsigned i = 0; i < ARRAY_LEN(known); i++)
		if (!strcmp(version, known[i]))
			return true;
	return false;
}

static int spawn(pid_t *pid, int out)
{
	char name[] = "tgtd", option[] = "--version", *argv[] = { name, option, NULL }, *envp[] = { NULL };
	posix_spawn_file_actions_t actions;
	int ret;

	ret = posix_spawn_file_actions_init(&actions);
	if (ret)
		return -ret;
	ret = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	if (!ret)
		ret = posix_spawn(pid, "/proc/self/exe", &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
}

/* All the child says, up to `room`; -errno when it says nothing in time. */
static int listen_to(int fd, char *ret, size_t room)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n;

	while (len + 1 < room) {
		if (poll(&pfd, 1, CHILD_MS) != 1)
			return -ETIMEDOUT;
		n = read(fd, ret + len, room - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	ret[len] = 0;
	ret[strcspn(ret, " \t\r\n")] = 0;
	return ret[0] ? 0 : -ENODATA;
}

int version_of_host(char *ret, size_t room)
{
	int fds[2], err, status;
	pid_t pid;

	ret[0] = 0;
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	err = spawn(&pid, fds[1]);
	close(fds[1]);
	if (!err) {
		err = listen_to(fds[0], ret, room);
		if (err)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(fds[0]);
	if (err)
		ret[0] = 0;
	return err;
}
