/* SPDX-License-Identifier: GPL-2.0-only */
/* file.h - inside of the file device (file.c, file_open.c): a file or block device by libaio. Nobody else's. */
#ifndef HB_DEV_FILE_H
#define HB_DEV_FILE_H

#include <libaio.h>

#include "dev/dev.h"
#include "dev/helper.h"

#define FILE_DEPTH 128			/* reads and writes given to the kernel at a time */
#define FILE_DISCARD_BYTES (1ull << 30)	/* one system call's share of a long discard */

enum slot_state {
	SLOT_FREE,
	SLOT_READY,			/* filled in, not yet taken by the kernel */
	SLOT_KERNEL,
	SLOT_LOST			/* timed out; nobody waits for it, but the kernel still has its iocb */
};

/* What the kernel knows an I/O by. Outlives the dev_io when that times out. */
struct slot {
	struct iocb iocb;
	struct link link;		/* file_dev.free or .ready */
	struct link order;		/* file_dev.unseen or .seen, from READY until the end */
	struct dev_io *io;		/* borrowed; NULL: free, lost, or the flush */
	uint64_t seen_ns;		/* first drain that saw it: its time limit runs from here */
	uint64_t done_bytes;		/* of a transfer that came short */
	enum slot_state state;
};

/* Operations of which one runs at a time: flushes (all that wait are answered by the next one) and discards. */
struct slow {
	struct link wait, busy;		/* struct dev_io.link */
	uint64_t since_ns;		/* first drain that saw it running; 0: not seen */
	uint64_t done_bytes;		/* of a discard that takes several calls */
	struct helper *helper;		/* NULL: none (yet) */
	bool running;			/* in the helper, or in the flush slot */
};

struct file_dev {
	struct dev dev;
	int fd, event_fd;
	io_context_t ctx;
	bool read_only, is_block;
	bool fdsync;			/* the kernel flushes asynchronously */
	uint64_t now_ns;		/* of the last drain */
	/* Signals of event_fd that are due: sent or certain to come, for completions already taken. Never negative
	 * between drains. 0 with an empty ring: the descriptor is surely not readable, so it is not read. */
	int64_t owed;
	bool self_signalled;
	uint32_t in_kernel;		/* slots in SLOT_KERNEL or SLOT_LOST, the flush's included */
	struct link fresh;		/* dev_ios since the last kick */
	struct link waiting;		/* reads and writes without a slot */
	struct link finished;		/* error is set; done() in the next drain */
	struct link free, ready, unseen, seen;
	struct slow flush, discard;
	struct slot flush_slot;
	struct slot slots[FILE_DEPTH];
};

extern const struct dev_ops file_ops;	/* file.c */

#endif
