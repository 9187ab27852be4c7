/* SPDX-License-Identifier: GPL-2.0-only */
/* ec2.h - EC2's Query protocol over the verbs: a form of parameters in, XML out. HTTP and proofs are the caller's.
 *
 * A request is a form ("Action=DescribeVolumes&Version=2016-11-15&VolumeId.1=vol-…"), in the query of the URL, in the
 * body, or in both. The actions are a table (actions.c); each is a table of parameters, a verb, and a table that says
 * which member of the verb's answer becomes which element. What is not in the tables is refused, never ignored.
 *
 * Invariants
 * (1) Whatever is sent, there is one answer: XML that is well-formed, in UTF-8.
 * (2) Every change goes through a verb (verbs/ebs.h) in the caller's name: rights, tokens, dry run, the audit log and
 *     quotas are its.
 * (3) What is in the recycle bin does not exist, but for the actions that are about the bin.
 */
#ifndef HB_EC2_EC2_H
#define HB_EC2_EC2_H

#include <stddef.h>

#include "verbs/ebs.h"

#define EC2_CONTENT_TYPE "text/xml;charset=UTF-8"
#define EC2_SERVICE "ec2" /* in the credential of a signed request */
#define EC2_OWNER "000000000000" /* the account that everything here belongs to */

struct ec2_request { /* all borrowed */
	const char *query; /* of the URL, without '?'; "": none */
	const void *body;
	size_t len;
	const char *host; /* how the client calls us ("127.0.0.1:8080"), or NULL */
	const struct ebs_call *who; /* who, rights, only_tags of the caller */
};

struct ec2_answer {
	unsigned status; /* of HTTP */
	char *body; /* the caller's, by free(); NULL: out of memory, and the status is 500 */
	size_t len;
};

/* Carries out the request on this thread, as long as that takes. Any thread. */
void ec2_answer(struct ebs *e, const struct ec2_request *q, struct ec2_answer *ret);
/* A request that was refused before it came here: code is one of verbs/codes.h. */
void ec2_refuse(const char *code, const char *text, struct ec2_answer *ret);

#endif
