/* SPDX-License-Identifier: GPL-2.0-only */
/* rate.h - how often may one come: a token bucket for each name, in a table of fixed size. Thread-safe; no clock. */
#ifndef HB_HTTP_RATE_H
#define HB_HTTP_RATE_H

#include <stddef.h>
#include <stdint.h>

struct rate;

/* each_s: tokens a second, and the most that are saved (a burst). NULL: out of memory. */
struct rate *rate_new(uint32_t each_s);
void rate_free(struct rate *r);

/* Takes one token of `name`: 0, or after how many seconds there is one. The table has 4096 places; when a place is
 * needed, the name with most tokens of eight is forgotten, which then has a full bucket again: with more names than
 * places the limit errs on the generous side. */
unsigned rate_take(struct rate *r, const void *name, size_t len, uint64_t now_ms);

#endif
