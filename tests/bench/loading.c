/* SPDX-License-Identifier: GPL-2.0-only */
/* loading.c - how long it takes until a pool with a large cache takes its first request, and until all of the cache is
 * known again: after a clean close, and after a crash that left one block in ten dirty.
 *
 * usage: loading [GB...]		default: 100 1000
 * Above 100 GB only a part is loaded after the pool is open, and the rest taken to go on like that.
 * The cache was never filled: the map and the segment table are made in memory and saved by a checkpoint, the footers
 * of the segments by the devices as they are read. Prints "NAME VALUE UNIT" lines, as costs does. Times are of a model:
 * the engine's CPU here, plus what it waited for an SSD (100 us an I/O, 500 MB/s) and a disk (8 ms a seek, 150 MB/s).
 */
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define PART_BLK 12000000u

enum dirt { CLEAN, TENTH_OF_SEGMENTS, TENTH_OF_BLOCKS };

static struct {
	uint64_t blks; /* pool blocks that the cache may hold, a power of two */
	uint64_t first_blk; /* where they begin on the capacity device */
	uint8_t uuid[16];
	uint32_t crc;
	uint32_t first_seg, last_seg; /* segments that are full */
	uint32_t seg_blk;
	uint64_t shift_blk;
	enum dirt dirt;
	bool level;
} plan;

/* Every place of a header of a unit stands empty. */
static bool holds(uint32_t at)
{
	return at % 121 && at < plan.seg_blk - footer_blk(plan.seg_blk);
}

/* Which block a slot has: all over the capacity device. */
static uint64_t block_of(uint64_t slot)
{
	return plan.first_blk + ((slot * 0x9e3779b1u) & (plan.blks - 1));
}

static bool footer_made(struct rig *r, uint64_t blk, uint8_t *to)
{
	static struct footer_slot slots[SEG_BLK_MAX];
	static uint8_t made[2 * BLK_BYTES];
	static struct footer f;
	uint64_t at = blk - plan.shift_blk;
	uint32_t n = footer_blk(plan.seg_blk), no = (uint32_t)(at / plan.seg_blk), off = at % plan.seg_blk;

	(void)r;
	if (no < plan.first_seg || no > plan.last_seg || off < plan.seg_blk - n)
		return false;
	if (f.seg != no) {
		f = (struct footer){.seg = no, .seg_seq = no, .nslots = plan.seg_blk};
		memcpy(f.pool_uuid, plan.uuid, 16);
		for (uint32_t i = 0; i < plan.seg_blk; i++)
			slots[i] = holds(i) ? (struct footer_slot){block_of((uint64_t)no * plan.seg_blk + i), plan.crc}
					    : (struct footer_slot){0};
		footer_encode(&f, slots, made);
	}
	memcpy(to, made + (uint64_t)(off - (plan.seg_blk - n)) * BLK_BYTES, BLK_BYTES);
	return true;
}

/* A block of every chunk is mapped, so that the chunk is there. */
static void map_all(struct rig *r)
{
	struct hb_pool *p = r->pool;
	uint32_t cb = p->sb.chunk_blk;

	plan.first_blk = (uint64_t)p->sb.first_chunk * cb;
	for (uint64_t i = 0; i < plan.blks / cb; i++) {
		chunk_t k = chunks_take(p->chunks, CHUNK_NONE);

		if (!k.n || blk_map(p, r->vol, (vblk_t){i * cb}, (pblk_t){(uint64_t)k.n * cb}))
			rig_die("map", NULL);
	}
}

static enum slot_state state_of(uint32_t no, uint32_t at)
{
	if (!holds(at))
		return SLOT_DEAD;
	if (plan.dirt == TENTH_OF_SEGMENTS)
		return no % 10 ? SLOT_CLEAN : SLOT_DIRTY;
	return plan.dirt == TENTH_OF_BLOCKS && at % 10 == 3 ? SLOT_DIRTY : SLOT_CLEAN;
}

static void fill_segments(struct rig *r)
{
	struct hb_pool *p = r->pool;

	for (uint32_t no = plan.first_seg; no <= plan.last_seg; no++) {
		uint8_t *leaf = ptree_change(&p->maps.plain, &p->seg_tree, no / SEGREC_PER_PAGE);
		struct segrec sr = {.seg_seq = no, .used_blk = plan.seg_blk - footer_blk(plan.seg_blk)};

		if (!leaf || p->segs.v[no].state != SEG_FREE)
			rig_die("segment table", NULL);
		for (uint32_t i = 0; i < sr.used_blk; i++)
			segrec_set(&sr, i, state_of(no, i));
		segrec_encode(&sr, leaf + no % SEGREC_PER_PAGE * SEGREC_BYTES);
	}
}

static void write_blk(struct rig *r, uint64_t blk, void *block)
{
	if (sync_io(&r->env, &r->level.dev, DEV_WRITE, blk, block, 1))
		rig_die("level", NULL);
}

/* The level's table, of the checkpoint that the pool was closed with. */
static void fill_level(struct rig *r)
{
	struct leveltab_head h = {.next_seq = plan.last_seg + 1};
	uint8_t page[BLK_BYTES];
	struct super cap, s;
	struct err err = ERR_INIT;
	uint64_t at;
	int mend;

	if (super_read(&r->env, &r->cap.dev, &cap, &mend, &err) ||
	    super_read(&r->env, &r->level.dev, &s, &mend, &err))
		rig_die("superblock", &err);
	at = s.meta_start_blk + cap.ckpt_seq % 2 * (s.meta_pages + 1ull);
	for (uint32_t n = 0; n < s.meta_pages; n++) {
		memset(page, 0, sizeof(page));
		for (uint32_t i = 0; i < LEVELTAB_PER_PAGE; i++) {
			uint32_t no = n * LEVELTAB_PER_PAGE + i;
			struct leveltab_entry e = {.seq = no, .used_blk = s.seg_blk - footer_blk(s.seg_blk)};

			if (no < plan.first_seg || no > plan.last_seg)
				continue;
			for (uint32_t k = 0; k < e.used_blk; k++)
				if (holds(k))
					e.live[k / 8] |= (uint8_t)(1u << k % 8);
			leveltab_put(page, i, &e);
		}
		leveltab_seal(page, n);
		write_blk(r, at + 1 + n, page);
	}
	memcpy(h.pool_uuid, s.pool_uuid, 16);
	memcpy(h.dev_uuid, s.dev_uuid, 16);
	h.ckpt_seq = cap.ckpt_seq;
	h.nonce = cap.ckpt_nonce;
	h.pages = s.meta_pages;
	leveltab_head_encode(&h, page);
	write_blk(r, at, page);
	plan.shift_blk = ROUND_UP(s.meta_start_blk + 2 * (s.meta_pages + 1ull), (uint64_t)s.seg_blk) - s.seg_blk;
}

/* A pool as it was when so many bytes were cached; closed. */
static void prepare(struct rig *r, uint64_t bytes)
{
	uint64_t cached = bytes / BLK_BYTES, segs = cached / 505 + 1;
	uint64_t dev_blk = (segs * 8 / 7 + 64) * SEG_BLK_MAX; /* one in eight stays free for cleaning */
	struct rig_sizes size = {0};

	for (plan.blks = 1; plan.blks < segs * SEG_BLK_MAX;)
		plan.blks *= 2;
	size.cap_blk = plan.blks + plan.blks / 64 + MIB(1);
	size.wt_blk = plan.level ? MIB(1) / 4 : dev_blk;
	size.level_blk = plan.level ? dev_blk : 0;
	size.kept = (uint32_t)(plan.blks / 1024 + 100000);
	rig_init(r, &size);
	rig_open(r, MIB(64));
	rig_shut(r); /* lives of segments are counted from above those that are used below */
	rig_open(r, MIB(64));
	rig_volume(r, plan.blks);
	map_all(r);
	plan.seg_blk = SEG_BLK_MAX;
	plan.first_seg = 8;
	plan.last_seg = (uint32_t)(plan.first_seg + segs - 1);
	plan.crc = crc32c(0, r->data, BLK_BYTES);
	memcpy(plan.uuid, r->pool->sb.pool_uuid, 16);
	if (!plan.level)
		fill_segments(r);
	if (!plan.dirt)
		rig_shut(r);
	else if (ckpt_sync(r->pool, 0))
		rig_die("checkpoint", NULL);
	else
		rig_crash(r);
	if (plan.level)
		fill_level(r);
	(plan.level ? &r->level : &r->wt)->make = footer_made;
	rig_speeds(r);
	r->model = true;
}

static uint64_t cached_blk(const struct rig *r)
{
	const struct hb_pool *p = r->pool;
	const struct idx *x = plan.level ? p->levels[0].idx : p->idx;

	return idx_count(x, SLOT_CLEAN) + idx_count(x, SLOT_DIRTY);
}

static uint64_t all_blk(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < plan.seg_blk; i++)
		n += holds(i);
	return n * (plan.last_seg + 1 - plan.first_seg);
}

static void print(const char *name, const char *what, double value, const char *unit)
{
	printf("%s-%s %.1f %s\n", name, what, value, unit);
}

/* What one request has to wait for while the rest is loaded is the longest turn. */
static void measure(struct rig *r, const char *name, bool whole)
{
	uint64_t t = rig_now(r), cpu = rig_cpu(r), all = all_blk(), at_open, opened, longest = 0, got;
	double later, rest;

	r->talk = getenv("TALK") != NULL;
	rig_open(r, MIB(64));
	opened = rig_now(r);
	at_open = cached_blk(r);
	print(name, "open", (double)(opened - t) / 1e6, "ms");
	print(name, "open-cpu", (double)(rig_cpu(r) - cpu) / 1e6, "ms");
	print(name, "at-open", 100.0 * (double)at_open / (double)all, "%");
	while (r->pool->touching && (whole || cached_blk(r) - at_open < PART_BLK)) {
		uint64_t turn = rig_cpu(r);

		hb_pool_run(r->pool);
		longest = MAX(longest, rig_cpu(r) - turn);
		if (r->pool->touching)
			rig_wait(r, rig_now(r) + 100 * MSEC_NS);
	}
	got = cached_blk(r);
	if (whole && got != all)
		rig_die("not all came back", NULL);
	later = (double)(rig_now(r) - opened);
	rest = got > at_open ? (double)(all - at_open) / (double)(got - at_open) : 0;
	print(name, "loaded", ((double)(opened - t) + later * rest) / 1e6, "ms");
	print(name, "turn", (double)longest / 1e6, "ms");
	print(name, "cpu", (double)(rig_cpu(r) - cpu) / (double)got, "ns");
	print(name, "blocks", (double)all / 1e6, "million");
	fflush(stdout);
}

/* Each in a process of its own. */
static void run(uint64_t gb, bool level, enum dirt dirt, const char *what)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid) {
		static struct rig rig;
		char name[80];

		plan.level = level;
		plan.dirt = dirt;
		prepare(&rig, gb * 1000000000ull);
		snprintf(name, sizeof(name), "load-%llu-%s", (unsigned long long)gb, what);
		measure(&rig, name, gb <= 100);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		rig_die(what, NULL);
}

int main(int argc, char **argv)
{
	static const uint64_t usual[] = {100, 1000};
	int n = argc > 1 ? argc - 1 : (int)ARRAY_LEN(usual);

	for (int i = 0; i < n; i++) {
		uint64_t gb = argc > 1 ? strtoull(argv[i + 1], NULL, 10) : usual[i];

		if (!gb) {
			fprintf(stderr, "usage: loading [GB...]\n");
			return 2;
		}
		run(gb, false, TENTH_OF_SEGMENTS, "crash");
		if (gb > 100 && argc == 1) /* in the benchmark the costliest one stands for all */
			continue;
		run(gb, false, CLEAN, "clean");
		run(gb, true, CLEAN, "level");
		if (gb <= 100)
			run(gb, false, TENTH_OF_BLOCKS, "spread");
	}
	return 0;
}
