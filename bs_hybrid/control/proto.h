/* SPDX-License-Identifier: GPL-2.0-only */
/* proto.h - the control protocol: one line of JSON asks, one line answers. No I/O here.
 *
 * Request:  {"v":1,"id":7,"verb":"volume-create","pool":"main","args":{"name":"a","size_bytes":1073741824}}
 * Answer:   {"v":1,"id":7,"ok":true,"result":{...}}
 *       or  {"v":1,"id":7,"ok":false,"error":{"code":"EEXIST","text":"..."}}
 *
 * - "v" is required and must be 1; "id" (an integer, a string of at most 64 bytes, or null) comes back as it was, and
 *   is null where it could not be read; "pool" may be left out when one pool is open; "args" when there are none.
 * - Every line gets exactly one answer, also an empty or a malformed one. Answers to several lines may come in
 *   another order than the lines: those that wait for durability take longer.
 * - Anything not known (a key, a verb, an argument) is an error, never ignored.
 */
#ifndef HB_CONTROL_PROTO_H
#define HB_CONTROL_PROTO_H

#include "base/list.h"
#include "control/verbs.h"

#define PROTO_VERSION 1
#define PROTO_LINE_MAX 65536	/* bytes of a request, without its newline */
#define PROTO_DEPTH_MAX 8	/* of nested objects and arrays */
#define PROTO_ID_MAX 64		/* bytes of a string id */

struct proto_call;

/* Gets one answer: a line that ends with a newline, borrowed during the call. `len` counts the newline. */
typedef void proto_answer_fn(void *owner, struct proto_call *call, const char *line, size_t len);

/* One request that waits. */
struct proto_call {
	struct link link;		/* the owner's */
	proto_answer_fn *answer;	/* the owner may change these two while the call waits */
	void *owner;
	struct verb_call verb;
	json_t *id;
};

/* Handles one request line of `len` bytes (without newline). Returns 0 when it was answered: answer(owner, NULL, ...)
 * has run. Returns 1 when it waits: *ret is the call, and answer(owner, call, ...) will run from hb_pool_run(); the
 * call is freed after that, so the owner unlinks it there. `host` must live until then. */
int proto_handle_line(const struct verb_host *host, const char *line, size_t len, proto_answer_fn *answer, void *owner,
		      struct proto_call **ret);

/* The owner goes and leaves nobody: the call goes on, its answer is dropped. The owner unlinks it before. */
void proto_call_orphan(struct proto_call *call);
/* The pool this call waits for is gone without having finished it (hb_pool_abandon): answers with -EIO and frees. */
void proto_call_fail(struct proto_call *call, const char *why);

/* Answers that need no request: a line too long, too many clients, a peer without the right. */
void proto_refuse(int code, const char *text, proto_answer_fn *answer, void *owner);

/* "EEXIST" for -EEXIST (or EEXIST); what has no name of its own is "EIO". */
const char *proto_code_name(int code);
/* -EEXIST for "EEXIST"; -EIO for what is not known. */
int proto_code_value(const char *name);

#endif
