/* SPDX-License-Identifier: GPL-2.0-only */
/* map_priv.h - what map.c (volumes), entry.c (one chunk's entry) and frag.c (fragment records) have between them. */
#ifndef HB_MAP_MAP_PRIV_H
#define HB_MAP_MAP_PRIV_H

#include "map/map.h"

/* One block of a volume's chunk after the other: the chunk it comes from; 0: nowhere. */
struct chunk_vec {
	uint32_t at[CHUNK_BLK_MAX];
};

static inline bool entry_empty(const struct map_entry *e)
{
	return !e->own;
}

static inline bool entry_is_frag(const struct map_entry *e)
{
	return e->base & ENTRY_FRAG;
}

static inline uint32_t entry_frag(const struct map_entry *e)
{
	return e->base & ~ENTRY_FRAG;
}

/* ------------------------------------------------------------------ frag.c */
/* The record's chunk numbers, one per block. Valid until any record changes. */
const uint32_t *frag_get(const struct mapset *ms, uint32_t f);
/* Whether a record of that number is there (only of use while loading: a number read from an entry exists). */
bool frag_exists(const struct mapset *ms, uint32_t f);
uint32_t frag_refs(const struct mapset *ms, uint32_t f);
/* Blocks and chunks that only this record refers to, if one entry alone names it. Both are added to. */
void frag_count_exclusive(const struct mapset *ms, uint32_t f, uint64_t *blocks, uint64_t *chunks);
/* Sees to it that the next `count` frag_hold calls cannot fail. 0 or -ENOMEM. */
int frag_reserve(struct mapset *ms, uint32_t count);
/* A record with just these chunks, and one more reference for the caller: `old`'s record itself (old may be an entry
 * without) if it says the same, or changed in place if only old names it; else a new one (reserved before). */
uint32_t frag_hold(struct mapset *ms, const struct map_entry *old, const struct chunk_vec *vec);
/* The first reference counts the record's chunks, too; the last gives them and the record back. */
void frag_ref(struct mapset *ms, uint32_t f);
void frag_unref(struct mapset *ms, uint32_t f);
/* After ms->frags was loaded: finds out which records there are room for. Nothing to do later. 0, -ENOMEM, -EBADMSG. */
int frag_layout(struct mapset *ms);
uint64_t frag_bytes(const struct mapset *ms);

/* ------------------------------------------------------------------ entry.c */
/* The chunk of block b of the entry; 0: none. */
uint32_t entry_chunk(const struct mapset *ms, const struct map_entry *e, unsigned int b);
/* How many blocks from b on come from the same chunk (or are holes), which is put in *ret_chunk (0: holes). */
unsigned int entry_run(const struct mapset *ms, const struct map_entry *e, unsigned int b, uint32_t *ret_chunk);
void entry_read(const struct mapset *ms, const struct map_entry *e, struct chunk_vec *ret);
/* Changes an entry of an exclusive leaf to say `vec`, `own` first if it has any block. A record must be reserved if
 * the entry names one that others name too, or may come to need one. Cannot fail. */
void entry_write(struct mapset *ms, struct map_entry *e, const struct chunk_vec *vec, uint32_t own);
/* One more, or one less, holder of all that the entry names. */
void entry_ref(struct mapset *ms, const struct map_entry *e);
void entry_unref(struct mapset *ms, const struct map_entry *e);
/* NULL, or which invariant of map.h the entry breaks. Looks at nothing that is not there. */
const char *entry_fault(const struct mapset *ms, const struct map_entry *e);
void map_chunk_ref(struct mapset *ms, uint32_t k);
void map_chunk_unref(struct mapset *ms, uint32_t k);

#endif
