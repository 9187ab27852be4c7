/* SPDX-License-Identifier: GPL-2.0-only */
/* agent.h - the agent's verbs (box/agent.h has the API), without the network. Thread-safe.
 *
 * Invariants
 * (1) Verbs on one attachment run one after the other; those on different ones side by side.
 * (2) Before anything is done to the host, the state file says what is about to be done; a verb that was killed
 *     anywhere, and is asked again, comes to the same end. What a VM has is asked from the hypervisor where the
 *     delegate can ("devices"), not believed.
 * (3) No disk of somebody else's is taken away or taken for ours.
 */
#ifndef HB_AGENT_AGENT_H
#define HB_AGENT_AGENT_H

#include <jansson.h>

#include "agent/conf.h"

struct agent;

/* Reads delegate and state. conf: borrowed, for as long as the agent lives. */
int agent_new(const struct agent_conf *conf, struct agent **ret, struct err *err);
void agent_free(struct agent *a); /* no verb may be under way; NULL is fine */

/* New reference to the answer: {"ok": true, "result": {...}} or {"ok": false, "error": {"code", "text"}}. args: an
 * object, borrowed. */
json_t *agent_verb(struct agent *a, const char *verb, const json_t *args);

/* "EBUSY" for -EBUSY. */
const char *agent_code(int code);

#endif
