/* SPDX-License-Identifier: GPL-2.0-only */
/* agent.c - calls to agents over libcurl.
 *
 * Who the agent is, its key alone says: no authority vouches for it, names and dates of its certificate mean nothing.
 * libcurl compares the key after the handshake and before it sends the request, so no secret goes to another key.
 *
 * A connection that was checked against one pin must never be used for another: each idle handle belongs to exactly one
 * pair of address and pin, and holds one connection. An idle connection that died is replaced by libcurl, which repeats
 * a request only if nothing of its answer had come; the verbs are idempotent.
 */
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "box/agent.h"

#define IDLE_MAX 64 /* handles that wait for their next call */
#define IDLE_S 20L /* an agent closes after 30 */
#define HEADERS_MAX 65536
#define CONNECT_MS 5000U
#define TEXT_MAX 300 /* bytes of an agent's sentence */
#define PIN_CHARS 44
#define PIN_PREFIX "sha256//"

struct idle {
	CURL *curl;
	char *whom; /* address, newline, pin */
};

struct agents {
	char *key_path, *cert_path;
	pthread_mutex_t lock;
	struct idle idle[IDLE_MAX]; /* the one used last is the last */
	unsigned nidle;
};

struct answer {
	char *data;
	size_t len, headers;
	bool too_large, no_memory;
};

int agents_new(const char *key_path, const char *cert_path, struct agents **ret, struct err *err)
{
	const char *paths[] = {key_path, cert_path};
	struct agents *as;

	*ret = NULL;
	for (unsigned i = 0; i < ARRAY_LEN(paths); i++)
		if (access(paths[i], R_OK) < 0)
			return err_set(err, -errno, "%s: %s", paths[i], strerror(errno));
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, -ENOMEM, "libcurl cannot be set up");
	as = calloc(1, sizeof(*as));
	if (as) {
		as->key_path = strdup(key_path);
		as->cert_path = strdup(cert_path);
		pthread_mutex_init(&as->lock, NULL);
	}
	if (!as || !as->key_path || !as->cert_path) {
		agents_free(as);
		return err_set(err, -ENOMEM, "agents: out of memory");
	}
	*ret = as;
	return 0;
}

void agents_free(struct agents *as)
{
	if (!as)
		return;
	for (unsigned i = 0; i < as->nidle; i++) {
		curl_easy_cleanup(as->idle[i].curl);
		free(as->idle[i].whom);
	}
	pthread_mutex_destroy(&as->lock);
	free(as->key_path);
	free(as->cert_path);
	free(as);
	curl_global_cleanup();
}

/* ---------------------------------------------------------------- handles */

/* A handle of ours alone, and its connection if there is one, for exactly this. */
static CURL *handle_get(struct agents *as, const char *whom)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&as->lock);
	for (unsigned i = as->nidle; i-- > 0 && !curl;)
		if (!strcmp(as->idle[i].whom, whom)) {
			curl = as->idle[i].curl;
			free(as->idle[i].whom);
			as->nidle--;
			memmove(&as->idle[i], &as->idle[i + 1], (as->nidle - i) * sizeof(as->idle[0]));
		}
	pthread_mutex_unlock(&as->lock);
	return curl ? curl : curl_easy_init();
}

/* Takes curl and whom. */
static void handle_put(struct agents *as, CURL *curl, char *whom)
{
	struct idle old = {curl, whom};

	curl_easy_reset(curl); /* forgets what was asked; the connection stays */
	pthread_mutex_lock(&as->lock);
	if (as->nidle < IDLE_MAX) {
		as->idle[as->nidle++] = old;
		old = (struct idle){NULL, NULL};
	} else {
		old = as->idle[0];
		memmove(&as->idle[0], &as->idle[1], (IDLE_MAX - 1) * sizeof(as->idle[0]));
		as->idle[IDLE_MAX - 1] = (struct idle){curl, whom};
	}
	pthread_mutex_unlock(&as->lock);
	curl_easy_cleanup(old.curl);
	free(old.whom);
}

/* ---------------------------------------------------------------- what is asked */

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	struct answer *a = arg;
	char *more;

	n *= one;
	if (a->len + n > AGENT_ANSWER_MAX) {
		a->too_large = true;
		return 0;
	}
	more = realloc(a->data, a->len + n + 1);
	if (!more) {
		a->no_memory = true;
		return 0;
	}
	a->data = more;
	memcpy(a->data + a->len, data, n);
	a->len += n;
	return n;
}

static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
	struct answer *a = arg;

	(void)data;
	a->headers += n * one;
	a->too_large = a->too_large || a->headers > HEADERS_MAX;
	return a->too_large ? 0 : n * one;
}

static bool is_pin(const char *pin)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t prefix = sizeof(PIN_PREFIX) - 1;

	/* libcurl takes anything else for the name of a file, or for several pins. */
	return !strncmp(pin, PIN_PREFIX, prefix) && strlen(pin) == prefix + PIN_CHARS &&
	       strspn(pin + prefix, chars) == PIN_CHARS - 1 && pin[prefix + PIN_CHARS - 1] == '=';
}

static bool has_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool yes = curl_url_get(u, part, &text, 0) == CURLUE_OK && text && *text;

	curl_free(text);
	return yes;
}

/* "https://HOST:PORT", and nothing else in it. The whole URL of the verb, to be given to curl_free(), or NULL. */
static char *full_url(const char *url, const char *verb)
{
	static const CURLUPart not_here[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_QUERY,
					     CURLUPART_FRAGMENT};
	CURLU *u = curl_url();
	char *path = NULL, *ret = NULL, target[64];
	bool ok = u && !strncmp(url, "https://", 8) && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK;

	for (unsigned i = 0; ok && i < ARRAY_LEN(not_here); i++)
		ok = !has_part(u, not_here[i]);
	ok = ok && has_part(u, CURLUPART_HOST) && curl_url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
	     !strcmp(path, "/");
	curl_free(path);
	snprintf(target, sizeof(target), "/v1/%s", verb);
	if (ok && (curl_url_set(u, CURLUPART_PATH, target, 0) != CURLUE_OK ||
		   curl_url_get(u, CURLUPART_URL, &ret, 0) != CURLUE_OK))
		ret = NULL;
	curl_url_cleanup(u);
	return ret;
}

static bool is_verb(const char *verb)
{
	size_t len = strlen(verb);

	return len > 0 && len < 32 && strspn(verb, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static bool set_up(struct agents *as, CURL *curl, const char *url, const char *pin, uint32_t timeout_ms,
		   struct answer *a)
{
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
		{CURLOPT_SSL_VERIFYPEER, 0}, /* the pin is what is verified */
		{CURLOPT_SSL_VERIFYHOST, 0},
		{CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_SSL_SESSIONID_CACHE, 0}, /* each connection shows its key */
		{CURLOPT_TIMEOUT_MS, (long)timeout_ms},
		{CURLOPT_CONNECTTIMEOUT_MS, (long)MIN(timeout_ms, CONNECT_MS)},
		{CURLOPT_MAXCONNECTS, 1},
		{CURLOPT_MAXAGE_CONN, IDLE_S},
		{CURLOPT_POST, 1},
	};
	const struct {
		CURLoption option;
		const char *value;
	} texts[] = {
		{CURLOPT_URL, url},
		{CURLOPT_PINNEDPUBLICKEY, pin},
		{CURLOPT_SSLCERT, as->cert_path},
		{CURLOPT_SSLKEY, as->key_path},
		{CURLOPT_CAINFO, NULL}, /* else all authorities of the system are read for each connection */
		{CURLOPT_CAPATH, NULL},
		{CURLOPT_PROTOCOLS_STR, "https"},
		{CURLOPT_PROXY, ""}, /* none, and that the environment is not asked */
	};
	CURLcode ret = CURLE_OK;

	for (unsigned i = 0; i < ARRAY_LEN(numbers) && ret == CURLE_OK; i++)
		ret = curl_easy_setopt(curl, numbers[i].option, numbers[i].value);
	for (unsigned i = 0; i < ARRAY_LEN(texts) && ret == CURLE_OK; i++)
		ret = curl_easy_setopt(curl, texts[i].option, texts[i].value);
	return ret == CURLE_OK && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_WRITEDATA, a) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
	       curl_easy_setopt(curl, CURLOPT_HEADERDATA, a) == CURLE_OK;
}

/* ---------------------------------------------------------------- what is answered */

/* -EBUSY for "EBUSY"; -EIO for what is no name of an error. */
static int code_of(const char *name)
{
	for (int e = 1; e < 200; e++) {
		const char *known = strerrorname_np(e);

		if (known && !strcmp(known, name))
			return -e;
	}
	return -EIO;
}

/* A sentence of somebody else's into our own texts: no control characters, cut between characters of UTF-8. */
static void tame(const char *text, char to[TEXT_MAX + 1])
{
	size_t n = strnlen(text, TEXT_MAX);

	while (n > 0 && n == TEXT_MAX && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	for (size_t i = 0; i < n; i++)
		to[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
	to[n] = '\0';
}

static json_t *understand(const struct answer *a, long status, struct err *err)
{
	json_t *root = a->len ? json_loadb(a->data, a->len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_t *ok = json_object_get(root, "ok"), *result = json_object_get(root, "result"), *error;
	const char *code, *text;
	char sentence[TEXT_MAX + 1];

	if (json_is_true(ok) && json_is_object(result)) {
		json_incref(result);
		json_decref(root);
		return result;
	}
	error = json_object_get(root, "error");
	code = json_string_value(json_object_get(error, "code"));
	text = json_string_value(json_object_get(error, "text"));
	if (json_is_false(ok) && code && text) {
		tame(text, sentence);
		err_set(err, code_of(code), "%s", sentence);
	} else if (status == 429 || status == 503) {
		err_set(err, -EAGAIN, "it has too much to do at the moment (HTTP status %ld)", status);
	} else if (status == 401 || status == 403) {
		err_set(err, -EKEYREJECTED, "it does not know our key (HTTP status %ld)", status);
	} else {
		err_set(err, -EPROTO, "what answers there is no agent (HTTP status %ld)", status);
	}
	json_decref(root);
	return NULL;
}

static int failure(CURLcode code, const struct answer *a, uint32_t timeout_ms, struct err *err)
{
	if (a->no_memory || code == CURLE_OUT_OF_MEMORY)
		return err_set(err, -ENOMEM, "out of memory");
	if (a->too_large)
		return err_set(err, -EPROTO, "the answer is larger than an agent's may be");
	switch (code) {
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return err_set(err, -EKEYREJECTED, "the host has another key than the one that is known of it");
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(err, -ETIMEDOUT, "no connection within %u ms, or no answer within %u ms",
			       MIN(timeout_ms, CONNECT_MS), timeout_ms);
	case CURLE_SSL_CERTPROBLEM:
		return err_set(err, -EINVAL, "our own key or certificate cannot be used: %s", curl_easy_strerror(code));
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_HTTP2:
	case CURLE_BAD_CONTENT_ENCODING:
		return err_set(err, -EPROTO, "what answers there is no agent: %s", curl_easy_strerror(code));
	default:
		return err_set(err, -EHOSTDOWN, "cannot be reached, or broke off: %s", curl_easy_strerror(code));
	}
}

static json_t *perform(struct agents *as, CURL *curl, const char *url, const char *pin, const json_t *args,
		       uint32_t timeout_ms, struct err *err)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct curl_slist *more = headers ? curl_slist_append(headers, "Expect:") : NULL;
	char *body = args ? json_dumps(args, JSON_COMPACT) : strdup("{}");
	struct answer a = {0};
	json_t *ret = NULL;
	long status = 0;
	CURLcode code;

	if (!more || !body || !set_up(as, curl, url, pin, timeout_ms, &a) ||
	    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body)) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) != CURLE_OK) {
		err_set(err, -ENOMEM, "out of memory, or a libcurl that lacks what is needed");
	} else {
		code = curl_easy_perform(curl);
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		if (code == CURLE_OK)
			ret = understand(&a, status, err);
		else
			failure(code, &a, timeout_ms, err);
	}
	if (body)
		explicit_bzero(body, strlen(body)); /* secrets of CHAP are in it */
	free(body);
	free(a.data);
	/* The handle must not look at what is freed here: handle_put() resets it. */
	curl_slist_free_all(headers);
	return ret;
}

json_t *agent_call(struct agents *as, const char *url, const char *pin, const char *verb, const json_t *args,
		   uint32_t timeout_ms, struct err *err)
{
	char *whom = NULL, *full = NULL;
	CURL *curl = NULL;
	json_t *ret = NULL;

	timeout_ms = timeout_ms ? timeout_ms : 30000;
	if (!is_verb(verb))
		err_set(err, -EINVAL, "agent: \"%.40s\" is no verb", verb);
	else if (!is_pin(pin))
		err_set(err, -EINVAL, "agent %.100s: expected the key as sha256// and 44 characters of base64", url);
	else if (!(full = full_url(url, verb)))
		err_set(err, -EINVAL, "agent %.100s: expected https://HOST:PORT", url);
	else if (asprintf(&whom, "%s\n%s", url, pin) < 0 || !(curl = handle_get(as, whom)))
		err_set(err, -ENOMEM, "agent %.100s: out of memory", url);
	else
		ret = perform(as, curl, full, pin, args, timeout_ms, err);
	curl_free(full);
	if (!curl) {
		free(whom);
		return NULL;
	}
	if (!ret)
		err_wrap(err, "agent %.100s", url);
	handle_put(as, curl, whom);
	return ret;
}
