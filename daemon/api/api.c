/* SPDX-License-Identifier: GPL-2.0-only */
/* api.c - the JSON API over the table of verbs. */
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"

#define V1 "/v1/"
#define SERVICE "hybrid" /* in the credential of a signed request */
#define JSON_TYPE "application/json"

static void answer_json(struct http_request *r, unsigned status, json_t *body, const char *const *headers)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	if (text)
		http_answer(r, status, JSON_TYPE, text, strlen(text), headers);
	else
		http_answer(r, 500, "text/plain", "out of memory\n", 14, NULL);
	free(text);
	json_decref(body);
}

static void answer_error(struct http_request *r, unsigned status, const char *code, const char *text)
{
	answer_json(r, status, json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", code, "text", text), NULL);
}

static void answer_stranger(struct http_request *r, const struct auth *a)
{
	const char *code = ebs_code_text(a->code);
	char wait[16];
	const char *const retry[] = {"Retry-After", wait, NULL};

	snprintf(wait, sizeof(wait), "%u", a->retry_s);
	answer_json(r, ebs_code_http(code),
		    json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", code, "text", a->err.text),
		    a->retry_s ? retry : NULL);
}

static void answer_call(struct http_request *r, const struct ebs_call *c)
{
	if (c->code)
		answer_error(r, ebs_code_http(c->code), c->code, c->err.text);
	else
		answer_json(r, 200, json_pack("{s:b, s:O}", "ok", 1, "result", c->result), NULL);
}

/* false: answered. */
static bool read_args(struct http_request *r, json_t **ret)
{
	size_t len;
	const char *body = http_body(r, &len);
	json_error_t why;

	*ret = len ? json_loadb(body, len, JSON_REJECT_DUPLICATES, &why) : json_object();
	if (*ret && json_is_object(*ret))
		return true;
	answer_error(r, 400, ebs_code_text(EBS_INVALID_PARAMETER),
		     *ret ? "the body is no JSON object" : "the body is no JSON, or says a key twice");
	json_decref(*ret);
	return false;
}

static void run_verb(struct ebs *e, struct http_request *r, const char *verb)
{
	struct ebs_call c = {0};
	struct auth who;
	json_t *args;

	if (strcmp(http_method(r), "POST")) {
		static const char *const allow[] = {"Allow", "POST", NULL};
		static const char text[] =
			"{\"ok\":false,\"error\":{\"code\":\"InvalidAction\",\"text\":\"verbs are POSTed\"}}";

		http_answer(r, 405, JSON_TYPE, text, sizeof(text) - 1, allow);
		return;
	}
	if (!auth_check(e, r, SERVICE, &who, &c)) {
		answer_stranger(r, &who);
	} else if (read_args(r, &args)) {
		c.args = args;
		ebs_run(e, verb, &c);
		answer_call(r, &c);
		ebs_call_free(&c);
		json_decref(args);
	}
	auth_end(&who);
}

void api_handle(void *ebs, struct http_request *r)
{
	const char *path = http_path(r);
	bool get = !strcmp(http_method(r), "GET") || !strcmp(http_method(r), "HEAD");

	if (get && !strcmp(path, "/healthz"))
		http_answer(r, 200, "text/plain", "ok\n", 3, NULL);
	else if (get && !strcmp(path, V1 "openapi.json"))
		answer_json(r, 200, api_openapi(), NULL);
	else if (!strncmp(path, V1, strlen(V1)))
		run_verb(ebs, r, path + strlen(V1));
	else
		answer_error(r, 404, ebs_code_text(EBS_INVALID_ACTION), "there is nothing here; POST " V1 "VERB");
}
