/* SPDX-License-Identifier: GPL-2.0-only */
/* front.c - which protocol a request speaks, EC2's and the EBS direct APIs' over HTTP. */
#include "hybridd/front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "direct/direct.h"
#include "ec2/ec2.h"

static void send(struct http_request *r, struct ec2_answer *a, const char *const *headers)
{
	if (a->body)
		http_answer(r, a->status, EC2_CONTENT_TYPE, a->body, a->len, headers);
	else
		http_answer(r, 500, "text/plain", "out of memory\n", 14, NULL);
	free(a->body);
}

static void refuse(struct http_request *r, const struct auth *who)
{
	struct ec2_answer a;
	char wait[16];
	const char *const retry[] = {"Retry-After", wait, NULL};

	snprintf(wait, sizeof(wait), "%u", who->retry_s);
	ec2_refuse(ebs_code_text(who->code), who->err.text, &a);
	send(r, &a, who->retry_s ? retry : NULL);
}

static void answer_ec2(struct ebs *e, struct http_request *r)
{
	struct ec2_request q = {.query = http_query(r), .host = http_header(r, "Host")};
	struct ebs_call caller = {0};
	struct ec2_answer a;
	struct auth who;

	if (auth_check(e, r, EC2_SERVICE, &who, &caller)) {
		q.body = http_body(r, &q.len);
		q.who = &caller;
		ec2_answer(e, &q, &a);
		send(r, &a, NULL);
	} else {
		refuse(r, &who);
	}
	auth_end(&who);
}

static const char *header_of(void *request, const char *name)
{
	return http_header(request, name);
}

/* The body is taken, not copied: most are blocks. */
static void send_direct(struct http_request *r, struct direct_answer *a)
{
	if (a->body)
		http_answer_taken(r, a->status, a->type, a->body, a->len, a->headers);
	else
		http_answer(r, 500, "text/plain", "out of memory\n", 14, NULL);
}

static void answer_direct(struct ebs *e, struct http_request *r)
{
	struct direct_request q = {.method = http_method(r),
				   .path = http_path(r),
				   .query = http_query(r),
				   .header = header_of,
				   .ctx = r};
	bool covered = direct_unsigned(q.method, q.path);
	struct ebs_call caller = {0};
	struct direct_answer a;
	struct auth who;

	if (covered ? auth_check_unsigned(e, r, DIRECT_SERVICE, &who, &caller)
		    : auth_check(e, r, DIRECT_SERVICE, &who, &caller)) {
		q.body = http_body(r, &q.len);
		q.who = &caller;
		direct_answer(e, &q, &a);
	} else {
		direct_refuse(ebs_code_text(who.code), who.err.text, &a);
	}
	send_direct(r, &a);
	auth_end(&who);
}

void front_handle(void *ebs, struct http_request *r)
{
	const char *method = http_method(r);
	bool ec2 = !strcmp(http_path(r), "/") && (!strcmp(method, "POST") || !strcmp(method, "GET"));

	if (ec2)
		answer_ec2(ebs, r);
	else if (direct_is(http_path(r)))
		answer_direct(ebs, r);
	else
		api_handle(ebs, r);
}
