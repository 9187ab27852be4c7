/* SPDX-License-Identifier: GPL-2.0-only */
/* trace.h - a trace in memory: requests cut into blocks, each block known by a small number. */
#ifndef HB_REPLAY_TRACE_H
#define HB_REPLAY_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "keymap.h"

/* A key is a block's volume and its number there. */
#define KEY_BLOCK_BITS 44
#define KEY_VOLUMES (1u << (64 - KEY_BLOCK_BITS))
#define REQUEST_BYTES_MAX (1ull << 30)
#define NEVER UINT32_MAX			/* as a next use */

#define REQUEST_WRITE (1u << 31)
#define REQUEST_BLOCKS(r) ((r) & ~REQUEST_WRITE)

struct trace {
	char *path;			/* as given */
	char *name;			/* for tables: without folders and endings */
	const char *format;		/* borrowed: a format's name */
	uint32_t *requests;		/* blocks of each, with REQUEST_WRITE */
	uint64_t nrequests, nwrites;
	uint32_t *accesses;		/* the numbers of all blocks of all requests */
	uint64_t naccesses, nreads;	/* nreads: those of read requests; less than NEVER */
	uint64_t *keys;			/* by number: numbers are given in order of first use */
	uint32_t nunique;
	uint32_t *next;			/* by access: when its block is used next, or NEVER; NULL until asked for */
	uint64_t nignored;		/* records that neither read nor write */
	struct keymap numbers;		/* by key */
	struct keymap volumes;		/* by hash of the name */
	bool reads_only;		/* drop writes */
	bool maybe_pages;		/* of format lis, and every request is one sector long */
	uint64_t room_requests, room_accesses, room_keys;
};

/* A trace without requests; NULL when out of memory. Freed with trace_free(). */
struct trace *trace_new(const char *path, bool reads_only);
void trace_free(struct trace *t);
/* Frees the tables; counts and names stay. */
void trace_forget(struct trace *t);
/* The number of the volume with this name or number; -ENOSPC when there are too many. */
int trace_volume(struct trace *t, uint64_t name_hash, uint32_t *ret, struct err *err);
uint64_t trace_name_hash(uint64_t before, const char *name);	/* before: 0, or what comes in front of it */
/* Adds a request in bytes, which is cut into the 4 KiB blocks that it touches; one of no length is ignored.
 * -ERANGE: larger than REQUEST_BYTES_MAX, or behind the end of what a key can hold. */
int trace_add(struct trace *t, uint32_t volume, uint64_t offset, uint64_t bytes, bool write, struct err *err);
/* Fills t->next, once. */
int trace_look_ahead(struct trace *t, struct err *err);

#endif
