/* SPDX-License-Identifier: GPL-2.0-only */
/* cases_fault.c - stories of sick devices, full devices, damaged media and missing memory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "format/super.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload.h"

static void disarm(struct world *w)
{
	for (int i = 0; i < DISKS_MAX; i++)
		if (w->disk[i])
			sim_disk_arm(w->disk[i], &(struct sim_faults){0});
}

/* Runs with a fault armed, under rare observation; then crashes without the fault and looks. */
static void live_with_fault(struct story *s, int disk, const struct sim_faults *f, unsigned steps)
{
	static const struct cuts cuts = {.one_in = 20, .death_pct = 40, .submit_one_in = 60};
	struct world *w = s->w;

	w->tolerate |= TOLERATE_IO;
	world_watch(w, &cuts);
	sim_disk_arm(w->disk[disk], f);
	if (!workload_run(s->l, steps) || !workload_quiet(s->l))
		return;
	disarm(w);
	if (rng_below(&w->rng, 2)) {
		world_flush(w);
		workload_run(s->l, steps / 4);
	}
	w->tolerate &= ~(unsigned)TOLERATE_IO;
	if (story_crash(s, rng_below(&w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH))
		workload_run(s->l, steps / 4);
}

void case_eio(struct run *r)
{
	static const unsigned ops[] = {0, 0, 1u << DEV_WRITE, 1u << DEV_FLUSH, 1u << DEV_READ};
	struct shape shape = shape_draw(r->seed);
	struct story s;

	shape.ram_bytes = MIB(4);
	if (story_begin(&s, r, &shape) && workload_run(s.l, 60)) {
		struct rng *g = &s.w->rng;
		struct sim_faults f = {.ops = ops[rng_below(g, ARRAY_LEN(ops))]};

		f.eio_at = 1 + rng_below(g, f.ops == 1u << DEV_FLUSH ? 12 : 60);
		f.eio_count = rng_below(g, 2) ? 1 : rng_below(g, 2) ? 3 : UINT32_MAX;
		live_with_fault(&s, (int)rng_below(g, DISKS), &f, 150);
	}
	story_end(&s);
}

void case_stuck(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct story s;

	if (story_begin(&s, r, &shape) && workload_run(s.l, 60)) {
		struct rng *g = &s.w->rng;
		struct sim_faults f = {.stuck_at = 1 + rng_below(g, 60),
				       .late_ns = rng_below(g, 3) ? 1 + rng_below(g, 200 * MSEC_NS) : 0};

		live_with_fault(&s, (int)rng_below(g, DISKS), &f, 150);
	}
	story_end(&s);
}

void case_no_room(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct story s;

	if (story_begin(&s, r, &shape) && workload_run(s.l, 30)) {
		struct sim_faults f = {.room_bytes = KIB(4) * (1 + rng_below(&s.w->rng, 100))};

		s.w->tolerate |= TOLERATE_SPACE;
		live_with_fault(&s, (int)rng_below(&s.w->rng, DISKS), &f, 150);
	}
	story_end(&s);
}

/* ------------------------------------------------------------------ full */

/* All data of the first volume again: needs no space that it does not have. */
static bool rewrite_in_place(struct story *s)
{
	struct world *w = s->w;
	struct ovol *v = oracle_vol(w->oracle, 0);
	struct hb_volume *h;
	struct err err = ERR_INIT;
	uint8_t *buf = need(calloc(1, BLK_BYTES));

	if (!v || hb_volume_open(w->pool, ovol_name(v), &h, &err)) {
		free(buf);
		return true;
	}
	for (uint64_t b = 0; b < ovol_size(v) / BLK_BYTES && !w->why.text[0]; b++) {
		struct hb_req req = {
			.op = HB_WRITE, .vol = h, .off_bytes = b * BLK_BYTES, .len_bytes = BLK_BYTES, .buf = buf};
		uint64_t len = BLK_BYTES, ids[8];
		bool was = hb_volume_mapped(h, b * BLK_BYTES, &len);
		op_t op = oracle_begin(w->oracle, HB_WRITE, false);

		for (unsigned i = 0; i < 8; i++)
			sector_fill(buf + i * ORACLE_SECTOR, ids[i] = hash64(w->seed ^ b << 8 ^ i) | 1);
		oracle_write(w->oracle, op, v, b * 8, ids, 8);
		world_do(w, &req);
		oracle_end(w->oracle, op, req.error ? OP_FAILED : OP_DONE);
		if (req.error && (was || req.error != -ENOSPC))
			why_set(&w->why, "full pool: rewriting block %" PRIu64 " in place answers %d", b, req.error);
	}
	hb_volume_close(h);
	free(buf);
	return !w->why.text[0];
}

static bool unmap_all(struct world *w, struct ovol *v)
{
	uint64_t n = ovol_sectors(v), *ids = need(calloc(n, sizeof(*ids)));
	op_t op = oracle_begin(w->oracle, HB_UNMAP, false);
	struct hb_req req = {.op = HB_UNMAP, .len_bytes = ovol_size(v)};
	struct err err = ERR_INIT;

	oracle_write(w->oracle, op, v, 0, ids, n);
	free(ids);
	if (hb_volume_open(w->pool, ovol_name(v), &req.vol, &err)) {
		why_set(&w->why, "full pool: %s", err.text);
		return false;
	}
	world_do(w, &req);
	oracle_end(w->oracle, op, req.error ? OP_FAILED : OP_DONE);
	hb_volume_close(req.vol);
	if (req.error)
		why_set(&w->why, "full pool: unmap answers %d", req.error);
	return !req.error;
}

/* All of every volume goes, by unmapping or with the volume; within a while, all space must be there again. */
static bool make_room(struct story *s)
{
	struct world *w = s->w;
	bool unmap = rng_below(&w->rng, 2);
	struct hb_stats st;
	struct ovol *v;

	for (unsigned i = 0; unmap && (v = oracle_vol(w->oracle, i)); i++)
		if (!unmap_all(w, v))
			return false;
	if (!unmap && !workload_delete_all(s->l))
		return false;
	for (int i = 0; i < 200 && !w->why.text[0]; i++) {
		world_patience(w, 600 * SEC_NS);
		if (i % 20 == 0)
			world_flush(w);
		world_turn(w, w->clock.now_ns + 100 * MSEC_NS);
	}
	hb_pool_stats(w->pool, &st);
	if (st.free_bytes != st.capacity_bytes)
		why_set(&w->why,
			"full pool: all is %s, yet %" PRIu64 " of %" PRIu64 " bytes are free (%" PRIu64 " in limbo)",
			unmap ? "unmapped" : "deleted", st.free_bytes, st.capacity_bytes, st.limbo_bytes);
	return !w->why.text[0];
}

void case_full_pool(struct run *r)
{
	static const struct cuts cuts = {.one_in = 40, .death_pct = 40, .submit_one_in = 100};
	struct shape shape = shape_draw(r->seed);
	struct story s;
	bool ok;

	shape.disk_bytes[CAPACITY] = MIB(4);
	shape.space_bytes = MIB(8);
	shape.volume_bytes = MIB(2);
	shape.volumes = 4;
	shape.no_copy = true;
	shape.family_pct = 0;
	shape.read_pct = 5;
	shape.big_pct = 25;
	ok = story_begin(&s, r, &shape);
	s.w->tolerate |= TOLERATE_SPACE;
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 3; i++) {
		ok = workload_run(s.l, 150) && workload_quiet(s.l) && rewrite_in_place(&s) &&
		     story_crash(&s, rng_below(&s.w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
		if (ok && rng_below(&s.w->rng, 2))
			ok = workload_quiet(s.l) && make_room(&s);
	}
	story_end(&s);
}

void case_full_log(struct run *r)
{
	static const struct cuts cuts = {.one_in = 6, .death_pct = 20, .submit_one_in = 100};
	struct shape shape = shape_draw(r->seed);
	struct story s;
	bool ok;

	shape.disk_bytes[WRITE_TIER] = KIB(256) * 8;
	shape.read_pct = 3;
	shape.flush_pct = 1;
	shape.big_pct = 40;
	shape.depth = 12;
	ok = story_begin(&s, r, &shape);
	world_watch(s.w, &cuts);
	for (unsigned i = 0; ok && i < 3; i++)
		ok = workload_run(s.l, 200) && workload_quiet(s.l) &&
		     story_crash(&s, rng_below(&s.w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
	story_end(&s);
}

/* ------------------------------------------------------------------ damage */

/* Blocks of the capacity device that hold volumes' data: they have no checksum, so that nobody could tell. */
static bool is_plain_data(struct world *w, const struct super *sb, int disk, uint64_t page)
{
	(void)w;
	return disk == CAPACITY && page >= (uint64_t)sb->first_chunk * sb->chunk_blk;
}

/* One bit of something that was written. */
static void flip_one(struct world *w, const struct super *sb)
{
	for (int tries = 0; tries < 100; tries++) {
		int disk = (int)rng_below(&w->cut_rng, DISKS);
		struct sim_disk *d = w->disk[disk];
		uint64_t pages = sim_disk_size(d) / BLK_BYTES;
		uint64_t from = rng_below(&w->cut_rng,
					  disk == CAPACITY ? (uint64_t)sb->first_chunk * sb->chunk_blk : pages);
		uint64_t page = sim_disk_next_page(d, from), bit;

		if (page == UINT64_MAX || is_plain_data(w, sb, disk, page))
			continue;
		bit = rng_below(&w->cut_rng, BLK_BYTES * (rng_below(&w->cut_rng, 2) ? 8 : 1));
		if (w->verbose)
			fprintf(stderr, "    disk %d block %" PRIu64 ": bit %" PRIu64 " flips\n", disk, page, bit);
		sim_disk_flip(d, page * BLK_BYTES * 8 + bit);
		return;
	}
}

/* The world as it is, or as a crash would leave it, with bits flipped. Opening may refuse; what can be read is
 * right. */
static bool look_at_damage(struct world *w, const struct super *sb)
{
	uint64_t flips = rng_below(&w->cut_rng, 4) ? 1 : 2 + rng_below(&w->cut_rng, 20);
	struct world *c = world_clone(w, rng_below(&w->cut_rng, 2) ? SIM_POWER_CUT_UNTORN : SIM_PROCESS_DEATH);
	struct err err = ERR_INIT;
	bool ok;

	c->damaged = true;
	c->rule = flips == 1 ? AFTER_BIT_FLIP : AFTER_DAMAGE;
	for (uint64_t i = 0; i < flips; i++)
		flip_one(c, sb);
	ok = world_open(c, &err) || world_verify(c, false);
	if (!ok)
		why_set(&w->why, "%lu bits flipped: %s", (unsigned long)flips, c->why.text);
	w->crash_worlds++;
	world_free(c);
	return ok;
}

static bool read_super(struct world *w, struct super *ret)
{
	uint8_t block[BLK_BYTES];
	struct err err = ERR_INIT;

	sim_disk_peek(w->disk[CAPACITY], SUPER_A * BLK_BYTES, block, BLK_BYTES);
	if (!super_decode(ret, SUPER_A, block, &err))
		return true;
	why_set(&w->why, "%s", err.text);
	return false;
}

void case_flips(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct super sb;
	struct story s;
	struct world *w;
	bool ok = story_begin(&s, r, &shape);

	w = s.w;
	w->oracle->keep_all = true;
	ok = ok && read_super(w, &sb);
	for (unsigned i = 0; ok && i < 4; i++) {
		ok = workload_run(s.l, 50);
		for (unsigned n = 0; ok && n < 25; n++)
			ok = look_at_damage(w, &sb);
		if (ok && rng_below(&w->rng, 2))
			ok = workload_quiet(s.l) && world_flush(w) && story_crash(&s, SIM_PROCESS_DEATH);
	}
	story_end(&s);
}

/* Flushes that lie: one of these power cuts must show the loss, or the oracle is blind. */
void case_lying(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct story s;

	shape.flush_pct = 15;
	shape.read_pct = 5;
	if (story_begin(&s, r, &shape)) {
		struct world *w = s.w;
		unsigned i = 0;

		sim_disk_arm(w->disk[WRITE_TIER], &(struct sim_faults){.lying_flush = true});
		if (workload_run(s.l, 60) && workload_quiet(s.l) && world_flush(w)) {
			while (i < 100 && world_probe(w, SIM_POWER_CUT))
				i++;
			if (i == 100)
				why_set(&w->why, "flushes lied, and a hundred power cuts did not show it");
			else
				w->why.text[0] = 0;
		}
	}
	story_end(&s);
}

/* ------------------------------------------------------------------ memory */

/* Tries with the n-th allocation failing, n growing, until it succeeds. */
static bool open_until_it_works(struct world *w)
{
	for (unsigned long n = 1; n < 100000; n += 1 + rng_below(&w->rng, 1 + n / 16)) {
		struct err err = ERR_INIT;
		int rc;

		mem_fail_at(n);
		rc = world_open(w, &err);
		mem_fail_at(0);
		if (!rc)
			return true;
		if (rc != -ENOMEM) {
			why_set(&w->why, "open with allocation %lu failing: %s (%d)", n, err.text, rc);
			return false;
		}
		if (rng_below(&w->rng, 2))
			world_crash(w, SIM_PROCESS_DEATH);
	}
	why_set(&w->why, "open never has enough memory");
	return false;
}

static bool create_until_it_works(struct world *w)
{
	for (unsigned long n = 1; n < 1000; n++) {
		struct err err = ERR_INIT;
		int rc;

		mem_fail_at(n);
		rc = world_format(w, &err);
		mem_fail_at(0);
		if (!rc)
			return true;
		if (rc != -ENOMEM) {
			why_set(&w->why, "create with allocation %lu failing: %s (%d)", n, err.text, rc);
			return false;
		}
	}
	why_set(&w->why, "create never has enough memory");
	return false;
}

static void nothing(void *ctx, enum hb_check_class c, const char *text)
{
	(void)ctx, (void)c, (void)text;
}

/* A check that runs out of memory says so and harms nothing; a close may fail, like a crash. */
static bool check_and_close_starved(struct story *s)
{
	struct world *w = s->w;
	struct err err = ERR_INIT;
	int rc;

	for (unsigned long n = 1; n < 40; n++) {
		mem_fail_at(n);
		rc = hb_pool_check(w->pool, true, nothing, NULL, w);
		mem_fail_at(0);
		if (rc > 0 || (rc < 0 && rc != -ENOMEM)) {
			why_set(&w->why, "check with allocation %lu failing: %d", n, rc);
			return false;
		}
	}
	if (!workload_quiet(s->l))
		return false;
	workload_close_volumes(s->l);
	mem_fail_at(1 + rng_below(&w->rng, 30));
	rc = world_close(w, &err);
	mem_fail_at(0);
	if (rc && rc != -ENOMEM)
		why_set(&w->why, "starved close: %s (%d)", err.text, rc);
	return !w->why.text[0];
}

void case_malloc(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct story s = {.r = r};
	bool ok;

	s.w = world_new(r->seed, &shape);
	s.w->verbose = r->verbose;
	s.l = workload_new(s.w);
	ok = create_until_it_works(s.w) && open_until_it_works(s.w);
	for (unsigned i = 0; ok && i < 2; i++) {
		ok = workload_run(s.l, 80) && check_and_close_starved(&s);
		if (!ok)
			break;
		world_crash(s.w, SIM_PROCESS_DEATH);
		ok = open_until_it_works(s.w) && world_verify(s.w, true) && workload_attach(s.l);
		s.w->crash_worlds++;
	}
	story_end(&s);
}

/* ------------------------------------------------------------------ others */

static uint64_t media_hash(struct world *w)
{
	uint8_t page[BLK_BYTES];
	uint64_t h = 0;

	for (int i = 0; i < DISKS; i++) {
		for (uint64_t at = 0; at < sim_disk_size(w->disk[i]); at += BLK_BYTES) {
			sim_disk_peek(w->disk[i], at, page, BLK_BYTES);
			for (unsigned j = 0; j < BLK_BYTES; j += 8) {
				uint64_t v;

				memcpy(&v, page + j, 8);
				h = hash64(h ^ v) + 1;
			}
		}
	}
	return h;
}

void case_read_only(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct story s;
	struct world *w;
	bool ok = story_begin(&s, r, &shape);

	w = s.w;
	for (unsigned i = 0; ok && i < 3; i++) {
		uint64_t hash, found;

		ok = workload_run(s.l, 100);
		world_crash(w, rng_below(&w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH);
		workload_detach(s.l);
		hash = media_hash(w);
		w->read_only = true;
		ok = ok && world_must_open(w) && world_verify(w, false);
		found = w->found_hash;
		if (ok)
			world_crash(w, SIM_PROCESS_DEATH);
		w->read_only = false;
		if (ok && media_hash(w) != hash)
			why_set(&w->why, "opening read-only changed the disks");
		ok = ok && !w->why.text[0] && world_must_open(w) && world_verify(w, true) && workload_attach(s.l);
		if (ok && w->found_hash != found)
			why_set(&w->why, "read-only open showed other data than the real one");
		w->crash_worlds += 2;
		ok = ok && !w->why.text[0];
	}
	story_end(&s);
}

/* Whatever a crash leaves of a half-made pool, it is refused or it is whole and empty; and it can be made again. */
static void look_at_half_made(void *ctx, struct sim_disk *disk, enum sim_event what)
{
	struct world *w = ctx, *c;
	struct err err = ERR_INIT;

	(void)disk, (void)what;
	if (w->why.text[0])
		return;
	c = world_clone(w, SIM_POWER_CUT);
	if (!world_open(c, &err))
		world_verify(c, false);
	else if (err.code != -ENODATA && err.code != -EBADMSG && err.code != -EXDEV)
		why_set(&c->why, "a half-made pool: %s (%d)", err.text, err.code);
	if (c->pool)
		world_crash(c, SIM_POWER_CUT);
	if (!c->why.text[0] && world_must_format(c) && world_must_open(c))
		world_verify(c, false);
	w->crash_worlds++;
	why_set(&w->why, "%s", c->why.text);
	world_free(c);
}

void case_create_cut(struct run *r)
{
	struct shape shape = shape_draw(r->seed);
	struct story s = {.r = r};

	s.w = world_new(r->seed, &shape);
	s.w->verbose = r->verbose;
	s.l = workload_new(s.w);
	s.w->clock.event = look_at_half_made;
	s.w->clock.ctx = s.w;
	world_must_format(s.w);
	s.w->clock.event = NULL;
	if (!s.w->why.text[0] && world_must_open(s.w))
		workload_run(s.l, 20);
	story_end(&s);
}
