/* SPDX-License-Identifier: GPL-2.0-only */
/* modes.h - modes other than write-back (through.c), and ranges that stay on the fast tiers (pins.c). Part of
 * pool.h. */
#ifndef HB_ENGINE_MODES_H
#define HB_ENGINE_MODES_H

/* ---------------------------------------------------------------- through.c */
/* Whether r, a write, is answered only when the capacity device has it. Then, its log unit being durable: through_begin
 * and step_through. */
bool through_asked(const struct hb_req *r);
void through_begin(struct hb_req *r);
enum step step_through(struct hb_req *r);
uint64_t through_expire(struct hb_pool *p); /* fails those that wait too long; returns when to look again */
/* Whether the new version of b, which is about to be written by v, is to stay on the write tier when it is clean. */
bool through_keeps(struct hb_pool *p, const struct hb_volume *v, pblk_t b);
void through_mode(struct hb_volume *v, enum hb_mode old); /* it has another mode now, perhaps */
void through_forget(struct hb_volume *v);
/* For write-back: whether anybody waits; whether a round for other reasons is to end now; a round's blocks are clean
 * (its batch may be sorted); what those that wait need becomes urgent (false: nothing may be written yet). */
bool through_waiting(const struct hb_pool *p);
bool through_hurry(const struct hb_pool *p);
void through_cleaned(struct hb_pool *p);
void through_look(struct hb_pool *p); /* brings all on that wait, as far as their blocks are clean */
bool through_choose(struct hb_pool *p);
void through_warn(const struct hb_pool *p); /* at open */

/* ---------------------------------------------------------------- pins.c */
void pins_init(struct hb_pool *p);
void pins_fini(struct hb_pool *p);
bool pins_pump(struct hb_pool *p);
uint64_t pins_deadline(const struct hb_pool *p);
bool pins_has(const struct hb_pool *p, pblk_t b);
/* Whether tier number `no` (0: the write tier) keeps b because it is pinned. */
bool pins_keep(const struct hb_pool *p, pblk_t b, unsigned no);
bool pins_admit(struct hb_pool *p, pblk_t b); /* b leaves RAM: whether it is to go on, earned or not */
/* v's block vb was written, to b; it was at `old` before. */
void pins_written(struct hb_pool *p, const struct hb_volume *v, vblk_t vb, pblk_t old, pblk_t b);
/* Whether any of v's blocks from .. to-1 is to stay on the fast tiers. */
bool pins_overlap(const struct hb_volume *v, uint64_t from, uint64_t to);
void pins_killed(struct hb_pool *p, pblk_t b);
void pins_left(struct hb_pool *p, pblk_t b); /* a tier had no room for b: if it is pinned, the loader looks soon */
void pins_shared(struct hb_pool *p, const struct hb_volume *v); /* v's map got blocks of others */
/* v is new, or gone; or its pins, its mode, its size or its map have changed. */
void pins_volume(struct hb_volume *v, bool gone);

#endif
