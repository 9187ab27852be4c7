/* SPDX-License-Identifier: GPL-2.0-only */
/* tier.c - one tier of a pool: RAM, or a device that is a path, a remote LUN or a mirror, perhaps slowed by a model. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "conf/read.h"
#include "dev/iscsi.h"

#define LUN_MAX 16383			/* by the addressing methods of SAM-5, 4.7 that initiators use */
#define PORT_DEFAULT "3260"		/* iSCSI's own (RFC 7143, 14) */
#define RPM_MIN 100
#define RPM_MAX 100000

/* What the members of a tier are read into. */
struct reading {
	struct conf_tier *tier;
	struct conf_tier *mirror;	/* of the write tier; filled in by "paths" */
};

static int no_memory(struct reader *r)
{
	return err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
}

/* ------------------------------------------------------------------ a remote LUN */

/* "host", "host:port", "[ipv6]", "[ipv6]:port": always with a port, so that one portal has one spelling. */
static int iscsi_portal(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_iscsi *iscsi = out;
	char *text = NULL, *with_port;
	const char *colon, *end;
	size_t size;
	int e = read_text(r, key, v, at, &text);

	if (e < 0)
		return e;
	colon = strrchr(text, ':');
	end = strrchr(text, ']');
	if (*text == ':' || strpbrk(text, " \t,/") || (colon && !colon[1])) {
		e = bad(r, at, "\"%s\" is \"%s\", expected \"host:port\"", key, shown(text));
		mem_free(text);
		return e;
	}
	if (colon && (end ? colon > end : colon == strchr(text, ':'))) {
		iscsi->portal = text;
		return 0;
	}
	size = strlen(text) + sizeof("[]:" PORT_DEFAULT);
	with_port = mem_alloc(size);
	if (with_port)
		snprintf(with_port, size, colon && !end ? "[%s]:%s" : "%s:%s", text, PORT_DEFAULT);
	mem_free(text);
	iscsi->portal = with_port;
	return with_port ? 0 : no_memory(r);
}

static int read_iqn(struct reader *r, const char *key, json_t *v, const struct at *at, char **ret)
{
	int e = read_text(r, key, v, at, ret);

	if (e == 0 && ((strncmp(*ret, "iqn.", 4) && strncmp(*ret, "eui.", 4) && strncmp(*ret, "naa.", 4)) ||
		       strpbrk(*ret, " \t\n/")))
		e = bad(r, at, "\"%s\" is \"%s\", expected an iSCSI name like \"iqn.2024-01.example:disk1\"", key,
			shown(*ret));
	return e;
}

static int iscsi_target(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_iqn(r, key, v, at, &((struct conf_iscsi *)out)->target);
}

static int iscsi_initiator(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_iqn(r, key, v, at, &((struct conf_iscsi *)out)->initiator);
}

static int iscsi_lun(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_count(r, key, v, at, 0, LUN_MAX, &((struct conf_iscsi *)out)->lun);
}

static int iscsi_connections(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_count(r, key, v, at, 1, DEV_ISCSI_CONNECTIONS_MAX, &((struct conf_iscsi *)out)->connections);
}

static int iscsi_user(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_text(r, key, v, at, &((struct conf_iscsi *)out)->user);
}

static int iscsi_secret(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_path(r, key, v, at, &((struct conf_iscsi *)out)->secret_file);
}

static int iscsi_mutual_user(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_text(r, key, v, at, &((struct conf_iscsi *)out)->mutual_user);
}

static int iscsi_mutual_secret(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_path(r, key, v, at, &((struct conf_iscsi *)out)->mutual_secret_file);
}

static int iscsi_patience(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_duration(r, key, v, at, &((struct conf_iscsi *)out)->patience_ns);
}

static const struct field iscsi_fields[] = {
	{ "portal", true, iscsi_portal }, { "target", true, iscsi_target }, { "lun", true, iscsi_lun },
	{ "initiator", true, iscsi_initiator }, { "connections", false, iscsi_connections },
	{ "user", false, iscsi_user }, { "secret_file", false, iscsi_secret },
	{ "mutual_user", false, iscsi_mutual_user }, { "mutual_secret_file", false, iscsi_mutual_secret },
	{ "patience", false, iscsi_patience }, { NULL, false, NULL },
};

static int check_chap(struct reader *r, const struct at *at, const struct conf_iscsi *i)
{
	if (!i->user != !i->secret_file)
		return bad(r, at, "\"%s\" is given alone, expected \"user\" and \"secret_file\" together",
			   i->user ? "user" : "secret_file");
	if (!i->mutual_user != !i->mutual_secret_file)
		return bad(r, at, "\"%s\" is given alone, expected \"mutual_user\" and \"mutual_secret_file\" together",
			   i->mutual_user ? "mutual_user" : "mutual_secret_file");
	if (i->mutual_user && !i->user)
		return bad(r, at, "\"mutual_user\" is given without \"user\", expected both");
	return 0;
}

static int tier_iscsi(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_tier *tier = ((struct reading *)out)->tier;
	int e;

	(void)key;
	tier->iscsi = mem_zalloc(sizeof(*tier->iscsi));
	if (!tier->iscsi)
		return no_memory(r);
	e = read_object(r, v, at, "\"iscsi\"", iscsi_fields, tier->iscsi);
	return e < 0 ? e : check_chap(r, at, tier->iscsi);
}

static char *iscsi_name(const struct conf_iscsi *i)
{
	size_t size = strlen(i->portal) + strlen(i->target) + 24;
	char *name = mem_alloc(size);

	if (name)
		snprintf(name, size, "iscsi://%s/%s/%u", i->portal, i->target, i->lun);
	return name;
}

/* ------------------------------------------------------------------ a model */

static int model_type(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	const char *s = NULL;
	int e = read_string(r, key, v, at, &s);

	(void)out;
	if (e == 0 && strcmp(s, "hdd") != 0)
		e = bad(r, at, "unknown model \"%s\", expected \"hdd\"", shown(s));
	return e;
}

static int model_rpm(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_count(r, key, v, at, RPM_MIN, RPM_MAX, &((struct hdd_model *)out)->rpm);
}

static int model_depth(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_count(r, key, v, at, 1, HDD_DEPTH_MAX, &((struct hdd_model *)out)->depth);
}

static int model_age(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_duration(r, key, v, at, &((struct hdd_model *)out)->age_ns);
}

/* A size, or "0": none. */
static int size_or_none(struct reader *r, const char *key, json_t *v, const struct at *at, uint64_t *ret)
{
	if (!json_is_string(v) || strcmp(json_string_value(v), "0") != 0)
		return read_size(r, key, v, at, ret);
	*ret = 0;
	return 0;
}

static int model_ahead(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return size_or_none(r, key, v, at, &((struct hdd_model *)out)->ahead_bytes);
}

static int model_cache(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return size_or_none(r, key, v, at, &((struct hdd_model *)out)->write_cache_bytes);
}

static int model_rate(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct hdd_model *m = out;
	int e = read_size(r, key, v, at, &m->outer_bytes_s);

	m->inner_bytes_s = m->outer_bytes_s / 2;
	return e;
}

static int model_scale(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	if (!json_is_number(v) || !(json_number_value(v) >= 0.0001 && json_number_value(v) <= 100))
		return bad(r, at, "\"%s\" is no scale, expected a number from 0.0001 to 100", key);
	((struct hdd_model *)out)->scale = json_number_value(v);
	return 0;
}

static const struct field model_fields[] = {
	{ "type", true, model_type }, { "rpm", false, model_rpm }, { "rate", false, model_rate },
	{ "ahead", false, model_ahead }, { "write_cache", false, model_cache }, { "depth", false, model_depth },
	{ "age", false, model_age }, { "scale", false, model_scale }, { NULL, false, NULL },
};

static int tier_model(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_hdd *hdd = &((struct reading *)out)->tier->hdd;
	struct err err = ERR_INIT;
	int e;

	hdd->on = true;
	hdd->model = hdd_model_default;
	if (json_is_string(v))
		return model_type(r, key, v, at, NULL);
	e = read_object(r, v, at, "\"model\"", model_fields, &hdd->model);
	if (e == 0 && hdd_model_check(&hdd->model, &err) < 0)
		e = bad(r, at, "%s", err.text);
	return e;
}

/* ------------------------------------------------------------------ a tier */

static int tier_type(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	(void)r, (void)key, (void)v, (void)at, (void)out;	/* read before the others */
	return 0;
}

/* "path" and "paths" may both be there, which is refused later. */
static int new_path(struct reader *r, const char *key, json_t *v, const struct at *at, char **path)
{
	mem_free(*path);
	*path = NULL;
	return read_path(r, key, v, at, path);
}

static int tier_path(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return new_path(r, key, v, at, &((struct reading *)out)->tier->path);
}

static int tier_paths(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct reading *in = out;
	struct at first = { at, 0 }, second = { at, 1 };
	int e;

	if (!json_is_array(v) || json_array_size(v) != 2)
		return bad(r, at, "\"%s\" is no pair, expected an array of the two paths of a mirror", key);
	in->mirror->line = in->tier->line;
	e = new_path(r, key, json_array_get(v, 0), &first, &in->tier->path);
	return e < 0 ? e : read_path(r, key, json_array_get(v, 1), &second, &in->mirror->path);
}

static int tier_size(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_size(r, key, v, at, &((struct reading *)out)->tier->size_bytes);
}

static int ram_size(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_tier *tier = ((struct reading *)out)->tier;
	int e = read_size(r, key, v, at, &tier->size_bytes);

	if (e == 0 && tier->size_bytes < CONF_RAM_BYTES_MIN)
		e = bad(r, at, "\"%s\" is \"%s\", expected at least \"4MiB\" of RAM", key, shown(json_string_value(v)));
	return e;
}

static const struct field ram_fields[] = {
	{ "type", true, tier_type }, { "size", true, ram_size }, { NULL, false, NULL },
};

static const struct field write_fields[] = {
	{ "type", true, tier_type }, { "path", false, tier_path }, { "paths", false, tier_paths },
	{ "size", false, tier_size }, { "model", false, tier_model }, { NULL, false, NULL },
};

static const struct field device_fields[] = {
	{ "type", true, tier_type }, { "path", false, tier_path }, { "iscsi", false, tier_iscsi },
	{ "size", false, tier_size }, { "model", false, tier_model }, { NULL, false, NULL },
};

/* One device, said in one way. */
static int check_device(struct reader *r, json_t *v, const struct at *at, enum conf_tier_type type,
			const struct conf_tier *tier)
{
	const char *other = type == CONF_SSD ? "paths" : "iscsi";
	bool path = json_object_get(v, "path"), has_other = json_object_get(v, other);

	if (!path && !has_other)
		return bad(r, at, "%s lacks \"path\" or \"%s\"", tier_words(type), other);
	if (path && has_other)
		return bad(r, at, "%s has \"path\" and \"%s\", expected one of them", tier_words(type), other);
	if (tier->iscsi && tier->size_bytes)
		return bad(r, at, "%s has \"size\", expected none: a remote LUN is as large as it is",
			   tier_words(type));
	return 0;
}

static int name_tier(struct reader *r, struct conf_tier *tier)
{
	tier->name = tier->iscsi ? iscsi_name(tier->iscsi) : mem_strdup(tier->path);
	return tier->name ? 0 : no_memory(r);
}

int read_tier(struct reader *r, json_t *v, const struct at *at, enum conf_tier_type type, struct conf_tier *tier,
	      struct conf_tier *mirror)
{
	const struct field *fields = type == CONF_RAM ? ram_fields : type == CONF_SSD ? write_fields : device_fields;
	struct reading in = { tier, mirror };
	int e;

	tier->line = conf_line(r->text, r->len, at, false);
	e = read_object(r, v, at, tier_words(type), fields, &in);
	if (e < 0 || type == CONF_RAM)
		return e;
	e = check_device(r, v, at, type, tier);
	if (e == 0)
		e = name_tier(r, tier);
	if (e < 0 || type != CONF_SSD || !mirror->line)
		return e;
	mirror->size_bytes = tier->size_bytes;
	mirror->hdd = tier->hdd;
	return name_tier(r, mirror);
}

void free_tier(struct conf_tier *tier)
{
	struct conf_iscsi *i = tier->iscsi;

	if (i) {
		mem_free(i->portal);
		mem_free(i->target);
		mem_free(i->initiator);
		mem_free(i->user);
		mem_free(i->mutual_user);
		mem_free(i->secret_file);
		mem_free(i->mutual_secret_file);
		mem_free(i);
	}
	mem_free(tier->path);
	mem_free(tier->name);
}
