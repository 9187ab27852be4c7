/* SPDX-License-Identifier: GPL-2.0-only */
/* stream.c - sequential streams, and what to fetch together with a miss.
 *
 * Which stream a request belongs to says seq.h.
 *
 * A plan goes outwards from the miss, block by block, and sums up what each is worth: the operations saved, if it is
 * asked for (a part of one: it comes with a whole request), less the price of a block in vain, if not. It ends where
 * the sum was largest. Learning needs no feedback: of all blocks looked at, fetched or not, some are noted, and when
 * as many blocks have entered the cache as one on probation would have outlived, their stamps tell whether they were
 * asked for. So what was never fetched is learnt about as well, and a wrong belief cannot keep itself alive. */
#include "cache/stream.h"

#include "base/mem.h"
#include "base/rng.h"
#include "cache/guess.h"
#include "cache/recent.h"
#include "cache/seq.h"

#include <assert.h>
#include <errno.h>

#define NOTES 4096u
#define OLD_STAMPS 512u			/* of the request's first blocks */
#define TICKS_PER_TRIAL 20u
#define LATELY_TICKS 16u		/* what `busy` means */
#define HOT_TICKS 400u			/* younger than this: would be found in the cache, were it kept */
#define WASTE_DECAY 0.9999f		/* per miss */
#define PRICE_STEP 0.003f
#define PRICE_RANGE 100.0f		/* the price rises at most so much */

/* A block looked at by a plan, to be judged later. */
struct note {
	uint64_t space, blk;
	uint64_t entered;		/* clock then */
	struct clue clue;
	uint16_t stamp;
};

struct streams {
	struct streams_conf conf;
	struct seqs *seqs;		/* their cold_blk: blocks not asked for lately when the stream came */
	struct recent *recent;
	struct guess *guess;
	struct note *notes;		/* a ring */
	uint64_t notes_made, notes_judged;
	uint64_t entered;		/* blocks into the cache: our clock */
	uint64_t tick_at;
	uint64_t tick_blk;
	struct rng rng;
	float price, vain, wanted;	/* the last two decay */
	struct streams_stats stats;
	/* the request told last */
	uint64_t space, blk;
	uint32_t count;
	uint8_t run, size;
	uint16_t old[OLD_STAMPS];
};

/* 0 for 0, 1 for 1, 2 for 2 .. 3, and so on. */
static uint32_t log2_class(uint64_t n)
{
	return n ? 64u - (uint32_t)__builtin_clzll(n) : 0;
}

/* ------------------------------------------------------------------ learning */
/* So many blocks enter the cache: time passes. */
static void enter(struct streams *s, uint64_t blocks)
{
	s->entered += blocks;
	while (s->entered - s->tick_at >= s->tick_blk) {
		s->tick_at += s->tick_blk;
		recent_tick(s->recent);
	}
	for (; s->notes_judged < s->notes_made; s->notes_judged++) {
		struct note *n = &s->notes[s->notes_judged % NOTES];
		uint16_t stamp;

		if (n->entered + s->conf.trial_blk > s->entered)
			break;
		stamp = recent_get(s->recent, n->space, n->blk) & RECENT_TIME;
		guess_learn(s->guess, &n->clue, stamp && stamp != n->stamp);
		s->stats.learnt++;
	}
}

/* Notes a fourth of what is looked at; less when the ring, which must last for a whole trial, becomes full. */
static void note(struct streams *s, uint64_t blk, const struct clue *clue, uint16_t stamp)
{
	uint64_t waiting = s->notes_made - s->notes_judged;

	if (waiting == NOTES || rng_below(&s->rng, waiting < NOTES / 2 ? 4 : 32))
		return;
	s->notes[s->notes_made++ % NOTES] = (struct note){
		.space = s->space, .blk = blk, .entered = s->entered, .clue = *clue, .stamp = stamp & RECENT_TIME
	};
}

/* The price stays where it is as long as not too much is fetched in vain: then each block is worth the same always. */
static void set_price(struct streams *s)
{
	float over;

	s->vain *= WASTE_DECAY;
	s->wanted *= WASTE_DECAY;
	over = s->vain / (s->wanted + 50) - s->conf.waste_max;
	s->price *= 1 + PRICE_STEP * MIN(over, 1.0f);
	s->price = MIN(MAX(s->price, s->conf.price), s->conf.price * PRICE_RANGE);
}

/* ------------------------------------------------------------------ plans */
static uint8_t age_class(struct streams *s, uint16_t stamp)
{
	if (!(stamp & RECENT_TIME))
		return 0;
	return (uint8_t)(1 + MIN(log2_class(recent_age(s->recent, stamp)) / 2, 6u));
}

static uint8_t apart_class(struct streams *s, uint16_t stamp, uint16_t miss)
{
	uint32_t a, m;

	if (!(stamp & RECENT_TIME) || !(miss & RECENT_TIME))
		return 0;
	a = recent_age(s->recent, stamp);
	m = recent_age(s->recent, miss);
	return (uint8_t)(1 + MIN(log2_class(a > m ? a - m : m - a), 6u) + (a > m ? 7 : 0));
}

/* The stamp that a block of the request had before it. */
static uint16_t old_stamp(const struct streams *s, uint64_t blk)
{
	return blk - s->blk < OLD_STAMPS ? s->old[blk - s->blk] : 0;
}

struct side {
	uint64_t edge;			/* the run's first or last block */
	bool before;
	streams_look_fn look;
	void *ctx;
};

/* How many blocks beyond the edge are worth it. */
static uint32_t reach(struct streams *s, const struct side *side)
{
	uint16_t miss = old_stamp(s, side->edge);
	uint32_t best_at = 0, bridged = 0;
	float sum = 0, best = 0;

	for (uint32_t d = 1; d <= s->conf.ahead_max_blk && (!side->before || d <= side->edge); d++) {
		uint64_t blk = side->before ? side->edge - d : side->edge + d;
		enum streams_at at = side->look(side->ctx, s->space, blk);
		struct clue clue;
		uint16_t stamp;
		float p;

		if (at == STREAMS_END || (at == STREAMS_CACHED && ++bridged > s->conf.bridge_blk))
			break;
		if (at == STREAMS_CACHED) {
			sum -= s->price;
			continue;
		}
		bridged = 0;
		stamp = recent_get(s->recent, s->space, blk);
		clue = (struct clue){
			.age = age_class(s, stamp),
			.miss_age = age_class(s, miss),
			.apart = apart_class(s, stamp, miss),
			.vain = stamp >> 15,
			.far = (uint8_t)(MIN(log2_class(d - 1), 6u) * 2 + side->before),
			.run = s->run,
			.size = s->size,
			.busy = (uint8_t)MIN(log2_class(recent_busy(s->recent, s->space, blk, LATELY_TICKS)), 4u),
		};
		p = guess_ask(s->guess, &clue);
		if (d < 8 || d % 4 == 0)
			note(s, blk, &clue, stamp);
		sum += p / (float)s->count - s->price * (1 - p);
		if (sum > best) {
			best = sum;
			best_at = d;
		} else if (d > 8 && sum < best - 8 * s->price) {
			break;
		}
	}
	return best_at;
}

struct stream_plan streams_miss(struct streams *s, uint64_t blk, uint32_t count, streams_look_fn look, void *ctx)
{
	struct side after = {.edge = blk + count - 1, .look = look, .ctx = ctx};
	struct side before = {.edge = blk, .before = true, .look = look, .ctx = ctx};
	uint32_t n_after, n_before;

	assert(count && blk >= s->blk && blk + count <= s->blk + s->count);
	n_after = reach(s, &after);
	n_before = reach(s, &before);
	for (uint32_t i = 1; i <= n_after; i++)
		recent_set_ahead(s->recent, s->space, after.edge + i);
	for (uint32_t i = 1; i <= n_before; i++)
		recent_set_ahead(s->recent, s->space, blk - i);
	s->stats.misses++;
	s->stats.ahead += n_after + n_before;
	s->vain += (float)(n_after + n_before);
	s->wanted += (float)count;
	set_price(s);
	enter(s, (uint64_t)count + n_after + n_before);
	return (struct stream_plan){.from = blk - n_before, .count = count + n_after + n_before};
}

void streams_used(struct streams *s, uint32_t blocks)
{
	s->stats.used += blocks;
	s->vain = MAX(s->vain - (float)blocks, 0.0f);
	s->wanted += (float)blocks;
}

/* ------------------------------------------------------------------ requests */
static uint8_t run_class(uint64_t len_blk, uint32_t count, bool is_new)
{
	if (is_new || (len_blk < 2ull * count && len_blk < 8))
		return 0;
	return len_blk <= 8 ? 1 : len_blk <= 32 ? 2 : len_blk <= 128 ? 3 : 4;
}

struct stream_info streams_request(struct streams *s, uint64_t space, uint64_t blk, uint32_t count, bool is_write)
{
	uint32_t hot = 0;
	struct seq *t;
	bool is_new;

	assert(count);
	if (is_write)
		enter(s, count);
	s->space = space;
	s->blk = blk;
	s->count = count;
	for (uint32_t i = 0; i < count; i++) {
		uint16_t old = recent_touch(s->recent, space, blk + i);

		if (i < OLD_STAMPS)
			s->old[i] = old;
		hot += (old & RECENT_TIME) && recent_age(s->recent, old) < HOT_TICKS;
	}
	t = seqs_follow(s->seqs, space, blk, count, &is_new);
	s->run = run_class(t->len_blk, count, is_new);
	s->size = (uint8_t)(is_write ? 5 : MIN(log2_class(count - 1), 4u));
	/* A run that is read over and over is as sequential as any stream: what it asks for was asked for lately. */
	if (hot > (count + 1) / 2)
		t->cold_blk /= 2;
	else
		t->cold_blk += count - hot;
	return (struct stream_info){
		.len_blk = is_new ? 0 : t->len_blk,
		.bypass = s->conf.bypass_blk && t->cold_blk >= s->conf.bypass_blk,
	};
}

/* ------------------------------------------------------------------ life */
static bool conf_sane(struct streams_conf *c)
{
	c->count = c->count ? c->count : 128;
	c->ahead_max_blk = c->ahead_max_blk ? c->ahead_max_blk : 64;
	c->trial_blk = MAX(c->trial_blk, 1u);
	c->price = c->price != 0 ? c->price : 0.15f;
	c->waste_max = c->waste_max != 0 ? c->waste_max : 0.6f;
	return c->count <= 1024 && c->ahead_max_blk <= STREAMS_AHEAD_MAX && c->price > 0 && c->waste_max > 0;
}

struct streams *streams_new(const struct streams_conf *conf)
{
	struct streams_conf c = *conf;
	struct streams *s;

	if (!conf_sane(&c))
		return NULL;
	s = mem_zalloc(sizeof(*s));
	if (!s)
		return NULL;
	s->conf = c;
	s->seqs = seqs_new(c.count);
	s->recent = recent_new(c.history_blk);
	s->guess = guess_new();
	s->notes = mem_calloc(NOTES, sizeof(*s->notes));
	if (!s->seqs || !s->recent || !s->guess || !s->notes) {
		streams_free(s);
		return NULL;
	}
	s->tick_blk = MAX(c.trial_blk / TICKS_PER_TRIAL, 1u);
	s->rng.s = 1;
	s->price = c.price;
	return s;
}

void streams_free(struct streams *s)
{
	if (!s)
		return;
	seqs_free(s->seqs);
	recent_free(s->recent);
	guess_free(s->guess);
	mem_free(s->notes);
	mem_free(s);
}

uint64_t streams_bytes(const struct streams *s)
{
	return sizeof(*s) + seqs_bytes(s->seqs) + NOTES * sizeof(*s->notes) + recent_bytes(s->recent) +
	       guess_bytes(s->guess);
}

void streams_set_bypass(struct streams *s, uint64_t bypass_blk)
{
	s->conf.bypass_blk = bypass_blk;
}

int streams_set_ahead(struct streams *s, uint32_t ahead_max_blk)
{
	if (!ahead_max_blk || ahead_max_blk > STREAMS_AHEAD_MAX)
		return -EINVAL;
	s->conf.ahead_max_blk = ahead_max_blk;
	return 0;
}

struct streams_stats streams_stats(const struct streams *s)
{
	struct streams_stats stats = s->stats;

	stats.price = s->price;
	return stats;
}
