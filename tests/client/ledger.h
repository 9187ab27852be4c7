/* SPDX-License-Identifier: GPL-2.0-only */
/* ledger.h - what each sector of some LUNs may hold: the value last acknowledged, or the one sent after it.
 *
 * The ledger is a file mapped into memory, so that it outlives its program. A write is entered before it is sent and
 * struck when it is answered. As long as no two writes in flight touch one sector (the caller's care), a sector has
 * at most two lawful values at any moment:
 * (1) `now`, acknowledged; the only one while nothing is in flight;
 * (2) `next`, sent and not answered yet, or never to be answered because the target died.
 * Sectors of one aligned 4 KiB block that share a `next` hold it all, or all not (3).
 */
#ifndef TEST_LEDGER_H
#define TEST_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_head;
struct ledger_cell;

struct ledger {
	struct ledger_head *head;
	struct ledger_cell *cells;
	size_t map_bytes;
	unsigned luns;
	uint64_t sectors;		/* of each LUN, followed from its first on */
	uint64_t bad, settled_new, settled_old;	/* counted by ledger_check */
};

/* Opens `path`, or makes it for luns * sectors, all zeros on the medium. 0, or -1 with a line on stderr. */
int ledger_open(struct ledger *l, const char *path, unsigned luns, uint64_t sectors);
void ledger_close(struct ledger *l);
/* Sectors with a write that was never answered. */
uint64_t ledger_pending(const struct ledger *l);

/* Enters a write of [lba, lba+n) and fills buf with what to send; buf NULL: the range becomes zeros. */
void ledger_begin(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, void *buf);
/* The write was answered GOOD. */
void ledger_done(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n);
/* Proves (1) to (3) of what was read; findings go to stderr and are counted. With settle, what was found becomes
 * `now` and nothing is pending any more; then lba and n are whole blocks. */
void ledger_check(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, const void *buf, bool settle);

#endif
