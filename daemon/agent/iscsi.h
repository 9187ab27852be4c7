/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi.h - logging in with open-iscsi: CHAP both ways, no secret in an argv. Idempotent. */
#ifndef HB_AGENT_ISCSI_H
#define HB_AGENT_ISCSI_H

#include "agent/values.h"

struct iscsi_conf {
	const char *program;	/* iscsiadm; NULL: that name */
	const char *nodes;	/* folder of node records; NULL: the usual ones */
	const char *by_path;	/* folder of udev's links; NULL: /dev/disk/by-path */
	const char *path;	/* folders of programs; NULL: run.h's */
	uint32_t wait_ms;	/* for the disk to appear or to go */
};

#define ISCSI_PORTALS_MAX 16

/* Logs in to target and lun at the first of the portals that lets us: values have target, lun, attachment, user, secret
 * and perhaps the other two. Sets portal and path in v. -EACCES: the secrets are wrong; -ECONNREFUSED: no portal
 * answers; -ETIMEDOUT: none in time, or the disk did not appear. */
int iscsi_login(const struct iscsi_conf *c, const char *const *portals, struct values *v, struct err *err);
/* Ends its sessions and takes its records away, at all the portals; none there: 0. */
int iscsi_logout(const struct iscsi_conf *c, const char *const *portals, struct values *v, struct err *err);
/* Looks again how large its disk is. */
int iscsi_rescan(const struct iscsi_conf *c, struct values *v, struct err *err);

/* -EBUSY: something on this host has the block device open for itself (a mount, a device mapper, swap); the sentence
 * says what, where that can be found. Not there, or no block device: 0. */
int host_busy(const char *path, struct err *err);

#endif
