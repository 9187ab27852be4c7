/* SPDX-License-Identifier: GPL-2.0-only */
/* conf.c - the agent's configuration, strictly read; see conf.h. */
#include "agent/conf.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "agent/delegate.h"
#include "agent/file.h"
#include "agent/need.h"
#include "agent/values.h"
#include "base/mem.h"
#include "base/units.h"

#define PIN_LEN 52 /* "sha256//" and 44 characters of base64 */
#define WAIT_MS 30000

static void set(char **to, const char *s)
{
	free(*to);
	*to = need_str(s);
}

/* "ADDRESS:PORT", "[IPV6]:PORT" or "ADDRESS"; numbers only, so that nobody's answer about a name decides. */
static int conf_listen(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct agent_conf *c = out;
	struct values portal = { { NULL } };
	char whole[VALUE_MAX + 1];
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e < 0)
		return e;
	snprintf(whole, sizeof(whole), "%s", s);
	if (values_set(&portal, V_PORTAL, s, NULL) < 0) {
		snprintf(whole, sizeof(whole), "%.200s:%d", s, AGENT_PORT);
		e = values_set(&portal, V_PORTAL, whole, NULL);
	}
	if (e < 0) {
		e = bad(r, at, "\"%s\" is \"%s\", expected an address and a port like \"192.0.2.7:%d\" or \"[::]:%d\"",
			key, shown(s), AGENT_PORT, AGENT_PORT);
	} else {
		set(&c->listen, whole);
		set(&c->address, portal.v[V_ADDRESS]);
		c->port = (uint16_t)strtoul(portal.v[V_PORT], NULL, 10);
	}
	values_free(&portal);
	return e;
}

static int conf_pin(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e == 0 && (strlen(s) != PIN_LEN || strncmp(s, "sha256//", 8) != 0 || strspn(s + 8, base64) != 43 ||
		       s[PIN_LEN - 1] != '='))
		e = bad(r, at, "\"%s\" is \"%s\", expected \"sha256//\" and 44 characters, as hybridd prints it", key,
			shown(s));
	if (e == 0)
		set(&((struct agent_conf *)out)->manager_pin, s);
	return e;
}

static const struct path_key {
	const char *key;
	size_t at;
} path_keys[] = {
	{ "key", offsetof(struct agent_conf, key) },
	{ "certificate", offsetof(struct agent_conf, certificate) },
	{ "state", offsetof(struct agent_conf, state) },
	{ "program", offsetof(struct agent_conf, iscsiadm) },
	{ "nodes", offsetof(struct agent_conf, nodes) },
	{ "by_path", offsetof(struct agent_conf, by_path) },
};

static int conf_path(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	char *path = NULL;
	int e = read_path(r, key, v, at, &path);

	for (size_t i = 0; e == 0 && i < ARRAY_LEN(path_keys); i++)
		if (!strcmp(path_keys[i].key, key))
			set((char **)((char *)out + path_keys[i].at), path);
	mem_free(path);
	return e;
}

/* A name of one that is shipped, or a path. */
static int conf_delegate(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct agent_conf *c = out;
	char name[HB_NAME_MAX + 1], whole[sizeof(DELEGATE_DIR) + HB_NAME_MAX + 8], *path = NULL;
	int e;

	if (json_is_string(v) && strchr(json_string_value(v), '/')) {
		e = read_path(r, key, v, at, &path);
		if (e == 0)
			set(&c->delegate, path);
		mem_free(path);
		return e;
	}
	e = read_name(r, key, v, at, name);
	if (e < 0)
		return e;
	snprintf(whole, sizeof(whole), "%s/%s.json", DELEGATE_DIR, name);
	set(&c->delegate, whole);
	return 0;
}

static int conf_initiator(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e == 0 && !value_ok(V_INITIATOR, s))
		e = bad(r, at, "\"%s\" is \"%s\", expected an iSCSI name like \"iqn.2026-01.com.example:host\"", key,
			shown(s));
	if (e == 0)
		set(&((struct agent_conf *)out)->initiator, s);
	return e;
}

static int iscsi_wait(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	uint64_t ns;
	int e = read_duration(r, key, v, at, &ns);

	if (e == 0 && ns > 600 * SEC_NS)
		e = bad(r, at, "\"%s\" is more than 10 minutes", key);
	if (e == 0)
		((struct agent_conf *)out)->wait_ms = (uint32_t)(ns / MSEC_NS);
	return e;
}

static int conf_iscsi(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	static const struct field fields[] = {
		{ "program", false, conf_path }, { "nodes", false, conf_path }, { "by_path", false, conf_path },
		{ "wait", false, iscsi_wait }, { NULL, false, NULL },
	};

	(void)key;
	return read_object(r, v, at, "\"iscsi\"", fields, out);
}

static int conf_programs(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	if (e == 0 && (*s != '/' || strlen(s) > 500 || strstr(s, "::") || strstr(s, ":.")))
		e = bad(r, at, "\"%s\" is \"%s\", expected absolute folders, with \":\" between them", key, shown(s));
	if (e == 0)
		set(&((struct agent_conf *)out)->programs, s);
	return e;
}

static const struct field conf_fields[] = {
	{ "listen", true, conf_listen }, { "manager_pin", false, conf_pin }, { "key", false, conf_path },
	{ "certificate", false, conf_path }, { "state", false, conf_path }, { "delegate", true, conf_delegate },
	{ "initiator", false, conf_initiator }, { "iscsi", false, conf_iscsi }, { "programs", false, conf_programs },
	{ NULL, false, NULL },
};

void agent_conf_defaults(struct agent_conf *c)
{
	memset(c, 0, sizeof(*c));
	c->key = need_str("/etc/hybrid/agent.key");
	c->certificate = need_str("/etc/hybrid/agent.crt");
	c->state = need_str("/var/lib/hybrid/agent.json");
	c->wait_ms = WAIT_MS;
}

int agent_conf_parse(const char *text, size_t len, const char *file, struct agent_conf *ret, struct err *err)
{
	struct agent_conf c;
	int e;

	agent_conf_defaults(&c);
	e = file_object(text, len, file, "the configuration", conf_fields, &c, err);
	if (e < 0)
		agent_conf_free(&c);
	else
		*ret = c;
	return e;
}

int agent_conf_load(const char *path, struct agent_conf *ret, struct err *err)
{
	char *text;
	size_t len;
	int e = file_text(path, &text, &len, err);

	if (e < 0)
		return e;
	e = agent_conf_parse(text, len, path, ret, err);
	free(text);
	return e;
}

void agent_conf_free(struct agent_conf *c)
{
	free(c->listen);
	free(c->address);
	free(c->manager_pin);
	free(c->key);
	free(c->certificate);
	free(c->state);
	free(c->delegate);
	free(c->initiator);
	free(c->iscsiadm);
	free(c->nodes);
	free(c->by_path);
	free(c->programs);
	memset(c, 0, sizeof(*c));
}
