/* SPDX-License-Identifier: GPL-2.0-only */
/* input.c - opening and unpacking a trace. Unpacking is left to the packers' own programs: started by name with an
 * argument list, never through a shell, they run on another CPU meanwhile and need no library here. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"

#define ROOM (256u << 10)
#define HEAD 6u				/* so many bytes tell a packer */
#define NOT_STARTED 127			/* as a shell says it */

struct input {
	char *name;			/* for messages */
	int file;			/* the file itself */
	int fd;				/* where bytes come from: the file, or the unpacker */
	const char *unpacker;		/* NULL: none */
	pid_t pid, feeder;		/* 0: none */
	int reason;			/* what the unpacker says on its standard error; -1: none */
	uint64_t file_size;		/* 0: not known */
	uint8_t *buf;
	size_t at, end;			/* what of buf is not taken yet */
	bool ended;
	uint64_t line;			/* the last that was taken, from 1; 0: no lines */
	uint64_t offset;		/* of buf[at] in what was unpacked */
	uint64_t taken;			/* where the last record began */
	void (*on_read)(void *ctx, const struct input *in);	/* NULL: nobody wants to know */
	void *on_read_ctx;
};

static const struct packer { uint8_t magic[HEAD]; size_t size; char *argv[3]; } packers[] = {
	{{0xfd, '7', 'z', 'X', 'Z', 0}, 6, {(char[]){"xz"}, (char[]){"-dc"}, NULL}},
	{{0x1f, 0x8b}, 2, {(char[]){"gzip"}, (char[]){"-dc"}, NULL}},
	{{0x28, 0xb5, 0x2f, 0xfd}, 4, {(char[]){"zstd"}, (char[]){"-dcq"}, NULL}},
	{{'B', 'Z', 'h'}, 3, {(char[]){"bzip2"}, (char[]){"-dc"}, NULL}},
};

static ssize_t read_some(int fd, void *to, size_t n)
{
	ssize_t got;

	do
		got = read(fd, to, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Waits for a child; its exit status, or 128 + the signal that ended it. */
static int reap(pid_t *pid)
{
	int status = 0;

	while (*pid > 0 && waitpid(*pid, &status, 0) < 0 && errno == EINTR)
		;
	*pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ------------------------------------------------------------------ unpacking */
/* Of what cannot be read again from its beginning: a process that passes on the head that was looked at, and then the
 * rest. */
static int feed(struct input *in, const uint8_t *head, size_t n, int *ret_fd)
{
	int p[2], rc;

	if (pipe2(p, O_CLOEXEC))
		return -errno;
	in->feeder = fork();
	if (in->feeder == 0) {
		uint8_t *buf = in->buf;
		ssize_t got = (ssize_t)n;

		memmove(buf, head, n);
		close(p[0]);
		signal(SIGPIPE, SIG_DFL);
		while (got > 0) {
			for (ssize_t sent = 0, w; sent < got; sent += w) {
				w = write(p[1], buf + sent, (size_t)(got - sent));
				if (w < 0)
					_exit(1);
			}
			got = read_some(in->file, buf, ROOM);
		}
		_exit(got < 0);
	}
	rc = in->feeder < 0 ? -errno : 0;
	close(p[1]);
	*ret_fd = p[0];
	return rc;
}

static void run_packer(const struct packer *packer, int from, int to, int reason)
{
	if (dup2(from, STDIN_FILENO) < 0 || dup2(to, STDOUT_FILENO) < 0 || dup2(reason, STDERR_FILENO) < 0)
		_exit(NOT_STARTED);
	execvp(packer->argv[0], packer->argv);
	_exit(NOT_STARTED);
}

static int start_packer(struct input *in, const struct packer *packer, int from)
{
	int out[2], reason[2], rc;

	if (pipe2(out, O_CLOEXEC))
		return -errno;
	if (pipe2(reason, O_CLOEXEC)) {
		close(out[0]);
		close(out[1]);
		return -errno;
	}
	in->pid = fork();
	if (in->pid == 0)
		run_packer(packer, from, out[1], reason[1]);
	rc = in->pid < 0 ? -errno : 0;
	close(out[1]);
	close(reason[1]);
	in->unpacker = packer->argv[0];
	in->fd = out[0];
	in->reason = reason[0];
	return rc;
}

/* After the end of what the unpacker gave: was it all? */
static int check_packer(struct input *in, struct err *err)
{
	char said[160] = "";
	size_t n = 0;
	ssize_t got;
	int status;

	if (!in->pid)
		return 0;
	while (n < sizeof(said) - 1 && (got = read_some(in->reason, said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	said[strcspn(said, "\n")] = '\0';
	status = reap(&in->pid);
	if (status == NOT_STARTED)
		return err_set(err, -ENOENT, "%s: packed, and there is no program %s here", in->name, in->unpacker);
	if (status)
		return err_set(err, -EBADMSG, "%s: cannot be unpacked: %s", in->name, said[0] ? said : in->unpacker);
	return 0;
}

static int unpack(struct input *in, struct err *err)
{
	const uint8_t *head;
	size_t have;
	int rc = input_peek(in, HEAD, &head, &have, err), from = in->file;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(packers); i++) {
		if (have < packers[i].size || memcmp(head, packers[i].magic, packers[i].size))
			continue;
		if (lseek(in->file, 0, SEEK_SET) != 0)
			rc = feed(in, head, in->end - in->at, &from);
		if (rc == 0)
			rc = start_packer(in, &packers[i], from);
		if (from != in->file)
			close(from);
		if (rc)
			return err_set(err, rc, "%s: %s", in->name, strerror(-rc));
		in->at = in->end = 0;
		in->ended = false;
		break;
	}
	return rc;
}

/* ------------------------------------------------------------------ opening */
int input_open(const char *path, struct input **ret, struct err *err)
{
	bool standard = !strcmp(path, "-");
	struct input *in = calloc(1, sizeof(*in));
	struct stat st;
	int rc;

	if (in) {
		in->file = in->fd = in->reason = -1;
		in->name = strdup(standard ? "standard input" : path);
		in->buf = malloc(ROOM + 1);	/* a line that ends the file gets a zero byte */
	}
	if (!in || !in->name || !in->buf) {
		input_close(in);
		return err_set(err, -ENOMEM, "out of memory");
	}
	in->file = in->fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
	if (in->file < 0 || fstat(in->file, &st))
		rc = err_set(err, -errno, "%s: %s", in->name, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		rc = err_set(err, -EISDIR, "%s: %s", in->name, strerror(EISDIR));
	else
		rc = unpack(in, err);
	if (rc) {
		input_close(in);
		return rc;
	}
	in->file_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	*ret = in;
	return 0;
}

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

void input_close(struct input *in)
{
	if (!in)
		return;
	if (in->fd != in->file)
		close_if(in->fd);
	close_if(in->file);
	close_if(in->reason);
	if (in->pid > 0)
		kill(in->pid, SIGTERM);
	reap(&in->pid);
	if (in->feeder > 0)
		kill(in->feeder, SIGTERM);
	reap(&in->feeder);
	free(in->name);
	free(in->buf);
	free(in);
}

/* ------------------------------------------------------------------ reading */
/* More bytes behind those that are there; 0 also at the end. */
static int fill(struct input *in, struct err *err)
{
	ssize_t got;

	if (in->ended)
		return 0;
	if (in->at) {
		memmove(in->buf, in->buf + in->at, in->end - in->at);
		in->end -= in->at;
		in->at = 0;
	}
	got = read_some(in->fd, in->buf + in->end, ROOM - in->end);
	if (got < 0)
		return err_set(err, -errno, "%s: %s", in->name, strerror(errno));
	in->end += (size_t)got;
	in->ended = got == 0;
	if (in->on_read)
		in->on_read(in->on_read_ctx, in);
	return in->ended ? check_packer(in, err) : 0;
}

int input_peek(struct input *in, size_t want, const uint8_t **ret, size_t *ret_have, struct err *err)
{
	int rc = 0;

	while (rc == 0 && in->end - in->at < want && !in->ended)
		rc = fill(in, err);
	*ret = in->buf + in->at;
	*ret_have = MIN(want, in->end - in->at);
	return rc;
}

static void take(struct input *in, size_t n)
{
	in->taken = in->offset;
	in->offset += n;
	in->at += n;
}

int input_record(struct input *in, size_t size, const uint8_t **ret, struct err *err)
{
	size_t have;
	int rc = input_peek(in, size, ret, &have, err);

	if (rc || !have)
		return rc;
	take(in, have);
	if (have == size)
		return 1;
	err_set(err, -EBADMSG, "cut short: %zu bytes of %zu", have, size);
	return input_blame(in, err);
}

int input_line(struct input *in, char **ret, struct err *err)
{
	size_t n = 0, have = 0, looked = 0;
	uint8_t *end = NULL;
	int rc = 0;

	for (;;) {
		have = in->end - in->at;
		end = memchr(in->buf + in->at + looked, '\n', have - looked);
		if (end || in->ended || have > INPUT_LINE_MAX)
			break;
		looked = have;
		rc = fill(in, err);
		if (rc)
			return rc;
	}
	if (!have)
		return 0;
	in->line++;
	n = end ? (size_t)(end - (in->buf + in->at)) : have;
	if (n > INPUT_LINE_MAX || memchr(in->buf + in->at, '\0', n)) {
		err_set(err, -EBADMSG, n > INPUT_LINE_MAX ? "longer than 64 KiB" : "has a zero byte: this is no text");
		return input_blame(in, err);
	}
	*ret = (char *)in->buf + in->at;
	take(in, n + (end ? 1 : 0));
	(*ret)[n] = '\0';
	if (n && (*ret)[n - 1] == '\r')
		(*ret)[n - 1] = '\0';
	return 1;
}

int input_blame(const struct input *in, struct err *err)
{
	if (in->line)
		return err_wrap(err, "%s: line %" PRIu64, in->name, in->line);
	return err_wrap(err, "%s: offset %" PRIu64, in->name, in->taken);
}

int input_blame_all(const struct input *in, struct err *err)
{
	return err_wrap(err, "%s", in->name);
}

bool input_done(const struct input *in, uint64_t *ret_done, uint64_t *ret_total)
{
	/* The unpacker reads through the very same open file, so its place there is ours. */
	off_t at = in->feeder ? -1 : lseek(in->file, 0, SEEK_CUR);

	*ret_done = at > 0 ? (uint64_t)at : 0;
	*ret_total = in->file_size;
	return at >= 0 && in->file_size;
}

uint64_t input_offset(const struct input *in)
{
	return in->offset;
}

void input_on_read(struct input *in, void (*fn)(void *ctx, const struct input *in), void *ctx)
{
	in->on_read = fn;
	in->on_read_ctx = ctx;
}
