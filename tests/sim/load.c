/* SPDX-License-Identifier: GPL-2.0-only */
/* load.c - volumes that are kept busy: see load.h. */
#include "tests/sim/load.h"

#include <stdlib.h>

#define MUCH GIB(4) /* bytes: more than any ceiling, or slow device, lets through in a story */

static uint8_t zeros[LOAD_LEN_MAX];

static void count(struct load *d, const struct hb_req *r)
{
	uint64_t bytes = r->op == HB_UNMAP ? 0 : r->len_bytes;

	if (r->error)
		why_set(&d->w->why, "%s: a request answers %d", ovol_name(d->v), r->error);
	d->answers++;
	d->ios += MAX(DIV_UP(bytes, LOAD_IO_BYTES), 1);
	d->bytes += bytes;
	d->longest_ns = MAX(d->longest_ns, d->w->clock.now_ns - r->start_ns);
}

static void answered(struct hb_req *r)
{
	struct load *d = r->owner;

	d->busy[r - d->req] = false;
	d->out--;
	count(d, r);
}

static void ask(struct load *d, unsigned i)
{
	static const enum hb_op ops[] = {HB_READ, HB_READ, HB_WRITE, HB_WRITE, HB_WRITE, HB_UNMAP, HB_PREFETCH};
	static uint8_t sink[LOAD_LEN_MAX];
	struct hb_req *r = &d->req[i];
	enum hb_op op = d->op == HB_OPS ? ops[rng_below(&d->w->rng, ARRAY_LEN(ops))] : d->op;
	uint64_t len = d->len ? d->len : BLK_BYTES * (1 + rng_below(&d->w->rng, LOAD_LEN_MAX / BLK_BYTES));

	*r = (struct hb_req){.op = op, .vol = d->h, .len_bytes = len, .done = answered, .owner = d};
	r->buf = op == HB_READ ? sink : op == HB_WRITE ? zeros : NULL;
	if (d->left[i]) {
		d->left[i]--;
	} else {
		d->place[i] = d->random ? rng_below(&d->w->rng, d->places) : d->at % d->places;
		d->at += 617; /* a prime: each place comes, and no two neighbours */
		d->left[i] = d->times ? d->times - 1 : 0;
	}
	r->off_bytes = d->place[i] * len % (ovol_size(d->v) - len + BLK_BYTES);
	d->busy[i] = true;
	d->out++;
	if (hb_submit(r))
		answered(r);
}

/* Keeps depth requests of each out for so long. */
void load_run(struct world *w, struct load *const *d, unsigned n, uint64_t ns)
{
	uint64_t until = w->clock.now_ns + ns, next;

	world_patience(w, ns + 600 * SEC_NS);
	while (w->clock.now_ns < until && !w->why.text[0]) {
		bool waits = false;

		next = until;
		for (unsigned k = 0; k < n; k++) {
			for (unsigned i = 0; i < d[k]->depth; i++) {
				if (d[k]->busy[i] || w->clock.now_ns < d[k]->next_ns)
					continue;
				d[k]->next_ns = w->clock.now_ns + d[k]->gap_ns;
				ask(d[k], i);
			}
			waits |= d[k]->out || d[k]->gap_ns;
			if (d[k]->gap_ns) /* one that is overdue comes some time after the answer it waits for */
				next = MIN(next, MAX(d[k]->next_ns, w->clock.now_ns + d[k]->gap_ns));
			if (d[k]->bytes > MUCH)
				why_set(&w->why, "%s: nothing holds it", ovol_name(d[k]->v));
		}
		if (waits) /* else all was answered at once, and a turn would go on to the end of the time */
			world_turn(w, next);
	}
}

void load_quiet(struct world *w, struct load *d)
{
	world_patience(w, 600 * SEC_NS);
	while (d->out && !w->why.text[0])
		world_turn(w, UINT64_MAX);
}

void load_pass_time(struct world *w, uint64_t ns)
{
	uint64_t until = w->clock.now_ns + ns;

	world_patience(w, ns + SEC_NS);
	while (w->clock.now_ns < until)
		world_turn(w, until);
}

struct load *load_new(struct story *s, const char *name, uint64_t size)
{
	struct load *d = need(calloc(1, sizeof(*d)));
	struct err err = ERR_INIT;

	d->w = s->w;
	d->depth = 8;
	d->op = HB_OPS;
	d->places = UINT32_MAX;
	d->v = oracle_vol_create(s->w->oracle, name, size);
	if (hb_volume_create(s->w->pool, name, size, &err) || hb_volume_open(s->w->pool, name, &d->h, &err))
		why_set(&s->w->why, "%s", err.text);
	oracle_vol_end(s->w->oracle, true);
	return d;
}

void load_open(struct load *d)
{
	struct err err = ERR_INIT;

	if (hb_volume_open(d->w->pool, ovol_name(d->v), &d->h, &err))
		why_set(&d->w->why, "%s", err.text);
}

void load_free(struct load *d, bool close)
{
	if (close)
		hb_volume_close(d->h);
	free(d);
}

void load_set(struct load *d, const struct hb_volume_attr *a)
{
	struct err err = ERR_INIT;

	oracle_vol_set(d->w->oracle, d->v, a);
	if (hb_volume_set(d->w->pool, ovol_name(d->v), a, HB_ATTR_ALL, &err))
		why_set(&d->w->why, "set: %s", err.text);
	oracle_vol_end(d->w->oracle, true);
	d->answers = d->ios = d->bytes = d->longest_ns = 0;
}

/* Each block of the volume is on the capacity device, and so many that few are found anywhere else. */
void load_fill(struct load *d)
{
	struct world *w = d->w;

	for (uint64_t off = 0; off < ovol_size(d->v) && !w->why.text[0]; off += LOAD_LEN_MAX) {
		struct hb_req r = {.op = HB_WRITE, .vol = d->h, .off_bytes = off, .len_bytes = LOAD_LEN_MAX,
				   .buf = zeros};

		world_do(w, &r);
		if (r.error)
			why_set(&w->why, "filling %s: %d", ovol_name(d->v), r.error);
	}
	world_patience(w, 3600 * SEC_NS);
	if (hb_pool_writeback(w->pool))
		why_set(&w->why, "write-back");
}
