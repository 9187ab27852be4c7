/* SPDX-License-Identifier: GPL-2.0-only */
/* map.c - volumes' maps: finding, setting, unsetting, sharing and counting blocks. (Invariants: map.h.)
 *
 * Every change first gets all the memory it needs, for a record and for the path to the leaf; the rest cannot fail.
 */
#include "map/map_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bug.h"
#include "base/mem.h"

/* Where a volume block's entry is, and which of its blocks it is. */
struct place {
	uint64_t leaf;
	unsigned int entry, blk;
};

static inline unsigned int blk_shift(const struct mapset *ms)
{
	return (unsigned int)__builtin_ctz(ms->chunk_blk);
}

/* Blocks of a whole leaf. */
static inline unsigned int leaf_shift(const struct mapset *ms)
{
	return blk_shift(ms) + MAP_LEAF_SHIFT;
}

static inline struct place place_of(const struct mapset *ms, vblk_t v)
{
	return (struct place){
		.leaf = v.n >> leaf_shift(ms),
		.entry = (v.n >> blk_shift(ms)) & (MAP_LEAF_ENTRIES - 1),
		.blk = v.n & (ms->chunk_blk - 1),
	};
}

/* NULL in a hole as big as a leaf. */
static inline const struct map_entry *entry_find(const struct ptree *map, struct place at)
{
	const struct map_entry *leaf = ptree_get(map, at.leaf);

	return leaf ? leaf + at.entry : NULL;
}

/* ------------------------------------------------------------------ what the trees tell us */
static void leaf_copied(void *ctx, const void *data)
{
	const struct map_entry *leaf = data;

	for (unsigned int i = 0; i < MAP_LEAF_ENTRIES && !BUG(SNAPSHOT_UNCOUNTED); i++)
		entry_ref(ctx, &leaf[i]);
}

static void leaf_freed(void *ctx, void *data)
{
	const struct map_entry *leaf = data;

	for (unsigned int i = 0; i < MAP_LEAF_ENTRIES; i++)
		entry_unref(ctx, &leaf[i]);
}

static void page_retired(void *ctx, uint32_t page)
{
	const struct mapset *ms = ctx;

	ms->page_retire(ms->ctx, page);
}

int mapset_init(struct mapset *ms, struct chunks *chunks, struct map_chunks_ops ops, uint32_t chunk_blk)
{
	assert(chunk_blk == 16 || chunk_blk == 32);
	*ms = (struct mapset){
		.env = { .ctx = ms, .page_retire = page_retired, .leaf_copied = leaf_copied, .leaf_freed = leaf_freed },
		.plain = { .ctx = ms, .page_retire = page_retired },
		.chunks = chunks,
		.ops = ops,
		.chunk_blk = chunk_blk,
	};
	return 0;
}

void mapset_fini(struct mapset *ms)
{
	ptree_forget(&ms->plain, &ms->frags);
	assert(!ms->env.nodes && !ms->env.leaves && !ms->plain.nodes && !ms->plain.leaves);
	mem_free(ms->frag_refs);
	mem_free(ms->frag_used);
	*ms = (struct mapset){ .chunk_blk = 0 };
}

uint64_t mapset_bytes(const struct mapset *ms)
{
	return ptree_bytes(&ms->env) + ptree_bytes(&ms->plain) + frag_bytes(ms);
}

/* ------------------------------------------------------------------ finding */
pblk_t map_find(const struct mapset *ms, const struct ptree *map, vblk_t v)
{
	struct place at = place_of(ms, v);
	const struct map_entry *e = entry_find(map, at);
	uint32_t k = e ? entry_chunk(ms, e, at.blk) : 0;

	return (pblk_t){ k ? ((uint64_t)k << blk_shift(ms)) + at.blk : 0 };
}

/* The blocks from v up to the next leaf that is there, at most max. */
static uint64_t hole_run(const struct mapset *ms, const struct ptree *map, uint64_t v, uint64_t max)
{
	uint64_t next = ptree_next(map, v >> leaf_shift(ms));

	return next == UINT64_MAX ? max : MIN((next << leaf_shift(ms)) - v, max);
}

uint64_t map_find_run(const struct mapset *ms, const struct ptree *map, vblk_t v, uint64_t max, pblk_t *ret)
{
	const struct map_entry *leaf = NULL;
	uint64_t n = 0, leaf_no = UINT64_MAX;
	pblk_t p = { 0 };

	assert(max);
	while (n < max) {
		struct place at = place_of(ms, (vblk_t){ v.n + n });
		unsigned int len;
		uint32_t k;

		if (at.leaf != leaf_no) {
			leaf_no = at.leaf;
			leaf = ptree_get(map, leaf_no);
		}
		if (!leaf) {
			if (p.n)
				break;
			n += hole_run(ms, map, v.n + n, max - n);
			continue;
		}
		len = entry_run(ms, &leaf[at.entry], at.blk, &k);
		if (!n && k)
			p.n = ((uint64_t)k << blk_shift(ms)) + at.blk;
		else if (n && (p.n ? (uint64_t)k << blk_shift(ms) != p.n + n : k))
			break;
		n += len;
		if (at.blk + len < ms->chunk_blk)
			break;
	}
	*ret = p;
	return MIN(n, max);
}

chunk_t map_writable(const struct mapset *ms, const struct ptree *map, vblk_t v)
{
	struct place at = place_of(ms, v);
	const struct map_entry *leaf = ptree_get_exclusive(map, at.leaf);
	chunk_t own = { leaf ? leaf[at.entry].own : 0 };

	return own.n && (ms->ops.refs(ms->chunks, own) == 1 || BUG(WRITE_SHARED_CHUNK)) ? own : CHUNK_NONE;
}

chunk_t map_near(const struct mapset *ms, const struct ptree *map, vblk_t v)
{
	const struct map_entry *e;
	chunk_t near;

	if (v.n < ms->chunk_blk)
		return CHUNK_NONE;
	e = entry_find(map, place_of(ms, (vblk_t){ v.n - ms->chunk_blk }));
	if (!e || entry_empty(e))
		return CHUNK_NONE;
	near.n = e->own + 1;
	return ms->ops.exists(ms->chunks, near) ? near : CHUNK_NONE;
}

vblk_t map_next_mapped(const struct mapset *ms, const struct ptree *map, vblk_t v)
{
	uint64_t from = v.n, leaf_no = ptree_next(map, from >> leaf_shift(ms));

	for (; leaf_no != UINT64_MAX; leaf_no = ptree_next(map, leaf_no + 1)) {
		const struct map_entry *leaf = ptree_get(map, leaf_no);
		struct place at;

		from = MAX(from, leaf_no << leaf_shift(ms));
		at = place_of(ms, (vblk_t){ from });
		for (; at.entry < MAP_LEAF_ENTRIES; at.entry++, at.blk = 0) {
			uint32_t bits = (leaf[at.entry].own_bits | leaf[at.entry].base_bits) >> at.blk << at.blk;

			if (bits)
				return (vblk_t){ (leaf_no << leaf_shift(ms)) + ((uint64_t)at.entry << blk_shift(ms)) +
						 (unsigned int)__builtin_ctz(bits) };
		}
	}
	return (vblk_t){ UINT64_MAX };
}

/* ------------------------------------------------------------------ comparing, accounting */
#define DIFF_LEAVES 64u			/* looked at in one call */

static uint32_t chunk_at(const struct mapset *ms, const struct map_entry *leaf, unsigned int blk)
{
	return leaf ? entry_chunk(ms, &leaf[blk >> blk_shift(ms)], blk & (ms->chunk_blk - 1)) : 0;
}

/* From block `from` of the leaf on; the same as map_next_diff. */
static bool leaf_next_diff(const struct mapset *ms, const struct map_entry *a, const struct map_entry *b,
			   unsigned int from, unsigned int *ret, unsigned int *ret_len, bool *ret_mapped)
{
	unsigned int end = MAP_LEAF_ENTRIES << blk_shift(ms), at = from;

	for (; at < end; at++) {
		unsigned int e = at >> blk_shift(ms);

		if (a && b && !memcmp(&a[e], &b[e], sizeof(a[e])))
			at |= ms->chunk_blk - 1;
		else if (chunk_at(ms, a, at) != chunk_at(ms, b, at) &&
			 (chunk_at(ms, b, at) || !BUG(DIFF_FORGETS_HOLES)))
			break;
	}
	if (at >= end)
		return false;
	*ret = at;
	*ret_mapped = chunk_at(ms, b, at) != 0;
	while (at < end && chunk_at(ms, a, at) != chunk_at(ms, b, at) && (chunk_at(ms, b, at) != 0) == *ret_mapped)
		at++;
	*ret_len = at - *ret;
	return true;
}

int map_next_diff(const struct mapset *ms, const struct ptree *a, const struct ptree *b, vblk_t v, vblk_t *ret,
		  uint64_t *ret_len, bool *ret_mapped)
{
	uint64_t at = v.n;

	for (unsigned int i = 0; i < DIFF_LEAVES; i++) {
		uint64_t leaf = ptree_next_diff(a, b, at >> leaf_shift(ms));
		unsigned int blk, len;

		if (leaf == UINT64_MAX)
			return 0;
		at = MAX(at, leaf << leaf_shift(ms));
		if (leaf_next_diff(ms, ptree_get(a, leaf), ptree_get(b, leaf),
				   (unsigned int)(at & ((1ull << leaf_shift(ms)) - 1)), &blk, &len, ret_mapped)) {
			ret->n = (leaf << leaf_shift(ms)) + blk;
			*ret_len = len;
			return 1;
		}
		at = (leaf + 1) << leaf_shift(ms);
	}
	ret->n = at;
	return -EAGAIN;
}

void map_count_exclusive(const struct mapset *ms, const struct ptree *map, uint64_t leaf, uint64_t *blocks,
			 uint64_t *chunks)
{
	const struct map_entry *e = ptree_get(map, leaf);

	for (unsigned int i = 0; e && i < MAP_LEAF_ENTRIES; i++, e++) {
		if (entry_empty(e))
			continue;
		if (ms->ops.refs(ms->chunks, (chunk_t){ e->own }) == 1) {
			*blocks += (unsigned int)__builtin_popcount(e->own_bits);
			++*chunks;
		}
		if (entry_is_frag(e))
			frag_count_exclusive(ms, entry_frag(e), blocks, chunks);
		else if (e->base && ms->ops.refs(ms->chunks, (chunk_t){ e->base }) == 1) {
			*blocks += (unsigned int)__builtin_popcount(e->base_bits);
			++*chunks;
		}
	}
}

static bool count_leaf(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs, uint64_t first,
		       const void *data)
{
	const struct map_entry *leaf = data;
	uint64_t *count = ctx;

	(void)node, (void)page, (void)refs, (void)first;
	for (unsigned int i = 0; !level && i < MAP_LEAF_ENTRIES; i++)
		*count += (unsigned int)__builtin_popcount(leaf[i].own_bits | leaf[i].base_bits);
	return true;
}

uint64_t map_count(const struct mapset *ms, const struct ptree *map)
{
	uint64_t count = 0;

	(void)ms;
	ptree_walk(map, count_leaf, &count);
	return count;
}

/* ------------------------------------------------------------------ changing */
/* Whether the entry may need a new record for having a block in chunk k (0: not known), or one less. */
static bool may_need_record(const struct mapset *ms, const struct map_entry *e, uint32_t k)
{
	if (entry_is_frag(e))
		return frag_refs(ms, entry_frag(e)) > 1;	/* else it is changed in place */
	return e->base && e->own != k;
}

/* The entry for changing, with records at hand if it may need one. NULL: out of memory; nothing changed, but that the
 * leaf may be a copy now. */
static struct map_entry *entry_change(struct mapset *ms, struct ptree *map, struct place at, uint32_t k,
				      uint32_t records)
{
	struct map_entry *leaf = ptree_change(&ms->env, map, at.leaf);

	if (!leaf)
		return NULL;
	if (may_need_record(ms, leaf + at.entry, k) && frag_reserve(ms, records))
		return NULL;
	return leaf + at.entry;
}

int map_prepare(struct mapset *ms, struct ptree *map, vblk_t v)
{
	return entry_change(ms, map, place_of(ms, v), 0, MAP_PREPARED_MAX) ? 0 : -ENOMEM;
}

int map_set(struct mapset *ms, struct ptree *map, vblk_t v, pblk_t p)
{
	uint64_t chunk = p.n >> blk_shift(ms);
	struct place at = place_of(ms, v);
	const struct map_entry *was = entry_find(map, at);
	uint32_t k = (uint32_t)chunk, bit = 1u << at.blk;
	struct map_entry *e;
	struct chunk_vec vec;

	assert((p.n & (ms->chunk_blk - 1)) == at.blk && chunk && chunk < ENTRY_FRAG);
	if (was && entry_chunk(ms, was, at.blk) == k)
		return 0;
	e = entry_change(ms, map, at, k, 1);
	if (!e)
		return -ENOMEM;
	if (e->own == k && !(e->base_bits & bit)) {
		e->own_bits |= bit;
		return 0;
	}
	entry_read(ms, e, &vec);
	vec.at[at.blk] = k;
	entry_write(ms, e, &vec, k);
	return 0;
}

/* Whether no other entry of the leaf has anything. (From the end: unmapping mostly goes upward.) */
static bool leaf_has_only(const struct map_entry *leaf, unsigned int entry)
{
	for (unsigned int i = MAP_LEAF_ENTRIES; i-- > 0;)
		if (i != entry && !entry_empty(&leaf[i]))
			return false;
	return true;
}

int map_unset(struct mapset *ms, struct ptree *map, vblk_t v, uint32_t count)
{
	struct place at = place_of(ms, v);
	const struct map_entry *was = entry_find(map, at);
	uint32_t bits, mapped = was ? was->own_bits | was->base_bits : 0;
	struct map_entry *e;
	struct chunk_vec vec;

	assert(count && count <= ms->chunk_blk - at.blk);
	bits = (uint32_t)((1ull << count) - 1) << at.blk;
	if (!(mapped & bits))
		return 0;
	if (!(mapped & ~bits) && leaf_has_only(was - at.entry, at.entry))
		return ptree_remove(&ms->env, map, at.leaf);
	e = entry_change(ms, map, at, was->own, 1);	/* a block less makes no record where there was none */
	if (!e)
		return -ENOMEM;
	entry_read(ms, e, &vec);
	memset(&vec.at[at.blk], 0, count * sizeof(vec.at[0]));
	entry_write(ms, e, &vec, e->own);
	return 0;
}

int map_drop_part(struct mapset *ms, struct ptree *map, uint64_t leaf, unsigned int level)
{
	return ptree_remove_part(&ms->env, map, leaf, level);
}

int map_share_chunk(struct mapset *ms, struct ptree *dst, vblk_t dv, const struct ptree *src, vblk_t sv)
{
	struct place to = place_of(ms, dv), from = place_of(ms, sv);
	const struct map_entry *src_e = entry_find(src, from), *dst_e = entry_find(dst, to);
	struct map_entry new = { 0 }, old = { 0 }, *e;

	assert(!to.blk && !from.blk);
	if (src_e)
		new = *src_e;
	if (dst_e)
		old = *dst_e;
	if (entry_empty(&new))
		return map_unset(ms, dst, dv, ms->chunk_blk);
	if (memcmp(&old, &new, sizeof(new)) == 0)
		return 0;
	e = ptree_change(&ms->env, dst, to.leaf);
	if (!e)
		return -ENOMEM;
	e += to.entry;
	entry_ref(ms, &new);
	*e = new;
	entry_unref(ms, &old);
	return 0;
}

int map_set_chunk(struct mapset *ms, struct ptree *map, vblk_t v, chunk_t k)
{
	struct map_entry new = { .own = k.n, .own_bits = (uint32_t)((1ull << ms->chunk_blk) - 1) }, old, *e;
	struct place at = place_of(ms, v);

	assert(!at.blk && k.n && k.n < ENTRY_FRAG);
	e = ptree_change(&ms->env, map, at.leaf);
	if (!e)
		return -ENOMEM;
	e += at.entry;
	old = *e;
	entry_ref(ms, &new);
	*e = new;
	entry_unref(ms, &old);
	return 0;
}

/* ------------------------------------------------------------------ counting references at open */
struct count_refs {
	struct mapset *ms;
	bool (*counted)(void *ctx, const void *node);
	void *ctx;
	const char *why;
};

static bool count_refs_node(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs,
			    uint64_t first, const void *data)
{
	const struct map_entry *leaf = data;
	struct count_refs *c = ctx;

	(void)page, (void)first;
	if (c->why || (refs > 1 && c->counted(c->ctx, node)))
		return false;
	for (unsigned int i = 0; !level && i < MAP_LEAF_ENTRIES; i++) {
		c->why = entry_fault(c->ms, &leaf[i]);
		if (c->why)
			return false;
		entry_ref(c->ms, &leaf[i]);
	}
	return true;
}

int map_count_refs(struct mapset *ms, const struct ptree *map, bool (*counted)(void *ctx, const void *node), void *ctx,
		   const char **ret_why)
{
	struct count_refs c = { .ms = ms, .counted = counted, .ctx = ctx };
	int rc = frag_layout(ms);

	if (rc == -EBADMSG)
		*ret_why = "the tree of fragment records is shared with another, or too large";
	if (rc)
		return rc;
	ptree_walk(map, count_refs_node, &c);
	if (!c.why)
		return 0;
	*ret_why = c.why;
	return -EBADMSG;
}

/* ------------------------------------------------------------------ counting again, for check */
static bool walk_refs_node(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs,
			   uint64_t first, const void *data)
{
	const struct map_refs *how = ctx;
	const struct map_entry *e = data;

	(void)page, (void)first;
	if (refs > 1 && how->met(how->ctx, node))
		return false;
	for (unsigned int i = 0; !level && i < MAP_LEAF_ENTRIES; i++, e++) {
		if (e->own)
			how->chunk(how->ctx, (chunk_t){ e->own });
		if (entry_is_frag(e))
			how->frag(how->ctx, entry_frag(e));
		else if (e->base)
			how->chunk(how->ctx, (chunk_t){ e->base });
	}
	return true;
}

void map_walk_refs(const struct ptree *map, const struct map_refs *how)
{
	struct map_refs copy = *how;

	ptree_walk(map, walk_refs_node, &copy);
}
