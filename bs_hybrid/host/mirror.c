/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror.c - a write tier on two devices: put together at open, and a new device in the place of one that is out. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/priv.h"

int mirror_join(struct host_pool *h, const struct conf_pool *conf, struct err *err)
{
	struct dev *half[2] = { h->devices.dev[CONF_SSD], h->devices.dev[CONF_MIRROR] }, *whole = NULL;
	int r;

	if (!conf->tiers[CONF_MIRROR].line)
		return 0;
	r = hb_mirror_open(&h->env, h->devices.dev[CONF_CAPACITY], half, &whole, err);
	if (r < 0)
		return tier_wrap(err, conf, CONF_SSD);
	h->devices.dev[CONF_SSD] = whole;
	h->devices.dev[CONF_MIRROR] = NULL;
	return 0;
}

int host_mirror_replace(struct host_pool *h, const char *path, bool force, struct err *err)
{
	struct conf_tier tier = { .path = (char *)path, .name = (char *)path };
	struct err own = ERR_INIT;
	struct dev *dev = NULL;
	int fd = -1, r = h->read_only ? err_set(&own, -EROFS, "the pool is open for reading only") : 0;

	if (r == 0)
		r = device_lock(&tier, NULL, false, &fd, &own);
	if (r == 0)
		r = device_open(&tier, false, &dev, &own);
	if (r == 0) {
		h->env_ctx.only = dev;
		r = empty_check(&h->env, &tier, dev, NULL, false, force, &own);
		if (r == 0 && force)
			r = empty_wipe(&h->env, &tier, dev, &own);
		h->env_ctx.only = NULL;
	}
	if (r == 0)
		r = hb_mirror_replace(h->engine, dev, &own);
	if (r < 0) {
		dev_close(dev);
		if (fd >= 0)
			close(fd);
		return err_set(err, r, "%s", own.text);
	}
	/* The lock of the one it stands for is let go with the pool; there is no place for a third. */
	if (h->replaced_fd >= 0)
		close(h->replaced_fd);
	h->replaced_fd = fd;
	return 0;
}
