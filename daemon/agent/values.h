/* SPDX-License-Identifier: GPL-2.0-only */
/* values.h - what may be put into a command of a delegate: typed, each type with its own set of characters.
 *
 * Whatever comes from the manager, from a program's output or from the state file becomes a value by values_set(), or
 * not at all; templates (template.h) know nothing else.
 */
#ifndef HB_AGENT_VALUES_H
#define HB_AGENT_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define VALUE_MAX 255 /* bytes of any value */

enum value_kind {
	V_ATTACHMENT,	/* a letter or digit, then up to 63 of letters, digits, '.', '_', '-' */
	V_VOLUME,	/* the same */
	V_VM,		/* up to 128 of letters, digits, '.', '_', '-' */
	V_DEVICE,	/* xvd, sd, vd or hd; 1 to 3 small letters; up to two digits */
	V_PATH,		/* /dev/..., of letters, digits and "._:@+=/[]-"; no empty, "." or ".." component. No comma: in
			   xl's disk specifications a comma begins another key */
	V_MODE,		/* rw, ro */
	V_TARGET,	/* an iSCSI name as on the wire: RFC 7143, 4.2.7: iqn., eui., naa.; small letters */
	V_PORTAL,	/* ADDRESS:PORT, an IPv4 address, or an IPv6 one in brackets */
	V_ADDRESS,	/* of the portal, without brackets */
	V_PORT,		/* of the portal */
	V_LUN,		/* 0 to 255 */
	V_SERIAL,	/* up to 20 of letters, digits, '.', '_', '-' */
	V_INITIATOR,	/* as V_TARGET */
	V_USER,		/* CHAP: letters, digits, and "._:@+=/-" */
	V_BACK_USER,
	V_SECRET,	/* as V_USER, 12 bytes at least (RFC 7143, 9.2.1: 96 bits); never in argv */
	V_BACK_SECRET,
	V_UUID,		/* made of the attachment */
	V_BACKEND,	/* a path of xenstore */
	V_FILE,		/* the command's own file */
	V_KINDS
};

struct values {
	char *v[V_KINDS]; /* NULL: not given */
};

const char *value_name(enum value_kind kind); /* "vm" */
int value_find(const char *name, size_t len); /* the kind, or -1 */
bool value_secret(enum value_kind kind);
bool value_ok(enum value_kind kind, const char *s);

/* -EINVAL: not of that type; the sentence has no secret. Setting a portal sets its address and port; an attachment its
 * UUID. */
int values_set(struct values *v, enum value_kind kind, const char *s, struct err *err);
void values_copy(struct values *to, const struct values *from);
void values_free(struct values *v); /* secrets are wiped */

/* Of Xen's block device numbers (xen/include/public/io/blkif.h: vbd-interface): 51728 is "xvdb". False: none. */
bool value_device_of_vdev(uint32_t vdev, char ret[16]);

#endif
