/* SPDX-License-Identifier: GPL-2.0-only */
/* host.c - opening and closing a real pool; see host.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "host/priv.h"

/* ------------------------------------------------------------------ the right devices */

static int check_label(const struct conf_pool *conf, enum conf_tier_type type, const struct hb_dev_label *label,
		       struct err *err)
{
	enum hb_role wanted = type == CONF_CAPACITY ? HB_ROLE_CAPACITY : HB_ROLE_WRITE;
	const char *path = conf->tiers[type].name;

	if (strcmp(label->pool_name, conf->name) != 0)
		return err_set(err, -EXDEV, "%s is the %s of pool \"%s\", expected the %s of pool \"%s\"", path,
			       role_words(label->role), label->pool_name, role_words(wanted), conf->name);
	if (label->role != wanted)
		return err_set(err, -EXDEV, "%s is the %s of pool \"%s\", expected its %s: are the paths swapped?",
			       path, role_words(label->role), conf->name, role_words(wanted));
	return 0;
}

/* The pool of one device: the capacity device's, and then the same. */
static int check_device(struct host_pool *h, const struct conf_pool *conf, enum conf_tier_type type, uint8_t uuid[16],
			struct err *err)
{
	struct hb_dev_label label;
	int r = devices_label(conf, &h->env, &h->devices, type, &label, err);

	if (r < 0)
		return r;
	r = check_label(conf, type, &label, err);
	if (r == 0 && type != CONF_CAPACITY && memcmp(label.pool_uuid, uuid, 16) != 0)
		r = err_set(err, -EXDEV, "%s and %s belong to different pools, both named \"%s\"",
			    conf->tiers[type].name, conf->tiers[CONF_CAPACITY].name, conf->name);
	if (type == CONF_CAPACITY)
		memcpy(uuid, label.pool_uuid, 16);
	return r < 0 ? tier_wrap(err, conf, type) : 0;
}

static int check_labels(struct host_pool *h, const struct conf_pool *conf, uint8_t ret_uuid[16], struct err *err)
{
	bool mirrored = conf->tiers[CONF_MIRROR].line;
	int r = check_device(h, conf, CONF_CAPACITY, ret_uuid, err);

	for (size_t i = 1; i < ARRAY_LEN(device_tiers) && r == 0; i++) {
		enum conf_tier_type type = device_tiers[i];

		if (!h->devices.dev[type])
			continue;
		r = check_device(h, conf, type, ret_uuid, err);
		if (r == -ENODATA && mirrored && h->devices.dev[type == CONF_SSD ? CONF_MIRROR : CONF_SSD]) {
			env_log_line(HB_LOG_WARN, NULL, "half of the write tier is left out: %s", err->text);
			*err = ERR_INIT;
			devices_drop(&h->devices, type);
			env_init(&h->env_ctx, &h->devices, &h->env); /* nobody waits for what was closed */
			r = 0;
		}
	}
	return r;
}

/* ------------------------------------------------------------------ open and close */

static int open_engine(struct host_pool *h, const struct conf_pool *conf, struct err *err)
{
	struct hb_open how = {
		.capacity = h->devices.dev[CONF_CAPACITY],
		.write_tier = h->devices.dev[CONF_SSD],
		.staging = h->staging.mem,
		.staging_bytes = hb_staging_bytes(),
		.ram_bytes = conf->tiers[CONF_RAM].size_bytes,
		.read_only = h->read_only,
		.dirty_low_pct = conf->dirty_low_pct,
		.dirty_high_pct = conf->dirty_high_pct,
		.writeback_idle_ns = conf->idle_ns,
		.writeback_depth = conf->depth,
	};
	int r = env_boot_token(&how.boot_token, err);

	if (r < 0)
		return r;
	for (int type = CONF_LEVEL1; type < CONF_TIER_TYPES; type++) {
		if (h->devices.dev[type])
			how.levels[how.nlevels++] = h->devices.dev[type];
	}
	r = hb_pool_open(&h->env, &how, &h->engine, err);
	if (r < 0)
		return r;
	h->devices.dev[CONF_CAPACITY] = h->devices.dev[CONF_SSD] = NULL;	/* the engine's from here on */
	h->env_ctx.engine = h->engine;
	levels_opened(h, conf);
	return 0;
}

/* All that is not the engine's. */
static void host_free(struct host_pool *h, bool remove_staging)
{
	devices_close(&h->devices);
	staging_unmap(&h->staging, remove_staging);
	levels_free(h);
	if (h->replaced_fd >= 0)
		close(h->replaced_fd);
	devices_unlock(&h->devices);
	mem_free(h);
}

int host_pool_open(const struct conf_pool *conf, unsigned flags, struct host_pool **ret, struct err *err)
{
	struct host_pool *h = mem_zalloc(sizeof(*h));
	struct err own = ERR_INIT;
	char what[HB_NAME_MAX + 8];
	uint8_t uuid[16];
	int r;

	if (!h)
		return err_set(err, -ENOMEM, "open pool \"%s\": out of memory", conf->name);
	h->devices = DEVICES_NONE;
	h->replaced_fd = -1;
	levels_init(h);
	h->read_only = (flags & HOST_READ_ONLY) != 0;
	snprintf(what, sizeof(what), "pool %s", conf->name);
	r = devices_open(conf, what, h->read_only, &h->devices, &own);
	if (r == 0) {
		env_init(&h->env_ctx, &h->devices, &h->env);
		r = check_labels(h, conf, uuid, &own);
	}
	if (r == 0)
		r = mirror_join(h, conf, &own);
	if (r == 0)
		env_init(&h->env_ctx, &h->devices, &h->env);
	if (r == 0)
		levels_open(h, conf, uuid);
	if (r == 0)
		r = staging_map(conf->staging, uuid, h->read_only, &h->staging, &own);
	if (r == 0)
		r = open_engine(h, conf, &own);
	if (r == 0) {
		*ret = h;
		return 0;
	}
	host_free(h, false);
	return err_set(err, r, "%s", own.text);
}

struct hb_pool *host_pool_engine(struct host_pool *host)
{
	return host->engine;
}

int host_pool_close(struct host_pool *host, struct err *err)
{
	int r = hb_pool_close(host->engine, err);

	/* After a clean close nothing is in it; after a failed one it may hold what was answered. */
	host_free(host, r == 0 && !host->read_only);
	return r;
}

void host_pool_abandon(struct host_pool *host)
{
	hb_pool_abandon(host->engine);
	host_free(host, false);
}
