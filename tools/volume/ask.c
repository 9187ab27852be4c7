/* SPDX-License-Identifier: GPL-2.0-only */
/* ask.c - one request to hybridd over its Unix socket. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/volume/cli.h"

#define ANSWER_MAX (64u << 20)

struct answer {
	char *text;
	size_t len;
};

static size_t collect(char *data, size_t size, size_t n, void *ctx)
{
	struct answer *a = ctx;
	size_t len = size * n;
	char *text;

	if (a->len + len > ANSWER_MAX)
		return 0;
	text = realloc(a->text, a->len + len + 1);
	if (!text)
		return 0;
	memcpy(text + a->len, data, len);
	a->text = text;
	a->len += len;
	a->text[a->len] = '\0';
	return len;
}

static int read_answer(const struct answer *a, json_t **ret_result, char code[64], struct err *err)
{
	json_error_t why;
	json_t *body = a->text ? json_loadb(a->text, a->len, 0, &why) : NULL, *error = json_object_get(body, "error");
	int rc = 0;

	if (json_is_true(json_object_get(body, "ok"))) {
		*ret_result = json_incref(json_object_get(body, "result"));
	} else if (error) {
		snprintf(code, 64, "%s", json_string_value(json_object_get(error, "code")));
		rc = err_set(err, -EREMOTEIO, "%s: %s", code, json_string_value(json_object_get(error, "text")));
	} else {
		rc = err_set(err, -EBADMSG, "hybridd gave no answer that can be read");
	}
	json_decref(body);
	return rc;
}

int cli_ask(const struct cli *c, const char *verb, const json_t *args, json_t **ret_result, char ret_code[64],
	    struct err *err)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *body = json_dumps(args, JSON_COMPACT), url[128];
	struct answer a = {NULL, 0};
	CURLcode said;
	int rc;

	ret_code[0] = '\0';
	snprintf(url, sizeof(url), "http://hybridd/v1/%s", verb);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	said = curl_easy_perform(curl);
	if (said == CURLE_COULDNT_CONNECT)
		rc = err_set(err, -ECONNREFUSED, "hybridd does not listen on %s: is it running, and may you ask it?",
			     c->socket);
	else if (said)
		rc = err_set(err, -EIO, "hybridd: %s", curl_easy_strerror(said));
	else
		rc = read_answer(&a, ret_result, ret_code, err);
	free(a.text);
	free(body);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return rc;
}
