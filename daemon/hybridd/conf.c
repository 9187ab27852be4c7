/* SPDX-License-Identifier: GPL-2.0-only */
/* conf.c - reads hybridd's configuration. */
#include "hybridd/conf.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUESTS_S 100

/* Texts live as long as this document, which is the file's with the defaults put in. */
struct reading {
	const char *file;
	struct err *err;
	json_t *doc;
};

enum what { TEXT, NUMBER, LIST, TEXT_OR_FALSE, LISTENERS };

static const struct member {
	const char *name;
	enum what what;
	uint64_t least, most;
} members[] = {
	{"state", TEXT, 0, 0},       {"socket", TEXT, 0, 0},      {"socket_mode", TEXT, 0, 0},
	{"listen", LISTENERS, 0, 0}, {"pools", TEXT, 0, 0},       {"tgt", TEXT_OR_FALSE, 0, 0},
	{"prefix", TEXT, 0, 0},      {"portals", LIST, 0, 0},     {"zone", TEXT, 0, 0},
	{"pool", TEXT, 0, 0},        {"workers", NUMBER, 1, 256}, {"recycle_bin_days", NUMBER, 0, 36500},
	{"requests_s", NUMBER, 1, 1000000}, {"block_tokens_s", NUMBER, 1, 31536000},
};

static int wrong(const struct reading *r, const char *name, const char *expected)
{
	return err_set(r->err, -EINVAL, "%s: \"%s\": expected %s", r->file, name, expected);
}

static bool is_text(const json_t *v)
{
	return json_is_string(v) && json_string_length(v) && json_string_length(v) < 1024;
}

static int check_listener(const struct reading *r, const json_t *l)
{
	const json_t *port = json_object_get(l, "port");
	const char *key, *plain = json_string_value(json_object_get(l, "plain"));
	json_t *v;

	if (!json_is_object(l))
		return wrong(r, "listen", "objects");
	json_object_foreach((json_t *)(uintptr_t)l, key, v)
	{
		bool known = !strcmp(key, "port") || !strcmp(key, "address") || !strcmp(key, "key") ||
			     !strcmp(key, "certificate") || !strcmp(key, "plain");

		if (!known)
			return wrong(r, "listen", "\"address\", \"port\", \"key\", \"certificate\", \"plain\" only");
		if (strcmp(key, "port") && !is_text(v))
			return wrong(r, key, "a string");
	}
	if (!json_is_integer(port) || json_integer_value(port) < 0 || json_integer_value(port) > 65535)
		return wrong(r, "port", "0 to 65535");
	if (!json_object_get(l, "address"))
		return wrong(r, "listen", "an \"address\"");
	if (!json_object_get(l, "key") != !json_object_get(l, "certificate"))
		return wrong(r, "listen", "both of \"key\" and \"certificate\", or neither");
	if (!plain)
		return 0;
	if (json_object_get(l, "key"))
		return wrong(r, "listen", "either \"plain\" or a \"key\"");
	return strcmp(plain, "loopback") && strcmp(plain, "anywhere")
		       ? wrong(r, "plain", "\"loopback\" or \"anywhere\"")
		       : 0;
}

static int check_list(const struct reading *r, const struct member *m, const json_t *v)
{
	if (!json_is_array(v) || json_array_size(v) >= LISTEN_MAX)
		return wrong(r, m->name, "an array of at most 8");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *one = json_array_get(v, i);
		int rc = m->what == LISTENERS ? check_listener(r, one)
			 : is_text(one)       ? 0
					      : wrong(r, m->name, "strings");

		if (rc)
			return rc;
	}
	return 0;
}

static int check(const struct reading *r, const struct member *m, const json_t *v)
{
	switch (m->what) {
	case TEXT:
		return is_text(v) ? 0 : wrong(r, m->name, "a string");
	case TEXT_OR_FALSE:
		return is_text(v) || json_is_false(v) ? 0 : wrong(r, m->name, "a string or false");
	case NUMBER:
		if (json_is_integer(v) && (uint64_t)json_integer_value(v) >= m->least &&
		    (uint64_t)json_integer_value(v) <= m->most)
			return 0;
		return err_set(r->err, -EINVAL, "%s: \"%s\": expected %llu to %llu", r->file, m->name,
			       (unsigned long long)m->least, (unsigned long long)m->most);
	case LIST:
	case LISTENERS:
		return check_list(r, m, v);
	}
	return -EINVAL;
}

static const struct member *find(const char *name)
{
	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++)
		if (!strcmp(members[i].name, name))
			return &members[i];
	return NULL;
}

static int read_file(struct reading *r, bool must)
{
	json_error_t why;
	const char *key;
	json_t *v;
	int rc = 0;

	if (!must && access(r->file, F_OK)) {
		r->doc = json_object();
		return 0;
	}
	r->doc = json_load_file(r->file, JSON_REJECT_DUPLICATES, &why);
	if (!r->doc)
		return why.line > 0 ? err_set(r->err, -EINVAL, "%s:%d: %s", r->file, why.line, why.text)
				    : err_set(r->err, -ENOENT, "%s", why.text);
	if (!json_is_object(r->doc))
		return err_set(r->err, -EINVAL, "%s: expected an object", r->file);
	json_object_foreach(r->doc, key, v)
	{
		const struct member *m = find(key);

		if (!m)
			return err_set(r->err, -EINVAL, "%s: unknown key \"%.60s\"", r->file, key);
		rc = rc ? rc : check(r, m, v);
	}
	return rc;
}

/* ---------------------------------------------------------------- what is not said */

static void otherwise(const struct reading *r, const char *name, const char *text)
{
	if (!json_object_get(r->doc, name))
		json_object_set_new(r->doc, name, json_string(text));
}

static void put_defaults(const struct reading *r)
{
	char host[65] = "box", prefix[128];

	if (gethostname(host, sizeof(host) - 1) || !*host)
		snprintf(host, sizeof(host), "box");
	for (char *c = host; *c; c++) /* a name of iSCSI's has small letters */
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	snprintf(prefix, sizeof(prefix), "iqn.2026-01.hybrid.%s", host);
	otherwise(r, "state", "/var/lib/hybrid");
	otherwise(r, "socket", HYBRIDD_SOCKET);
	otherwise(r, "socket_mode", "0600");
	otherwise(r, "pools", "/run/hybrid/control.sock");
	otherwise(r, "tgt", "/var/run/tgtd/socket.0");
	otherwise(r, "prefix", prefix);
	otherwise(r, "zone", host);
	if (!json_object_get(r->doc, "portals"))
		json_object_set_new(r->doc, "portals", json_pack("[s]", "127.0.0.1:3260"));
}

/* A text made of two, that lives with the document. */
static const char *in_state(const struct reading *r, const char *member, const char *file)
{
	json_object_set_new(r->doc, member,
			    json_sprintf("%s/%s", json_string_value(json_object_get(r->doc, "state")), file));
	return json_string_value(json_object_get(r->doc, member));
}

static const char *text(const struct reading *r, const char *name)
{
	return json_string_value(json_object_get(r->doc, name));
}

/* Without a key of its own TLS has ours, whose pin is known to who asked for it. */
static struct http_listen listener(const struct hybridd_conf *c, const json_t *l)
{
	const char *key = json_string_value(json_object_get(l, "key"));
	const char *cert = json_string_value(json_object_get(l, "certificate"));
	const char *plain = json_string_value(json_object_get(l, "plain"));

	return (struct http_listen){
		.address = json_string_value(json_object_get(l, "address")),
		.port = (uint16_t)json_integer_value(json_object_get(l, "port")),
		.key_path = plain ? NULL
			    : key ? key
				  : c->ebs.tls_key,
		.cert_path = plain  ? NULL
			     : cert ? cert
				    : c->ebs.tls_cert,
		.plain_anywhere = plain && !strcmp(plain, "anywhere"),
	};
}

static int fill(struct reading *r, struct hybridd_conf *c)
{
	const json_t *portals = json_object_get(r->doc, "portals"), *listen = json_object_get(r->doc, "listen");
	const char **list = calloc(json_array_size(portals) + 1, sizeof(*list)), *mode = text(r, "socket_mode");
	uint32_t each = REQUESTS_S;
	char *end;

	if (!list)
		return err_set(r->err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < json_array_size(portals); i++)
		list[i] = json_string_value(json_array_get(portals, i));
	c->ebs = (struct ebs_conf){
		.catalogue = in_state(r, " catalogue", "catalogue.db"),
		.seal_key = in_state(r, " seal", "seal.key"),
		.tls_key = in_state(r, " key", "hybridd.key"),
		.tls_cert = in_state(r, " certificate", "hybridd.crt"),
		.pool_socket = text(r, "pools"),
		.tgt_socket = text(r, "tgt"),
		.prefix = text(r, "prefix"),
		.zone = text(r, "zone"),
		.pool = text(r, "pool"),
		.portals = list,
		.nportals = (unsigned)json_array_size(portals),
		.workers = (unsigned)json_integer_value(json_object_get(r->doc, "workers")),
		.block_tokens_s = (uint32_t)json_integer_value(json_object_get(r->doc, "block_tokens_s")),
		.bin_days = (uint32_t)json_integer_value(json_object_get(r->doc, "recycle_bin_days")),
	};
	c->state = strdup(text(r, "state"));
	c->listen[0] = (struct http_listen){.unix_path = text(r, "socket"),
					    .unix_mode = (mode_t)strtoul(mode, &end, 8)};
	if (*end || c->listen[0].unix_mode > 0777)
		return wrong(r, "socket_mode", "octal digits");
	c->nlisten = 1;
	for (size_t i = 0; i < json_array_size(listen); i++)
		c->listen[c->nlisten++] = listener(c, json_array_get(listen, i));
	if (json_object_get(r->doc, "requests_s"))
		each = (uint32_t)json_integer_value(json_object_get(r->doc, "requests_s"));
	c->limits = (struct http_limits){.requests_s = each, .key_requests_s = each};
	return c->state ? 0 : err_set(r->err, -ENOMEM, "out of memory");
}

int hybridd_conf_load(const char *file, struct hybridd_conf *ret, struct err *err)
{
	struct reading r = {file ? file : HYBRIDD_CONF, err, NULL};
	int rc;

	memset(ret, 0, sizeof(*ret));
	rc = read_file(&r, file != NULL);
	if (!rc) {
		put_defaults(&r);
		rc = fill(&r, ret);
	}
	ret->memory = r.doc;
	if (rc)
		hybridd_conf_free(ret);
	return rc;
}

void hybridd_conf_free(struct hybridd_conf *c)
{
	free((void *)(uintptr_t)c->ebs.portals);
	free(c->state);
	json_decref(c->memory);
	memset(c, 0, sizeof(*c));
}
