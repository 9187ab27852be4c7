/* SPDX-License-Identifier: GPL-2.0-only */
/* call.c - a request from its form to its answer. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/text.h"
#include "ec2/priv.h"
#include "ec2/query.h"
#include "ec2/xml.h"

#define VERSION "2016-11-15"
#define REQUEST_ID_MAX 37

/* ---------------------------------------------------------------- verbs */

bool ec2_in_bin(const json_t *row)
{
	return ec2_text(row, "state") && !strcmp(ec2_text(row, "state"), "recoverable");
}

enum ec2_keep ec2_keep_living(const struct ec2_call *x, const json_t *row)
{
	(void)x;
	return ec2_in_bin(row) ? KEEP_MISSING : KEEP;
}

static void prepare(const struct ec2_call *x, const json_t *args, struct ebs_call *c)
{
	*c = (struct ebs_call){.who = x->request->who->who,
			       .rights = x->request->who->rights,
			       .only_tags = x->request->who->only_tags,
			       .args = args};
}

/* The row by its id, also of what is in the bin; the call's error is in c. */
static json_t *describe(struct ec2_call *x, const char *kind, const char *id, struct ebs_call *c)
{
	char verb[32], rows[32];
	json_t *args, *row;

	text_fmt(verb, sizeof(verb), "%s-describe", kind);
	text_fmt(rows, sizeof(rows), "%ss", kind);
	args = json_pack("{s:s}", rows, id);
	prepare(x, args, c);
	ebs_run(x->ebs, verb, c);
	row = json_incref(json_array_get(json_object_get(c->result, rows), 0));
	json_decref(args);
	return row;
}

/* A verb that refuses what is in the recycle bin says so; to EC2's clients it does not exist. */
static bool means_binned(struct ec2_call *x, const json_t *args)
{
	static const char *const kinds[] = {"volume", "snapshot"};
	bool binned = false;

	for (size_t i = 0; i < 2 && !binned; i++) {
		const char *id = ec2_text(args, kinds[i]);
		struct ebs_call c;
		json_t *row;

		if (!id)
			continue;
		row = describe(x, kinds[i], id, &c);
		binned = ec2_in_bin(row);
		if (binned)
			ec2_fail(x, ebs_code_text(i ? EBS_NO_SNAPSHOT : EBS_NO_VOLUME), "The %s '%s' does not exist.",
				 kinds[i], id);
		json_decref(row);
		ebs_call_free(&c);
	}
	return binned;
}

json_t *ec2_verb(struct ec2_call *x, const char *verb, json_t *args)
{
	json_t *result = NULL;
	struct ebs_call c;

	if (!args)
		ec2_fail(x, ebs_code_text(EBS_INTERNAL), "out of memory");
	if (!x->code) {
		prepare(x, args, &c);
		ebs_run(x->ebs, verb, &c);
		if (!c.code && json_is_true(json_object_get(c.result, "dry_run")))
			ec2_fail(x, ebs_code_text(EBS_DRY_RUN),
				 "Request would have succeeded, but DryRun flag is set.");
		else if (!c.code)
			result = json_incref(c.result);
		else if (strcmp(c.code, ebs_code_text(EBS_INCORRECT_STATE)) || !means_binned(x, args))
			ec2_fail_verb(x, &c);
		ebs_call_free(&c);
	}
	json_decref(args);
	return result;
}

json_t *ec2_row(struct ec2_call *x, const char *kind, const char *id)
{
	struct ebs_call c;
	json_t *row;

	if (x->code)
		return NULL;
	row = describe(x, kind, id, &c);
	if (c.code) {
		ec2_fail_verb(x, &c);
	} else if (ec2_in_bin(row)) {
		ec2_fail(x, ebs_code_text(strcmp(kind, "volume") ? EBS_NO_SNAPSHOT : EBS_NO_VOLUME),
			 "The %s '%s' does not exist.", kind, id);
		json_decref(row);
		row = NULL;
	}
	ebs_call_free(&c);
	return row;
}

void ec2_region(const struct ec2_call *x, char to[65])
{
	size_t n = text_fmt(to, 65, "%s", ebs_zone(x->ebs));

	if (n > 1 && islower((unsigned char)to[n - 1]) && isdigit((unsigned char)to[n - 2]))
		to[n - 1] = '\0';
}

void ec2_answer_true(struct ec2_call *x)
{
	if (!x->code)
		x->answer = json_pack("{s:b}", "return", 1);
}

void ec2_answer_row(struct ec2_call *x, const struct ec2_field *shape, const json_t *row)
{
	if (!x->code)
		x->answer = ec2_shape(x, shape, row);
}

/* ---------------------------------------------------------------- a request */

const struct ec2_action *ec2_find_action(const char *name)
{
	static const struct ec2_action *const tables[] = {ec2_volume_actions, ec2_snapshot_actions,
							  ec2_instance_actions, ec2_kept_actions, ec2_other_actions};

	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct ec2_action *a = tables[i]; a->name; a++)
			if (!strcmp(a->name, name))
				return a;
	return NULL;
}

static void run_verb(struct ec2_call *x)
{
	json_t *result = ec2_verb(x, x->action->verb, json_incref(x->args));

	if (x->action->shape)
		ec2_answer_row(x, x->action->shape, result);
	else
		ec2_answer_true(x);
	json_decref(result);
}

static void run(struct ec2_call *x)
{
	const struct ec2_action *a = x->action;

	/* A verb that changes something sees to its dry run; what only looks has nothing else that could go wrong. */
	if (a->list && json_is_true(ec2_given(x, "dry_run")))
		ec2_fail(x, ebs_code_text(EBS_DRY_RUN), "Request would have succeeded, but DryRun flag is set.");
	else if (a->run)
		a->run(x);
	else if (a->list)
		ec2_list(x);
	else
		run_verb(x);
}

static bool version_ok(const char *v)
{
	return strlen(v) == 10 && strspn(v, "0123456789-") == 10 && v[4] == '-' && v[7] == '-';
}

static void dispatch(struct ec2_call *x, json_t *tree, const char **ret_version)
{
	const char *action = ec2_text(tree, "Action"), *version = ec2_text(tree, "Version");

	if (version && !version_ok(version)) {
		ec2_fail(x, EC2_NO_VERSION, "The version '%.40s' does not exist", version);
		return;
	}
	if (version)
		*ret_version = version;
	if (!action || !*action) {
		ec2_fail(x, EC2_MISSING_ACTION, "The request must contain the parameter Action");
		return;
	}
	x->action = ec2_find_action(action);
	if (!x->action)
		ec2_fail(x, ebs_code_text(EBS_INVALID_ACTION), "The action %.60s is not valid for this web service.",
			 action);
	else if (ec2_params(x, tree))
		run(x);
}

/* ---------------------------------------------------------------- what is sent */

static void draw_id(char to[REQUEST_ID_MAX])
{
	unsigned char r[16] = {0};

	if (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
		r[0] = 1; /* it names a request in somebody's log, no more */
	snprintf(to, REQUEST_ID_MAX, "%02x%02x%02x%02x-%02x%02x-4%01x%02x-a%01x%02x-%02x%02x%02x%02x%02x%02x", r[0],
		 r[1], r[2], r[3], r[4], r[5], r[6] & 15, r[7], r[8] & 15, r[9], r[10], r[11], r[12], r[13], r[14],
		 r[15]);
}

static FILE *begin(struct ec2_answer *ret)
{
	FILE *f;

	*ret = (struct ec2_answer){.status = 500};
	f = open_memstream(&ret->body, &ret->len);
	if (f)
		fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", f);
	return f;
}

static void end(FILE *f, unsigned status, struct ec2_answer *ret)
{
	bool failed = ferror(f);

	if (fclose(f) || failed) {
		free(ret->body);
		ret->body = NULL;
	}
	if (ret->body)
		ret->status = status;
}

static void write_error(const char *code, const char *text, struct ec2_answer *ret)
{
	char id[REQUEST_ID_MAX];
	FILE *f = begin(ret);

	if (!f)
		return;
	draw_id(id);
	fprintf(f, "<Response><Errors><Error><Code>%s</Code><Message>", code);
	xml_text(f, text);
	fprintf(f, "</Message></Error></Errors><RequestID>%s</RequestID></Response>", id);
	end(f, ec2_status(code), ret);
}

static void write_answer(const struct ec2_call *x, const char *version, struct ec2_answer *ret)
{
	char id[REQUEST_ID_MAX];
	FILE *f = begin(ret);

	if (!f)
		return;
	draw_id(id);
	fprintf(f, "<%sResponse xmlns=\"http://ec2.amazonaws.com/doc/%s/\"><requestId>%s</requestId>", x->action->name,
		version, id);
	xml_members(f, x->answer);
	fprintf(f, "</%sResponse>", x->action->name);
	end(f, 200, ret);
}

void ec2_answer(struct ebs *e, const struct ec2_request *q, struct ec2_answer *ret)
{
	struct ec2_call x = {.ebs = e, .request = q};
	json_t *tree = json_object();
	const char *version = VERSION;
	/* Of the tree, which gives its parameters away as they are read. */
	json_t *said;

	if (query_parse(tree, q->query, strlen(q->query), true, &x.err) ||
	    query_parse(tree, q->body, q->len, false, &x.err))
		x.code = EC2_MALFORMED_QUERY;
	said = json_incref(json_object_get(tree, "Version"));
	if (!x.code)
		dispatch(&x, tree, &version);
	if (!x.code && !x.answer)
		ec2_fail(&x, ebs_code_text(EBS_INTERNAL), "out of memory");
	if (x.code)
		write_error(x.code, x.err.text, ret);
	else
		write_answer(&x, version, ret);
	json_decref(said);
	json_decref(x.answer);
	json_decref(x.filters);
	json_decref(x.args);
	json_decref(tree);
}

/* EC2's word for a key that it does not know is not that of other services. */
void ec2_refuse(const char *code, const char *text, struct ec2_answer *ret)
{
	if (!strcmp(code, ebs_code_text(EBS_UNKNOWN_KEY))) {
		code = ebs_code_text(EBS_AUTH_FAILURE);
		text = "AWS was not able to validate the provided access credentials";
	}
	write_error(code, text, ret);
}
