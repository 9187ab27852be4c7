/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd.h - a device with the timing of one rotating disk, laid over any device that holds the bytes (file, RAM,
 * simulated). For benchmarks and simulation: what a pool is worth over a slow capacity device, without one.
 *
 * The drive
 * (1) The medium fills the whole drive, outermost track first: a small medium is a small drive with a full stroke,
 *     and no corner of a large one. Tracks hold less further in: the rate falls linearly with the radius, in 24 steps.
 * (2) The arm serves one request at a time. It costs a seek of a + b * sqrt(tracks), the wait until the platter has
 *     brought the first byte, and the transfer (Ruemmler and Wilkes, "An introduction to disk drive modeling", 1994).
 *     Tracks are skewed: on the same track, or up to one turn ahead, there is no seek; passing over a gap costs its
 *     passing time.
 * (3) Of the requests it knows (`depth`) the arm takes the one it can begin soonest, unless the oldest has waited for
 *     `age_ns`: then that one. More requests wait outside, in their order.
 * (4) After a read it reads on, `ahead_bytes` far, until it is wanted elsewhere: a read that begins in there costs
 *     transfer only, or less for what is in the buffer already. There is one such stream; a second one evicts it.
 * (5) Writes cost what reads do, unless there is a write cache: then they are answered at the speed of the bus as long
 *     as it has room, and go to the platter in ascending order when the arm is idle or room is wanted.
 * (6) A flush is served alone: after all requests before it, before all after it, and when the cache is empty. Discards
 *     are passed on and cost nothing.
 * Not modelled: head switches (the rate includes them), bad sectors, thermal recalibration, shingling.
 *
 * Time. A request is in the drive from the first drain after its kick: earlier, nobody has told the device what time it
 * is. Completions come at the model's time or later: when the medium is slower, or drain is. A drain that comes late
 * changes nothing of what the model does among the requests it has. In real time the descriptor says when to drain;
 * the clock given to drain may have any origin. In virtual time dev_hdd_next_ns() does; the same drains then give the
 * same run. Model times are no time-outs: those are the medium's own.
 */
#ifndef HB_DEV_HDD_H
#define HB_DEV_HDD_H

#include "dev/dev.h"

#define HDD_DEPTH_MAX 256

struct hdd_model {
	uint32_t rpm; /* 100 .. 100000 */
	uint64_t seek_min_ns, seek_max_ns; /* from track to track; full stroke */
	uint64_t outer_bytes_s, inner_bytes_s; /* sequential rate on the first and on the last zone */
	uint64_t bus_bytes_s; /* for what needs no platter */
	uint64_t ahead_bytes; /* 0: no read-ahead */
	uint64_t write_cache_bytes; /* volatile; 0: off */
	uint32_t depth; /* requests the drive knows, 1 .. HDD_DEPTH_MAX */
	uint64_t age_ns; /* who waited so long is next (all of them, if that is less than depth / IOPS) */
	double scale; /* of all times: 0.1 is a drive ten times as fast; 0.0001 .. 100 */
	bool virtual_time; /* no descriptor: the owner asks dev_hdd_next_ns() */
};

/* 7200 rpm, 110 random reads of 4 KiB a second at depth 1, 180 MB/s outermost, 90 MB/s innermost, depth 32, write
 * cache off (what is answered is on the platter, and writes are never cheaper than they are on a busy drive). The seeks
 * are made for the 110: 4.9 ms in the mean. A data sheet's 8.5 ms are a seek_max_ns of 15700000, and 79 reads. */
extern const struct hdd_model hdd_model_default;
/* Whether all figures are in range: 0, or -EINVAL and which one is not. */
int hdd_model_check(const struct hdd_model *model, struct err *err);

struct hdd_stats {
	/* By DEV_READ and DEV_WRITE. With a write cache, writes are counted as the arm destages them. */
	uint64_t requests[2], bytes[2]; /* served by the arm or from the read-ahead buffer */
	uint64_t sequential[2]; /* in the read-ahead's stream, or begun without a seek or a wait */
	uint64_t seeks[2]; /* moved the arm to another track */
	/* The arm's time: seeking, waiting for the platter, in all (busy_ns of both / time: utilisation). Scaled. */
	uint64_t seek_ns[2], wait_ns[2], busy_ns[2];
	uint64_t cached; /* writes answered from the write cache */
	uint64_t aged; /* requests that were next for their age */
	uint64_t flushes;
};

/* `model` NULL: the default. The medium is the device's from success on; nothing may be in flight on it. Errors:
 * -EINVAL (the sentence says which figure, and what was expected), -ENOMEM, -EMFILE and the like (no descriptor). */
int dev_hdd_new(struct dev *medium, const struct hdd_model *model, struct dev **ret, struct err *err);
/* When to drain at the latest (clock of dev_drain; possibly now). UINT64_MAX: nothing in flight, or only the medium
 * knows: one with a time of its own (a simulated disk) is to be asked besides. */
uint64_t dev_hdd_next_ns(const struct dev *dev);
const struct hdd_stats *dev_hdd_stats(const struct dev *dev);

#endif
