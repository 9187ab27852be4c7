/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - inside of the agent: one verb at work. */
#ifndef HB_AGENT_PRIV_H
#define HB_AGENT_PRIV_H

#include "agent/agent.h"
#include "agent/delegate.h"
#include "agent/iscsi.h"
#include "agent/perform.h"
#include "agent/state.h"

struct agent {
	const struct agent_conf *conf;
	struct delegate *delegate;
	struct state *state;
	struct locks *locks;
	char host[256], boot[64];
	char initiator[VALUE_MAX + 1]; /* "": none known */
};

/* A verb on one attachment. */
struct work {
	struct agent *a;
	const char *id;
	const json_t *args;
	json_t *entry;		/* of the state file, ours to change; NULL: none */
	struct values v;	/* of the entry, then of the arguments */
	const char *portals[ISCSI_PORTALS_MAX + 1];
};

/* Each returns a new reference to the result, or NULL with err. */
json_t *verb_login(struct work *w, struct err *err);
json_t *verb_logout(struct work *w, struct err *err);
json_t *verb_rescan(struct work *w, struct err *err);
json_t *verb_attach(struct work *w, struct err *err);
json_t *verb_detach(struct work *w, struct err *err);
json_t *verb_list(struct agent *a, struct err *err);

/* work.c */
int work_begin(struct work *w, struct agent *a, const char *id, const json_t *args, struct err *err);
void work_end(struct work *w);
/* The entry's, or "". */
const char *work_state(const struct work *w);
bool work_flag(const json_t *from, const char *key);
/* Saves values and state. take: the place in the VM must be free. */
int work_save(struct work *w, const char *state, bool take, struct err *err);
/* The disk is in no VM: what is left is the login, or nothing. */
int work_save_detached(struct work *w, struct err *err);
int work_remove(struct work *w, struct err *err);

/* devices.c */
enum found { FOUND_UNKNOWN, FOUND_NOT, FOUND_OURS, FOUND_OTHER };
/* What the VM has in the attachment's place; FOUND_UNKNOWN: the delegate cannot tell. before: the entry's state before
 * this verb. */
int find_device(struct work *w, const char *before, enum found *ret, struct err *err);

#endif
