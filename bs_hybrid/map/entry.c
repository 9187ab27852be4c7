/* SPDX-License-Identifier: GPL-2.0-only */
/* entry.c - one entry of a map: which chunk each of its blocks comes from, and what it refers to.
 *
 * An entry has one form only for the same blocks and the same own chunk (map.h, invariant 4), so layers that vanish
 * are gone: three chunks become two and the record goes, two become one and the base goes. All changes but the
 * simplest decode the entry, change the list of chunks, and encode it again.
 * What the new form names is referred to before the old form lets go: no chunk passes through zero on the way.
 */
#include "map/map_priv.h"
#include "base/bug.h"

#include <assert.h>
#include <string.h>

void map_chunk_ref(struct mapset *ms, uint32_t k)
{
	ms->ops.ref(ms->chunks, (chunk_t){ k });
}

void map_chunk_unref(struct mapset *ms, uint32_t k)
{
	if (ms->ops.unref(ms->chunks, (chunk_t){ k }))
		ms->chunk_freed(ms->ctx, (chunk_t){ k });
}

uint32_t entry_chunk(const struct mapset *ms, const struct map_entry *e, unsigned int b)
{
	uint32_t bit = 1u << b;

	if (e->own_bits & bit)
		return e->own;
	if (!(e->base_bits & bit))
		return 0;
	return entry_is_frag(e) ? frag_get(ms, entry_frag(e))[b] : e->base;
}

unsigned int entry_run(const struct mapset *ms, const struct map_entry *e, unsigned int b, uint32_t *ret_chunk)
{
	uint32_t bit = 1u << b, same;
	unsigned int len = 1;
	const uint32_t *rec;

	if (!((e->own_bits | e->base_bits) & bit)) {
		*ret_chunk = 0;
		same = ~(e->own_bits | e->base_bits);
	} else if (e->own_bits & bit) {
		*ret_chunk = e->own;
		same = e->own_bits;
	} else if (!entry_is_frag(e)) {
		*ret_chunk = e->base;
		same = e->base_bits;
	} else {
		rec = frag_get(ms, entry_frag(e));
		*ret_chunk = rec[b];
		while (b + len < ms->chunk_blk && rec[b + len] == rec[b])
			len++;
		return len;
	}
	len = (unsigned int)__builtin_ctzll(~(uint64_t)(same >> b));
	return MIN(len, ms->chunk_blk - b);
}

void entry_read(const struct mapset *ms, const struct map_entry *e, struct chunk_vec *ret)
{
	const uint32_t *rec = entry_is_frag(e) ? frag_get(ms, entry_frag(e)) : NULL;

	for (unsigned int b = 0; b < ms->chunk_blk; b++) {
		uint32_t bit = 1u << b;

		ret->at[b] = e->own_bits & bit ? e->own : !(e->base_bits & bit) ? 0 : rec ? rec[b] : e->base;
	}
}

void entry_ref(struct mapset *ms, const struct map_entry *e)
{
	if (entry_empty(e))
		return;
	map_chunk_ref(ms, e->own);
	if (entry_is_frag(e))
		frag_ref(ms, entry_frag(e));
	else if (e->base)
		map_chunk_ref(ms, e->base);
}

void entry_unref(struct mapset *ms, const struct map_entry *e)
{
	if (entry_empty(e))
		return;
	map_chunk_unref(ms, e->own);
	if (entry_is_frag(e))
		frag_unref(ms, entry_frag(e));
	else if (e->base)
		map_chunk_unref(ms, e->base);
}

/* The chunk that most blocks come from (the first of several such); 0: no blocks. */
static uint32_t main_chunk(const struct chunk_vec *vec, unsigned int n)
{
	unsigned int most = 0;
	uint32_t found = 0;

	for (unsigned int b = 0; b < n; b++) {
		unsigned int count = 0;

		if (!vec->at[b] || vec->at[b] == found)
			continue;
		for (unsigned int i = b; i < n; i++)
			count += vec->at[i] == vec->at[b];
		if (count > most) {
			most = count;
			found = vec->at[b];
		}
	}
	return found;
}

/* The own chunk: the wanted one if any block comes from it. */
static uint32_t own_chunk(const struct chunk_vec *vec, unsigned int n, uint32_t wanted)
{
	for (unsigned int b = 0; wanted && b < n; b++)
		if (vec->at[b] == wanted)
			return wanted;
	return main_chunk(vec, n);
}

/* Fills *ret but for a fragment record's number, and *rest: vec without the own chunk's blocks. True: *rest has
 * several chunks, and a record is due. */
static bool entry_encode(const struct chunk_vec *vec, unsigned int n, uint32_t wanted, struct map_entry *ret,
			 struct chunk_vec *rest)
{
	bool several = false;

	*ret = (struct map_entry){ .own = own_chunk(vec, n, wanted) };
	*rest = *vec;
	for (unsigned int b = 0; b < n; b++) {
		if (!vec->at[b])
			continue;
		if (vec->at[b] == ret->own) {
			ret->own_bits |= 1u << b;
			rest->at[b] = 0;
			continue;
		}
		several |= ret->base && ret->base != vec->at[b];
		ret->base = vec->at[b];
		ret->base_bits |= 1u << b;
	}
	return several;
}

void entry_write(struct mapset *ms, struct map_entry *e, const struct chunk_vec *vec, uint32_t own)
{
	struct map_entry old = *e, new;
	struct chunk_vec rest;
	bool frag = entry_encode(vec, ms->chunk_blk, own, &new, &rest);

	if (new.own)
		map_chunk_ref(ms, new.own);
	if (frag)
		new.base = ENTRY_FRAG | frag_hold(ms, &old, &rest);
	else if (new.base)
		map_chunk_ref(ms, new.base);
	if (BUG(LOSE_BASE_BIT))
		new.base_bits &= new.base_bits - 1;
	*e = new;
	entry_unref(ms, &old);
}

/* The record and the entry that names it must say the same of each block. */
static const char *frag_fault(const struct mapset *ms, const struct map_entry *e)
{
	const uint32_t *rec;
	uint32_t first = 0;
	bool several = false;

	if (!frag_exists(ms, entry_frag(e)))
		return "an entry names a fragment record that does not exist";
	rec = frag_get(ms, entry_frag(e));
	for (unsigned int b = 0; b < ms->chunk_blk; b++) {
		if (!rec[b] != !(e->base_bits & 1u << b))
			return "a fragment record does not fit the entry that names it";
		if (!rec[b])
			continue;
		if (!ms->ops.exists(ms->chunks, (chunk_t){ rec[b] }))
			return "a fragment record names a chunk that does not exist";
		if (rec[b] == e->own)
			return "a fragment record names the own chunk of its entry";
		first = first ? first : rec[b];
		several |= rec[b] != first;
	}
	return several ? NULL : "a fragment record with less than two chunks";
}

const char *entry_fault(const struct mapset *ms, const struct map_entry *e)
{
	uint64_t all = (1ull << ms->chunk_blk) - 1;

	if (e->own_bits & e->base_bits)
		return "an entry has blocks that are own and base at once";
	if ((e->own_bits | e->base_bits) & ~all)
		return "an entry has blocks beyond its chunk";
	if (!e->own != !e->own_bits || !e->base != !e->base_bits)
		return "an entry has a chunk without blocks or blocks without a chunk";
	if (!e->own)
		return e->base ? "an entry has a base but no own chunk" : NULL;
	if (e->own & ENTRY_FRAG || !ms->ops.exists(ms->chunks, (chunk_t){ e->own }))
		return "an entry names an own chunk that does not exist";
	if (entry_is_frag(e))
		return frag_fault(ms, e);
	if (e->base && !ms->ops.exists(ms->chunks, (chunk_t){ e->base }))
		return "an entry names a base chunk that does not exist";
	return e->base == e->own ? "an entry's own and base chunk are the same" : NULL;
}
