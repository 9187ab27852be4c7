/* SPDX-License-Identifier: GPL-2.0-only */
/* empty.c - is there anything on a device that is to be formatted? Partitions, file systems, RAID, another pool. */
#include <errno.h>
#include <string.h>

#include "base/units.h"
#include "host/priv.h"

#define LEVEL_BYTES_MIN MIB(4)		/* by far the engine's least */

/* A device of some pool is refused; `force` only lets go of that pool's staging memory. */
static int check_label(const struct hb_env *env, const struct conf_tier *tier, struct dev *dev, const char *staging,
		       bool force, struct err *err)
{
	struct hb_dev_label label;
	struct err probe = ERR_INIT;
	int r = hb_dev_probe(env, dev, &label, &probe);

	if (r == -ENODATA)
		return 0;
	if (r == 0 && force && label.role != HB_ROLE_CACHE && staging)
		staging_forget(staging, label.pool_uuid);
	if (force && (r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT))
		return 0;
	if (r == 0)
		return err_set(err, -EEXIST, "%s belongs to pool \"%s\", expected an empty device", tier->name,
			       label.pool_name);
	if (r == -EBADMSG || r == -EPROTONOSUPPORT)
		return err_set(err, -EEXIST, "%s (so it is a pool's), expected an empty device", probe.text);
	return err_set(err, r, "%s", probe.text);	/* names the path itself */
}

int empty_check(const struct hb_env *env, const struct conf_tier *tier, struct dev *dev, const char *staging, bool made,
		bool force, struct err *err)
{
	int r = check_label(env, tier, dev, staging, force, err);

	if (r < 0 || force || made)
		return r;
	return tier->iscsi ? remote_find(env, dev, err) : signature_find(tier->path, err);
}

int empty_wipe(const struct hb_env *env, const struct conf_tier *tier, struct dev *dev, struct err *err)
{
	return tier->iscsi ? remote_wipe(env, dev, err) : signature_wipe(tier->path, err);
}

int empty_check_level(const struct conf_tier *tier, const struct dev *dev, struct err *err)
{
	if (dev->geom.size_bytes >= LEVEL_BYTES_MIN)
		return 0;
	return err_set(err, -EINVAL, "%s: %llu bytes are too small for a cache level, %llu is the least", tier->name,
		       (unsigned long long)dev->geom.size_bytes, (unsigned long long)LEVEL_BYTES_MIN);
}
