/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_stream.c - hybrid-pool volume export | import: a snapshot as a stream, into a file or pipe and back.
 *
 * The pool must be closed, and is opened here: the stream does not pass through the control socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "stream/stream.h"
#include "tool.h"

#define LONGEST_WAIT_MS 1000

/* ------------------------------------------------------------------ the file or pipe */
struct pipe_end {
	const char *name;	/* for sentences */
	int fd;
	int old_flags;		/* of a pipe, to be put back: whoever else has it does not expect O_NONBLOCK; or -1 */
	bool made;		/* a new file: removed when the export fails */
	short events;		/* what to poll for */
};

static int64_t pipe_write(void *ctx, const void *buf, size_t len)
{
	const struct pipe_end *p = ctx;
	ssize_t n;

	do
		n = write(p->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int64_t pipe_read(void *ctx, void *buf, size_t len)
{
	const struct pipe_end *p = ctx;
	ssize_t n;

	do
		n = read(p->fd, buf, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* A pipe that is full or empty must not stop the pool's loop. */
static void no_waiting(struct pipe_end *p)
{
	struct stat st;
	int flags;

	p->old_flags = -1;
	if (fstat(p->fd, &st) || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		return;
	flags = fcntl(p->fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK) && fcntl(p->fd, F_SETFL, flags | O_NONBLOCK) == 0)
		p->old_flags = flags;
}

static int open_standard(struct pipe_end *p, int fd, struct err *err)
{
	if (isatty(fd))
		return err_set(err, -EINVAL, "the stream is not for terminals: name a file, or connect a pipe");
	p->fd = fd;
	no_waiting(p);
	return 0;
}

/* A file that is there is not written over, unless asked for; a device or named pipe is there for that. */
static int open_output(const struct tool *t, const char *path, struct pipe_end *p, struct err *err)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY;
	struct stat st;
	bool there = stat(path, &st) == 0;

	*p = (struct pipe_end){.name = path, .events = POLLOUT};
	if (!strcmp(path, "-"))
		return open_standard(p, STDOUT_FILENO, err);
	if (there && S_ISREG(st.st_mode) && !t->force)
		return err_set(err, -EEXIST, "%s exists already; --force writes over it", path);
	if (!there)
		flags |= O_EXCL;
	else if (S_ISREG(st.st_mode))
		flags |= O_TRUNC;
	p->fd = open(path, flags, 0600);
	if (p->fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	p->made = !there;
	no_waiting(p);
	return 0;
}

static int open_input(const char *path, struct pipe_end *p, struct err *err)
{
	*p = (struct pipe_end){.name = path, .events = POLLIN};
	if (!strcmp(path, "-"))
		return open_standard(p, STDIN_FILENO, err);
	p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (p->fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	no_waiting(p);
	return 0;
}

static void close_end(struct pipe_end *p)
{
	if (p->old_flags >= 0)
		fcntl(p->fd, F_SETFL, p->old_flags);
	if (p->fd > STDERR_FILENO)
		close(p->fd);
}

/* After all was written: to the disk with it, if it is a file. Or away with it. */
static int close_output(struct pipe_end *p, struct err *err)
{
	struct stat st;

	if (!err->code && fstat(p->fd, &st) == 0 && S_ISREG(st.st_mode) && fsync(p->fd))
		err_set(err, -errno, "%s: %s", p->name, strerror(errno));
	if (err->code && p->made)
		unlink(p->name);
	close_end(p);
	return err->code;
}

/* ------------------------------------------------------------------ progress */
struct progress {
	const char *doing;
	int last;		/* per cent that were shown */
	bool terminal;
};

static void show_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;
	int percent = total ? (int)((double)done * 100 / (double)total) : 100;
	char d[16], t[16];

	if (percent == p->last)
		return;
	p->last = percent;
	out_human(done, d);
	out_human(total, t);
	fprintf(stderr, p->terminal ? "\r\033[K%s: %3d%%, %s of %s" : "%s: %3d%%, %s of %s\n", p->doing, percent, d, t);
	fflush(stderr);
}

static struct stream_progress progress_of(const struct tool *t, const char *doing, struct progress *p)
{
	*p = (struct progress){.doing = doing, .last = -1, .terminal = isatty(STDERR_FILENO)};
	return (struct stream_progress){p, p->terminal || t->progress ? show_progress : NULL};
}

static void end_progress(const struct progress *p)
{
	if (p->last >= 0 && p->terminal)
		fprintf(stderr, "\r\033[K");
}

/* ------------------------------------------------------------------ the loop */
static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

/* Waits until the pool wants its next turn, or the stream may go on. */
static void wait_for(struct hb_pool *pool, uint64_t next_ns, const struct pipe_end *pipe, bool wants_pipe)
{
	struct pollfd p[HB_DEVS_MAX + 1];
	int fds[HB_DEVS_MAX], n = hb_pool_event_fds(pool, fds);
	uint64_t now = now_ns();

	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	if (wants_pipe)
		p[n++] = (struct pollfd){.fd = pipe->fd, .events = pipe->events};
	if (next_ns > now)
		poll(p, (nfds_t)n, (int)MIN((next_ns - now) / MSEC_NS + 1, LONGEST_WAIT_MS));
}

/* One of the two. */
static unsigned turn(struct stream_export *out, struct stream_import *in)
{
	return out ? stream_export_run(out) : stream_import_run(in);
}

static int run(struct hb_pool *pool, struct stream_export *out, struct stream_import *in, const struct pipe_end *pipe,
	       struct err *err)
{
	unsigned what;

	while (!((what = turn(out, in)) & (STREAM_DONE | STREAM_FAILED))) {
		unsigned before = hb_pool_requests(pool);
		uint64_t next_ns = hb_pool_run(pool);

		/* What the pool has just answered is not waited for. */
		if (!(what & STREAM_AGAIN) && hb_pool_requests(pool) == before)
			wait_for(pool, next_ns, pipe, what & STREAM_PIPE);
	}
	if (what == STREAM_FAILED)
		*err = out ? *stream_export_error(out) : *stream_import_error(in);
	return err->code;
}

/* The pool must be opened here; `instead` says what to do when another process has it. */
static int open_closed(const struct tool *t, enum session_want want, const char *instead, struct session **ret,
		       struct err *err)
{
	struct err own = ERR_INIT;

	session_open(t, want, ret, &own);
	if (own.code == -EBUSY)
		return err_set(err, -EBUSY, "%.300s: %s", own.text, instead);
	if (own.code)
		return err_set(err, own.code, "%s", own.text);
	if (session_pool(*ret))
		return 0;
	session_close(*ret, NULL);
	return err_set(err, -EBUSY, "the pool is in use: %s", instead);
}

/* Closes; what closing says counts when all was well before. */
static void close_session(struct session *s, struct err *err)
{
	struct err own = ERR_INIT;

	if (session_close(s, &own) && !err->code)
		err_set(err, own.code, "done, but closing the pool failed: %s", own.text);
}

/* ------------------------------------------------------------------ export */
static int export_to(const struct tool *t, struct hb_pool *pool, const char *snapshot, struct pipe_end *pipe,
		     uint64_t *ret_bytes, struct err *err)
{
	struct stream_export_how how = {.pool = pool, .snapshot = snapshot, .from = t->from,
					.sink = {pipe, pipe_write}};
	struct stream_export *x;
	struct progress progress;

	how.progress = progress_of(t, "exporting", &progress);
	if (stream_export_new(&how, &x, err))
		return err->code;
	run(pool, x, NULL, pipe, err);
	end_progress(&progress);
	*ret_bytes = stream_export_bytes(x);
	stream_export_free(x);
	return err->code;
}

static int tell_export(const struct tool *t, const char *snapshot, const char *file, uint64_t bytes)
{
	json_t *o;
	char size[48];
	int rc;

	if (!strcmp(file, "-"))
		return EXIT_OK;
	out_size(t, bytes, size);
	if (!t->json) {
		printf("exported snapshot %s to %s, %s of data\n", snapshot, file, size);
		return EXIT_OK;
	}
	o = json_pack("{s:s, s:s, s:I}", "exported", snapshot, "file", file, "data_bytes", (json_int_t)bytes);
	rc = out_json(o);
	json_decref(o);
	return rc;
}

static int volume_export(struct tool *t, int argc, char **argv)
{
	const char *file = argc > 1 ? argv[1] : "-";
	struct err err = ERR_INIT;
	struct pipe_end pipe;
	uint64_t bytes = 0;
	struct session *s;

	signal(SIGPIPE, SIG_IGN);	/* a reader that is gone is told in a sentence */
	if (open_closed(t, SESSION_READ, "attach the snapshot to a target, read-only, and copy it from there, or close "
			"the pool first", &s, &err))
		return tool_fail(&err);
	if (open_output(t, file, &pipe, &err) == 0) {
		export_to(t, session_pool(s), argv[0], &pipe, &bytes, &err);
		close_output(&pipe, &err);
	}
	close_session(s, &err);
	return err.code ? tool_fail(&err) : tell_export(t, argv[0], file, bytes);
}

/* ------------------------------------------------------------------ import */
struct imported {
	char name[HB_NAME_MAX + 1];
	uint64_t size_bytes, data_bytes;
};

static int import_from(const struct tool *t, struct hb_pool *pool, struct pipe_end *pipe, struct imported *ret,
		       struct err *err)
{
	struct stream_import_how how = {.pool = pool, .name = t->as, .resume = t->resume, .again = t->again,
					.source = {pipe, pipe_read}};
	struct hb_volume_info info = {.size_bytes = 0};
	struct stream_import *x;
	struct progress progress;

	how.progress = progress_of(t, "importing", &progress);
	if (stream_import_new(&how, &x, err))
		return err->code;
	run(pool, NULL, x, pipe, err);
	end_progress(&progress);
	snprintf(ret->name, sizeof(ret->name), "%s", stream_import_name(x));
	ret->data_bytes = stream_import_bytes(x);
	stream_import_free(x);
	if (!err->code && hb_volume_find(pool, ret->name, &info))
		ret->size_bytes = info.size_bytes;
	return err->code;
}

static int tell_import(const struct tool *t, const struct imported *i)
{
	char size[48], data[48];
	json_t *o;
	int rc;

	out_size(t, i->size_bytes, size);
	out_size(t, i->data_bytes, data);
	if (!t->json) {
		printf("imported snapshot %s, %s, from %s of data\n", i->name, size, data);
		return EXIT_OK;
	}
	o = json_pack("{s:s, s:I, s:I}", "imported", i->name, "size_bytes", (json_int_t)i->size_bytes, "data_bytes",
		      (json_int_t)i->data_bytes);
	rc = out_json(o);
	json_decref(o);
	return rc;
}

static int volume_import(struct tool *t, int argc, char **argv)
{
	struct imported done = {.name = ""};
	struct err err = ERR_INIT;
	struct pipe_end pipe;
	struct session *s;

	if (open_input(argc ? argv[0] : "-", &pipe, &err))
		return tool_fail(&err);
	if (open_closed(t, SESSION_WRITE, "close it first: remove its LUNs, or stop the process", &s, &err) == 0) {
		import_from(t, session_pool(s), &pipe, &done, &err);
		close_session(s, &err);
	}
	close_end(&pipe);
	return err.code ? tool_fail(&err) : tell_import(t, &done);
}

const struct command stream_commands[] = {
	{"volume export", volume_export, 1, 2, "SNAPSHOT [FILE|-]",
	 TAKES_FROM | TAKES_FORCE | TAKES_PROGRESS | TAKES_BYTES, "write a snapshot as a stream, or what changed",
	 "Without FILE, or with -, to standard output. The pool must be closed. With --from only what differs from an\n"
	 "older snapshot is written; the pool that imports it must have that one, by its content.\n"},
	{"volume import", volume_import, 0, 1, "[FILE|-]",
	 TAKES_AS | TAKES_RESUME | TAKES_AGAIN | TAKES_PROGRESS | TAKES_BYTES, "make a snapshot from such a stream",
	 "Without FILE, or with -, from standard input. The pool must be closed. A stream that is damaged, or cut\n"
	 "short, or starts from a snapshot that is not here makes no snapshot.\n"},
	{0},
};
