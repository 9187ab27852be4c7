/* SPDX-License-Identifier: GPL-2.0-only */
/* create.c - formatting a pool: its files made, nothing foreign overwritten, nothing left behind when it fails. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/priv.h"

struct creation {
	const struct conf_pool *conf;
	bool made[CONF_TIER_TYPES];	/* files of ours: removed again on failure */
	struct devices devices;
	struct host_env env_ctx;
	struct hb_env env;
};

/* ------------------------------------------------------------------ files */

static int make_missing(struct creation *c, enum conf_tier_type type, struct err *err)
{
	const struct conf_tier *tier = &c->conf->tiers[type];
	struct stat st;
	int r;

	if (stat(tier->path, &st) < 0) {
		if (errno != ENOENT)
			return err_set(err, -errno, "%s: %s", tier->path, strerror(errno));
		if (!tier->size_bytes)
			return err_set(err, -ENOENT, "%s does not exist, expected a device, or \"size\" to make a file",
				       tier->path);
		r = file_make(tier, type == CONF_SSD, err);
		c->made[type] = r == 0;
		return r;
	}
	if (tier->size_bytes && S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "%s is a block device, expected no \"size\" for it", tier->path);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < tier->size_bytes)
		return err_set(err, -ENOSPC, "%s has %llu bytes, expected \"size\" to be no more than that", tier->path,
			       (unsigned long long)st.st_size);
	return 0;
}

static void remove_made(const struct creation *c)
{
	for (int i = 0; i < CONF_TIER_TYPES; i++) {
		if (c->made[i])
			unlink(c->conf->tiers[i].path);
	}
}

/* ------------------------------------------------------------------ what is on it */

/* A device of some pool is refused; `force` only lets go of that pool's staging memory. */
static int check_label(struct creation *c, enum conf_tier_type type, bool force, struct err *err)
{
	const char *path = c->conf->tiers[type].path;
	struct hb_dev_label label;
	struct err probe = ERR_INIT;
	int r = hb_dev_probe(&c->env, c->devices.dev[type], &label, &probe);

	if (r == -ENODATA)
		return 0;
	if (r == 0 && force)
		staging_forget(c->conf->staging, label.pool_uuid);
	if (force && (r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT))
		return 0;
	if (r == 0)
		return err_set(err, -EEXIST, "%s belongs to pool \"%s\", expected an empty device", path,
			       label.pool_name);
	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		return err_set(err, -EEXIST, "%s (so it is a pool's), expected an empty device", probe.text);
	return err_set(err, r, "%s", probe.text);	/* names the path itself */
}

static int check_empty(struct creation *c, enum conf_tier_type type, bool force, struct err *err)
{
	int r = check_label(c, type, force, err);

	if (r == 0 && !force && !c->made[type])
		r = signature_find(c->conf->tiers[type].path, err);
	return r;
}

/* Both devices are looked at before the first is written to. */
static int check_all_empty(struct creation *c, bool force, struct err *err)
{
	static const enum conf_tier_type types[] = { CONF_CAPACITY, CONF_SSD };
	int r = 0;

	for (size_t i = 0; i < ARRAY_LEN(types) && r == 0; i++) {
		r = check_empty(c, types[i], force, err);
		if (r < 0)
			tier_wrap(err, c->conf, types[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(types) && r == 0 && force; i++) {
		r = signature_wipe(c->conf->tiers[types[i]].path, err);
		if (r < 0)
			tier_wrap(err, c->conf, types[i]);
	}
	return r;
}

/* ------------------------------------------------------------------ create */

static int format(struct creation *c, struct err *err)
{
	struct hb_create how = {
		.name = c->conf->name, .chunk_bytes = c->conf->chunk_bytes, .segment_bytes = c->conf->segment_bytes,
	};
	int r = hb_pool_create(&c->env, &how, c->devices.dev[CONF_CAPACITY], c->devices.dev[CONF_SSD], err);

	return r < 0 ? err_wrap(err, "%s:%u", c->conf->file, c->conf->line) : 0;
}

int host_pool_create(const struct conf_pool *conf, bool force, struct err *err)
{
	struct creation c = { .conf = conf, .devices = DEVICES_NONE };
	struct err own = ERR_INIT;
	int r = 0;

	for (int type = CONF_SSD; type <= CONF_CAPACITY && r == 0; type++) {
		r = make_missing(&c, (enum conf_tier_type)type, &own);
		if (r < 0)
			tier_wrap(&own, conf, (enum conf_tier_type)type);
	}
	if (r == 0)
		r = devices_open(conf, NULL, false, &c.devices, &own);
	if (r == 0) {
		env_init(&c.env_ctx, c.devices.dev[CONF_CAPACITY], c.devices.dev[CONF_SSD], &c.env);
		r = check_all_empty(&c, force, &own);
	}
	if (r == 0)
		r = format(&c, &own);
	devices_close(&c.devices);
	if (r < 0)
		remove_made(&c);
	devices_unlock(&c.devices);
	return r < 0 ? err_set(err, r, "%s", own.text) : 0;
}
