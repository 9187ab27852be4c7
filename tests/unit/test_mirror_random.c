/* SPDX-License-Identifier: GPL-2.0-only */
/* test_mirror_random.c - the mirror under load while its halves die at any moment, are replaced, copied and trusted: no
 * error reaches the caller, reads find what was written last, and after a power cut at any moment each half that the
 * owner's record calls good has all that was answered as durable.
 *
 * Blocks below FREE_BLK are the owner's; writes never overlap. A block whose contents are nobody's (discarded, or the
 * mirror is dead) is ANY.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "mirror_rig.h"
#include "suites.h"

#define IOS 24
#define FREE_BLK 16
#define ANY UINT64_MAX
#define RUNS 15
#define STEPS 2000

enum record { REC_NONE, REC_WRITE, REC_FLUSH, REC_REST };
enum stage { ST_BOTH, ST_LOST, ST_SYNC, ST_TRUST, ST_AGAIN, ST_SECOND, ST_END };

struct load {
	struct mrig g;
	struct rng rng;
	struct mio io[IOS], rec;
	uint64_t *snap[IOS];		/* of a flush: what it will make durable */
	uint64_t now[MRIG_BLKS], dur[MRIG_BLKS];
	uint64_t next_id;
	void *spoilt[64];		/* memory a device may still write into */
	unsigned nspoilt;
	/* The owner. */
	bool good[2];			/* its durable record: this half may be read after a crash */
	enum record record;
	unsigned rest;			/* steps until the record is complete elsewhere, too */
	int rec_half;
	unsigned seen_lost, seen_synced;
	enum stage stage;
	int victim;
	bool hangs, expect_death, source_dies;
	uint64_t since_ns;
	unsigned crashes, held;
};

static struct load L;

static bool overlaps(uint64_t blk, uint64_t n)
{
	for (int i = 0; i < IOS; i++) {
		const struct dev_io *io = &L.io[i].io;

		if (!L.io[i].order && io->op != DEV_FLUSH && blk * BLK_BYTES < io->off_bytes + io->len_bytes &&
		    io->off_bytes < (blk + n) * BLK_BYTES)
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ the caller */

static void io_done(struct mio *t)
{
	uint64_t blk = t->io.off_bytes / BLK_BYTES, n = t->io.len_bytes / BLK_BYTES;

	if (t == &L.rec)
		return;
	if (t->io.error == -ETIMEDOUT) {
		CHECK(L.nspoilt < 64);
		L.spoilt[L.nspoilt++] = t->buf;
		t->buf = mem_alloc_aligned(MIO_BLK * BLK_BYTES);
	}
	if (t->io.error) {
		CHECK(L.g.dev->failed || L.source_dies ||
		      (L.hangs && t->io.op == DEV_READ && t->io.error == -ETIMEDOUT));
		for (uint64_t i = 0; t->io.op == DEV_WRITE && i < n; i++)
			L.now[blk + i] = ANY;
		return;
	}
	for (uint64_t i = 0; i < n; i++) {
		if (t->io.op == DEV_WRITE)
			L.now[blk + i] = t->id;
		else if (t->io.op == DEV_READ && L.now[blk + i] != ANY)
			CHECK(t->buf[i * 512] == L.now[blk + i] && t->buf[i * 512 + 511] == L.now[blk + i]);
	}
	if (t->io.op == DEV_READ)
		CHECK(t->io.served == 1 || t->io.served == 2);
	if (t->io.op == DEV_FLUSH)
		memcpy(L.dur, L.snap[t - L.io], sizeof(L.dur));
}

static void ask(struct mio *t)
{
	uint64_t k = rng_below(&L.rng, 100), n = 1 + rng_below(&L.rng, MIO_BLK);
	uint64_t blk = FREE_BLK + rng_below(&L.rng, MRIG_BLKS - FREE_BLK - n);
	enum dev_op op = k < 35 ? DEV_READ : k < 85 ? DEV_WRITE : k < 97 ? DEV_FLUSH : DEV_DISCARD;

	if (op == DEV_FLUSH) {
		memcpy(L.snap[t - L.io], L.now, sizeof(L.now));
		mrig_queue(&L.g, t, op, 0, 0, 0);
		return;
	}
	if (!rng_below(&L.rng, 4)) {	/* where the copy is just now */
		uint64_t done, total;

		dev_mirror_synced(L.g.dev, &done, &total);
		blk = done / BLK_BYTES + rng_below(&L.rng, 1024);
		blk = MIN(MAX(blk, (uint64_t)FREE_BLK), MRIG_BLKS - n);
	}
	if (overlaps(blk, n))
		return;
	for (uint64_t i = 0; op == DEV_DISCARD && i < n; i++)
		L.now[blk + i] = ANY;
	mrig_queue(&L.g, t, op, blk, n, ++L.next_id);
}

/* ------------------------------------------------------------------ the owner */

static void begin_record(int half)
{
	L.rec_half = half;
	L.record = REC_WRITE;
	L.rec.io.side = (uint8_t)(2 - half);
	mrig_queue(&L.g, &L.rec, DEV_WRITE, 0, 1, ++L.next_id);
}

/* On the other half, durably; then, a while later, on the capacity device. */
static void go_on_recording(void)
{
	if (L.record == REC_NONE || !L.rec.order)
		return;
	CHECK(L.rec.io.error == 0 || L.g.dev->failed);
	switch (L.record) {
	case REC_WRITE:
		L.record = REC_FLUSH;
		L.rec.io.side = (uint8_t)(2 - L.rec_half);
		mrig_queue(&L.g, &L.rec, DEV_FLUSH, 0, 0, 0);
		break;
	case REC_FLUSH:
		L.record = REC_REST;
		L.rest = (unsigned)rng_below(&L.rng, 30);
		break;
	default:
		if (L.rest && L.rest--)
			break;
		L.record = REC_NONE;
		L.good[L.rec_half] = dev_mirror_state(L.g.dev, L.rec_half) == MIRROR_SYNCING;
		if (!L.good[L.rec_half])
			dev_mirror_accept(L.g.dev, L.rec_half);
	}
}

static void own(void)
{
	go_on_recording();
	if (L.record != REC_NONE || L.g.dev->failed)
		return;
	if (dev_mirror_unaccepted(L.g.dev) >= 0) {
		begin_record(dev_mirror_unaccepted(L.g.dev));
	} else if (L.stage == ST_TRUST && L.good[0] && L.good[1]) {
		int half = dev_mirror_state(L.g.dev, 0) == MIRROR_IN;

		/* Recorded, and only some time later believed: what if it dies in between? */
		if (rng_below(&L.rng, 4))
			return;
		CHECK(dev_mirror_trust(L.g.dev, half) == 0);
		L.stage = ST_AGAIN;
		L.since_ns = L.g.clock.now_ns;
	} else if (L.g.synced != L.seen_synced) {
		L.seen_synced = L.g.synced;
		L.stage = ST_END;
		if (L.g.synced_error)
			return;
		L.stage = ST_TRUST;
		begin_record(dev_mirror_state(L.g.dev, 0) == MIRROR_IN);
	}
}

/* ------------------------------------------------------------------ what happens to the halves */

static void arm(int half)
{
	struct sim_faults f = { .eio_count = 1 + rng_below(&L.rng, 3) };
	uint64_t at = 1 + rng_below(&L.rng, 60);

	f.ops = 1u << DEV_WRITE | 1u << DEV_FLUSH;
	switch (rng_below(&L.rng, 4)) {
	case 0:				/* one of these fails */
		f.eio_at = at;
		break;
	case 1:				/* dead at once, for everything */
		f.ops = 0;
		f.eio_at = at;
		f.eio_count = UINT64_MAX;
		break;
	default:			/* hangs */
		f.ops = rng_below(&L.rng, 2) ? 0 : f.ops;
		f.stuck_at = at;
		f.late_ns = rng_below(&L.rng, 2) ? rng_below(&L.rng, 40 * SEC_NS) : 0;
		L.hangs = true;
	}
	mrig_arm(&L.g, half, &f);
}

static bool spare_is_closed(void)
{
	return L.g.lost == 1 || (!L.hangs && L.g.clock.now_ns - L.since_ns > 3 * SEC_NS);
}

static void fate(unsigned step)
{
	int half;

	if (L.stage == ST_BOTH && step == 200) {
		L.victim = (int)rng_below(&L.rng, 2);
		arm(L.victim);
		L.stage = ST_LOST;
	} else if ((L.stage == ST_LOST || L.stage == ST_SECOND) && L.g.lost != L.seen_lost &&
		   dev_mirror_unaccepted(L.g.dev) < 0 && L.record == REC_NONE && !L.g.dev->failed &&
		   spare_is_closed() && !rng_below(&L.rng, 20)) {
		L.seen_lost = L.g.lost;
		half = dev_mirror_state(L.g.dev, 0) != MIRROR_OUT;
		mrig_replace(&L.g, half, rng_below(&L.rng, 3) ? 0 : MIB(50));
		L.stage = ST_SYNC;
		if (!rng_below(&L.rng, 4)) {
			L.expect_death = true;
			L.source_dies = rng_below(&L.rng, 2);
			arm(L.source_dies ? !half : half);
		}
	} else if (L.stage == ST_AGAIN && !rng_below(&L.rng, 50) && !L.expect_death) {
		L.victim = L.g.lost == 1 && rng_below(&L.rng, 3) ? !L.victim : (int)rng_below(&L.rng, 2);
		arm(L.victim);
		L.stage = ST_SECOND;
	}
}

/* ------------------------------------------------------------------ checks */

static void power_cut(void)
{
	for (int h = 0; h < 2; h++) {
		struct sim_clock clock = { 0 };
		struct sim_disk *d;

		if (!L.good[h])
			continue;
		d = sim_disk_crashed(L.g.disk[L.g.place[h]], SIM_POWER_CUT, &clock, rng_next(&L.rng));
		for (uint64_t b = FREE_BLK; b < MRIG_BLKS; b++)
			if (L.dur[b] == L.now[b] && L.now[b] != ANY && !overlaps(b, 1))
				CHECK(mrig_peek(d, b) == L.now[b]);
		sim_disk_free(d);
		L.crashes++;
	}
}

static void all_is_there(void)
{
	struct mio *t = &L.io[0];
	int r;

	for (uint64_t b = FREE_BLK; b < MRIG_BLKS; b += MIO_BLK) {
		do {
			mrig_queue(&L.g, t, DEV_READ, b, MIO_BLK, 0);	/* io_done() compares */
			mrig_wait(&L.g, t);
			r = t->io.error;
			own();
		} while (r == -ETIMEDOUT);
		CHECK(r == 0 || L.g.dev->failed || L.source_dies);
	}
	for (int h = 0; h < 2; h++)
		for (uint64_t b = FREE_BLK; b < MRIG_BLKS && dev_mirror_state(L.g.dev, h) == MIRROR_IN; b++)
			CHECK(L.now[b] == ANY || mrig_peek(L.g.disk[L.g.place[h]], b) == L.now[b]);
}

static void begin(uint64_t seed)
{
	memset(&L, 0, sizeof(L));
	L.rng.s = seed;
	mrig_begin(&L.g, rng_next(&L.rng));
	L.g.done = io_done;
	L.good[0] = L.good[1] = true;
	L.next_id = 1;
	mio_init(&L.g, &L.rec);
	for (int i = 0; i < IOS; i++) {
		mio_init(&L.g, &L.io[i]);
		L.snap[i] = malloc(sizeof(L.now));
	}
}

static void end(void)
{
	mrig_end(&L.g);
	mio_free(&L.rec);
	for (int i = 0; i < IOS; i++) {
		mio_free(&L.io[i]);
		free(L.snap[i]);
	}
	while (L.nspoilt)
		mem_free(L.spoilt[--L.nspoilt]);
}

static void run(uint64_t seed)
{
	begin(seed);
	for (unsigned step = 0; step < STEPS && !L.g.dev->failed; step++) {
		/* Now and then the caller is quiet: else the time limit of what hangs is far away. */
		bool quiet = (L.stage == ST_LOST || L.stage == ST_SECOND) && step % 300 > 200;

		for (int i = 0; i < IOS; i++)
			if (L.io[i].order && !quiet && !rng_below(&L.rng, 4))
				ask(&L.io[i]);
		fate(step);
		mrig_step(&L.g);
		own();
		L.held += dev_mirror_unaccepted(L.g.dev) >= 0;
		if (!rng_below(&L.rng, 30))
			power_cut();
	}
	CHECK(!L.g.dev->failed || L.source_dies);
	for (int i = 0; i < 100000 && (L.g.dev->inflight || L.record != REC_NONE); i++) {
		mrig_step(&L.g);
		own();
	}
	CHECK(L.g.dev->inflight == 0);
	if (!L.g.dev->failed) {
		power_cut();
		all_is_there();
	}
}

static void test_halves_die(void)
{
	unsigned stages[ST_END + 1] = { 0 }, dead = 0, crashes = 0, held = 0, lost = 0;
	struct rng rng = unit_rng();

	for (unit_step = 0; unit_step < RUNS; unit_step++) {
		run(rng_next(&rng));
		stages[L.stage]++;
		dead += L.g.dev->failed;
		crashes += L.crashes;
		held += L.held;
		lost += L.g.lost;
		end();
	}
	/* It did happen. */
	CU_ASSERT(crashes > RUNS * 20 && held > RUNS && lost >= RUNS && dead < RUNS);
	CU_ASSERT(stages[ST_AGAIN] + stages[ST_SECOND] > 0);
}

static CU_TestInfo mirror_random_tests[] = {
	{ "halves_die", test_halves_die },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_mirror_random = { "mirror_random", mirror_random_tests };
