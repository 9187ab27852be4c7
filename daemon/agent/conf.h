/* SPDX-License-Identifier: GPL-2.0-only */
/* conf.h - /etc/hybrid/agent.json, strictly read (docs/man/hybrid-agent.8).
 *
 *	{
 *		"listen": "192.0.2.7:3269",
 *		"manager_pin": "sha256//...",
 *		"delegate": "xen"
 *	}
 */
#ifndef HB_AGENT_CONF_H
#define HB_AGENT_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AGENT_CONF_FILE "/etc/hybrid/agent.json"
#define AGENT_PORT 3269

struct agent_conf {
	char *listen;		/* as it stands there */
	char *address;		/* without brackets */
	uint16_t port;
	char *manager_pin;	/* NULL: not given yet */
	char *key, *certificate, *state;
	char *delegate;		/* the path of its file */
	char *initiator;	/* NULL: what /etc/iscsi/initiatorname.iscsi says */
	char *iscsiadm, *nodes, *by_path; /* NULL: iscsi.h's */
	uint32_t wait_ms;
	char *programs;		/* folders of programs; NULL: run.h's */
};

/* -EINVAL: the sentence names file and line. */
int agent_conf_load(const char *path, struct agent_conf *ret, struct err *err);
int agent_conf_parse(const char *text, size_t len, const char *file, struct agent_conf *ret, struct err *err);
/* What holds where the file says nothing; "listen" and "delegate" stay NULL. */
void agent_conf_defaults(struct agent_conf *c);
void agent_conf_free(struct agent_conf *c);

#endif
