/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_priv.h - between the files of tgt.h: requests, and what is remembered. */
#ifndef HB_BOX_TGT_PRIV_H
#define HB_BOX_TGT_PRIV_H

#include <pthread.h>
#include <sys/types.h>

#include "box/tgt.h"
#include "box/tgt_wire.h"

#define TGT_REQUEST_MS 5000
#define TGT_OPEN_MS 60000 /* a LUN that is made or removed opens or closes a pool, in tgtd's only thread */
#define TGT_REMOVE_MS 30000
#define TGT_PAUSE_MS 20

struct tgt {
	char *path;
	uint32_t patience_ms; /* no request waits longer; for tests */
	pthread_mutex_t lock; /* of all that follows, and of the requests */
	pid_t life; /* of the tgtd that `digests` is about */
	json_t *digests; /* {"USER": "HEX"}: secrets that we gave this tgtd, by an HMAC with our key */
	unsigned char key[32];
};

/* One request; `fmt` NULL: no parameters. 0; a positive enum tgt_error (err untouched); or a -errno with err: tgtd
 * cannot be reached. The lock is held. *ret_text: its text, malloc'd ("" if none); may be NULL. */
int tgt_ask(struct tgt *t, const struct tgt_req *req, uint32_t timeout_ms, char **ret_text, struct err *err,
	    const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/* Turns what tgt_ask() gave into a -errno with words: "new account x: ...". fmt: what was asked. */
int tgt_fail(int rc, struct err *err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The whole state, as tgt_show() says; the lock is held. */
json_t *tgt_look(struct tgt *t, const char *prefix, struct err *err);
/* 1: it is there, *ret_tid; 0: not; or a -errno. */
int tgt_find(struct tgt *t, const char *iqn, int *ret_tid, struct err *err);
/* Binds or unbinds "iqn..." or "address:...". That it was so before is no error. */
int tgt_bind(struct tgt *t, int tid, const char *initiator, bool bind, struct err *err);
/* Deletes an account that no target has. Not there: 0. */
int tgt_forget_user(struct tgt *t, const char *user, struct err *err);
/* Whether a target other than `but` (NULL: none) has this account; its name, or NULL. */
const char *tgt_owner(const json_t *show, const char *user, const char *but);

/* -EINVAL with a sentence if something of it cannot be passed to tgtd. */
int tgt_check(const struct tgt_target *want, struct err *err);
int tgt_check_iqn(const char *iqn, struct err *err);

#endif
