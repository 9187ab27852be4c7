/* SPDX-License-Identifier: GPL-2.0-only */
/* direct.h - the EBS direct APIs (REST and JSON, 2019-11-02): blocks of snapshots, listed, read and written by tools
 * for backups. HTTP and proofs are the caller's.
 *
 *	GET  /snapshots/ID/blocks                   ListSnapshotBlocks
 *	GET  /snapshots/ID/changedblocks            ListChangedBlocks
 *	GET  /snapshots/ID/blocks/N                 GetSnapshotBlock
 *	POST /snapshots                             StartSnapshot
 *	PUT  /snapshots/ID/blocks/N                 PutSnapshotBlock
 *	POST /snapshots/completion/ID               CompleteSnapshot
 *
 * Invariants
 * (1) Whatever is sent, there is one answer: what the operation has, or an error with a JSON body and X-Amzn-ErrorType.
 * (2) Every change goes through a verb (verbs/ebs.h), every byte through verbs/block.h, in the caller's name.
 * (3) A block is given only for a token that a list gave for this snapshot and this block, and that has not expired.
 * (4) A block is written only if its SHA-256 is what the request says. That is why its body need not be signed.
 */
#ifndef HB_DIRECT_DIRECT_H
#define HB_DIRECT_DIRECT_H

#include <stdbool.h>
#include <stddef.h>

#include "verbs/ebs.h"

#define DIRECT_SERVICE "ebs" /* in the credential of a signed request */
#define DIRECT_HEADERS 4

struct direct_request { /* all borrowed */
	const char *method, *path; /* as sent, without the query */
	const char *query; /* without '?'; "": none */
	const char *(*header)(void *ctx, const char *name); /* NULL: none */
	void *ctx;
	const void *body;
	size_t len;
	const struct ebs_call *who; /* who, rights, only_tags of the caller */
};

struct direct_answer {
	unsigned status; /* of HTTP */
	const char *type; /* of the content */
	char *body; /* the caller's, by free(); NULL: out of memory, and the status is 500 */
	size_t len;
	const char *headers[2 * DIRECT_HEADERS + 1]; /* name, value, …, NULL; texts are static or in what follows */
	char digest[64];
};

/* Is this path this protocol's? */
bool direct_is(const char *path);
/* May its body be unsigned? Only of what invariant (4) is about. */
bool direct_unsigned(const char *method, const char *path);
/* Carries out the request on this thread, as long as that takes. Any thread. */
void direct_answer(struct ebs *e, const struct direct_request *q, struct direct_answer *ret);
/* A request that was refused before it came here: code is one of verbs/codes.h. */
void direct_refuse(const char *code, const char *text, struct direct_answer *ret);

#endif
