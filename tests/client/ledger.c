/* SPDX-License-Identifier: GPL-2.0-only */
/* ledger.c - see ledger.h. A value is a version: unique to its write, even for data and odd for zeros; 0 is "never
 * written", which reads as zeros. A sector of data is its stamp and a filling computed from the stamp, so that one
 * comparison proves all 512 bytes. */
#include "tests/client/ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "tests/client/client.h"

#define LEDGER_MAGIC 0x7265676465a1b2c3ull
#define STAMP_MAGIC 0x706d6174531f2e3dull
#define BLOCK_SECTORS 8u
#define REPORTS_MAX 20
#define LUNS_MAX 16

struct ledger_head {
	uint64_t magic;
	uint64_t run;			/* tells this ledger's data from any other's */
	uint64_t luns, sectors;
	uint64_t version;		/* last given out */
	uint64_t order;			/* last given out */
	uint64_t flushed[LUNS_MAX];	/* what was answered up to this order is durable */
};

struct ledger_cell {
	uint64_t now, next;		/* next 0: nothing pending */
	uint64_t order;			/* when `now` was answered; 0: it is durable */
	uint64_t safe;			/* the last durable value before `now`, as far as we know */
	uint64_t zeros;			/* the last version sent that is zeros */
};

struct stamp {
	uint64_t magic, run, lun, lba, version;
	uint64_t filling[59];
};
_Static_assert(sizeof(struct stamp) == SECTOR, "a stamp fills its sector");

static struct ledger_cell *cell(const struct ledger *l, unsigned lun, uint64_t lba)
{
	assert(lun < l->luns && lba < l->sectors);
	return &l->cells[lun * l->sectors + lba];
}

static bool is_zeros(uint64_t version)
{
	return version == 0 || (version & 1);
}

static void stamp_fill(const struct ledger *l, struct stamp *s, unsigned lun, uint64_t lba, uint64_t version)
{
	struct rng r;

	*s = (struct stamp){.magic = STAMP_MAGIC, .run = l->head->run, .lun = lun, .lba = lba, .version = version};
	r.s = hash64(s->run ^ hash64(lba) ^ hash64(version << 8 | lun));
	for (size_t i = 0; i < sizeof(s->filling) / sizeof(s->filling[0]); i++)
		s->filling[i] = rng_next(&r);
}

/* Whether the sector holds exactly this value. */
static bool holds(const struct ledger *l, const void *sector, unsigned lun, uint64_t lba, uint64_t version)
{
	static const struct stamp zeros;
	struct stamp want;

	if (is_zeros(version))
		return !memcmp(sector, &zeros, SECTOR);
	stamp_fill(l, &want, lun, lba, version);
	return !memcmp(sector, &want, SECTOR);
}

/* The value a power cut cannot take away. */
static uint64_t durable(const struct ledger *l, unsigned lun, const struct ledger_cell *c)
{
	return c->order <= l->head->flushed[lun] ? c->now : c->safe;
}

static void complain(struct ledger *l, unsigned lun, uint64_t lba, const void *sector, const char *what)
{
	const struct ledger_cell *c = cell(l, lun, lba);
	struct stamp s;
	char found[120];

	if (l->bad++ >= REPORTS_MAX)
		return;
	memcpy(&s, sector, sizeof(s));
	if (holds(l, sector, lun, lba, 0))
		snprintf(found, sizeof(found), "zeros");
	else if (s.magic != STAMP_MAGIC || s.run != l->head->run)
		snprintf(found, sizeof(found), "nothing that was ever written here");
	else
		snprintf(found, sizeof(found), "lun %u lba %llu version %llu%s", (unsigned)s.lun,
			 (unsigned long long)s.lba, (unsigned long long)s.version,
			 holds(l, sector, (unsigned)s.lun, s.lba, s.version) ? "" : ", damaged");
	fprintf(stderr, "lun %u lba %llu: %s: acknowledged version %llu, pending %llu, durable %llu, found %s\n", lun,
		(unsigned long long)lba, what, (unsigned long long)c->now, (unsigned long long)c->next,
		(unsigned long long)durable(l, lun, c), found);
}

static int make(int fd, const char *path, unsigned luns, uint64_t sectors)
{
	struct ledger_head head = {.magic = LEDGER_MAGIC, .luns = luns, .sectors = sectors};

	if (getrandom(&head.run, sizeof(head.run), 0) != sizeof(head.run))
		goto fail;
	if (pwrite(fd, &head, sizeof(head), 0) != sizeof(head))
		goto fail;
	if (ftruncate(fd, (off_t)(sizeof(head) + luns * sectors * sizeof(struct ledger_cell))))
		goto fail;
	return 0;
fail:
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	return -1;
}

int ledger_open(struct ledger *l, const char *path, unsigned luns, uint64_t sectors)
{
	size_t bytes = sizeof(struct ledger_head) + luns * sectors * sizeof(struct ledger_cell);
	struct stat st;
	void *map;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert(luns <= LUNS_MAX);
	memset(l, 0, sizeof(*l));
	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		goto fail;
	}
	if (st.st_size == 0 && make(fd, path, luns, sectors))
		goto fail;
	if (st.st_size != 0 && (uint64_t)st.st_size != bytes) {
		fprintf(stderr, "%s: a ledger of another size\n", path);
		goto fail;
	}
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		fprintf(stderr, "%s: mmap: %s\n", path, strerror(errno));
		goto fail;
	}
	close(fd);
	l->head = map;
	l->cells = (struct ledger_cell *)(l->head + 1);
	l->map_bytes = bytes;
	l->luns = luns;
	l->sectors = sectors;
	if (l->head->magic != LEDGER_MAGIC || l->head->luns != luns || l->head->sectors != sectors) {
		fprintf(stderr, "%s: a ledger of other LUNs\n", path);
		ledger_close(l);
		return -1;
	}
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	return -1;
}

void ledger_close(struct ledger *l)
{
	munmap(l->head, l->map_bytes);
	l->head = NULL;
}

uint64_t ledger_pending(const struct ledger *l)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < l->luns * l->sectors; i++)
		n += l->cells[i].next != 0;
	return n;
}

void ledger_begin(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, void *buf)
{
	uint64_t version = (l->head->version | 1) + (buf ? 1 : 2);

	l->head->version = version;
	assert(is_zeros(version) == !buf);
	for (uint32_t i = 0; i < n; i++) {
		struct ledger_cell *c = cell(l, lun, lba + i);

		assert(c->next == 0);
		c->next = version;
		if (!buf)
			c->zeros = version;
		if (buf)
			stamp_fill(l, (struct stamp *)buf + i, lun, lba + i, version);
	}
}

void ledger_done(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, bool is_durable)
{
	uint64_t order = ++l->head->order;

	for (uint32_t i = 0; i < n; i++) {
		struct ledger_cell *c = cell(l, lun, lba + i);

		assert(c->next != 0);
		c->safe = durable(l, lun, c);
		c->now = c->next;
		c->order = is_durable ? 0 : order;
		c->next = 0;
	}
}

uint64_t ledger_flush(const struct ledger *l)
{
	return l->head->order;
}

void ledger_flushed(struct ledger *l, unsigned lun, uint64_t mark)
{
	assert(lun < l->luns);
	if (mark > l->head->flushed[lun])
		l->head->flushed[lun] = mark;
}

/* Invariant (3): no two sectors of this block that share a pending write disagree on whether it happened. */
static void check_atomic(struct ledger *l, unsigned lun, uint64_t lba, const uint8_t *block)
{
	for (uint32_t i = 0; i < BLOCK_SECTORS; i++) {
		struct ledger_cell *a = cell(l, lun, lba + i);

		for (uint32_t j = 0; j < i; j++) {
			struct ledger_cell *b = cell(l, lun, lba + j);
			bool a_new, a_old, b_new, b_old;

			if (!a->next || a->next != b->next)
				continue;
			a_new = holds(l, block + i * SECTOR, lun, lba + i, a->next);
			a_old = holds(l, block + i * SECTOR, lun, lba + i, a->now);
			b_new = holds(l, block + j * SECTOR, lun, lba + j, b->next);
			b_old = holds(l, block + j * SECTOR, lun, lba + j, b->now);
			if ((a_new && !a_old && b_old && !b_new) || (a_old && !a_new && b_new && !b_old)) {
				complain(l, lun, lba + i, block + i * SECTOR, "block torn");
				return;
			}
		}
	}
}

/* What the sector holds becomes its value. */
static void settle(struct ledger *l, unsigned lun, struct ledger_cell *c, uint64_t version)
{
	if (c->next)
		*(version == c->next ? &l->settled_new : &l->settled_old) += 1;
	c->next = 0;
	if (version == c->now)
		return;
	c->safe = durable(l, lun, c);
	c->now = version;
	c->order = ++l->head->order;
}

static void check_killed(struct ledger *l, unsigned lun, uint64_t lba, const void *sector)
{
	struct ledger_cell *c = cell(l, lun, lba);

	if (c->next && holds(l, sector, lun, lba, c->next)) {
		settle(l, lun, c, c->next);
	} else {
		if (!holds(l, sector, lun, lba, c->now))
			complain(l, lun, lba, sector, "wrong data");
		settle(l, lun, c, c->now);
	}
}

/* Which value the sector holds, if it may hold it after a power cut. */
static bool survivor(const struct ledger *l, unsigned lun, uint64_t lba, const void *sector, uint64_t *ret)
{
	const struct ledger_cell *c = cell(l, lun, lba);
	uint64_t least = durable(l, lun, c);
	struct stamp s;

	memcpy(&s, sector, sizeof(s));
	if (holds(l, sector, lun, lba, 0)) {
		*ret = is_zeros(c->now) ? c->now : c->zeros > least ? c->zeros : least;
		return is_zeros(least) || c->zeros > least;
	}
	*ret = s.version;
	return s.version >= least && s.version <= l->head->version && holds(l, sector, lun, lba, s.version);
}

static void check_power_cut(struct ledger *l, unsigned lun, uint64_t lba, const void *sector)
{
	struct ledger_cell *c = cell(l, lun, lba);
	uint64_t version;

	if (!survivor(l, lun, lba, sector, &version)) {
		complain(l, lun, lba, sector, "durable data lost");
		version = c->now;
	}
	l->lost += version != c->now && version != c->next;
	settle(l, lun, c, version);
	c->order = 0;			/* it has survived */
}

void ledger_check(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, const void *buf, enum ledger_mode mode)
{
	const uint8_t *p = buf;

	assert(mode == LEDGER_LIVE || (lba % BLOCK_SECTORS == 0 && n % BLOCK_SECTORS == 0));
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *sector = p + i * SECTOR;

		if (mode == LEDGER_KILLED && i % BLOCK_SECTORS == 0)
			check_atomic(l, lun, lba + i, sector);
		if (mode == LEDGER_KILLED)
			check_killed(l, lun, lba + i, sector);
		else if (mode == LEDGER_POWER_CUT)
			check_power_cut(l, lun, lba + i, sector);
		else if (!holds(l, sector, lun, lba + i, cell(l, lun, lba + i)->now))
			complain(l, lun, lba + i, sector, "wrong data");
	}
}
