/* SPDX-License-Identifier: GPL-2.0-only */
/* disk_live.c - box/disk.h against a real tgtd with our module: bytes of volumes and snapshots, by many threads, and
 * through tgtd's death; and that nobody else gets in, and nothing is left.
 *
 *   disk_live SOCKET PORTAL CONF POOL AGAIN   (tests/e2e/disks starts it; volumes v0 and v1 and the snapshot s0 of v0
 *                                             are there; the program AGAIN kills tgtd and starts it anew)
 *   disk_live SOCKET PORTAL CONF POOL speed NAME   reads all of that volume in order, 16 x 512 KiB under way
 */
#include <errno.h>
#include <inttypes.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/units.h"
#include "box/disk_priv.h"
#include "box/sock.h"

#define PREFIX "iqn.2026-01.org.hybrid.box"
#define IDLE_MS 400u
#define THREADS 16
#define BLOCK KIB(512)

/* libiscsi forgets the task of a synchronous command whose connection ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libiscsi.so";
}

static unsigned passed, failed;
static const char *portal, *socket_path, *conf, *pool, *again;
static char v0[128], v1[128], s0[128], none[128];
static struct tgt *t;
static struct disks *ds;
static struct err err;

static void check(bool ok, const char *what)
{
	passed += ok;
	failed += !ok;
	printf("%s  %s%s%s\n", ok ? "ok    " : "FAILED", what, !ok && err.code ? ": " : "", !ok ? err.text : "");
	err = ERR_INIT;
}

static struct disks *disks(uint32_t patience_ms)
{
	struct disks_conf c = {.tgt = t,
			       .prefix = PREFIX,
			       .portals = &portal,
			       .nportals = 1,
			       .pools_conf = conf,
			       .idle_ms = IDLE_MS,
			       .patience_ms = patience_ms};
	struct disks *made = NULL;

	return disks_new(&c, &made, &err) ? NULL : made;
}

/* How many internal targets tgtd has; -1: it does not answer. */
static int targets(void)
{
	json_t *show = tgt_show(t, PREFIX ":" DISK_INTERNAL, &err);
	int n = show ? (int)json_object_size(show) : -1;

	json_decref(show);
	return n;
}

/* Within 20 s. */
static bool become(int n)
{
	uint64_t end = sock_now_ms() + 20000;

	while (targets() != n && sock_now_ms() < end)
		poll(NULL, 0, 20);
	err = ERR_INIT;
	return targets() == n;
}

static void fill(char *p, uint64_t len, uint64_t seed)
{
	struct rng rng = {.s = seed};

	for (uint64_t i = 0; i < len; i += 8) {
		uint64_t r = rng_next(&rng);

		memcpy(p + i, &r, 8);
	}
}

/* ------------------------------------------------------------------ bytes */

static void test_bytes(void)
{
	char *a = malloc(MIB(4)), *b = malloc(MIB(4));
	struct disk *d = NULL;

	check(!disk_get(ds, "vol-1", v0, true, &d, &err) && disk_size(d) == MIB(256), "a volume is opened");
	if (!d)
		exit(1);
	fill(a, MIB(4), 1);
	check(!disk_write(d, MIB(1), a, MIB(4), &err), "it is written");
	check(!disk_read(d, MIB(1), b, MIB(4), &err) && !memcmp(a, b, MIB(4)), "and read");
	check(!disk_write(d, MIB(256) - 512, a, 512, &err) && !disk_read(d, MIB(256) - 512, b, 512, &err) &&
		      !memcmp(a, b, 512),
	      "its last sector");
	check(!disk_zero(d, MIB(1) + 512, MIB(2), &err), "a range becomes zero, from no round place on");
	memset(a + 512, 0, MIB(2));
	check(!disk_read(d, MIB(1), b, MIB(4), &err) && !memcmp(a, b, MIB(4)), "that range, and no other");
	check(!disk_flush(d, &err), "it is flushed");
	check(disk_read(d, MIB(256) - 512, b, 1024, &err) == -EINVAL, "beyond its end: refused");
	check(disk_read(d, 100, b, 512, &err) == -EINVAL, "between two sectors: refused");
	check(disk_read(d, UINT64_MAX - 511, b, 512, &err) == -EINVAL, "at no place there is: refused");
	disk_put(d, false);
	check(targets() == 0, "closed: no target is left");
	check(!disk_get(ds, "vol-1", v0, false, &d, &err) && !disk_read(d, MIB(1), b, MIB(4), &err) &&
		      !memcmp(a, b, MIB(4)),
	      "opened again, to be read: the same");
	check(disk_write(d, 0, a, 512, &err) == -EINVAL, "it cannot be written then");
	disk_put(d, false);
	check(disk_get(ds, "snap-1", s0, true, &d, &err) == -EROFS && targets() == 0,
	      "a snapshot to be written: refused");
	memset(b, 1, MIB(1));
	check(!disk_get(ds, "snap-1", s0, false, &d, &err) && !disk_read(d, MIB(1), b, MIB(1), &err),
	      "to be read: not");
	check(!b[0] && !memcmp(b, b + 1, MIB(1) - 1), "it has what there was before");
	disk_put(d, false);
	check(disk_get(ds, "vol-9", none, true, &d, &err) == -ENOENT && targets() == 0, "a volume that is not there");
	free(a);
	free(b);
}

struct seen {
	unsigned runs;
	uint64_t bytes;
	bool holds; /* what was written */
	uint64_t from, to;
};

static bool see(void *ctx, uint64_t off, uint64_t len)
{
	struct seen *s = ctx;

	s->runs++;
	s->bytes += len;
	s->holds |= off <= s->from && off + len >= s->to;
	return true;
}

static bool see_one(void *ctx, uint64_t off, uint64_t len)
{
	see(ctx, off, len);
	return false;
}

static void test_mapped(void)
{
	struct seen s = {.from = MIB(64), .to = MIB(65)}, first = {0};
	char *a = malloc(MIB(1));
	struct disk *d = NULL;

	fill(a, MIB(1), 2);
	check(!disk_get(ds, "vol-2", v1, true, &d, &err), "another volume");
	check(!disk_mapped(d, 0, MIB(256), see, &s, &err) && !s.runs, "nothing of it is mapped");
	check(!disk_write(d, MIB(64), a, MIB(1), &err) && !disk_write(d, MIB(128), a, MIB(1), &err), "two parts are");
	check(!disk_mapped(d, 0, MIB(256), see, &s, &err) && s.runs == 2 && s.holds && s.bytes <= MIB(4),
	      "both are told");
	check(!disk_mapped(d, 0, MIB(256), see_one, &first, &err) && first.runs == 1, "until it has seen enough");
	s = (struct seen){.from = MIB(64), .to = MIB(64) + 512};
	check(!disk_mapped(d, 0, MIB(64) + 512, see, &s, &err) && s.runs == 1 && s.holds && s.bytes == 512,
	      "in a range only");
	check(!disk_zero(d, 0, MIB(256), &err) && !disk_mapped(d, 0, MIB(256), see, &first, &err) && first.runs == 1,
	      "zeroed: nothing is");
	disk_put(d, false);
	free(a);
}

/* ------------------------------------------------------------------ who may, and how long */

static bool logs_in(const char *id, const char *initiator, const char *user, const char *secret)
{
	struct iscsi_context *c = iscsi_create_context(initiator);
	char iqn[256];
	bool in;

	snprintf(iqn, sizeof(iqn), PREFIX ":" DISK_INTERNAL "%s", id);
	iscsi_set_targetname(c, iqn);
	iscsi_set_session_type(c, ISCSI_SESSION_NORMAL);
	iscsi_set_noautoreconnect(c, 1);
	iscsi_set_timeout(c, 10);
	if (user)
		iscsi_set_initiator_username_pwd(c, user, secret);
	in = !iscsi_connect_sync(c, portal) && !iscsi_login_sync(c);
	iscsi_destroy_context(c);
	return in;
}

static void test_shut(void)
{
	const char *ours = PREFIX ":hybridd", *user = PREFIX ":" DISK_INTERNAL "vol-1";
	struct disk *d = NULL;

	check(!disk_get(ds, "vol-1", v0, true, &d, &err), "opened");
	check(!logs_in("vol-1", ours, NULL, NULL), "nobody else gets in without a secret");
	check(!logs_in("vol-1", ours, user, "0123456789abcdef"), "with a wrong one");
	check(!logs_in("vol-1", "iqn.2026-01.example:host1", user, d->secret), "by another name");
	check(logs_in("vol-1", ours, user, d->secret), "but with both");
	disk_put(d, false);
}

static void test_kept(void)
{
	struct disk *d = NULL, *e = NULL, *w = NULL;

	check(!disk_get(ds, "vol-1", v0, false, &d, &err) && !disk_get(ds, "vol-1", v0, false, &e, &err) && d == e,
	      "opened twice: one");
	check(disk_get(ds, "vol-1", v0, true, &w, &err) == -EBUSY, "but not for writing meanwhile");
	check(disks_forget(ds, "vol-1", &err) == -EBUSY, "it cannot be forgotten while it is open");
	disk_put(e, true);
	disk_put(d, true);
	check(!disk_get(ds, "vol-1", v0, true, &w, &err), "kept, and wanted for writing");
	disk_put(w, true);
	check(!disks_forget(ds, "vol-1", &err) && targets() == 0, "kept, and forgotten");
	check(!disk_get(ds, "vol-1", v0, false, &d, &err), "opened");
	disk_put(d, true);
	check(become(0), "kept, and closed after a while");
}

/* What a manager that was killed leaves. */
static void test_left(void)
{
	pid_t pid = fork();
	struct disk *d = NULL;
	int status = 0;

	if (!pid) {
		tgt_new(socket_path, &t, &err);
		ds = disks(0);
		_exit(!ds || disk_get(ds, "vol-1", v0, true, &d, &err) || disk_get(ds, "vol-2", v1, true, &d, &err));
	}
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && !WEXITSTATUS(status) && targets() == 2, "killed: its targets stay");
	check(!disks_forget(ds, "vol-2", &err) && targets() == 1, "the next life takes one down");
	check(!disk_get(ds, "vol-2", v1, true, &d, &err) && targets() == 2, "opens it");
	check(!disks_sync(ds, &err) && targets() == 1, "and sweeps away the other");
	check(!disk_flush(d, &err), "not its own");
	disk_put(d, false);
}

/* ------------------------------------------------------------------ many, and tgtd's death */

struct part {
	struct disk *d;
	uint64_t from, to, seed;
	unsigned bad;
	struct err err;
};

/* Writes its part, and reads it back. */
static void *work(void *arg)
{
	struct part *p = arg;
	char *a = malloc(BLOCK), *b = malloc(BLOCK);

	for (uint64_t at = p->from; at < p->to; at += BLOCK) {
		fill(a, BLOCK, p->seed + at);
		p->bad += disk_write(p->d, at, a, BLOCK, &p->err) != 0;
	}
	p->bad += disk_flush(p->d, &p->err) != 0;
	for (uint64_t at = p->from; at < p->to; at += BLOCK) {
		fill(a, BLOCK, p->seed + at);
		p->bad += disk_read(p->d, at, b, BLOCK, &p->err) || memcmp(a, b, BLOCK);
	}
	free(a);
	free(b);
	return NULL;
}

static void run_again(const char *what)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		execl(again, again, what, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	if (status)
		check(false, what);
}

static void test_many(bool kill_it)
{
	struct disk *d[2] = {NULL, NULL};
	struct part parts[THREADS];
	pthread_t threads[THREADS];
	unsigned bad = 0;

	if (disk_get(ds, "vol-1", v0, true, &d[0], &err) || disk_get(ds, "vol-2", v1, true, &d[1], &err)) {
		check(false, "two volumes");
		return;
	}
	for (unsigned i = 0; i < THREADS; i++) {
		uint64_t from = i / 2 * MIB(32);

		parts[i] = (struct part){d[i % 2], from, from + MIB(32), i + 100u * kill_it, 0, ERR_INIT};
		pthread_create(&threads[i], NULL, work, &parts[i]);
	}
	for (int i = 0; kill_it && i < 3; i++) {
		poll(NULL, 0, 300);
		run_again("both");
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		bad += parts[i].bad;
		if (parts[i].bad)
			err = parts[i].err;
	}
	check(!bad, kill_it ? "16 threads on two volumes, tgtd killed three times" : "16 threads on two volumes");
	disk_put(d[0], false);
	disk_put(d[1], false);
}

static void test_away(void)
{
	struct disks *all = ds;
	char *a = malloc(MIB(1)), *b = malloc(MIB(1));
	struct disk *d = NULL, *e = NULL;

	ds = disks(1500);
	check(ds && !disk_get(ds, "vol-1", v0, true, &d, &err), "one of little patience");
	fill(a, MIB(1), 7);
	check(!disk_write(d, 0, a, MIB(1), &err), "written");
	run_again("kill");
	check(disk_read(d, 0, b, MIB(1), &err) == -ECONNREFUSED, "tgtd is dead: it ends");
	check(disk_get(ds, "vol-2", v1, true, &e, &err) == -ECONNREFUSED, "nor can another be opened");
	run_again("start");
	check(become(1), "tgtd is back, and so is the target");
	for (int i = 0; i < 200 && disk_flush(d, &err); i++)
		poll(NULL, 0, 50);
	err = ERR_INIT;
	check(!disk_flush(d, &err) && !disk_read(d, 0, b, MIB(1), &err) && !memcmp(a, b, MIB(1)), "and the bytes");
	run_again("kill");
	disk_put(d, false);
	run_again("start");
	disks_free(ds);
	ds = all;
	for (int i = 0; i < 400 && disks_sync(ds, &err); i++)
		poll(NULL, 0, 50); /* it is just starting */
	err = ERR_INIT;
	check(targets() == 0, "closed while it was dead: nothing is left");
	free(a);
	free(b);
}

/* ------------------------------------------------------------------ how fast */

static void test_speed(const char *name)
{
	struct disk_io io[THREADS] = {0};
	struct disk *d = NULL;
	char store[160], *buf = malloc(THREADS * BLOCK);
	uint64_t began, ms, size;

	snprintf(store, sizeof(store), "%s/%s", pool, name);
	check(!disk_get(ds, "vol-1", store, false, &d, &err), "opened");
	if (!d)
		return;
	size = ROUND_DOWN(disk_size(d), BLOCK);
	began = sock_now_ms();
	for (uint64_t at = 0, i = 0; at < size + THREADS * BLOCK; at += BLOCK, i = (i + 1) % THREADS) {
		if (at >= THREADS * BLOCK && disk_wait(&io[i], &err))
			break;
		io[i] = (struct disk_io){.op = DEV_READ, .off_bytes = at, .len_bytes = BLOCK, .buf = buf + i * BLOCK};
		if (at < size)
			disk_submit(d, &io[i]);
	}
	ms = sock_now_ms() - began;
	printf("%" PRIu64 " MiB in %" PRIu64 " ms: %" PRIu64 " MiB/s\n", size >> 20, ms,
	       (size >> 20) * 1000 / (ms + !ms));
	check(!err.code, "read");
	disk_put(d, false);
	free(buf);
}

int main(int argc, char **argv)
{
	if (argc < 6 || tgt_new(argv[1], &t, &err)) {
		fprintf(stderr, "usage: %s SOCKET PORTAL CONF POOL AGAIN | speed NAME\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	socket_path = argv[1], portal = argv[2], conf = argv[3], pool = argv[4], again = argv[5];
	snprintf(v0, sizeof(v0), "%s/v0", pool);
	snprintf(v1, sizeof(v1), "%s/v1", pool);
	snprintf(s0, sizeof(s0), "%s/s0", pool);
	snprintf(none, sizeof(none), "%s/no-such-volume", pool);
	ds = disks(0);
	if (!ds)
		return 2;
	if (argc == 7) {
		test_speed(argv[6]);
	} else {
		test_bytes();
		test_mapped();
		test_shut();
		test_kept();
		test_left();
		test_many(false);
		test_many(true);
		test_away();
		check(tgt_sweep(t, PREFIX, &err) == 0, "no account is left");
	}
	disks_free(ds);
	tgt_free(t);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
