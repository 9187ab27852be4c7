/* SPDX-License-Identifier: GPL-2.0-only */
/* serve.c - the agent's verbs over HTTPS; see serve.h. POST /v1/VERB, a JSON object in, one out. */
#include "agent/serve.h"

#include <errno.h>
#include <string.h>

#include "agent/need.h"
#include "agent/values.h"
#include "agent/workers.h"
#include "http/http.h"

#define WORKERS 16
#define BODY_MAX 65536

struct serve {
	struct agent *agent;
	const char *manager_pin;
	struct workers *workers;
	struct http *http;
};

static void send_json(struct http_request *r, unsigned status, json_t *doc)
{
	char *text = need(json_dumps(doc, JSON_COMPACT));

	http_answer(r, status, "application/json", text, strlen(text), NULL);
	free(text);
	json_decref(doc);
}

static void refuse(struct http_request *r, unsigned status, int code, const char *text)
{
	send_json(r, status, need(json_pack("{s:b, s:{s:s, s:s}}", "ok", 0, "error", "code", agent_code(code), "text",
					    text)));
}

/* One line a change, for the journal; its texts have no secrets and no control characters. */
static void note(const char *verb, const json_t *args, const json_t *answer)
{
	const char *id = json_string_value(json_object_get(args, "attachment"));
	const json_t *error = json_object_get(answer, "error");

	if (!id || !value_ok(V_ATTACHMENT, id))
		return;
	if (error)
		fprintf(stderr, "%s %s: %s: %s\n", verb, id, json_string_value(json_object_get(error, "code")),
			json_string_value(json_object_get(error, "text")));
	else
		fprintf(stderr, "%s %s: done\n", verb, id);
}

static void answer(struct serve *s, struct http_request *r, const char *verb)
{
	json_error_t je;
	size_t len;
	const void *body = http_body(r, &len);
	json_t *args = len ? json_loadb(body, len, JSON_REJECT_DUPLICATES, &je) : need(json_object()), *doc;

	if (!args) {
		refuse(r, 400, -EINVAL, "the body is not JSON");
		return;
	}
	doc = agent_verb(s->agent, verb, args);
	note(verb, args, doc);
	json_decref(args);
	send_json(r, 200, doc);
}

static void handle(void *ctx, struct http_request *r)
{
	struct serve *s = ctx;
	const char *pin = http_peer_pin(r), *path = http_path(r);

	if (!pin || strcmp(pin, s->manager_pin) != 0) {
		fprintf(stderr, "refused %s: its key is not the manager's\n", http_peer(r));
		refuse(r, 403, -EKEYREJECTED, "this key is not the manager's");
	} else if (strcmp(http_method(r), "POST") != 0) {
		refuse(r, 405, -EINVAL, "expected POST");
	} else if (strncmp(path, "/v1/", 4) != 0) {
		refuse(r, 404, -ENOSYS, "expected /v1/VERB");
	} else {
		answer(s, r, path + 4);
	}
}

int serve_new(const struct agent_conf *conf, struct agent *a, struct serve **ret, struct err *err)
{
	const struct http_listen listen = { .address = conf->address, .port = conf->port, .key_path = conf->key,
					    .cert_path = conf->certificate, .ask_client_key = true };
	/* One manager speaks to us. */
	const struct http_limits limits = { .connections = 64, .connections_each = 32, .body_bytes = BODY_MAX };
	struct serve *s = need_zalloc(sizeof(*s));
	struct http_handler handler = { s, handle, workers_run, NULL };
	int e;

	s->agent = a;
	s->manager_pin = conf->manager_pin;
	e = workers_new(WORKERS, &s->workers, err);
	handler.run_ctx = s->workers;
	if (e == 0)
		e = http_new(&listen, 1, &limits, &handler, &s->http, err);
	if (e < 0)
		serve_free(s);
	else
		*ret = s;
	return e;
}

uint16_t serve_port(const struct serve *s)
{
	return http_port(s->http, 0);
}

void serve_free(struct serve *s)
{
	if (!s)
		return;
	http_free(s->http);
	workers_free(s->workers);
	free(s);
}
