/* SPDX-License-Identifier: GPL-2.0-only */
/* ebs.h - what the manager can be asked, whoever asks and by which protocol: a table of verbs over JSON.
 *
 * A verb that changes something also takes
 *   "token"    a text of at most 64 bytes: the same request again has the same effect once, and the same answer
 *   "dry_run"  true: everything is checked, nothing is done: {"dry_run": true}
 *   "wait_ms"  how long to wait for the end (30 s unless said; 0: not at all); what is answered tells the state. Who
 *              may not do everything does not wait while half of the workers do
 * and is in the audit log, by whom and with which end. Where an id is wanted, a name (the tag "Name") will do, if it
 * means one.
 *
 * Errors have EC2's codes ("InvalidVolume.NotFound"); codes.h lists all.
 */
#ifndef HB_VERBS_EBS_H
#define HB_VERBS_EBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "verbs/codes.h"

#define EBS_TOKEN_MAX 64
#define EBS_TAGS_MAX 50 /* of one resource, as EC2 */
#define EBS_TAG_KEY_MAX 128 /* characters of UTF-8; not beginning with "aws:" */
#define EBS_TAG_VALUE_MAX 256
#define EBS_PAGE_MAX 1000
#define EBS_KEY_NAME_MAX 63
#define EBS_KEY_TAGS_MAX 10 /* that a key is bound to */
#define EBS_WAIT_MS 30000u

struct ebs;
struct store;
struct sagas;

struct ebs_conf {
	const char *catalogue; /* the SQLite file */
	const char *seal_key; /* the file that secrets at rest are sealed under */
	const char *tls_key, *tls_cert; /* our identity towards agents (made if missing) */
	const char *pool_socket; /* the pools' control socket */
	const char *tgt_socket; /* tgtd's management socket; NULL: no targets are set up */
	const char *prefix; /* of targets' names: "iqn.2026-01.example.box" */
	const char *zone; /* what EC2 calls the availability zone */
	const char *pool; /* where volumes go unless said; NULL: the only one */
	const char *const *portals; /* "ADDRESS:PORT" as initiators see them */
	unsigned nportals;
	unsigned workers; /* 0: 8 */
	uint32_t block_tokens_s; /* how long tokens of snapshots' blocks are good (block.h); 0: 7 days */
	uint32_t bin_days; /* how long what is deleted stays in the recycle bin; 0: there is none */
};

/* Copies `conf`. Opens the catalogue, resumes what an earlier life left, watches tgtd, hosts and schedules from now
 * on. */
int ebs_new(const struct ebs_conf *conf, struct ebs **ret, struct err *err);
/* Ends as a crash would, but closes its files. */
void ebs_free(struct ebs *e);
struct sagas *ebs_sagas(struct ebs *e); /* for http_handler.run */
const char *ebs_pin(const struct ebs *e); /* of our key, for agents' configuration */
const char *ebs_zone(const struct ebs *e); /* what EC2 calls the availability zone */
uint64_t ebs_now_ms(void *ebs); /* wall clock */

/* ---------------------------------------------------------------- the table */

enum ebs_type {
	EBS_TEXT, /* at most max bytes of UTF-8 without control characters */
	EBS_NUMBER, /* min to max */
	EBS_BOOL,
	EBS_WORD, /* one of words, "a|b|c" */
	EBS_TAGS, /* {"KEY": "VALUE"} */
	EBS_TEXTS, /* an array of at most max texts (and one text stands for an array of one) */
	EBS_FILTERS, /* {"COLUMN": "VALUE" or ["VALUE", …]}; with * and ? */
	EBS_ID /* of a resource, or its name; `words` says which kind, "volume" */
};

struct ebs_arg {
	const char *name;
	enum ebs_type type;
	bool required;
	uint64_t min, max;
	const char *words;
	const char *help; /* a few words */
};

enum {
	EBS_CHANGES = 1, /* takes token, dry_run, wait_ms; is audited */
	EBS_ADMIN = 2, /* not for keys with fewer rights */
};

struct ebs_verb {
	const char *name; /* "volume-create" */
	unsigned flags;
	struct ebs_arg args[17]; /* ends with a NULL name */
	const char *help; /* one sentence */
};

const struct ebs_verb *ebs_verbs(void); /* ends with a NULL name */
const struct ebs_verb *ebs_find_verb(const char *name);

/* ---------------------------------------------------------------- a call */

enum ebs_rights { EBS_MAY_READ, EBS_MAY_OPERATE, EBS_MAY_ALL };

struct ebs_call {
	/* In; zeroed otherwise. Borrowed until ebs_run() returns. */
	const char *who; /* "root", "key AKIA… NAME" */
	enum ebs_rights rights;
	const json_t *only_tags; /* only what has all of these, 1 to EBS_KEY_TAGS_MAX; NULL: no such bound */
	const json_t *args;
	/* Out: a result (new reference), or a code and a sentence. */
	json_t *result;
	const char *code;
	struct err err;
	/* The verbs' own. */
	struct ebs *ebs;
	const struct ebs_verb *verb;
	bool dry, dry_ok, checked; /* checked: the arguments were */
	const json_t *schedule; /* the row of the schedule that runs it, or NULL */
	bool from_bin; /* deletes only what is in the recycle bin, and whose time there is over */
	char *repeated; /* the resource of an earlier request with this token */
	char *refused; /* a resource that was kept from this caller; rights.c */
};

/* Runs the verb on this thread, to its end or as long as wait_ms says. */
void ebs_run(struct ebs *e, const char *verb, struct ebs_call *c);
void ebs_call_free(struct ebs_call *c); /* result and what else it holds */

/* ---------------------------------------------------------------- keys, for who verifies proofs by them */

struct ebs_key {
	char *who; /* these go into a struct ebs_call */
	enum ebs_rights rights;
	json_t *only_tags;
	char *secret; /* not longer than it is needed */
	uint64_t used_ms;
};

/* The key of that id. -ENOENT: there is none, or it was revoked. *ret is to be given to ebs_key_close(). */
int ebs_key_open(struct ebs *e, const char *id, struct ebs_key *ret, struct err *err);
/* It has been proved: that it was used is kept, once an hour. May wait for a commit. */
void ebs_key_used(struct ebs *e, const char *id, const struct ebs_key *k);
void ebs_key_close(struct ebs_key *k); /* wipes the secret */

#endif
