/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror_priv.h - inside of the mirror (mirror.c, mirror_open.c, mirror_sync.c). Nobody else's. */
#ifndef HB_DEV_MIRROR_PRIV_H
#define HB_DEV_MIRROR_PRIV_H

#include "dev/mirror.h"

#define MIRROR_PAIRS 256 /* I/Os given to the halves at a time; more wait */
#define MIRROR_GRAVES 4 /* replaced devices that still hang */
#define SYNC_WINDOWS 4
#define SYNC_WINDOW_BYTES (1ull << 20)

struct mirror_dev;

/* An I/O of the caller and the I/Os of the halves it became. */
struct pair {
	struct link link; /* mirror_dev.free; or .writes, while a write or discard is in flight */
	struct mirror_dev *m;
	struct dev_io *io; /* borrowed */
	struct dev_io part[2]; /* by half; .dev is the device it was sent to, which may have been replaced since */
	int error; /* of the parts: a time-out if there was one, else the last */
	uint8_t pending; /* parts in flight */
	uint8_t sent, good; /* bits of halves: asked; have done it */
};

struct half {
	struct dev *dev; /* owner; NULL: absent */
	enum mirror_state state;
	int error; /* why it went OUT */
	bool untold; /* lost() is due */
	bool unaccepted; /* answers are held */
	uint64_t read_end; /* where its last read ended: the next of the run comes here too */
};

enum window_state {
	WINDOW_FREE,
	WINDOW_CLAIMED, /* new writes to it wait; those in flight have to end */
	WINDOW_BUSY /* its I/O is in flight */
};

/* A part of the device that is being copied, as a whole or, when it could not be read, piece by piece. */
struct window {
	struct dev_io io;
	struct iovec iov;
	struct mirror_dev *m;
	unsigned char *mem; /* SYNC_WINDOW_BYTES of sync.mem */
	uint64_t off, len;
	uint64_t at, n; /* within it: what is read or written now */
	unsigned tries;
	enum window_state state;
	bool pieces;
};

struct sync {
	bool running, flushing, flushed;
	bool copied[2]; /* by half: a sync of the device in this place has ended */
	int target; /* the half that is written */
	int error; /* it ends as soon as no I/O of it is in flight; 0: goes on */
	uint64_t from, to, next; /* what lies before `next` is claimed or copied */
	uint64_t unreadable;
	uint64_t rate, next_ns; /* when the next window may begin */
	struct dev_io flush;
	unsigned char *mem; /* of all windows; from the first sync until the device is closed */
	struct window windows[SYNC_WINDOWS];
};

struct mirror_dev {
	struct dev dev;
	struct half half[2];
	struct dev *graves[MIRROR_GRAVES]; /* owner; replaced, and still something in flight or orphaned */
	struct mirror_watch watch;
	uint64_t now_ns; /* of the last drain */
	uint64_t timeout_ns; /* dev.timeout_ns as the halves know it */
	int epoll_fd, self_fd; /* -1: no half ever had a descriptor */
	int refused; /* the owner could not record a loss: the error of all writes; 0 */
	bool self_signalled; /* since the last drain */
	bool self_readable; /* who sees edges need not read it */
	bool kick; /* the mirror itself queued something that nobody else kicks */
	struct link free; /* struct pair.link */
	struct link writes; /* struct pair.link */
	/* dev_ios of the caller. */
	struct link waiting; /* for a pair */
	struct link parked; /* for a window */
	struct link finished; /* error is set; done() in the next drain */
	struct link todo; /* done() in the drain under way; before: those that were held */
	struct link held; /* for dev_mirror_accept() */
	struct sync sync;
	struct pair pairs[MIRROR_PAIRS];
};

extern const struct dev_ops mirror_ops; /* mirror.c */

static inline struct mirror_dev *mirror_of(const struct dev *dev)
{
	return container_of((struct dev *)(uintptr_t)dev, struct mirror_dev, dev);
}

/* Bits of the halves in that state. */
static inline unsigned mirror_halves(const struct mirror_dev *m, enum mirror_state state)
{
	return (m->half[0].state == state) | (unsigned)(m->half[1].state == state) << 1;
}

/* Makes the descriptor readable for what no half will signal. */
void mirror_signal(struct mirror_dev *m);
/* An operation of the half ended with an error: says whether the half goes OUT, and lets it. */
void mirror_half_failed(struct mirror_dev *m, int half, enum dev_op op, int error);
/* The descriptor of a half, if it has one, makes the mirror's readable from now on. 0 or -errno. */
int mirror_listen(struct mirror_dev *m, struct dev *half);
void mirror_unlisten(struct mirror_dev *m, struct dev *half);
void mirror_close(struct dev *dev);
int mirror_rescan(struct dev *dev);

/* mirror_sync.c. A write or discard of that range must wait. */
bool sync_blocks(const struct mirror_dev *m, uint64_t off_bytes, uint64_t len_bytes);
/* Ends the sync under way, if any, as soon as it can; the first error counts. */
void sync_abort(struct mirror_dev *m, int error);
/* Begins what may begin, ends what is over; from the drain. Returns 1 if synced() was called, else 0. */
int sync_pump(struct mirror_dev *m);

#endif
