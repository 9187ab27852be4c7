/* SPDX-License-Identifier: GPL-2.0-only */
/* store.c - the catalogue open: its lock, its one writing thread with group commit, its readers.
 *
 * A write waits in a queue; the writing thread begins a transaction, runs what waits, each in a savepoint, and what has
 * come meanwhile, and commits. Only then do the callers go on: one flush of the disk for all of them. If the commit
 * fails, or SQLite had to roll back the whole transaction in the middle (disk full), all of them get the error.
 */
#include "store/inside.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/list.h"
#include "base/units.h"

#define READERS 8
#define GROUP_MOST 256 /* writes in one transaction: nobody waits for more than that */
/* Those whom the last commit let go are about to come back with their next write. Waiting for them this long costs
 * a tenth of a flush of a disk, and may save one. */
#define LINGER_NS 300000
#define SMALLEST 512 /* SQLite would take what is shorter for a new file, and write over it */
#define CHECK_BYTES (64 << 20) /* a larger file is not read as a whole at each start */

struct job {
	struct link link;
	store_fn *fn;
	void *arg;
	struct err *err;
	int rc;
	bool done;
	pthread_cond_t ended;
};

struct store {
	char *path;
	int lock_fd;
	struct conn writer;
	pthread_t thread;
	bool running; /* the thread */
	pthread_mutex_t mutex; /* for all below */
	pthread_cond_t work;
	struct link queue;
	bool stop;
	unsigned last_group; /* the writing thread's: how many its last commit let go */
	pthread_cond_t reader_free;
	struct conn readers[READERS];
	bool reader_used[READERS];
};

/* ------------------------------------------------------------------ writing */
static void end_job(struct job *job, int rc)
{
	job->rc = rc;
	job->done = true;
	pthread_cond_signal(&job->ended);
}

/* Runs it in a savepoint. false: the transaction is gone, with what others did in it; *why says why. */
static bool run_job(struct store *s, struct job *job, struct err *why)
{
	struct store_tx tx = { .conn = &s->writer, .write = true };
	int rc = conn_exec(&s->writer, "SAVEPOINT job", why);

	if (rc)
		return false;
	job->rc = job->fn(&tx, job->arg, job->err);
	assert(job->rc <= 0);
	/* Disk full and the like: SQLite may have rolled back all of it by itself, whatever fn made of the error. */
	if (sqlite3_get_autocommit(s->writer.db)) {
		if (job->rc)
			*why = *job->err;
		if (!job->rc || !why->code)
			err_set(why, job->rc ? job->rc : -EIO, "catalogue %s: the transaction was rolled back",
				s->path);
		return false;
	}
	if (job->rc)
		rc = conn_exec(&s->writer, "ROLLBACK TO job", why);
	if (!rc)
		rc = conn_exec(&s->writer, "RELEASE job", why);
	return !rc;
}

/* The next write that waits; NULL: none. With `linger`, waits a moment for one. */
static struct job *next_job(struct store *s, bool linger)
{
	struct link *l;
	struct timespec until;

	pthread_mutex_lock(&s->mutex);
	if (linger && list_empty(&s->queue) && !s->stop) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LINGER_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		while (list_empty(&s->queue) && !s->stop && !pthread_cond_timedwait(&s->work, &s->mutex, &until))
			;
	}
	l = list_pop(&s->queue);
	pthread_mutex_unlock(&s->mutex);
	return l ? list_entry(l, struct job, link) : NULL;
}

/* All writes of one transaction; if it cannot even begin, the first of them gets the error. */
static void run_group(struct store *s)
{
	struct err why = ERR_INIT;
	struct link group, *l;
	struct job *job;
	unsigned n = 0;
	bool whole = conn_exec(&s->writer, "BEGIN IMMEDIATE", &why) == 0;

	list_init(&group);
	while (n < GROUP_MOST && (job = next_job(s, whole && n && n < s->last_group))) {
		list_push(&group, &job->link);
		n++;
		if (whole)
			whole = run_job(s, job, &why);
		if (!whole && !sqlite3_get_autocommit(s->writer.db))
			conn_exec(&s->writer, "ROLLBACK", NULL);
		if (!whole)
			break;
	}
	if (whole && conn_exec(&s->writer, "COMMIT", &why)) {
		whole = false;
		if (!sqlite3_get_autocommit(s->writer.db))
			conn_exec(&s->writer, "ROLLBACK", NULL);
	}
	s->last_group = n;
	pthread_mutex_lock(&s->mutex);
	while ((l = list_pop(&group))) {
		job = list_entry(l, struct job, link);
		if (!whole && !job->rc)
			*job->err = why;
		end_job(job, whole || job->rc ? job->rc : why.code);
	}
	pthread_mutex_unlock(&s->mutex);
}

static void *writing_thread(void *arg)
{
	struct store *s = arg;
	bool work;

	do {
		pthread_mutex_lock(&s->mutex);
		while (list_empty(&s->queue) && !s->stop)
			pthread_cond_wait(&s->work, &s->mutex);
		work = !list_empty(&s->queue);
		pthread_mutex_unlock(&s->mutex);
		if (work)
			run_group(s);
	} while (work);
	return NULL;
}

int store_write(struct store *s, store_fn *fn, void *arg, struct err *err)
{
	struct err own = ERR_INIT;
	struct job job = { .fn = fn, .arg = arg, .err = err ? err : &own };

	assert(!pthread_equal(pthread_self(), s->thread)); /* it would wait for itself */
	pthread_cond_init(&job.ended, NULL);
	pthread_mutex_lock(&s->mutex);
	assert(!s->stop);
	list_push(&s->queue, &job.link);
	pthread_cond_signal(&s->work);
	while (!job.done)
		pthread_cond_wait(&job.ended, &s->mutex);
	pthread_mutex_unlock(&s->mutex);
	pthread_cond_destroy(&job.ended);
	return job.rc;
}

/* ------------------------------------------------------------------ reading */
static unsigned take_reader(struct store *s)
{
	unsigned i;

	pthread_mutex_lock(&s->mutex);
	for (;;) {
		for (i = 0; i < READERS && s->reader_used[i]; i++)
			;
		if (i < READERS)
			break;
		pthread_cond_wait(&s->reader_free, &s->mutex);
	}
	s->reader_used[i] = true;
	pthread_mutex_unlock(&s->mutex);
	return i;
}

static void give_reader(struct store *s, unsigned i)
{
	pthread_mutex_lock(&s->mutex);
	s->reader_used[i] = false;
	pthread_cond_signal(&s->reader_free);
	pthread_mutex_unlock(&s->mutex);
}

int store_read(struct store *s, store_fn *fn, void *arg, struct err *err)
{
	struct err own = ERR_INIT;
	struct store_tx tx = { .write = false };
	unsigned i;
	int rc = 0;

	assert(!pthread_equal(pthread_self(), s->thread)); /* it would see an older state than its own transaction */
	err = err ? err : &own;
	i = take_reader(s);
	tx.conn = &s->readers[i];
	if (!tx.conn->db)
		rc = conn_open(tx.conn, s->path, false, err);
	if (!rc)
		rc = conn_exec(tx.conn, "BEGIN", err);
	if (!rc) {
		rc = fn(&tx, arg, err);
		assert(rc <= 0);
		conn_exec(tx.conn, "ROLLBACK", NULL);
	}
	/* A transaction that could not be ended would show its old state for ever. */
	if (tx.conn->db && !sqlite3_get_autocommit(tx.conn->db))
		conn_close(tx.conn);
	give_reader(s, i);
	return rc;
}

/* ------------------------------------------------------------------ open, close */
static int take_lock(struct store *s, struct err *err)
{
	char *name, pid[32];
	ssize_t n;
	int rc = 0;

	if (asprintf(&name, "%s.lock", s->path) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	s->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0) {
		rc = err_set(err, -errno, "catalogue %s: cannot make %s: %s", s->path, name, strerror(errno));
	} else if (flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
		rc = -errno;
		n = pread(s->lock_fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = 0;
		pid[strspn(pid, "0123456789")] = 0;
		if (rc == -EWOULDBLOCK)
			err_set(err, rc = -EBUSY, "catalogue %s: process %s has it open", s->path, *pid ? pid : "?");
		else
			err_set(err, rc, "catalogue %s: cannot lock %s: %s", s->path, name, strerror(-rc));
	} else if (ftruncate(s->lock_fd, 0) == 0) {
		/* For the sentence above only: a full disk is no reason to refuse. */
		n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
		if (pwrite(s->lock_fd, pid, (size_t)n, 0) != n)
			rc = 0;
	}
	free(name);
	return rc;
}

/* Makes the file by ourselves, so that nobody else may read it: what SQLite makes beside it has the same mode. */
static int make_file(struct store *s, struct stat *st, struct err *err)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = 0;

	if (fd < 0)
		return err_set(err, -errno, "catalogue %s: %s", s->path, strerror(errno));
	if (fstat(fd, st))
		rc = -errno;
	else if (!S_ISREG(st->st_mode))
		rc = -EINVAL;
	else if (st->st_size && st->st_size < SMALLEST)
		rc = -EBADMSG;
	else if ((st->st_mode & 077) && fchmod(fd, 0600))
		rc = -errno;
	close(fd);
	return rc ? err_set(err, rc, "catalogue %s: %s", s->path, rc == -EINVAL ? "not a file" :
			    rc == -EBADMSG ? "not a catalogue" : strerror(-rc)) : 0;
}

/* Damage in the middle of a file would else be found by whoever needs that page, perhaps in a month. */
static int check_pages(struct conn *c, struct err *err)
{
	sqlite3_stmt *st;
	const char *found;
	int rc = conn_prepare(c, "PRAGMA quick_check(1)", &st, err);

	if (rc)
		return rc;
	rc = conn_step(c, st, err);
	found = rc > 0 ? (const char *)sqlite3_column_text(st, 0) : NULL;
	if (rc > 0 && (!found || strcmp(found, "ok")))
		rc = err_set(err, -EBADMSG, "catalogue %s: damaged: %s", c->path, found ? found : "unreadable");
	conn_done(st);
	return rc < 0 ? rc : 0;
}

static int check_fn(struct store_tx *tx, void *arg, struct err *err)
{
	(void)arg;
	return check_pages(tx->conn, err);
}

int store_check(struct store *s, struct err *err)
{
	return store_read(s, check_fn, NULL, err);
}

static int open_file(struct store *s, struct err *err)
{
	struct stat st = { 0 };
	int rc = take_lock(s, err);

	if (!rc)
		rc = make_file(s, &st, err);
	if (!rc)
		rc = conn_open(&s->writer, s->path, true, err);
	if (!rc && st.st_size && st.st_size <= CHECK_BYTES)
		rc = check_pages(&s->writer, err);
	if (!rc)
		rc = format_bring(&s->writer, err);
	if (rc)
		return rc;
	rc = pthread_create(&s->thread, NULL, writing_thread, s);
	s->running = !rc;
	return rc ? err_set(err, -rc, "catalogue %s: cannot start its thread: %s", s->path, strerror(rc)) : 0;
}

int store_open(const char *path, struct store **ret, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;
	int rc;

	*ret = NULL;
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->lock_fd = -1;
	list_init(&s->queue);
	pthread_mutex_init(&s->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &monotonic);
	pthread_cond_init(&s->reader_free, &monotonic);
	pthread_condattr_destroy(&monotonic);
	/* SQLite takes "file:..." and ":memory:" for something else than names of files. */
	if (asprintf(&s->path, "%s%s", *path == '/' ? "" : "./", path) < 0) {
		s->path = NULL;
		rc = err_set(err, -ENOMEM, "out of memory");
	} else {
		rc = open_file(s, err);
	}
	if (rc)
		store_close(s);
	else
		*ret = s;
	return rc;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->mutex);
		s->stop = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->mutex);
		pthread_join(s->thread, NULL);
	}
	for (unsigned i = 0; i < READERS; i++)
		conn_close(&s->readers[i]);
	/* The last connection writes the log back into the file and removes it; only then may another process come. */
	conn_close(&s->writer);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->reader_free);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->mutex);
	free(s->path);
	free(s);
}
