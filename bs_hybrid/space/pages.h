/* SPDX-License-Identifier: GPL-2.0-only */
/* pages.h - which 4 KiB pages of the metadata area are free. Pure memory, derived from the trees at open.
 *
 * Checkpoints never overwrite a page that the last durable root can reach. So a page given back stays "old" until the
 * next root is durable (pages_commit), and only then may be taken again.
 */
#ifndef HB_SPACE_PAGES_H
#define HB_SPACE_PAGES_H

#include "base/units.h"

#define PAGE_NONE UINT32_MAX

struct pages;

struct pages *pages_new(uint32_t count);	/* all free; NULL when out of memory */
void pages_free(struct pages *p);
/* The lowest free page (keeps the area compact), now used; PAGE_NONE when full. */
uint32_t pages_take(struct pages *p);
/* While rebuilding at open: free -> used. False if it was used already (a page reached twice) or out of range. */
bool pages_mark(struct pages *p, uint32_t page);
/* used -> old: free once the next root is durable. A page that no root was ever to name is free at once. */
void pages_retire(struct pages *p, uint32_t page);
/* A checkpoint begins: the pages retired so far are its own. (Those retired later wait for the one after.) */
void pages_begin(struct pages *p);
/* It found pages for all: a root will name every page that is used now. (Without that, a checkpoint that ran out of
 * pages half-way would keep those it took for ever: no later one could become durable to free them.) */
void pages_rooted(struct pages *p);
/* Its root is durable: its retired pages are free. */
void pages_commit(struct pages *p);
uint32_t pages_count(const struct pages *p);
uint32_t pages_free_count(const struct pages *p);
uint32_t pages_high(const struct pages *p);	/* one past the highest used or old page */

#endif
