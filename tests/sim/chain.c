/* SPDX-License-Identifier: GPL-2.0-only */
/* chain.c - the case `group`: writes in order across volumes, and groups of snapshots of those volumes.
 *
 * A chain is a writer that sends its next write, to whichever volume, only after the last one was answered. So each
 * state that anybody may see of all volumes at one instant is a prefix of the chain: if a write is there, all before it
 * are, too. This is checked here from what can be read and from the list of what was sent alone, without the oracle:
 * in each group of snapshots, in the volumes after each crash, and after groups were restored.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload.h"

#define CHAINS 3
#define CHAIN_VOLS 3
#define PLACES 2 /* blocks of each chain in each volume */
#define NODES_MAX 4096
#define GROUPS 4
#define MEMBERS_MAX 42
#define SPB (BLK_BYTES / ORACLE_SECTOR)

struct node { /* a write that was sent */
	uint64_t id;
	uint16_t vol, place;
	int prev; /* the write before it in its chain; -1: none */
	unsigned depth;
};

struct writer {
	struct story *s;
	int head; /* the last write; -1: none */
	struct hb_req req;
	bool out;
	op_t op;
	int sent;
	uint8_t buf[BLK_BYTES];
};

struct group {
	unsigned n; /* 0: none */
	char name[MEMBERS_MAX][HB_NAME_MAX + 1];
	struct ovol *v[MEMBERS_MAX];
	unsigned of[MEMBERS_MAX]; /* which of the volumes */
};

struct chains {
	struct story s;
	struct node node[NODES_MAX];
	int nnodes;
	struct writer writer[CHAINS];
	struct ovol *vol[CHAIN_VOLS];
	char name[CHAIN_VOLS][HB_NAME_MAX + 1];
	struct group group[GROUPS];
};

/* ------------------------------------------------------------------ checking */

/* seen[v][place]: the write that is seen there, -1: zeros. */
typedef int seen_t[CHAIN_VOLS][PLACES];

static bool read_seen(struct chains *c, struct world *w, const char *name, unsigned chain, int ret[PLACES])
{
	struct hb_volume *h;
	struct err err = ERR_INIT;
	uint8_t buf[BLK_BYTES];

	if (hb_volume_open(w->pool, name, &h, &err)) {
		why_set(&w->why, "%s", err.text);
		return false;
	}
	for (unsigned i = 0; i < PLACES; i++) {
		struct hb_req req = {.op = HB_READ,
				     .vol = h,
				     .off_bytes = (chain * PLACES + i) * BLK_BYTES,
				     .len_bytes = BLK_BYTES,
				     .buf = buf};
		uint64_t id;

		world_do(w, &req);
		ret[i] = -1;
		if (req.error || !sector_id(buf, &id))
			why_set(&w->why, "%s cannot be read: %d", name, req.error);
		else if (id)
			for (ret[i] = c->nnodes - 1; ret[i] >= 0 && c->node[ret[i]].id != id; ret[i]--)
				;
		if (id && ret[i] < 0)
			why_set(&w->why, "%s holds what no chain ever wrote", name);
	}
	hb_volume_close(h);
	return !w->why.text[0];
}

/* What is seen is a prefix; *ret is its last write. */
static bool is_prefix(const struct chains *c, struct world *w, const char *where, unsigned chain, const seen_t seen,
		      int *ret)
{
	bool met[CHAIN_VOLS][PLACES] = {{false}};
	int last = -1;

	for (unsigned v = 0; v < CHAIN_VOLS; v++)
		for (unsigned i = 0; i < PLACES; i++)
			if (seen[v][i] >= 0 && (last < 0 || c->node[seen[v][i]].depth > c->node[last].depth))
				last = seen[v][i];
	for (int at = last; at >= 0; at = c->node[at].prev) {
		const struct node *n = &c->node[at];

		if (!met[n->vol][n->place] && seen[n->vol][n->place] != at)
			why_set(&w->why, "%s: write %u of chain %u is there, but not write %u before it", where,
				c->node[last].depth, chain, n->depth);
		met[n->vol][n->place] = true;
	}
	for (unsigned v = 0; v < CHAIN_VOLS; v++)
		for (unsigned i = 0; i < PLACES; i++)
			if (!met[v][i] && seen[v][i] >= 0)
				why_set(&w->why, "%s: chain %u: a write that was undone", where, chain);
	*ret = last;
	return !w->why.text[0];
}

static bool volumes_are_prefix(struct chains *c, struct world *w, const char *const name[CHAIN_VOLS], const char *where,
			       int head[CHAINS])
{
	for (unsigned k = 0; k < CHAINS; k++) {
		seen_t seen;

		for (unsigned v = 0; v < CHAIN_VOLS; v++)
			if (!read_seen(c, w, name[v], k, seen[v]))
				return false;
		if (!is_prefix(c, w, where, k, seen, &head[k]))
			return false;
	}
	return true;
}

/* All of a group are there, or none; and every set of its members is of one instant. */
static bool group_is_whole(struct chains *c, struct world *w, struct group *g, bool *ret_there)
{
	struct hb_volume_info info;
	int head[CHAINS], first[CHAINS];
	unsigned there = 0;

	for (unsigned i = 0; i < g->n; i++)
		there += hb_volume_find(w->pool, g->name[i], &info);
	*ret_there = there != 0;
	if (there && there < g->n)
		why_set(&w->why, "of a group of %u, %u are there", g->n, there);
	for (unsigned i = 0; there && !w->why.text[0] && i + CHAIN_VOLS <= g->n; i += CHAIN_VOLS) {
		const char *name[CHAIN_VOLS];

		for (unsigned k = 0; k < CHAIN_VOLS; k++)
			name[g->of[i + k]] = g->name[i + k];
		if (!volumes_are_prefix(c, w, name, g->name[i], head))
			break;
		if (i && memcmp(head, first, sizeof(head)))
			why_set(&w->why, "%s: members of a group are of different moments", g->name[i]);
		memcpy(first, head, sizeof(head));
	}
	return !w->why.text[0];
}

static bool look(struct world *w, void *ctx)
{
	struct chains *c = ctx;
	const char *name[CHAIN_VOLS];
	struct hb_volume_info info;
	int head[CHAINS];
	bool there;

	for (unsigned v = 0; v < CHAIN_VOLS; v++) {
		name[v] = c->name[v];
		if (!hb_volume_find(w->pool, name[v], &info)) {
			why_set(&w->why, "%s is gone", name[v]);
			return false;
		}
	}
	if (!volumes_are_prefix(c, w, name, "volumes", head))
		return false;
	for (unsigned i = 0; i < GROUPS; i++)
		if (!group_is_whole(c, w, &c->group[i], &there))
			return false;
	return true;
}

/* ------------------------------------------------------------------ writing */

static void wrote(struct writer *k)
{
	struct world *w = k->s->w;

	oracle_end(w->oracle, k->op, k->req.error ? OP_FAILED : k->req.flags & HB_FUA ? OP_DURABLE : OP_DONE);
	if (k->req.error)
		why_set(&w->why, "a write of a chain: %d", k->req.error);
	k->head = k->sent;
	k->out = false;
}

static void chain_done(struct hb_req *req)
{
	wrote(req->owner);
}

static bool chain_write(struct chains *c, unsigned chain, struct hb_volume *const h[CHAIN_VOLS])
{
	struct writer *k = &c->writer[chain];
	struct world *w = c->s.w;
	struct node *n = &c->node[c->nnodes];
	uint64_t ids[SPB];

	if (k->out || c->nnodes == NODES_MAX)
		return false;
	*n = (struct node){.id = hash64(w->seed ^ (uint64_t)c->nnodes << 32) | 1,
			   .vol = (uint16_t)rng_below(&w->rng, CHAIN_VOLS),
			   .place = (uint16_t)rng_below(&w->rng, PLACES),
			   .prev = k->head,
			   .depth = k->head < 0 ? 1 : c->node[k->head].depth + 1};
	for (unsigned i = 0; i < SPB; i++) {
		ids[i] = n->id + (uint64_t)i * 2;
		sector_fill(k->buf + i * ORACLE_SECTOR, ids[i]);
	}
	k->sent = c->nnodes++;
	k->out = true;
	k->op = oracle_begin(w->oracle, HB_WRITE, false);
	oracle_write(w->oracle, k->op, c->vol[n->vol], (chain * PLACES + n->place) * SPB, ids, SPB);
	k->req = (struct hb_req){.op = HB_WRITE,
				 .flags = rng_below(&w->rng, 20) ? 0 : HB_FUA,
				 .vol = h[n->vol],
				 .off_bytes = (chain * PLACES + n->place) * BLK_BYTES,
				 .len_bytes = BLK_BYTES,
				 .buf = k->buf,
				 .done = chain_done,
				 .owner = k};
	if (hb_submit(&k->req))
		wrote(k);
	world_submitted(w);
	return true;
}

static bool writers_rest(struct chains *c)
{
	struct world *w = c->s.w;

	world_patience(w, 600 * SEC_NS);
	for (unsigned i = 0; i < CHAINS; i++)
		while (c->writer[i].out && !w->why.text[0])
			world_turn(w, UINT64_MAX);
	return !w->why.text[0];
}

/* ------------------------------------------------------------------ groups */

static bool group_delete(struct chains *c, struct group *g)
{
	unsigned n = g->n;

	g->n = 0; /* from now on it need not be whole */
	for (unsigned i = 0; i < n; i++)
		for (unsigned tries = 0; tries < 50; tries++) {
			if (!workload_quiet(c->s.l))
				return false;
			if (workload_delete(c->s.l, g->v[i]) || c->s.w->why.text[0])
				break;
			world_turn(c->s.w, c->s.w->clock.now_ns + 100 * MSEC_NS);
		}
	return !c->s.w->why.text[0];
}

/* In the call itself members have names already, which nobody has told us: it is looked at from then on. */
static bool group_make(struct chains *c)
{
	struct world *w = c->s.w;
	struct group *g = &c->group[rng_below(&w->rng, GROUPS)];
	struct ovol *source[MEMBERS_MAX];
	unsigned n = CHAIN_VOLS * (rng_below(&w->rng, 5) ? 1 + (unsigned)rng_below(&w->rng, 2) : 14), start;
	bool there;

	for (unsigned i = 0; i < GROUPS; i++) /* a large one is alone: reading all takes its time */
		if ((&c->group[i] == g || n > 2 * CHAIN_VOLS) && !group_delete(c, &c->group[i]))
			return false;
	start = (unsigned)rng_below(&w->rng, CHAIN_VOLS);
	for (unsigned i = 0; i < n; i++) {
		g->of[i] = (start + i) % CHAIN_VOLS;
		source[i] = c->vol[g->of[i]];
	}
	if (!workload_group(c->s.l, source, n, g->v))
		return !w->why.text[0];
	for (unsigned i = 0; i < n; i++)
		snprintf(g->name[i], sizeof(g->name[i]), "%.*s", HB_NAME_MAX, ovol_name(g->v[i]));
	g->n = n;
	return rng_below(&w->rng, 2) || group_is_whole(c, w, g, &there);
}

/* Takes some group's state as the present one, at once for all volumes. What was there before is deleted later. */
static bool group_restore(struct chains *c)
{
	struct world *w = c->s.w;
	struct group *g = &c->group[rng_below(&w->rng, GROUPS)];
	struct ovol *snapshot[CHAIN_VOLS];
	const char *name[CHAIN_VOLS];
	int head[CHAINS];

	if (!g->n || !writers_rest(c) || !workload_quiet(c->s.l))
		return !w->why.text[0];
	for (unsigned i = 0; i < CHAIN_VOLS; i++) {
		snapshot[g->of[i]] = g->v[i];
		name[g->of[i]] = g->name[i];
	}
	if (!volumes_are_prefix(c, w, name, "group to restore", head))
		return false;
	if (!workload_revert(c->s.l, c->vol, snapshot, CHAIN_VOLS))
		return !w->why.text[0];
	for (unsigned i = 0; i < CHAINS; i++)
		c->writer[i].head = head[i];
	return true;
}

/* Snapshots that no group holds (what restoring kept): few of them are enough. */
static bool tidy_up(struct chains *c)
{
	struct ovol *v;

	for (unsigned i = 0; (v = oracle_vol(c->s.w->oracle, i)); i++) {
		if (ovol_name(v)[0] != 'k' || rng_below(&c->s.w->rng, 2))
			continue;
		if (!workload_quiet(c->s.l))
			return false;
		workload_delete(c->s.l, v);
		break;
	}
	return !c->s.w->why.text[0];
}

/* ------------------------------------------------------------------ the story */

static bool live(struct chains *c, unsigned steps)
{
	struct hb_volume *h[CHAIN_VOLS];
	struct world *w = c->s.w;
	struct err err = ERR_INIT;
	bool ok = true;

	for (unsigned v = 0; v < CHAIN_VOLS; v++)
		if (hb_volume_open(w->pool, c->name[v], &h[v], &err))
			why_set(&w->why, "%s", err.text);
	for (unsigned i = 0; ok && !w->why.text[0] && i < steps; i++) {
		for (unsigned n = (unsigned)rng_below(&w->rng, 6); n-- > 0;)
			chain_write(c, (unsigned)rng_below(&w->rng, CHAINS), h);
		ok = workload_run(c->s.l, 1);
		switch (rng_below(&w->rng, 40)) {
		case 0:
		case 1:
		case 2:
			ok = ok && group_make(c);
			break;
		case 3:
			ok = ok && group_restore(c);
			break;
		case 4:
			ok = ok && tidy_up(c);
			break;
		default:
			break;
		}
	}
	return ok && !w->why.text[0];
}

static bool crash(struct chains *c)
{
	struct world *w = c->s.w;
	const char *name[CHAIN_VOLS];
	int head[CHAINS];

	if (!story_crash(&c->s, rng_below(&w->rng, 2) ? SIM_POWER_CUT : SIM_PROCESS_DEATH))
		return false;
	for (unsigned i = 0; i < CHAIN_VOLS; i++)
		name[i] = c->name[i];
	if (!volumes_are_prefix(c, w, name, "volumes", head))
		return false;
	for (unsigned i = 0; i < CHAINS; i++) {
		c->writer[i].head = head[i];
		c->writer[i].out = false;
	}
	for (unsigned i = 0; i < GROUPS; i++) {
		bool there;

		if (!group_is_whole(c, w, &c->group[i], &there))
			return false;
		if (!there)
			c->group[i].n = 0;
	}
	return true;
}

void case_group(struct run *r)
{
	static const struct cuts cuts = {
		.one_in = 5, .death_pct = 40, .twice_pct = 5, .submit_one_in = 40, .instant_one_in = 10, .most = 400};
	struct chains *c = need(calloc(1, sizeof(*c)));
	struct shape shape = shape_draw(r->seed);
	bool ok;

	shape.verb_pct = 0;
	shape.read_pct = 10;
	shape.volumes = CHAIN_VOLS;
	shape.disk_bytes[CAPACITY] = MIB(16); /* each block may be in another old chunk */
	shape.chunk_bytes = 65536;
	ok = story_begin(&c->s, r, &shape);
	for (unsigned i = 0; i < CHAINS; i++) {
		c->writer[i].s = &c->s;
		c->writer[i].head = -1;
	}
	workload_reserve(c->s.l, CHAINS * PLACES * SPB);
	for (unsigned v = 0; ok && v < CHAIN_VOLS; v++) {
		snprintf(c->name[v], sizeof(c->name[v]), "chain%u", v);
		ok = workload_create(c->s.l, c->name[v], KIB(48));
		c->vol[v] = oracle_vol(c->s.w->oracle, v);
	}
	ok = ok && world_flush(c->s.w);
	c->s.w->look = look;
	c->s.w->look_ctx = c;
	world_watch(c->s.w, &cuts);
	for (unsigned i = 0; ok && i < 3; i++)
		ok = live(c, 120) && crash(c);
	story_end(&c->s);
	free(c);
}
