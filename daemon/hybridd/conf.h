/* SPDX-License-Identifier: GPL-2.0-only */
/* conf.h - hybridd's configuration: one JSON object, strictly checked; everything has a default.
 *
 *	{
 *		"state": "/var/lib/hybrid",             catalogue, keys
 *		"socket": "/run/hybrid/hybridd.sock", "socket_mode": "0600",
 *		"listen": [ { "address": "0.0.0.0", "port": 8443, "key": "FILE", "certificate": "FILE" } ],
 *		                                        without the files: hybridd's own; or "plain": "loopback",
 *		                                        "anywhere": no TLS
 *		"pools": "/run/hybrid/control.sock",    the pools' control socket
 *		"tgt": "/var/run/tgtd/socket.0",        tgtd's management socket; false: no targets are set up
 *		"prefix": "iqn.2026-01.hybrid.HOST",    of targets' names
 *		"portals": [ "192.0.2.1:3260" ],        as initiators see them
 *		"zone": "HOST", "pool": "main",
 *		"recycle_bin_days": 7, "workers": 8,
 *		"requests_s": 100,                      over TCP, of one key and of one address
 *		"block_tokens_s": 604800                how long tokens of snapshots' blocks are good
 *	}
 */
#ifndef HB_HYBRIDD_CONF_H
#define HB_HYBRIDD_CONF_H

#include <sys/types.h>

#include "base/err.h"
#include "http/http.h"
#include "verbs/ebs.h"

#define HYBRIDD_CONF "/etc/hybrid/hybridd.json"
#define HYBRIDD_SOCKET "/run/hybrid/hybridd.sock"
#define LISTEN_MAX 9 /* the Unix socket, and 8 others */

struct hybridd_conf {
	struct ebs_conf ebs;
	struct http_listen listen[LISTEN_MAX];
	unsigned nlisten;
	struct http_limits limits;
	char *state; /* folder */
	void *memory; /* of all texts */
};

/* file NULL: the default one, if it is there. Errors name file and line, or the member. */
int hybridd_conf_load(const char *file, struct hybridd_conf *ret, struct err *err);
void hybridd_conf_free(struct hybridd_conf *c);

#endif
