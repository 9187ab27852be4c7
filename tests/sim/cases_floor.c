/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_floor.c - stories of cache floors: a volume that is asked for something now and then, beside one that reads all
 * over ten times what the caches hold. Time is simulated, so the shares of hits can be asserted.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/sim/load.h"

#define QUIET_BYTES MIB(4)
#define FLOOR_MIB 5u /* what the quiet one has, and the ends of chunks */
#define QUIET_GAP_NS (20 * MSEC_NS)
#define NOISY_DEPTH 8u
#define WRITE_TIER_BYTES MIB(16)
#define RAM_BYTES MIB(1)
#define NOISY_BYTES (10 * (WRITE_TIER_BYTES + RAM_BYTES))
#define WARM_NS (40 * SEC_NS) /* twice what the quiet one takes to ask for all it has */
#define COUNT_NS (30 * SEC_NS)
#define KEEPS 80u /* per cent of the hits that it has alone; and of what the noisy one wrote without a floor */

struct pair {
	struct story s;
	struct load *quiet, *noisy;
	uint64_t noise; /* answers to the noisy one while hits were counted */
};

static bool ok(const struct pair *t)
{
	return !t->s.w->why.text[0];
}

/* Blocks that were read, and of them from the capacity device. */
static void reads(const struct pair *t, uint64_t *ret_all, uint64_t *ret_missed)
{
	struct hb_volume_info info;
	struct hb_volume_stats st;

	hb_volume_info(t->quiet->h, &info);
	hb_volume_stats(t->s.w->pool, info.id, &st);
	*ret_all = 0;
	for (int i = 0; i < HB_PLACES; i++)
		*ret_all += st.read_blocks[i];
	*ret_missed = st.read_blocks[HB_PLACE_CAPACITY];
}

/* Hits of the quiet one in so long, per cent; the noisy one is there, or not. */
static unsigned hits(struct pair *t, const char *what, bool noise, uint64_t warm_ns)
{
	struct load *both[] = {t->quiet, t->noisy};
	uint64_t all, missed, all2, missed2;
	struct hb_volume_info info;
	unsigned pct;

	if (warm_ns)
		load_run(t->s.w, both, 1 + noise, warm_ns);
	reads(t, &all, &missed);
	t->noise = t->noisy->answers;
	load_run(t->s.w, both, 1 + noise, COUNT_NS);
	t->noise = t->noisy->answers - t->noise;
	reads(t, &all2, &missed2);
	hb_volume_info(t->quiet->h, &info);
	pct = (unsigned)(100 - (missed2 - missed) * 100 / MAX(all2 - all, 1));
	if (t->s.w->verbose)
		fprintf(stderr,
			"%s: %" PRIu64 " reads, %u %% hits; %" PRIu64 " of the noisy one, the longest %" PRIu64
			" us; %" PRIu64 " KiB on the write tier, %" PRIu64 " in RAM\n",
			what, all2 - all, pct, t->noise, t->noisy->longest_ns / 1000, info.cached_write_bytes >> 10,
			info.cached_ram_bytes >> 10);
	return pct;
}

static void set_floor(struct pair *t, uint32_t mib)
{
	struct hb_volume_attr a;

	volattr_default(&a);
	a.cache_floor_mib = mib;
	load_set(t->quiet, &a);
}

static void begin_loads(struct pair *t)
{
	load_fill(t->quiet);
	load_fill(t->noisy);
	t->quiet->op = t->noisy->op = HB_READ;
	t->quiet->len = t->noisy->len = BLK_BYTES;
	t->quiet->random = t->noisy->random = true;
	t->quiet->places = QUIET_BYTES / BLK_BYTES;
	t->noisy->places = NOISY_BYTES / BLK_BYTES;
	t->quiet->depth = 1;
	t->quiet->gap_ns = QUIET_GAP_NS;
	t->noisy->depth = NOISY_DEPTH;
	t->noisy->times = 2; /* so that it comes down to the write tier, too */
}

/* The noisy one reads, or writes; each time everywhere. */
static void make_noise(struct pair *t, enum hb_op op)
{
	load_quiet(t->s.w, t->noisy);
	t->noisy->op = op;
	t->noisy->bytes = t->noisy->longest_ns = 0;
}

static void judge(struct pair *t, const char *what, unsigned alone, unsigned beside, unsigned kept)
{
	if (ok(t) && (beside * 100 >= alone * KEEPS || kept * 100 < alone * KEEPS))
		why_set(&t->s.w->why, "%s: hits of the quiet volume: %u %% alone, %u %% without a floor, %u %% with it",
			what, alone, beside, kept);
}

/* The pool is opened anew, and for some time nobody asks the quiet one for anything. */
static void after_restart(struct pair *t, unsigned alone)
{
	unsigned kept;

	load_quiet(t->s.w, t->quiet);
	load_quiet(t->s.w, t->noisy);
	hb_volume_close(t->quiet->h);
	hb_volume_close(t->noisy->h);
	if (!ok(t) || !story_cool(&t->s))
		return;
	load_open(t->quiet);
	load_open(t->noisy);
	if (ok(t))
		load_run(t->s.w, &t->noisy, 1, WARM_NS);
	kept = hits(t, "after a restart", true, 0);
	judge(t, "after a restart", alone, 0, kept);
}

static void tell(struct pair *t)
{
	unsigned alone, beside_reads, beside_writes, kept;
	uint64_t written;

	begin_loads(t);
	alone = hits(t, "alone", false, 2 * WARM_NS);
	beside_reads = hits(t, "beside reads", true, WARM_NS);
	make_noise(t, HB_WRITE);
	beside_writes = hits(t, "beside writes", true, WARM_NS);
	written = t->noise;
	set_floor(t, FLOOR_MIB);
	make_noise(t, HB_READ);
	kept = hits(t, "beside reads, with a floor", true, 2 * WARM_NS);
	judge(t, "beside reads", alone, beside_reads, kept);
	make_noise(t, HB_WRITE);
	kept = hits(t, "beside writes, with a floor", true, WARM_NS);
	judge(t, "beside writes", alone, beside_writes, kept);
	if (ok(t) && t->noise * 100 < written * KEEPS)
		why_set(&t->s.w->why, "with a floor %" PRIu64 " writes were answered, without it %" PRIu64, t->noise,
			written);
	make_noise(t, HB_READ);
	if (ok(t))
		after_restart(t, alone);
	load_quiet(t->s.w, t->quiet);
	load_quiet(t->s.w, t->noisy);
}

void case_floor(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct pair t = {.quiet = NULL};

	shape.disk_bytes[CAPACITY] = QUIET_BYTES + NOISY_BYTES + MIB(20);
	shape.disk_bytes[WRITE_TIER] = WRITE_TIER_BYTES;
	shape.segment_bytes = KIB(256);
	shape.ram_bytes = RAM_BYTES;
	shape.slow[CAPACITY] = true;
	shape.slow[WRITE_TIER] = false;
	shape.staging_bytes = BLK_BYTES + 16 * 64 * BLK_BYTES;
	shape.dirty_low_pct = 20;
	shape.dirty_high_pct = 60;
	shape.writeback_depth = 8;
	if (story_begin(&t.s, r, &shape)) {
		t.quiet = load_new(&t.s, "quiet", QUIET_BYTES);
		t.noisy = load_new(&t.s, "noisy", NOISY_BYTES);
	}
	if (t.quiet && ok(&t))
		tell(&t);
	if (t.quiet) {
		load_free(t.quiet, ok(&t));
		load_free(t.noisy, ok(&t));
	}
	if (t.quiet && ok(&t))
		story_crash(&t.s, SIM_PROCESS_DEATH);
	story_end(&t.s);
}
