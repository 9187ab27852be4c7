/* SPDX-License-Identifier: GPL-2.0-only */
/* ask.c - one request to hybridd: over its Unix socket, as whom the process runs as; or over TCP, as an API key, by
 * which libcurl signs it (Signature Version 4: what it covers is what hybridd demands).
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/volume/cli.h"

#define ANSWER_MAX (64u << 20)
#define SIGN "aws:amz:box:hybrid" /* how, and for which region (any will do) and service */

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

static int put_address(CURL *curl, const struct cli *c, const char *verb, struct err *err)
{
	const char *base = c->url ? c->url : "http://hybridd";
	size_t len = strlen(base);
	char url[1024];

	while (len && base[len - 1] == '/')
		len--;
	if ((strncmp(base, "https://", 8) && strncmp(base, "http://", 7)) || len > sizeof(url) - 100)
		return err_set(err, -EINVAL, "'%.80s': expected https://HOST:PORT", base);
	snprintf(url, sizeof(url), "%.*s/v1/%s", (int)len, base, verb);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	if (!c->url)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	if (c->ca)
		curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca);
	if (!c->pin)
		return 0;
	if (curl_easy_setopt(curl, CURLOPT_PINNEDPUBLICKEY, c->pin))
		return err_set(err, -EINVAL, "the pin cannot be used");
	if (!c->ca) { /* the pin is what is verified */
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return 0;
}

static int put_key(CURL *curl, const struct cli *c, struct err *err)
{
	struct cli_key key;
	int rc;

	if (!c->key_file)
		return c->url ? err_set(err, -EINVAL, "an API key is wanted: --key-file FILE, or HYBRID_KEY_FILE") : 0;
	rc = cli_read_key(c->key_file, &key, err);
	if (rc)
		return rc;
	if (curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, SIGN) || curl_easy_setopt(curl, CURLOPT_USERNAME, key.id) ||
	    curl_easy_setopt(curl, CURLOPT_PASSWORD, key.secret))
		rc = err_set(err, -ENOTSUP, "this libcurl cannot sign requests");
	explicit_bzero(&key, sizeof(key));
	return rc;
}

static int failed(const struct cli *c, CURLcode said, struct err *err)
{
	switch (said) {
	case CURLE_COULDNT_CONNECT:
		if (!c->url)
			return err_set(err, -ECONNREFUSED,
				       "hybridd does not listen on %s: is it running, and may you ask it?", c->socket);
		/* fallthrough */
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, -ECONNREFUSED, "hybridd cannot be reached at %s: %s", c->url ? c->url : c->socket,
			       curl_easy_strerror(said));
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return err_set(err, -EACCES, "who answers at %s has not the key of the pin", c->url);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return err_set(err, -EACCES, "who answers at %s is not known: %s (--ca FILE, or --pin sha256//...)",
			       c->url, curl_easy_strerror(said));
	default:
		return err_set(err, -EIO, "hybridd: %s", curl_easy_strerror(said));
	}
}

int cli_ask(const struct cli *c, const char *verb, const json_t *args, json_t **ret_result, char ret_code[64],
	    struct err *err)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	char *body = json_dumps(args, JSON_COMPACT);
	struct answer a = {NULL, 0};
	CURLcode said;
	int rc;

	ret_code[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	rc = put_address(curl, c, verb, err);
	rc = rc ? rc : put_key(curl, c, err);
	if (!rc) {
		said = curl_easy_perform(curl);
		rc = said ? failed(c, said, err) : read_answer(&a, ret_result, ret_code, err);
	}
	free(a.text);
	free(body);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return rc;
}
