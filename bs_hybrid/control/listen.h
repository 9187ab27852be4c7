/* SPDX-License-Identifier: GPL-2.0-only */
/* listen.h - a listening Unix socket at a path, taken safely, and who is at the other end. */
#ifndef HB_CONTROL_LISTEN_H
#define HB_CONTROL_LISTEN_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"

#define LISTEN_PATH_MAX 100	/* sun_path less ".lock" and its zero */

struct listener {
	char path[LISTEN_PATH_MAX + 1];
	int fd;			/* listening, non-blocking; -1 when closed */
	int lock_fd;		/* of path + ".lock", locked while we listen */
	dev_t dev;		/* of the socket file we made */
	ino_t ino;
};

/* Listens at `path` with this file mode. See ctl_server_new() for what is replaced and what refused. */
int listen_open(struct listener *l, const char *path, mode_t mode, struct err *err);
/* Closes; removes the socket file if it is still ours. */
void listen_close(struct listener *l);
/* The peer's user id, or -errno. */
int listen_peer_uid(int fd, uid_t *ret);

#endif
