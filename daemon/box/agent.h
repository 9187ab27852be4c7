/* SPDX-License-Identifier: GPL-2.0-only */
/* agent.h - what is asked of hybrid-agent on a VM host, over HTTPS with keys that both ends know. Thread-safe.
 *
 * The agent's API: POST /v1/VERB with a JSON object, answered by {"ok": true, "result": {…}} or {"ok": false, "error":
 * {"code": "EBUSY", "text": "…"}}. Verbs, all idempotent:
 *   ping    {} -> {"version", "host", "initiator", "delegates": [..], "boot": id}
 *   login   {"attachment", "portals": [..], "target", "lun": 1, "user", "secret", "back_user", "back_secret"}
 *           -> {"path"}
 *   attach  {"attachment", "vm", "device", "path"?, "mode": "rw"|"ro", "volume", "target", "portals", …} -> {"device"}
 *   detach  {"attachment", "force"} -> {}          EBUSY: the guest uses it
 *   logout  {"attachment"} -> {}
 *   list    {} -> {"vms": [{"name", "id", "uuid", "state", "vcpus", "memory_bytes"}], "attachments": [{"attachment",
 *           "vm", "device", "path", "state"}]}
 * An agent remembers what it has attached in a file of its own, so that list tells the truth after its death.
 */
#ifndef HB_BOX_AGENT_H
#define HB_BOX_AGENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"

struct agents;

#define AGENT_ANSWER_MAX (4 << 20) /* bytes of an answer; a larger one is -EPROTO */

/* Our identity: PEM files of a key and its certificate (box/identity.h makes them; copied: paths). Before other threads
 * use libcurl: it is set up here. */
int agents_new(const char *key_path, const char *cert_path, struct agents **ret, struct err *err);
/* No call may be under way. NULL is fine. */
void agents_free(struct agents *as);

/* One verb ([a-z0-9-]) of the agent at `url` ("https://HOST:PORT"), whose public key has the pin "sha256//BASE64"
 * (curl's form). args: borrowed; NULL: {}. timeout_ms: of all of it, 0: 30 s. Blocks; nothing is sent to a host that
 * has another key. New reference to the result (an object), or NULL with err: the agent's own -errno and sentence, or
 * -EINVAL (url, pin or verb), -EHOSTDOWN (cannot be reached, or broke off: done or not), -ETIMEDOUT (done or not),
 * -EKEYREJECTED (another key than the one that is known, or the agent does not know ours), -EAGAIN (it has too much to
 * do), -EPROTO (it is no agent that answers). Only https, no redirects, no proxy whatever the environment says. */
json_t *agent_call(struct agents *as, const char *url, const char *pin, const char *verb, const json_t *args,
		   uint32_t timeout_ms, struct err *err);

#endif
