/* SPDX-License-Identifier: GPL-2.0-only */
/* sim_medium.h - the medium of a simulated disk: pages shared between clones, and the undurable versions of each.
 * sim.h says what the rules are; this keeps the bytes. */
#ifndef HB_DEV_SIM_MEDIUM_H
#define HB_DEV_SIM_MEDIUM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

struct medium;

struct medium *medium_new(uint64_t size_bytes);
struct medium *medium_clone(const struct medium *m); /* undurable versions included */
void medium_free(struct medium *m);
void medium_grow(struct medium *m, uint64_t size_bytes); /* what is new is zeros */

/* Offsets and lengths: multiples of 512. */
void medium_read(const struct medium *m, uint64_t off, void *buf, uint64_t len);
void medium_write(struct medium *m, uint64_t off, const void *buf, uint64_t len);
/* Each sector lands with a chance of keep/256. */
void medium_write_some(struct medium *m, uint64_t off, const void *buf, uint64_t len, struct rng *rng, unsigned keep);
/* In all versions, durably. */
void medium_poke(struct medium *m, uint64_t off, const void *buf, uint64_t len);

/* The number of the last write: what a flush queued now will cover. */
uint64_t medium_seq(const struct medium *m);
void medium_flush(struct medium *m, uint64_t seq); /* writes up to seq are durable */
void medium_forsake(struct medium *m, uint64_t seq); /* writes up to seq will not be, by any flush ... */
void medium_relent(struct medium *m); /* ... until now */
/* A power cut: one version of each sector is chosen; all is durable then. */
void medium_settle(struct medium *m, struct rng *rng, bool tear);

uint64_t medium_undurable(const struct medium *m); /* pages with more than one version */
uint64_t medium_untouched(const struct medium *m, uint64_t off, uint64_t len); /* never written pages in the range */
uint64_t medium_next_page(const struct medium *m, uint64_t from); /* that was written; UINT64_MAX: none */

#endif
