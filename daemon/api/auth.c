/* SPDX-License-Identifier: GPL-2.0-only */
/* auth.c - who asks: root by the socket, a key by its signature. */
#include "api/auth.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sigv4/sigv4.h"

/* A request as that room takes it; fields: room for SIGV4_FIELDS_MAX. */
static void describe(const struct http_request *r, struct sigv4_field *fields, struct sigv4_request *to)
{
	*to = (struct sigv4_request){
		.method = http_method(r), .path = http_path(r), .query = http_query(r), .fields = fields};
	while (to->nfields < SIGV4_FIELDS_MAX &&
	       http_field(r, to->nfields, &fields[to->nfields].name, &fields[to->nfields].value))
		to->nfields++;
	to->body = http_body(r, &to->len);
}

static enum ebs_code code_of(enum sigv4_fault fault)
{
	switch (fault) {
	case SIGV4_OK:
		return EBS_OK;
	case SIGV4_MISSING:
		return EBS_NO_TOKEN;
	case SIGV4_INCOMPLETE:
		return EBS_INCOMPLETE_SIGNATURE;
	case SIGV4_EXPIRED:
		return EBS_REQUEST_EXPIRED;
	case SIGV4_MISMATCH:
		return EBS_SIGNATURE_MISMATCH;
	case SIGV4_NO_MEMORY:
		break;
	}
	return EBS_INTERNAL;
}

static void fail(struct auth *a, enum ebs_code code, int error, const char *text)
{
	a->code = code;
	a->err = ERR_INIT;
	err_set(&a->err, error, "%s", text);
}

static void open_key(struct ebs *e, const char *id, struct auth *a)
{
	int rc = ebs_key_open(e, id, &a->key, &a->err);

	if (rc == -ENOENT)
		fail(a, EBS_UNKNOWN_KEY, rc, "The security token included in the request is invalid.");
	else if (rc)
		fail(a, EBS_INTERNAL, rc, "the key cannot be read");
}

static void check_signature(struct ebs *e, const struct http_request *r, const char *service, bool unsigned_ok,
			    struct auth *a)
{
	struct sigv4_field fields[SIGV4_FIELDS_MAX];
	struct sigv4_request q;
	struct sigv4 s = {.key = ""};
	enum sigv4_fault fault;

	describe(r, fields, &q);
	q.unsigned_ok = unsigned_ok;
	fault = sigv4_parse(&q, (int64_t)(ebs_now_ms(e) / 1000), &s, &a->err);
	a->code = code_of(fault);
	if (!fault && strcmp(s.service, service))
		fail(a, EBS_SIGNATURE_MISMATCH, -EACCES, "Credential should be scoped to the right service.");
	if (!a->code)
		open_key(e, s.key, a);
	if (!a->code) {
		fault = sigv4_verify(&q, &s, a->key.secret, &a->err);
		a->code = code_of(fault);
	}
	if (a->code) {
		/* To the journal only: the audit log is not for everybody to fill. */
		fprintf(stderr, "hybridd: refused %s%s%s: %s\n", http_peer(r), *s.key ? ", key " : "", s.key,
			ebs_code_text(a->code));
		return;
	}
	a->retry_s = http_rate(http_of(r), s.key);
	if (a->retry_s)
		fail(a, EBS_REQUEST_LIMIT, -EAGAIN, "Request limit exceeded.");
	else
		ebs_key_used(e, s.key, &a->key);
}

static bool check(struct ebs *e, const struct http_request *r, const char *service, bool unsigned_ok, struct auth *a,
		  struct ebs_call *c)
{
	memset(a, 0, sizeof(*a));
	a->err = ERR_INIT;
	if (http_peer_root(r) && !http_header(r, "Authorization")) {
		c->who = "root";
		c->rights = EBS_MAY_ALL;
		return true;
	}
	check_signature(e, r, service, unsigned_ok, a);
	if (a->code)
		return false;
	c->who = a->key.who;
	c->rights = a->key.rights;
	c->only_tags = a->key.only_tags;
	return true;
}

bool auth_check(struct ebs *e, const struct http_request *r, const char *service, struct auth *a, struct ebs_call *c)
{
	return check(e, r, service, false, a, c);
}

bool auth_check_unsigned(struct ebs *e, const struct http_request *r, const char *service, struct auth *a,
			 struct ebs_call *c)
{
	return check(e, r, service, true, a, c);
}

void auth_end(struct auth *a)
{
	ebs_key_close(&a->key);
}
