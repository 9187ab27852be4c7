/* SPDX-License-Identifier: GPL-2.0-only */
/* delegate.h - a delegate: how this host's hypervisor is told what to do, as data (docs/man/hybrid-delegate.5). */
#ifndef HB_AGENT_DELEGATE_H
#define HB_AGENT_DELEGATE_H

#include <stdint.h>

#include "agent/pattern.h"
#include "agent/template.h"

#ifndef DELEGATE_DIR /* the Makefile says where they are installed */
#define DELEGATE_DIR "/usr/local/share/hybrid/delegates"
#endif

enum operation_kind {
	OP_LOGIN, OP_LOGOUT, OP_RESCAN,
	OP_ATTACH, OP_DETACH, OP_DETACH_FORCE, OP_BUSY,
	OP_LIST,	/* all VMs */
	OP_SHOW,	/* one VM */
	OP_DEVICES,	/* a VM's disks */
	OP_SOURCE,	/* what is behind one of them */
	OPS
};

/* What the agent itself knows how to do. */
enum builtin {
	BUILTIN_NONE,
	BUILTIN_OPEN_ISCSI,	/* login, logout, rescan: agent/iscsi.h */
	BUILTIN_HOST,		/* busy: does anything on this host use the path? */
};

struct command {
	struct template *argv; /* argc of them; the first one is literal */
	unsigned argc;
	struct template input, file; /* n == 0: none */
	bool file_xml;
	uint32_t timeout_ms;
	uint64_t status[4]; /* bits of what exit() may say */
	struct pattern output, already, busy;
};

struct operation {
	bool given;
	enum builtin builtin;
	struct command *commands;
	unsigned n;
};

struct delegate {
	char name[65];
	struct operation ops[OPS];
	char *mode[2]; /* rw, ro */
	struct template source; /* what `devices` or `source` shows of a disk of ours */
	uint32_t settle_ms; /* how long a guest may take to let a disk go */
};

/* By its file. -EINVAL: the sentence names file and line. */
int delegate_load(const char *path, struct delegate **ret, struct err *err);
/* The same from memory. */
int delegate_parse(const char *text, size_t len, const char *file, struct delegate **ret, struct err *err);
void delegate_free(struct delegate *d); /* NULL is fine */

const char *operation_name(enum operation_kind op);

#endif
