/* SPDX-License-Identifier: GPL-2.0-only */
/* pace.h - how much of write-back may be on the capacity device at this moment. Pure memory: the device's figures and
 * the time come in by argument.
 *
 * A drive takes what it can reach soonest, so writes that are in it are served before a read that arrives later: what
 * a read waits for is decided when writes are sent. Hence
 * (1) What is in flight is limited by the time it is expected to take, not by number: by what writes were seen to take
 *     besides their transfer. Nobody has read for long: the limit is what makes the disk fastest.
 * (2) While reads are in flight no write is sent, nor shortly after one if whoever reads usually comes back at once
 *     (anticipation: S. Iyer and P. Druschel, 2001). The same while a checkpoint has the device: its few I/Os go one
 *     after another to the far end of the disk, each passed over as long as there is something nearer, and the log
 *     gets no segment back meanwhile.
 * (3) But write-back has a share of the time for its own, which grows with how full the tier is. What it did not get
 *     it gets in trains, long enough to be worth the way there, however many read: no load starves it.
 * A device without a way to go (an SSD, a RAID with a cache) takes next to no time to position: (1) limits nothing.
 */
#ifndef HB_ENGINE_PACE_H
#define HB_ENGINE_PACE_H

#include "base/units.h"
#include "dev/dev.h"

#define PACE_FULL 1024u /* the tier is full */

struct pace {
	uint64_t now_ns; /* of the last pace_look() */
	uint32_t full; /* 0 .. PACE_FULL */
	bool hurry; /* there is need, not only leisure */
	bool reading; /* a read is in flight, or expected, or a checkpoint goes on */
	bool train; /* it takes its share now */
	bool reads_seen; /* in flight, the last time */
	bool checkpoint;
	uint64_t nreads; /* that the device had finished */
	uint64_t read_ns; /* when one was last seen; 0: never */
	uint64_t think_ns; /* moving mean: from the end of the last read to the next one */
	uint64_t done_ns; /* when the device was last seen finishing something */
	uint64_t position_ns; /* moving mean: a write's time besides its transfer */
	uint32_t flight; /* writes */
	uint64_t flight_ns; /* what they are expected to take */
	uint64_t flush_ns; /* moving mean: the device's flush, by block written since the last one */
	uint64_t flush_begin_ns;
	bool flush_alone; /* no read was before it */
	int64_t credit_ns; /* of the share */
};

/* To be called before the others whenever something may have happened. */
struct pace_view {
	const struct dev *dev;
	bool reads, checkpoint; /* in flight on the device */
	bool hurry; /* see above */
	uint32_t full;
	uint64_t now_ns;
};
void pace_look(struct pace *c, const struct pace_view *v);
/* Whether a write of nblk blocks may be sent now (0: a flush); and what it is expected to take. */
bool pace_may(const struct pace *c, uint32_t nblk);
uint64_t pace_cost_ns(const struct pace *c, uint32_t nblk);
/* It was sent; it has ended, having been sent at begin_ns. */
void pace_sent(struct pace *c, uint64_t cost_ns);
void pace_ended(struct pace *c, uint64_t cost_ns, uint32_t nblk, uint64_t begin_ns, uint64_t now_ns);
void pace_other_ended(struct pace *c, uint64_t now_ns); /* a write of somebody else's */
bool pace_alone(const struct pace *c); /* nobody has read for long */
void pace_flush_sent(struct pace *c, uint64_t now_ns);
void pace_flushed(struct pace *c, uint32_t nblk, uint64_t now_ns); /* nblk: written since the last one */
/* The longest write, and the most blocks between two flushes, that keep the limits for those who read. */
uint32_t pace_run_blk(const struct pace *c, uint32_t max);
uint32_t pace_batch_blk(const struct pace *c, uint32_t min, uint32_t max);
/* When pace_may() may say something else although nothing has ended meanwhile; UINT64_MAX: never. */
uint64_t pace_next_ns(const struct pace *c);

#endif
