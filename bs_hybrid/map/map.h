/* SPDX-License-Identifier: GPL-2.0-only */
/* map.h - from volume blocks to pool blocks. Pure memory.
 *
 * A volume is a ptree of leaves of 256 entries, one entry a chunk. An entry says, block by block, which pool chunk a
 * block comes from (always at the same offset within the chunk), or that there is nothing (zeros):
 *   own    the chunk that new writes of this volume go to while nobody else refers to it; own_bits: its blocks
 *   base   the chunk the rest come from, as far as base_bits says; or, when three or more chunks are involved,
 *          a fragment record (ENTRY_FRAG set): one chunk number per block
 * Chunks are reference counted by entries (in distinct leaves). A 4 KiB write to a shared chunk copies nothing.
 *
 * Invariants
 * (1) own_bits & base_bits == 0; a chunk number is 0 exactly when its bits are 0. An empty entry is all zero.
 * (2) A chunk's reference count is the number of (entry, chunk) pairs that name it, over distinct leaves and, through
 *     fragment records, once per distinct chunk of the record.
 *     The same goes for fragment records: referred to by each entry that names one.
 * (3) A block may be written in place only if its leaf is exclusive and its chunk has exactly one reference.
 * (4) An entry that is not empty has an own chunk; base is another one; a fragment record names two others or more,
 *     for just the blocks of base_bits. So what no block needs any more is not referred to.
 * Chunk numbers are below 2^31 (ENTRY_FRAG).
 */
#ifndef HB_MAP_MAP_H
#define HB_MAP_MAP_H

#include "base/units.h"
#include "map/ptree.h"

struct chunks;

#define MAP_LEAF_SHIFT 8
#define MAP_LEAF_ENTRIES (1u << MAP_LEAF_SHIFT)
#define ENTRY_FRAG 0x80000000u		/* in `base`: the rest is a fragment record's number */
#define CHUNK_BLK_MAX 32u
#define MAP_PREPARED_MAX 256u		/* so many changes may follow map_prepare before any may fail */

/* As in memory, so on disk (little-endian). */
struct map_entry {
	uint32_t own;
	uint32_t base;
	uint32_t own_bits;
	uint32_t base_bits;
};
_Static_assert(sizeof(struct map_entry) == 16, "256 entries fill a page");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "entries are stored as they are in memory");

/* How the maps count references of chunks: the functions of space/chunks.h, which this room does not know. */
struct map_chunks_ops {
	void (*ref)(struct chunks *c, chunk_t k);
	bool (*unref)(struct chunks *c, chunk_t k);
	uint32_t (*refs)(const struct chunks *c, chunk_t k);
	bool (*exists)(const struct chunks *c, chunk_t k);
};

/* What all maps of a pool share. */
struct mapset {
	struct ptree_env env;		/* of the volumes' maps, and only of them: its hooks count references */
	struct ptree_env plain;		/* of frags, and of any other trees of the pool: no hooks */
	struct ptree frags;		/* fragment records, packed by number into leaves; never shared */
	/* Derived. */
	uint32_t *frag_refs;		/* by record */
	uint8_t *frag_used;		/* by leaf of frags: records in use */
	uint32_t frag_leaves, frag_free, frag_hint;
	struct chunks *chunks;		/* borrowed */
	struct map_chunks_ops ops;	/* all required */
	uint32_t chunk_blk;		/* 16 or 32 */
	/* The caller's, set after mapset_init. Both are called in the middle of a change and must not look at maps.
	 * Required: the last reference to a chunk went (chunks_unref was called and said so). */
	void (*chunk_freed)(void *ctx, chunk_t k);
	/* Required: page_retire of both envs comes here. */
	void (*page_retire)(void *ctx, uint32_t page);
	void *ctx;
};

/* Overwrites *ms, whose place must not change from here on. 0 or -ENOMEM. At open, ms->frags is loaded next (in the env
 * `plain`), then the maps (in `env`), then map_count_refs is called for each map. */
int mapset_init(struct mapset *ms, struct chunks *chunks, struct map_chunks_ops ops, uint32_t chunk_blk);
/* The volumes' trees must be gone before (ptree_forget, or ptree_clear); frags is forgotten here. */
void mapset_fini(struct mapset *ms);
uint64_t mapset_bytes(const struct mapset *ms);	/* memory of all trees of both envs, and of the counts */

/* Where a volume block is; n == 0: nowhere (zeros). */
pblk_t map_find(const struct mapset *ms, const struct ptree *map, vblk_t v);
/* As map_find for a run: how many following blocks (at most max, at least 1) continue the answer: consecutive pool
 * blocks, or holes. */
uint64_t map_find_run(const struct mapset *ms, const struct ptree *map, vblk_t v, uint64_t max, pblk_t *ret);
/* The chunk that a write of v may go to in place (invariant 3); CHUNK_NONE: one must be taken. */
chunk_t map_writable(const struct mapset *ms, const struct ptree *map, vblk_t v);
/* The own chunk of the chunk before v's, plus one: a good place for a new one. CHUNK_NONE if there is no such chunk. */
chunk_t map_near(const struct mapset *ms, const struct ptree *map, vblk_t v);
/* Makes the path to v's entry (and to a new fragment record) exclusive and present, so that the next map_set of v, and
 * more of other blocks of its chunk to the same pool chunk, cannot fail: as long as the map is not shared, nor anything
 * unset or dropped in it, meanwhile. Up to MAP_PREPARED_MAX chunks may be prepared before they are set.
 * 0 or -ENOMEM. */
int map_prepare(struct mapset *ms, struct ptree *map, vblk_t v);
/* v is now at p, whose offset within the chunk is v's (asserted), and p's chunk is v's own one. Does nothing if v is at
 * p already. A chunk that was taken gets its first reference here. 0, or -ENOMEM with nothing changed. */
int map_set(struct mapset *ms, struct ptree *map, vblk_t v, pblk_t p);
/* Blocks v .. v+count-1 of one chunk become holes. Chunks that nothing refers to go to chunk_freed. 0, or
 * -ENOMEM with nothing changed. */
int map_unset(struct mapset *ms, struct ptree *map, vblk_t v, uint32_t count);
/* Many entries at once: drops the leaves from number `leaf` on, 256^level of them (a part that ptree_first_part
 * found). 0 or -ENOMEM. */
int map_drop_part(struct mapset *ms, struct ptree *map, uint64_t leaf, unsigned int level);
/* dst's chunk becomes what src's chunk is (shared, no data moves). v's are chunk-aligned. 0 or -ENOMEM. */
int map_share_chunk(struct mapset *ms, struct ptree *dst, vblk_t dv, const struct ptree *src, vblk_t sv);
/* v's chunk (v is aligned) becomes chunk k, all of it, and nothing else. k was taken, and gets its first reference
 * here. What nothing refers to any more goes to chunk_freed. 0, or -ENOMEM with nothing changed. */
int map_set_chunk(struct mapset *ms, struct ptree *map, vblk_t v, chunk_t k);
/* The first mapped block at or after v; UINT64_MAX in n if none. */
vblk_t map_next_mapped(const struct mapset *ms, const struct ptree *map, vblk_t v);
/* The first run at or after v of blocks that the two maps find at different places. 1: *ret, its length and whether it
 * is mapped in b; 0: no more; -EAGAIN: none up to *ret, where many leaves were looked at. */
int map_next_diff(const struct mapset *ms, const struct ptree *a, const struct ptree *b, vblk_t v, vblk_t *ret,
		  uint64_t *ret_len, bool *ret_mapped);
/* Of one leaf that the map alone holds (ptree_next_exclusive): blocks in chunks that nothing else refers to, and the
 * number of those chunks. Both are added to. */
void map_count_exclusive(const struct mapset *ms, const struct ptree *map, uint64_t leaf, uint64_t *blocks,
			 uint64_t *chunks);
/* Blocks mapped in the whole volume (walks the leaves). */
uint64_t map_count(const struct mapset *ms, const struct ptree *map);

/* At open, after all trees are loaded: counts references of chunks and fragment records from every leaf of one
 * map. `counted` is asked once for each node of the map (of any level) with refs > 1: whether it was asked for this
 * node before, for this map or another; what is below was counted then. 0, -ENOMEM, or -EBADMSG with *ret_why when an
 * entry breaks an invariant (some were counted then). */
int map_count_refs(struct mapset *ms, const struct ptree *map, bool (*counted)(void *ctx, const void *node), void *ctx,
		   const char **ret_why);

/* For check: tells of every reference that counts, over leaves that were not met before (`met` is asked as `counted`
 * is): each chunk that an entry names itself, and each fragment record that it names. */
struct map_refs {
	void *ctx;
	bool (*met)(void *ctx, const void *node);
	void (*chunk)(void *ctx, chunk_t k);
	void (*frag)(void *ctx, uint32_t f);
};
void map_walk_refs(const struct ptree *map, const struct map_refs *how);
/* Fragment records have numbers below this. */
uint32_t mapset_frag_count(const struct mapset *ms);
/* The distinct chunks of record f; returns how many there are (0: the record is not there, or free). *ret_refs: how
 * many entries are counted to name it. */
uint32_t mapset_frag(const struct mapset *ms, uint32_t f, uint32_t *ret_refs, chunk_t chunks[CHUNK_BLK_MAX]);

#endif
