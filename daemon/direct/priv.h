/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - one request while it is answered, and what the files of the room share. */
#ifndef HB_DIRECT_PRIV_H
#define HB_DIRECT_PRIV_H

#include <stdint.h>

#include "base/err.h"
#include "base/units.h"
#include "direct/direct.h"
#include "verbs/block.h"

#define ID_CHARS 22 /* "snap-" and 17 hex digits */

struct direct_call {
	struct ebs *e;
	const struct direct_request *q;
	struct direct_answer *a;
	char id[ID_CHARS + 1]; /* from the path */
	uint64_t index;
	/* The error, or NULL. */
	const char *type, *reason;
	unsigned status;
	char text[256];
};

/* errors.c. Sets it once; returns false. reason: of ValidationException. */
bool direct_invalid(struct direct_call *x, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The error of a verb, or of verbs/block.h. */
bool direct_fail_verb(struct direct_call *x, const char *code, const char *text);
/* The answer from it. */
void direct_put_error(const struct direct_call *x);
/* The answer; reference is taken, NULL: out of memory. */
void direct_put_json(struct direct_answer *a, unsigned status, json_t *body);
void direct_put_header(struct direct_answer *a, const char *name, const char *value);

/* fields.c: what a request says. */
/* A parameter of the query, decoded; malloc'd. NULL: not given. */
char *direct_param(const struct direct_call *x, const char *name);
/* A number in least to most; *ret stays as it is without it. text NULL: not given. false: the call failed. */
bool direct_number(struct direct_call *x, const char *name, const char *text, uint64_t least, uint64_t most,
		   uint64_t *ret);
const char *direct_header(const struct direct_call *x, const char *name);
/* Is it an id of a snapshot? false: the call failed. */
bool direct_id(struct direct_call *x, const char *text);
/* 32 bytes in base64. */
bool direct_digest(const char *text, uint8_t to[BLOCK_DIGEST]);
void direct_digest_text(const uint8_t digest[BLOCK_DIGEST], char to[64]);
/* A caller's call, for verbs. */
struct ebs_call direct_caller(const struct direct_call *x, const json_t *args);

/* token.c: opaque texts that only this box can have made. */
#define TOKEN_CHARS 44
#define TOKEN_BLOCK "block"
#define TOKEN_PAGE "page"
/* about: what it is good for, with `index`; until_s: since 1970. */
bool token_make(struct ebs *e, const char *kind, const char *about, uint64_t index, uint64_t until_s,
		char to[TOKEN_CHARS + 1]);
enum token_fault { TOKEN_OK, TOKEN_FALSE, TOKEN_EXPIRED };
/* *ret_index: what it is good for. */
enum token_fault token_look(struct ebs *e, const char *kind, const char *about, const char *token, uint64_t now_s,
			    uint64_t *ret_index);

/* read.c, write.c: the operations. false: the call failed. */
bool direct_list(struct direct_call *x);
bool direct_changed(struct direct_call *x);
bool direct_get(struct direct_call *x);
bool direct_start(struct direct_call *x);
bool direct_put(struct direct_call *x);
bool direct_complete(struct direct_call *x);

#endif
