/* SPDX-License-Identifier: GPL-2.0-only */
/* frag.c - fragment records: for a chunk that three or more pool chunks make up, one chunk number per block.
 *
 * Records are packed into the leaves of ms->frags: record f is number f % per_leaf of leaf f / per_leaf. No other tree
 * ever shares nodes with that one, so a leaf that is there is changed, or removed, without need of memory.
 *
 * Invariants
 * (1) frag_refs[f] is the number of entries, over distinct leaves, that name record f; 0: free (whatever it says).
 * (2) A record refers once to each distinct chunk it names, as long as it is not free.
 * (3) A record that two or more entries name is never changed.
 * (4) frag_used[l] is the number of records in use in leaf l, or NO_LEAF; below frag_hint none has a free one.
 */
#include "map/map_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"

#define NO_LEAF 0xffu
#define LEAVES_MIN 16u
#define FRAGS_MAX ENTRY_FRAG		/* a number must leave that bit free */

static uint32_t per_leaf(const struct mapset *ms)
{
	return BLK_BYTES / (ms->chunk_blk * (uint32_t)sizeof(uint32_t));
}

static size_t rec_bytes(const struct mapset *ms)
{
	return ms->chunk_blk * sizeof(uint32_t);
}

const uint32_t *frag_get(const struct mapset *ms, uint32_t f)
{
	const uint32_t *leaf = ptree_get(&ms->frags, f / per_leaf(ms));

	assert(leaf);
	return leaf + f % per_leaf(ms) * ms->chunk_blk;
}

bool frag_exists(const struct mapset *ms, uint32_t f)
{
	uint32_t l = f / per_leaf(ms);

	return l < ms->frag_leaves && ms->frag_used[l] != NO_LEAF;
}

uint32_t frag_refs(const struct mapset *ms, uint32_t f)
{
	assert(frag_exists(ms, f));
	return ms->frag_refs[f];
}

void frag_count_exclusive(const struct mapset *ms, uint32_t f, uint64_t *blocks, uint64_t *chunks)
{
	const uint32_t *rec = frag_get(ms, f);

	if (frag_refs(ms, f) > 1)
		return;
	for (unsigned int b = 0; b < ms->chunk_blk; b++) {
		bool first = true;

		if (!rec[b] || ms->ops.refs(ms->chunks, (chunk_t){ rec[b] }) > 1)
			continue;
		for (unsigned int i = 0; i < b; i++)
			first &= rec[i] != rec[b];
		++*blocks;
		*chunks += first;
	}
}

uint32_t mapset_frag_count(const struct mapset *ms)
{
	return ms->frag_leaves * per_leaf(ms);
}

uint32_t mapset_frag(const struct mapset *ms, uint32_t f, uint32_t *ret_refs, chunk_t chunks[CHUNK_BLK_MAX])
{
	const uint32_t *rec;
	uint32_t n = 0;

	*ret_refs = frag_exists(ms, f) ? ms->frag_refs[f] : 0;
	if (!*ret_refs)
		return 0;
	rec = frag_get(ms, f);
	for (unsigned int b = 0; b < ms->chunk_blk; b++) {
		uint32_t i = 0;

		while (i < n && chunks[i].n != rec[b])
			i++;
		if (rec[b] && i == n)
			chunks[n++] = (chunk_t){ rec[b] };
	}
	return n;
}

uint64_t frag_bytes(const struct mapset *ms)
{
	return (uint64_t)ms->frag_leaves * (per_leaf(ms) * sizeof(*ms->frag_refs) + sizeof(*ms->frag_used));
}

/* Makes the tables long enough for `leaves`. */
static int tables_grow(struct mapset *ms, uint64_t leaves)
{
	uint32_t each = per_leaf(ms), *refs;
	uint8_t *used;

	if (leaves <= ms->frag_leaves)
		return 0;
	leaves = MAX(MAX(leaves, LEAVES_MIN), MIN(2ull * ms->frag_leaves, FRAGS_MAX / each));
	if (leaves > FRAGS_MAX / each)
		return -ENOMEM;
	refs = mem_calloc(leaves * each, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	used = mem_alloc(leaves);
	if (!used) {
		mem_free(refs);
		return -ENOMEM;
	}
	memset(used, NO_LEAF, leaves);
	if (ms->frag_leaves) {
		memcpy(refs, ms->frag_refs, (size_t)ms->frag_leaves * each * sizeof(*refs));
		memcpy(used, ms->frag_used, ms->frag_leaves);
	}
	mem_free(ms->frag_refs);
	mem_free(ms->frag_used);
	ms->frag_refs = refs;
	ms->frag_used = used;
	ms->frag_leaves = (uint32_t)leaves;
	return 0;
}

static bool node_is_alone(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs,
			  uint64_t leaf, const void *data)
{
	bool *alone = ctx;

	(void)node, (void)level, (void)page, (void)leaf, (void)data;
	*alone &= refs == 1;
	return *alone;
}

int frag_layout(struct mapset *ms)
{
	bool alone = true;
	int rc = 0;

	if (ms->frag_leaves)
		return 0;
	ptree_walk(&ms->frags, node_is_alone, &alone);
	if (!alone)
		return -EBADMSG;
	for (uint64_t l = ptree_next(&ms->frags, 0); l != UINT64_MAX; l = ptree_next(&ms->frags, l + 1)) {
		rc = l < FRAGS_MAX / per_leaf(ms) ? tables_grow(ms, l + 1) : -EBADMSG;
		if (rc)
			goto undo;
		ms->frag_used[l] = 0;
		ms->frag_free += per_leaf(ms);
	}
	return 0;

undo:
	mem_free(ms->frag_refs);
	mem_free(ms->frag_used);
	ms->frag_refs = NULL;
	ms->frag_used = NULL;
	ms->frag_leaves = ms->frag_free = 0;
	return rc;
}

static int leaf_add(struct mapset *ms)
{
	uint32_t l = 0;
	int rc;

	while (l < ms->frag_leaves && ms->frag_used[l] != NO_LEAF)
		l++;
	rc = tables_grow(ms, l + 1ull);
	if (rc)
		return rc;
	if (!ptree_change(&ms->plain, &ms->frags, l))
		return -ENOMEM;
	ms->frag_used[l] = 0;
	ms->frag_free += per_leaf(ms);
	ms->frag_hint = MIN(ms->frag_hint, l);
	return 0;
}

int frag_reserve(struct mapset *ms, uint32_t count)
{
	int rc = frag_layout(ms);

	while (!rc && ms->frag_free < count)
		rc = leaf_add(ms);
	return rc;
}

/* For changing. */
static uint32_t *frag_change(struct mapset *ms, uint32_t f)
{
	uint32_t *leaf = ptree_change(&ms->plain, &ms->frags, f / per_leaf(ms));

	assert(leaf);
	return leaf + f % per_leaf(ms) * ms->chunk_blk;
}

/* Calls once for each distinct chunk. */
static void chunks_each(struct mapset *ms, const uint32_t *rec, void (*what)(struct mapset *ms, uint32_t k))
{
	for (unsigned int b = 0, i; b < ms->chunk_blk; b++) {
		for (i = 0; i < b && rec[i] != rec[b]; i++)
			;
		if (rec[b] && i == b)
			what(ms, rec[b]);
	}
}

/* One reference more than before; the first takes the record into use. */
void frag_ref(struct mapset *ms, uint32_t f)
{
	assert(frag_exists(ms, f));
	if (ms->frag_refs[f]++)
		return;
	ms->frag_used[f / per_leaf(ms)]++;
	ms->frag_free--;
	chunks_each(ms, frag_get(ms, f), map_chunk_ref);
}

/* An empty leaf goes when enough free records remain for what was prepared. */
static void leaf_trim(struct mapset *ms, uint32_t l)
{
	int rc;

	ms->frag_hint = MIN(ms->frag_hint, l);
	if (ms->frag_used[l] || ms->frag_free < MAP_PREPARED_MAX + per_leaf(ms))
		return;
	rc = ptree_remove(&ms->plain, &ms->frags, l);
	assert(!rc);
	ms->frag_used[l] = NO_LEAF;
	ms->frag_free -= per_leaf(ms);
}

void frag_unref(struct mapset *ms, uint32_t f)
{
	uint32_t l = f / per_leaf(ms), *rec;
	struct chunk_vec was;

	assert(frag_refs(ms, f) > 0);
	if (--ms->frag_refs[f])
		return;
	rec = frag_change(ms, f);
	memcpy(was.at, rec, rec_bytes(ms));
	memset(rec, 0, rec_bytes(ms));
	ms->frag_used[l]--;
	ms->frag_free++;
	leaf_trim(ms, l);
	chunks_each(ms, was.at, map_chunk_unref);
}

static uint32_t frag_find_free(struct mapset *ms)
{
	uint32_t each = per_leaf(ms), f;

	assert(ms->frag_free);
	while (ms->frag_hint < ms->frag_leaves && ms->frag_used[ms->frag_hint] >= each)	/* full, or NO_LEAF */
		ms->frag_hint++;
	assert(ms->frag_hint < ms->frag_leaves);
	f = ms->frag_hint * each;
	while (ms->frag_refs[f])
		f++;
	return f;
}

static uint32_t frag_add(struct mapset *ms, const struct chunk_vec *vec)
{
	uint32_t f = frag_find_free(ms);

	memcpy(frag_change(ms, f), vec->at, rec_bytes(ms));
	frag_ref(ms, f);
	return f;
}

uint32_t frag_hold(struct mapset *ms, const struct map_entry *old, const struct chunk_vec *vec)
{
	uint32_t f = entry_frag(old);
	struct chunk_vec was;

	if (!entry_is_frag(old))
		return frag_add(ms, vec);
	if (memcmp(frag_get(ms, f), vec->at, rec_bytes(ms)) == 0) {
		frag_ref(ms, f);
		return f;
	}
	if (frag_refs(ms, f) > 1)	/* (3) */
		return frag_add(ms, vec);
	memcpy(was.at, frag_get(ms, f), rec_bytes(ms));
	memcpy(frag_change(ms, f), vec->at, rec_bytes(ms));
	chunks_each(ms, vec->at, map_chunk_ref);
	chunks_each(ms, was.at, map_chunk_unref);
	frag_ref(ms, f);
	return f;
}
