/* SPDX-License-Identifier: GPL-2.0-only */
/* dev.h - a device: bytes at offsets, asynchronously, behind one ops table.
 *
 * Life of an I/O: the caller fills a struct dev_io and calls dev_queue(); it becomes the device's until its done()
 * runs. dev_kick() sends everything queued in this turn down at once. done() runs from dev_drain() only, never from
 * dev_queue() or dev_kick(), so a caller is never re-entered. done() may queue more I/O on any device.
 *
 * Invariants
 * (1) Every queued I/O gets exactly one done(), in bounded time: with 0 or a -errno.
 * (2) An I/O that outlives its time limit is answered with -ETIMEDOUT and the device becomes failed; the memory of its
 *     iovec may still be written to by the device later: the device keeps a count of such I/Os (dev->orphans), and the
 *     caller must not reuse that memory for anything else (it leaks it).
 * (3) A failed device answers everything with -EIO, from dev_drain(), without touching the medium.
 * (4) Only a flush makes former *completed* writes durable. Writes complete in any order.
 *
 * Units: bytes. Offsets, lengths and the memory of reads and writes are multiples of geom.logical_bytes and aligned
 * to geom.mem_align.
 */
#ifndef HB_DEV_DEV_H
#define HB_DEV_DEV_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/list.h"

enum dev_op { DEV_READ, DEV_WRITE, DEV_FLUSH, DEV_DISCARD };

#define DEV_IOV_MAX 256 /* most iovec elements of one I/O */
#define DEV_TIMEOUT_NS (30ull * 1000000000ull)

struct dev;

struct dev_io {
	struct link link; /* the device's while in flight */
	struct dev *dev; /* set by dev_queue() */
	enum dev_op op;
	uint8_t side; /* of a mirror (mirror.h): 0 any or both halves; 1 or 2 that half only, reads and writes alike */
	uint8_t served; /* reads of a mirror: whose bytes these are, 1 or 2; 0 on plain devices and after an error */
	uint64_t off_bytes;
	uint64_t len_bytes; /* sum of the iovec; for DEV_DISCARD the range; for DEV_FLUSH 0 */
	struct iovec *iov; /* borrowed until done() (see invariant 2) */
	int niov;
	void (*done)(struct dev_io *io); /* required; io->error is set; io is the caller's again */
	int error; /* 0 or -errno */
	uint64_t start_ns; /* when it was queued, by the clock given to dev_drain() */
	void *owner; /* the caller's, for done() */
	void *priv; /* the device's own while in flight */
};

struct dev_geom {
	uint64_t size_bytes;
	uint32_t logical_bytes; /* 512 or 4096: smallest unit of I/O */
	uint32_t mem_align; /* of buffers */
	uint32_t discard_bytes; /* granularity; 0: the device has no discard */
	bool rotational;
};

struct dev_stats {
	uint64_t ios[4], bytes[4]; /* by enum dev_op, completed */
	uint64_t errors, timeouts;
	uint64_t busy_ns[4]; /* sum of times from queue to done */
};

struct dev_ops {
	const char *kind; /* "file", "ram", "sim", "mirror" */
	/* Required. Takes the I/O; cannot fail (a failure comes by completion). Never runs done(). */
	void (*queue)(struct dev *dev, struct dev_io *io);
	/* Required. Sends down what was queued, keeping to the bounded depth; called once a turn. Never runs done(). */
	void (*kick)(struct dev *dev);
	/* Required. Runs done() for all that has finished or run out of time. Returns how many. Not re-entered. */
	int (*drain)(struct dev *dev, uint64_t now_ns);
	/* Optional. A descriptor that is readable when drain() has something to do; absent: -1. Drain makes it
	 * unreadable again, unless the watcher sees edges (dev->edge_events). */
	int (*event_fd)(struct dev *dev);
	/* Optional. Looks again how large the medium is: geom.size_bytes grows (it never shrinks here). 0 or -errno. */
	int (*rescan)(struct dev *dev);
	/* Required. Frees the device; nothing may be in flight (timed-out orphans excepted). */
	void (*close)(struct dev *dev);
};

struct dev {
	const struct dev_ops *ops;
	struct dev_geom geom;
	struct dev_stats stats;
	char name[256]; /* path or description, for messages */
	bool failed;
	bool edge_events; /* the descriptor's watcher sees every signal (EPOLLET), so drain need not read it */
	uint32_t inflight; /* queued and not yet done */
	uint32_t orphans; /* timed out, memory possibly still in use by the device */
	uint64_t timeout_ns; /* per I/O; DEV_TIMEOUT_NS unless changed */
};

static inline void dev_queue(struct dev *dev, struct dev_io *io)
{
	io->dev = dev;
	io->error = 0;
	dev->inflight++;
	dev->ops->queue(dev, io);
}

static inline void dev_kick(struct dev *dev)
{
	dev->ops->kick(dev);
}

static inline int dev_drain(struct dev *dev, uint64_t now_ns)
{
	return dev->ops->drain(dev, now_ns);
}

static inline int dev_event_fd(struct dev *dev)
{
	return dev->ops->event_fd ? dev->ops->event_fd(dev) : -1;
}

static inline int dev_rescan(struct dev *dev)
{
	return dev->ops->rescan ? dev->ops->rescan(dev) : 0;
}

static inline void dev_close(struct dev *dev)
{
	if (dev)
		dev->ops->close(dev);
}

/* For implementations: bookkeeping of one completion, then io->done(). */
void dev_finish(struct dev *dev, struct dev_io *io, int error, uint64_t now_ns);

/* Constructors. Each returns 0 and sets *ret, or a -errno with the reason in err. */
enum { DEV_FILE_RDONLY = 1, DEV_FILE_NO_DIRECT = 2 /* tests: page cache instead of O_DIRECT */ };
int dev_file_open(const char *path, unsigned flags, struct dev **ret, struct err *err);
int dev_ram_new(uint64_t size_bytes, struct dev **ret, struct err *err);

#endif
