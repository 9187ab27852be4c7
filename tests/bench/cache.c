/* SPDX-License-Identifier: GPL-2.0-only */
/* cache.c - what a cached block costs in memory, a hit and a rewrite in CPU, and what a crash costs in hits: the engine
 * alone on devices that take no time.
 *
 * usage: cache [memory|crash|cpu]
 * SET_GIB=1 is the set of the CPU figures (the peers' were taken with 6). Prints "NAME VALUE UNIT" lines, as costs.
 * Memory is measured twice: what the parts say of themselves, and what the process has more of; each for a cache of a
 * million blocks and one of a quarter of that, so that what does not grow with the cache can be told apart.
 */
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define MANY 1000000u
#define FEW (MANY / 4)
#define TB_BLK (1e12 / BLK_BYTES)
#define RAM_BLK 65536u

enum part { INDEX, SEGMENTS, SEGTABLE, DIRTY, MAP, CHUNKS, RAM_META, LEVEL_INDEX, LEVEL_SEGS, LEVEL_TABLE, PARTS };
static const char *const part_names[PARTS] = {"index",	  "segments",	 "segment-table", "dirty",	"map",
					      "chunks",	  "ram-policy",	 "level-index",	  "level-segs", "level-table"};

struct memory {
	double part[PARTS];
	double unsaid; /* of a level, that hb_tier_stats.memory_bytes leaves out */
	double real, stats; /* anonymous memory of the process, frames apart; what hb_pool_stats says */
	double cached; /* blocks, in the write tier or the level */
	double frames;
	double room; /* blocks that its device has */
};

static struct rig rig;

static uint64_t resident(void)
{
	char line[128];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib * 1024;
}

/* Every block of the volume once, in no order. */
static uint64_t scattered(uint64_t i, uint64_t n)
{
	return i * 7919 % n;
}

static void write_all(uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		rig_ask(&rig, HB_WRITE, scattered(i, n), 1, rig.data);
		if (i % 64 == 0)
			hb_pool_run(rig.pool);
	}
}

static void fill_level(uint64_t n)
{
	struct hb_pool *p = rig.pool;
	struct level *l = &p->levels[0];
	uint32_t crc = crc32c(0, rig.data, BLK_BYTES);
	uint32_t cb = p->sb.chunk_blk;
	uint64_t first = 0;

	for (uint64_t i = 0; i < n; i++) {
		chunk_t k = i % cb ? CHUNK_NONE : chunks_take(p->chunks, CHUNK_NONE);

		if (k.n && !first)
			first = k.n;
		if (blk_map(p, rig.vol, (vblk_t){i}, (pblk_t){first * cb + i}))
			rig_die("map", NULL);
	}
	for (uint64_t i = 0; i < n; i++) {
		while (!level_put(l, (pblk_t){first * cb + scattered(i, n)}, rig.data, crc, true))
			hb_pool_run(p);
	}
	rig_settle(&rig);
}

static void look(struct memory *m, uint64_t before)
{
	struct hb_pool *p = rig.pool;
	struct level *l = &p->levels[0];
	struct hb_stats s;

	hb_pool_stats(p, &s);
	m->part[INDEX] = (double)idx_bytes(p->idx);
	m->part[SEGMENTS] = (double)p->segs.nsegs * sizeof(struct seg);
	m->part[SEGTABLE] = (double)ptree_bytes(&p->maps.plain);
	m->part[DIRTY] = (double)dirty_bytes(p->dirty);
	m->part[MAP] = (double)(mapset_bytes(&p->maps) - ptree_bytes(&p->maps.plain));
	m->part[CHUNKS] = (double)chunks_bytes(p->chunks);
	m->part[RAM_META] = (double)ram_bytes(p->ram);
	m->stats = (double)(s.mem_index + s.mem_map + s.mem_ram_meta + s.mem_other);
	m->cached = (double)(idx_count(p->idx, SLOT_CLEAN) + idx_count(p->idx, SLOT_DIRTY));
	m->room = (double)p->segs.nsegs * p->sb.seg_blk;
	m->frames = (double)ram_frames(p->ram);
	if (p->nlevels) {
		m->part[LEVEL_INDEX] = (double)idx_bytes(l->idx);
		m->part[LEVEL_SEGS] = (double)l->segs.nsegs * sizeof(struct seg);
		m->part[LEVEL_TABLE] = (double)l->sb.meta_pages; /* l->stale */
		m->unsaid = l->sb.meta_pages + ((double)l->sb.seg_blk + LEVEL_SAVE_PAGES) * BLK_BYTES;
		m->stats += (double)s.levels[0].memory_bytes;
		m->cached = (double)idx_count(l->idx, SLOT_CLEAN);
		m->room = (double)l->segs.nsegs * l->sb.seg_blk;
	}
	m->real = (double)(resident() - before) - (double)ram_cached(p->ram) * BLK_BYTES;
}

/* One cached block in ten becomes dirty where it is: rewriting it would leave a dead slot. */
static void dirty_some(void)
{
	struct hb_pool *p = rig.pool;

	for (uint32_t s = p->sb.seg_blk; s < (p->segs.nsegs + 1) * p->sb.seg_blk; s += 10) {
		if (idx_state(p->idx, (slot_t){s}) != SLOT_CLEAN)
			continue;
		if (dirty_set(p->dirty, idx_pblk(p->idx, (slot_t){s})))
			rig_die("dirty", NULL);
		blk_set_state(p, (slot_t){s}, SLOT_DIRTY);
	}
}

/* A cache of n blocks that is as full as it gets, one in ten dirty. */
static void remember(uint64_t n, bool level, struct memory *ret)
{
	uint64_t seg_data = SEG_BLK_MAX - 2 - 5, segs = n / seg_data + 1;
	struct rig_sizes size = {.cap_blk = n + n / 32 + 100000, .wt_blk = (segs * 8 / 7 + 12) * SEG_BLK_MAX,
				 .level_blk = level ? (n / (SEG_BLK_MAX - 2) * 32 / 31 + 5) * SEG_BLK_MAX : 0,
				 .kept = 200000};
	uint64_t before;

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* else memory comes by 2 MiB */
	if (level)
		size.wt_blk = 128 * SEG_BLK_MAX;
	rig_init(&rig, &size);
	before = resident();
	rig_open(&rig, RAM_BLK * (uint64_t)BLK_BYTES);
	rig_volume(&rig, n);
	if (level) {
		fill_level(n);
	} else {
		write_all(n);
		if (hb_pool_writeback(rig.pool))
			rig_die("write-back", NULL);
		rig_settle(&rig);
		dirty_some();
	}
	look(ret, before);
}

/* Each step in a process of its own, which begins with nothing. */
static void apart(void (*step)(void *arg), void *arg)
{
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		step(arg);
		fflush(stdout);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		rig_die("a step", NULL);
}

struct wanted {
	struct memory few, many;
	bool level;
};

static void step_few(void *arg)
{
	struct wanted *w = arg;

	remember(FEW, w->level, &w->few);
}

static void step_many(void *arg)
{
	struct wanted *w = arg;

	remember(MANY, w->level, &w->many);
}

static void memory(bool level)
{
	struct wanted *w = rig_map(sizeof(*w));
	const char *name = level ? "memory-level" : "memory-tier";
	double more, slope, sum = 0;

	w->level = level;
	apart(step_few, w);
	apart(step_many, w);
	more = w->many.cached - w->few.cached;
	for (int i = 0; i < PARTS; i++) {
		double each = (w->many.part[i] - w->few.part[i]) / more;

		if (i == RAM_META || each == 0)
			continue;
		sum += each;
		printf("%s-%s %.3f bytes\n", name, part_names[i], each);
	}
	slope = (w->many.real - w->few.real) / more;
	printf("%s-sum %.2f bytes\n", name, sum);
	printf("%s-stats %.2f bytes\n", name, (w->many.stats - w->few.stats) / more);
	printf("%s-process %.2f bytes\n", name, slope);
	printf("%s-fixed %.1f MiB\n", name, (w->many.real - slope * w->many.cached) / 1048576);
	printf("%s-full %.1f %%\n", name, 100 * w->many.cached / w->many.room);
	printf("%s-1TB %.2f bytes\n", name, sum + (w->many.real - slope * w->many.cached) / TB_BLK);
	if (level)
		printf("%s-unsaid %.1f MiB\n", name, w->many.unsaid / 1048576);
	else
		printf("memory-frame %.1f bytes\n", w->many.part[RAM_META] / w->many.frames);
}

/* ---------------------------------------------------------------- CPU */
#define OPS 1000000u

static uint64_t set_blk(void)
{
	const char *s = getenv("SET_GIB");
	uint64_t gib = s ? strtoull(s, NULL, 10) : 1;

	return (gib ? gib : 1) << 18;
}

static double each(enum hb_op op, uint64_t blks, uint8_t *buf)
{
	uint64_t t = rig_cpu(&rig);

	for (uint32_t i = 0; i < OPS; i++) {
		rig_ask(&rig, op, rng_below(&rig.rng, blks), 1, buf);
		if (i % 32 == 0)
			hb_pool_run(rig.pool);
	}
	return (double)(rig_cpu(&rig) - t) / OPS;
}

static void step_cpu(void *arg)
{
	uint64_t n = set_blk();
	struct rig_sizes size = {
		.cap_blk = n + n / 32 + 100000, .wt_blk = 3 * n, .kept = (uint32_t)(n / 16 + 100000)};
	double reads[3], writes[3];
	uint8_t *buf = rig_map(MIB(1));
	struct hb_stats a, b;

	(void)arg;
	rig_init(&rig, &size);
	rig_open(&rig, (n + n / 16) * BLK_BYTES);
	rig_volume(&rig, n);
	write_all(n);
	for (uint64_t i = 0; i < n; i++) /* a stream would not be kept */
		rig_ask(&rig, HB_READ, scattered(i, n), 1, buf);
	hb_pool_stats(rig.pool, &a);
	for (int k = 0; k < 3; k++)
		reads[k] = each(HB_READ, n, buf);
	hb_pool_stats(rig.pool, &b);
	b.read_ram += b.read_staging - a.read_staging - a.read_ram;
	printf("hit-ram %.2f %%\n", 100.0 * (double)b.read_ram / (3.0 * OPS));
	for (int k = 0; k < 3; k++)
		writes[k] = each(HB_WRITE, n, rig.data);
	hb_pool_stats(rig.pool, &b);
	printf("hit-read %.0f ns\n", MIN(MIN(reads[0], reads[1]), reads[2]));
	printf("hit-rewrite %.0f ns\n", MIN(MIN(writes[0], writes[1]), writes[2]));
	printf("hit-set %.0f GiB\n", (double)n / 262144);
	printf("hit-dirty %.1f %%\n", 100.0 * (double)b.dirty_bytes / BLK_BYTES / (double)n);
	rig_crash(&rig);
}

/* ---------------------------------------------------------------- hits after a crash */
#define CRASH_BLK 262144u

/* Of random reads, those that no disk was needed for. */
static double hits(void)
{
	struct hb_stats a, b;
	uint8_t *buf = rig_map(BLK_BYTES);
	const uint32_t n = 500000;

	hb_pool_stats(rig.pool, &a);
	for (uint32_t i = 0; i < n; i++)
		rig_ask(&rig, HB_READ, rng_below(&rig.rng, 2 * CRASH_BLK), 1, buf);
	hb_pool_stats(rig.pool, &b);
	return 1 - (double)(b.read_capacity - a.read_capacity) / n;
}

/* Half of what is asked for is cached on the SSD. */
static void step_crash(void *arg)
{
	struct rig_sizes size = {.cap_blk = 4 * CRASH_BLK, .wt_blk = CRASH_BLK * 13 / 10, .kept = 100000};
	struct hb_stats s;
	double before, after;

	(void)arg;
	rig_init(&rig, &size);
	rig_open(&rig, MIB(4));
	rig_volume(&rig, 2 * CRASH_BLK);
	for (uint64_t at = 0; at < 2 * CRASH_BLK; at += 256)
		rig_ask(&rig, HB_WRITE, at, 256, rig.data);
	if (hb_pool_writeback(rig.pool))
		rig_die("write-back", NULL);
	rig_settle(&rig);
	for (uint32_t i = 0; i < CRASH_BLK / 10; i++)
		rig_ask(&rig, HB_WRITE, 2 * CRASH_BLK - 1 - rng_below(&rig.rng, CRASH_BLK), 1, rig.data);
	before = hits();
	hb_pool_stats(rig.pool, &s);
	printf("crash-dirty %.1f %%\n", 100.0 * (double)s.dirty_bytes / (double)(s.dirty_bytes + s.clean_bytes));
	rig_crash(&rig);
	rig_open(&rig, MIB(4));
	while (rig.pool->touching)
		hb_pool_run(rig.pool);
	rig_volume(&rig, 2 * CRASH_BLK);
	after = hits();
	printf("crash-before %.4f ratio\ncrash-after %.4f ratio\n", before, after);
	rig_crash(&rig);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "all";
	bool all = !strcmp(what, "all");

	if (all || !strcmp(what, "memory")) {
		memory(false);
		memory(true);
	}
	if (all || !strcmp(what, "crash"))
		apart(step_crash, NULL);
	if (all || !strcmp(what, "cpu"))
		apart(step_cpu, NULL);
	return 0;
}
