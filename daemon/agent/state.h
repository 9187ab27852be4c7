/* SPDX-License-Identifier: GPL-2.0-only */
/* state.h - what the agent has attached, in a file, so that it knows after its death. Thread-safe.
 *
 * Invariants
 * (1) What state_put() returned 0 for is durable; a kill at any point leaves the entry as it was, or as it is.
 * (2) No secret is in it.
 * (3) One agent at a time has the file (a lock on "FILE.lock").
 *
 * An entry's members: "state", and those of a login and an attachment: strings ("vm", "device", "path", "mode",
 * "volume", "target", "portal", "lun", "serial", "user", ...), "portals" (strings), "logged_in", "forced" (true).
 */
#ifndef HB_AGENT_STATE_H
#define HB_AGENT_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct state;

/* Reads the file, or begins with nothing if there is none. -EBUSY: another agent has it; -EINVAL: it is damaged. */
int state_open(const char *path, struct state **ret, struct err *err);
void state_close(struct state *s); /* NULL is fine */

/* New reference to a copy; NULL: none. */
json_t *state_get(struct state *s, const char *attachment);
/* entry: borrowed, copied; NULL: takes it away. If `device_taken`, refuses (-EEXIST) when another attachment has this
 * vm and device. When the file cannot be written, nothing has changed. */
int state_put(struct state *s, const char *attachment, const json_t *entry, bool device_taken, struct err *err);
/* New reference to a copy of all: {"ATTACHMENT": entry, ...}. */
json_t *state_all(struct state *s);

#endif
