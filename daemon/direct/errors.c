/* SPDX-License-Identifier: GPL-2.0-only */
/* errors.c - the exceptions of the protocol, made of the verbs' codes, and answers of JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "direct/priv.h"

#define VALIDATION "ValidationException"
#define DENIED "AccessDeniedException"
#define QUOTA "ServiceQuotaExceededException"
#define THROTTLED "RequestThrottledException"
#define INTERNAL "InternalServerException"

static const struct {
	enum ebs_code code;
	const char *type, *reason;
	unsigned status;
} exceptions[] = {
	{EBS_AUTH_FAILURE, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_NO_TOKEN, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_INCOMPLETE_SIGNATURE, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_UNKNOWN_KEY, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_SIGNATURE_MISMATCH, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_REQUEST_EXPIRED, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_UNAUTHORIZED, DENIED, "UNAUTHORIZED_ACCOUNT", 403},
	{EBS_NO_SNAPSHOT, "ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", 404},
	{EBS_INCORRECT_STATE, VALIDATION, "INVALID_SNAPSHOT_ID", 400},
	{EBS_TAG_LIMIT, VALIDATION, "INVALID_TAG", 400},
	{EBS_TOKEN_MISMATCH, "ConflictException", NULL, 409},
	{EBS_PENDING_LIMIT, "ConcurrentLimitExceededException", NULL, 400},
	{EBS_SNAPSHOT_LIMIT, QUOTA, "DEPENDENCY_SERVICE_QUOTA_EXCEEDED", 402},
	{EBS_VOLUME_LIMIT, QUOTA, "DEPENDENCY_SERVICE_QUOTA_EXCEEDED", 402},
	{EBS_NO_CAPACITY, QUOTA, "DEPENDENCY_SERVICE_QUOTA_EXCEEDED", 402},
	{EBS_REQUEST_LIMIT, THROTTLED, "ACCOUNT_THROTTLED", 400},
	{EBS_BUSY, THROTTLED, "RESOURCE_LEVEL_THROTTLE", 400},
	{EBS_INTERNAL, INTERNAL, NULL, 500},
	{EBS_UNAVAILABLE, INTERNAL, NULL, 500}, /* which clients try again */
};

bool direct_invalid(struct direct_call *x, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (x->type)
		return false;
	x->type = VALIDATION;
	x->reason = reason;
	x->status = 400;
	va_start(ap, fmt);
	text_vfmt(x->text, sizeof(x->text), fmt, ap);
	va_end(ap);
	return false;
}

bool direct_fail_verb(struct direct_call *x, const char *code, const char *text)
{
	direct_invalid(x, "INVALID_PARAMETER_VALUE", "%s", text);
	for (size_t i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++) {
		if (strcmp(ebs_code_text(exceptions[i].code), code))
			continue;
		x->type = exceptions[i].type;
		x->reason = exceptions[i].reason;
		x->status = exceptions[i].status;
	}
	return false;
}

void direct_put_header(struct direct_answer *a, const char *name, const char *value)
{
	unsigned i = 0;

	while (a->headers[i])
		i += 2;
	a->headers[i] = name;
	a->headers[i + 1] = value;
}

void direct_put_json(struct direct_answer *a, unsigned status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(13)) : NULL;

	json_decref(body);
	a->status = text ? status : 500;
	a->type = "application/json";
	a->body = text;
	a->len = text ? strlen(text) : 0;
}

void direct_put_error(const struct direct_call *x)
{
	json_t *text = json_string(x->text); /* NULL: a quoted name was cut, or no UTF-8 */

	if (!text)
		text = json_string("A parameter is no UTF-8.");
	direct_put_header(x->a, "x-amzn-ErrorType", x->type);
	direct_put_json(x->a, x->status,
			json_pack("{s:s, s:o, s:s*}", "__type", x->type, "Message", text, "Reason", x->reason));
}
