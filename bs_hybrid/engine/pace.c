/* SPDX-License-Identifier: GPL-2.0-only */
/* pace.c - how much of write-back may be on the capacity device at this moment. See pace.h. */
#include "engine/pace.h"

#define BLK_NS 27000u /* transfer of a block at 150 MB/s; what a slower medium takes longer counts as positioning */
#define QUIET_NS (2 * SEC_NS) /* who has not read for so long is not waited for */
#define EXPECT_NS (3 * MSEC_NS) /* who comes back within this time is */
#define THINK_MAX_NS (50 * MSEC_NS)
#define LEAST_NS (4 * MSEC_NS) /* in flight when nobody reads: half a turn of the platter */
#define BESIDE_NS (2 * MSEC_NS) /* in flight beside readers */
#define MOST_NS (64 * MSEC_NS) /* the same when the tier is full */
#define NEAR_NS 600000u /* positioning that one behind the other does: a good part of a turn, on the average */
#define CHOICE 32ull /* what a drive is given to choose from if they are far from one another */
#define FEW 4u /* may be in flight whatever they take: with fewer, the arm crosses the disk for one block */
#define IDLE_NS (32 * MSEC_NS) /* in flight when nobody reads and nothing presses: the first read will wait for it */
#define TRAIN_NS (32 * MSEC_NS)
#define DEBT_NS (64 * MSEC_NS) /* what was had in quiet times counts against the share so far */
#define STEADY 768u /* where throttled writers and write-back are in balance (throttle.c) */

static bool quiet(const struct pace *c)
{
	return !c->read_ns || c->now_ns - c->read_ns >= QUIET_NS;
}

/* How full it is beyond the balance, of 256. */
static uint64_t beyond(const struct pace *c)
{
	return c->full > STEADY ? MIN(c->full, PACE_FULL) - STEADY : 0;
}

/* Of 1024: a sixteenth; at the balance an eighth; a half when full. */
static uint64_t share(const struct pace *c)
{
	return 64 + 64 * (uint64_t)MIN(c->full, STEADY) / STEADY + 384 * beyond(c) / (PACE_FULL - STEADY);
}

static uint64_t limit_ns(const struct pace *c)
{
	if (quiet(c)) {
		/* Neighbours are best taken in their order: among many, a drive jumps ahead to what the platter brings
		 * a little sooner, and has to come back. Where each needs a seek, it finds the shortest among many. */
		uint64_t far = c->position_ns > NEAR_NS ? c->position_ns - NEAR_NS : 0;
		uint64_t limit = LEAST_NS + CHOICE * far;

		return c->hurry ? limit : MIN(limit, IDLE_NS);
	}
	return BESIDE_NS + (MOST_NS - BESIDE_NS) * beyond(c) / (PACE_FULL - STEADY);
}

static void see_reads(struct pace *c, const struct pace_view *v)
{
	uint64_t nreads = v->dev->stats.ios[DEV_READ];
	bool ended = nreads != c->nreads;

	if ((v->reads || ended) && !c->reads_seen && c->read_ns)
		c->think_ns = (3 * c->think_ns + MIN(c->now_ns - c->read_ns, THINK_MAX_NS)) / 4;
	if (ended)
		c->done_ns = c->now_ns;
	if (v->reads || ended)
		c->read_ns = c->now_ns;
	c->nreads = nreads;
	c->reads_seen = v->reads;
	c->reading = v->reads || v->checkpoint ||
		     (c->read_ns && c->think_ns < EXPECT_NS && c->now_ns - c->read_ns < EXPECT_NS);
}

void pace_look(struct pace *c, const struct pace_view *v)
{
	uint64_t passed = MIN(v->now_ns - c->now_ns, SEC_NS);

	c->full = v->full;
	c->hurry = v->hurry;
	c->checkpoint = v->checkpoint;
	c->credit_ns = MIN(c->credit_ns + (int64_t)(passed * share(c) / 1024), (int64_t)TRAIN_NS);
	c->now_ns = v->now_ns;
	see_reads(c, v);
	if (c->credit_ns >= (int64_t)TRAIN_NS)
		c->train = true;
	else if (c->credit_ns <= 0)
		c->train = false;
}

uint64_t pace_cost_ns(const struct pace *c, uint32_t nblk)
{
	return c->position_ns + (uint64_t)nblk * BLK_NS;
}

bool pace_may(const struct pace *c, uint32_t nblk)
{
	if (c->reading && !c->train)
		return false;
	return c->flight < FEW || c->flight_ns + pace_cost_ns(c, nblk) <= limit_ns(c);
}

void pace_sent(struct pace *c, uint64_t cost_ns)
{
	c->flight_ns += cost_ns;
	c->flight++;
}

void pace_ended(struct pace *c, uint64_t cost_ns, uint32_t nblk, uint64_t begin_ns, uint64_t now_ns)
{
	uint64_t since = MAX(c->done_ns, begin_ns), took = now_ns > since ? now_ns - since : 0;
	uint64_t transfer = (uint64_t)nblk * BLK_NS, position = took > transfer ? took - transfer : 0;

	c->flight_ns -= cost_ns;
	c->flight--;
	c->done_ns = now_ns;
	c->position_ns = (15 * c->position_ns + position) / 16;
	c->credit_ns = MAX(c->credit_ns - (int64_t)took, -(int64_t)DEBT_NS);
}

void pace_other_ended(struct pace *c, uint64_t now_ns)
{
	c->done_ns = now_ns;
}

bool pace_alone(const struct pace *c)
{
	return quiet(c);
}

void pace_flush_sent(struct pace *c, uint64_t now_ns)
{
	c->flush_begin_ns = now_ns;
	c->flush_alone = !c->reads_seen;
}

/* Behind reads it says nothing of what the writes left to be done. */
void pace_flushed(struct pace *c, uint32_t nblk, uint64_t now_ns)
{
	uint64_t took = now_ns - c->flush_begin_ns;

	if (!c->flush_alone)
		return;
	c->flush_ns = (3 * c->flush_ns + took / MAX(nblk, 1u)) / 4;
	c->credit_ns = MAX(c->credit_ns - (int64_t)MIN(took, DEBT_NS), -(int64_t)DEBT_NS);
}

uint32_t pace_run_blk(const struct pace *c, uint32_t max)
{
	return quiet(c) ? max : (uint32_t)MIN(limit_ns(c) / 2 / BLK_NS, max);
}

uint32_t pace_batch_blk(const struct pace *c, uint32_t min, uint32_t max)
{
	if (quiet(c) || !c->flush_ns)
		return max;
	return (uint32_t)MIN(MAX(limit_ns(c) / c->flush_ns, min), max);
}

uint64_t pace_next_ns(const struct pace *c)
{
	uint64_t next = UINT64_MAX;

	if (!c->reading || c->train)
		return next;
	if (!c->reads_seen && !c->checkpoint)
		next = c->read_ns + EXPECT_NS;
	return MIN(next, c->now_ns + (uint64_t)((int64_t)TRAIN_NS - c->credit_ns) * 1024 / share(c) + 1);
}
