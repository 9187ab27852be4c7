/* SPDX-License-Identifier: GPL-2.0-only */
/* errors.c - EC2's codes and words for what goes wrong: the verbs' own are EC2's already, but for a few. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "ec2/priv.h"

bool ec2_fail(struct ec2_call *x, const char *code, const char *fmt, ...)
{
	va_list ap;

	if (x->code)
		return false;
	x->code = code;
	x->err.code = -1;
	va_start(ap, fmt);
	text_vfmt(x->err.text, sizeof(x->err.text), fmt, ap);
	va_end(ap);
	return false;
}

/* All of a client's own making. */
static const char *const own[] = {
	EC2_DEPENDENCY,     EC2_MALFORMED_QUERY, EC2_MALFORMED_INSTANCE, EC2_MISSING_ACTION,
	EC2_NO_VERSION, EC2_NO_MODIFICATION, EC2_UNSUPPORTED, EC2_FILTER_LIMIT,
};

unsigned ec2_status(const char *code)
{
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (!strcmp(own[i], code))
			return 400;
	return ebs_code_http(code);
}

static bool is(const char *code, enum ebs_code which)
{
	return !strcmp(code, ebs_code_text(which));
}

void ec2_fail_verb(struct ec2_call *x, const struct ebs_call *c)
{
	char id[64];

	if (is(c->code, EBS_BUSY))
		ec2_fail(x, x->action->busy ? x->action->busy : ebs_code_text(EBS_INCORRECT_STATE), "%s", c->err.text);
	else if (is(c->code, EBS_DUPLICATE))
		ec2_fail(x, ebs_code_text(EBS_INVALID_PARAMETER), "%s", c->err.text);
	else if (is(c->code, EBS_AMBIGUOUS)) /* by ids it is only this one that can be */
		ec2_fail(x, ebs_code_text(EBS_MISSING_PARAMETER),
			 "The request must contain the parameter InstanceId: the volume has several attachments.");
	else if (is(c->code, EBS_NO_INSTANCE) && sscanf(c->err.text, "The vm '%63[^']'", id) == 1)
		ec2_fail(x, c->code, "The instance ID '%s' does not exist", id);
	else
		ec2_fail(x, c->code, "%s", c->err.text);
}
