/* SPDX-License-Identifier: GPL-2.0-only */
/* run.c - one program, run without a shell; see run.h. */
#include "agent/run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/need.h"

/* ------------------------------------------------------------------ before */

static int find_program(const char *name, const char *path, char ret[512], struct err *err)
{
	bool found = false;

	if (*name == '/') {
		if (access(name, X_OK) == 0 && strlen(name) < 512) {
			memcpy(ret, name, strlen(name) + 1);
			return 0;
		}
		return err_set(err, -errno, "%s: %s", name, strerror(errno));
	}
	if (!*name || strchr(name, '/'))
		return err_set(err, -EINVAL, "\"%s\" is no program's name", name);
	for (const char *p = path; *p && !found;) {
		size_t n = strcspn(p, ":");
		int len = snprintf(ret, 512, "%.*s/%s", (int)n, p, name);

		found = len > 0 && len < 512 && *p == '/' && access(ret, X_OK) == 0;
		p += n + (p[n] == ':');
	}
	return found ? 0 : err_set(err, -ENOENT, "%s: there is no such program in %s", name, path);
}

/* A file in memory at its beginning. */
static int memory_file(const char *text)
{
	int fd = memfd_create("hybrid-agent", MFD_CLOEXEC);
	size_t len = strlen(text), at = 0;
	ssize_t n = 0;

	while (fd >= 0 && at < len && (n = write(fd, text + at, len - at)) > 0)
		at += (size_t)n;
	if (fd >= 0 && (at < len || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* ------------------------------------------------------------------ the child: only what is safe after fork() */

struct child {
	const char *program, *path_env;
	char *const *argv;
	int in, file, out, told;
};

__attribute__((noreturn)) static void child_run(const struct child *c)
{
	char *const env[] = { (char *)(uintptr_t)c->path_env, (char *)(uintptr_t) "LC_ALL=C",
			      (char *)(uintptr_t) "HOME=/", NULL };
	/* Above all fixed numbers first, so that none is overwritten before it is used. */
	int in = fcntl(c->in, F_DUPFD_CLOEXEC, 16), out = fcntl(c->out, F_DUPFD_CLOEXEC, 16);
	int file = c->file < 0 ? -1 : fcntl(c->file, F_DUPFD_CLOEXEC, 16);
	int told = fcntl(c->told, F_DUPFD_CLOEXEC, 16), e;
	sigset_t none;

	setpgid(0, 0);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(077);
	/* What others opened without O_CLOEXEC is not inherited either. */
	if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(out, 2) == 2 && (file < 0 || dup2(file, 3) == 3) &&
	    syscall(SYS_close_range, file < 0 ? 3 : 4, ~0U, CLOSE_RANGE_CLOEXEC) == 0 && chdir("/") == 0)
		execve(c->program, c->argv, env);
	e = errno;
	if (write(told, &e, sizeof(e)) < 0)
		_exit(126);
	_exit(127);
}

/* ------------------------------------------------------------------ the parent */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Takes what there is. False: all ends are closed. */
static bool drain(struct run *r, int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		size_t take = (size_t)n < RUN_OUTPUT_MAX - r->len ? (size_t)n : RUN_OUTPUT_MAX - r->len;

		memcpy(r->output + r->len, buf, take);
		r->len += take;
		r->cut = r->cut || take < (size_t)n;
		if (r->cut)
			break;	/* a flood: look at the clock between two pieces */
	}
	return n != 0;
}

/* Until the program itself has ended: what it leaves behind may keep the pipe open. */
static int wait_for(struct run *r, int pidfd, int fd)
{
	int64_t deadline = now_ms() + r->timeout_ms, left;
	struct pollfd p[2] = { { pidfd, POLLIN, 0 }, { fd, POLLIN, 0 } };

	for (;;) {
		left = deadline - now_ms();
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, left > 60000 ? 60000 : (int)left) < 0 && errno != EINTR)
			return -errno;
		if ((p[1].revents & (POLLIN | POLLHUP)) && !drain(r, fd))
			p[1].fd = -1;
		p[1].revents = 0;
		if (p[0].revents) {
			drain(r, fd);	/* what it said last */
			return 0;
		}
	}
}

static int parent_run(struct run *r, pid_t pid, int out, int told, struct err *err)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), e, why = 0;
	siginfo_t info;

	if (pidfd < 0) {
		e = -errno;
	} else {
		e = wait_for(r, pidfd, out);
		close(pidfd);
	}
	/* While it is not reaped yet, its number is nobody else's, nor is its group's. */
	if (e < 0)
		kill(-pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	r->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	for (size_t i = 0; i < r->len; i++)
		r->output[i] = r->output[i] ? r->output[i] : '?';
	if (read(told, &why, sizeof(why)) == sizeof(why))
		return err_set(err, -why, "%s: %s", r->argv[0], strerror(why));
	if (e == -ETIMEDOUT)
		return err_set(err, e, "%s: not done after %u ms", r->argv[0], r->timeout_ms);
	return e < 0 ? err_set(err, e, "%s: %s", r->argv[0], strerror(-e)) : 0;
}

static int start(struct run *r, const struct child *proto, int out[2], int told[2], struct err *err)
{
	struct child c = *proto;
	sigset_t all, old;
	pid_t pid;

	c.out = out[1];
	c.told = told[1];
	/* No handler of ours may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child_run(&c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_set(err, -errno, "%s: %s", r->argv[0], strerror(errno));
	setpgid(pid, pid);	/* here, too: it may have to be killed before it gets there */
	close(out[1]);
	close(told[1]);
	out[1] = told[1] = -1;
	return parent_run(r, pid, out[0], told[0], err);
}

static void close_all(const int *fds, int n)
{
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int run_program(struct run *r, struct err *err)
{
	const char *path = r->path ? r->path : RUN_PATH;
	int fds[6] = { -1, -1, -1, -1, -1, -1 }, e;	/* out, told, in, file */
	char program[512], env[600];
	struct child c = { .program = program, .path_env = env, .argv = r->argv };

	r->output = need_zalloc(RUN_OUTPUT_MAX + 2);
	r->status = -1;
	r->len = 0;
	r->cut = false;
	e = find_program(r->argv[0], path, program, err);
	if (e < 0)
		return e;
	snprintf(env, sizeof(env), "PATH=%s", path);
	fds[4] = c.in = r->input ? memory_file(r->input) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	fds[5] = c.file = r->file ? memory_file(r->file) : -1;
	if (c.in < 0 || (r->file && c.file < 0) || pipe2(fds, O_CLOEXEC) < 0 || pipe2(fds + 2, O_CLOEXEC) < 0 ||
	    fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(fds[2], F_SETFL, O_NONBLOCK) < 0)
		e = err_set(err, -errno, "%s: %s", r->argv[0], strerror(errno));
	else
		e = start(r, &c, fds, fds + 2, err);
	close_all(fds, 6);
	return e;
}
