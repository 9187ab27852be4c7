/* SPDX-License-Identifier: GPL-2.0-only */
/* disk_priv.h - between the files of disk.h: the disks that are open, and the thread that moves their bytes. */
#ifndef HB_BOX_DISK_PRIV_H
#define HB_BOX_DISK_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "box/disk.h"
#include "dev/iscsi.h"

#define DISK_LUN 1u
#define DISK_SECRET_CHARS 32
#define DISK_PATIENCE_MS 25000u

struct disks {
	struct tgt *tgt;
	char *prefix, *initiator, *pools_conf;
	char *portals[DEV_ISCSI_PORTALS_MAX + 1]; /* ends with NULL */
	uint32_t idle_ms, patience_ms;
	/* Held while targets of ours are made or taken down, and a disk is taken off the list. Before `lock`. */
	pthread_mutex_t targets;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	struct link all; /* struct disk.link */
	struct link fresh, leaving; /* for the pump: struct disk.fresh_link, .leave_link */
	bool stopping, pump_ends;
	pthread_t keeper, pump;
	bool keeper_on, pump_on;
	int epoll_fd, wake_fd;
};

enum disk_state { DISK_OPENING, DISK_OPEN, DISK_CLOSING };

struct disk {
	struct disks *ds;
	char *id, *iqn, *back_user, *store;
	char secret[DISK_SECRET_CHARS + 1], back_secret[DISK_SECRET_CHARS + 1];
	bool write;
	uint64_t size_bytes;
	/* Under disks.lock. */
	struct link link, fresh_link, leave_link;
	enum disk_state state;
	unsigned refs;
	uint64_t idle_ms; /* nobody has it since then */
	struct link fresh; /* struct disk_io.dev.link: the pump has not seen them */
	struct dev *dev; /* the pump's while it is open; NULL: closed */
	atomic_bool trouble; /* the target does not answer */
	atomic_bool failed; /* for good: to be closed and opened anew */
	pthread_mutex_t over_lock;
	pthread_cond_t over; /* of some I/O */
};

/* disk_io.c: the pump */
int pump_start(struct disks *ds);
void pump_stop(struct disks *ds);
/* It has been opened: its bytes are the pump's from now on. -errno. */
int pump_join(struct disk *d);
/* No I/O is under way: closes the device. The lock is held, and let go meanwhile. */
void pump_leave(struct disk *d);

#endif
