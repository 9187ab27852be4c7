/* SPDX-License-Identifier: GPL-2.0-only */
/* ledger.h - what each sector of some LUNs may hold, while the target serves, after it died, after a power cut.
 *
 * The ledger is a file mapped into memory, so that it outlives its program. A write is entered before it is sent and
 * struck when it is answered. As long as no two writes in flight touch one sector (the caller's care), a sector has
 * at most two lawful values at any moment:
 * (1) `now`, acknowledged; the only one while nothing is in flight;
 * (2) `next`, sent and not answered yet, or never to be answered because the target died.
 * Sectors of one aligned 4 KiB block that share a `next` hold it all, or all not (3).
 *
 * After a power cut a sector may hold any value that was sent to it, from the last durable one on (4). Durable is what
 * was acknowledged with FUA, or acknowledged before a flush of its LUN was sent that was acknowledged in its turn.
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
	uint64_t sectors;	/* of each LUN, followed from its first on */
	/* Counted by ledger_check: wrong; pending and found as sent, or not; acknowledged, not durable and gone. */
	uint64_t bad, settled_new, settled_old, lost;
};

/* LEDGER_LIVE: the target serves and nothing is in flight for these sectors; proves (1). After a death, what is found
 * becomes `now` and nothing is pending any more, for whole blocks; LEDGER_KILLED (the process died) proves (1) to (3),
 * LEDGER_POWER_CUT proves (4). */
enum ledger_mode { LEDGER_LIVE, LEDGER_KILLED, LEDGER_POWER_CUT };

/* Opens `path`, or makes it for luns * sectors, all zeros on the medium. 0, or -1 with a line on stderr. */
int ledger_open(struct ledger *l, const char *path, unsigned luns, uint64_t sectors);
void ledger_close(struct ledger *l);
/* Sectors with a write that was never answered. */
uint64_t ledger_pending(const struct ledger *l);

/* Enters a write of [lba, lba+n) and fills buf with what to send; buf NULL: the range becomes zeros. */
void ledger_begin(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, void *buf);
/* The write was answered GOOD; durable: it was sent with FUA. */
void ledger_done(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, bool durable);
/* A flush is about to be sent: returns what to hand to ledger_flushed() when it was answered GOOD. */
uint64_t ledger_flush(const struct ledger *l);
void ledger_flushed(struct ledger *l, unsigned lun, uint64_t mark);

/* Compares what was read with what may be there; findings go to stderr and are counted. */
void ledger_check(struct ledger *l, unsigned lun, uint64_t lba, uint32_t n, const void *buf, enum ledger_mode mode);

#endif
