/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - inside of the room: locks, staging memory, foreign signatures, the engine's environment. Nobody else's. */
#ifndef HB_HOST_PRIV_H
#define HB_HOST_PRIV_H

#include "host/host.h"

/* ------------------------------------------------------------------ env.c */
/* What the engine's environment needs; must stay where it is while the pool is open. */
struct host_env {
	int fds[CONF_TIER_TYPES];	/* to wait for */
	int nfds;
};
/* The devices' descriptors are taken now. */
void env_init(struct host_env *ctx, struct dev *capacity, struct dev *write_tier, struct hb_env *ret);
/* Differs after every boot; 0 or -errno. */
int env_boot_token(uint64_t *ret, struct err *err);

/* ------------------------------------------------------------------ lock.c */
/* Takes the lock of a device or file; `shared` locks exclude exclusive ones only. *ret_fd holds it until closed.
 * -EBUSY: "`what` is in use by process N" (or less, where the system does not tell). */
int lock_take(const char *path, const char *what, bool shared, int *ret_fd, struct err *err);

/* ------------------------------------------------------------------ staging.c */
struct staging {
	void *mem;			/* NULL: none; hb_staging_bytes() */
	char *path;			/* NULL: read-only copy */
};
/* Maps the file of that pool in directory `dir`, making it if need be; all its memory is reserved. With `read_only` a
 * private copy of what it holds, or zeros. */
int staging_map(const char *dir, const uint8_t uuid[16], bool read_only, struct staging *ret, struct err *err);
/* `remove`: the file goes too. */
void staging_unmap(struct staging *s, bool remove);
/* Of a pool that is formatted over. */
void staging_forget(const char *dir, const uint8_t uuid[16]);

/* ------------------------------------------------------------------ signature.c */
/* -EEXIST if libblkid knows what is on it: "holds something (ext4 file system, label "x")". */
int signature_find(const char *path, struct err *err);
/* Wipes all of them, so that nobody takes the device for what it was. */
int signature_wipe(const char *path, struct err *err);

/* ------------------------------------------------------------------ file.c */
/* Makes a missing file of tier->size_bytes: sparse, or (`filled`) with all blocks allocated and written. */
int file_make(const struct conf_tier *tier, bool filled, struct err *err);

/* ------------------------------------------------------------------ devices.c */
/* A pool's two devices, locked and open. */
struct devices {
	struct dev *dev[CONF_TIER_TYPES];	/* of CONF_SSD and CONF_CAPACITY; owner until handed to an engine */
	int lock_fd[CONF_TIER_TYPES];
};
#define DEVICES_NONE ((struct devices){ .lock_fd = { -1, -1, -1 } })
/* Puts "FILE:LINE: " of that tier before the text; returns the code. */
int tier_wrap(struct err *err, const struct conf_pool *conf, enum conf_tier_type type);
/* `what`: whom to name as being in use; NULL: the device. */
int devices_open(const struct conf_pool *conf, const char *what, bool read_only, struct devices *ret, struct err *err);
/* Closes the devices that are still ours. */
void devices_close(struct devices *d);
/* Lets the locks go: the last thing to do, for another process may begin at once. */
void devices_unlock(struct devices *d);
/* The label of one device; 0 or hb_dev_probe()'s error, with the tier named. */
int devices_label(const struct conf_pool *conf, const struct hb_env *env, struct devices *d, enum conf_tier_type type,
		  struct hb_dev_label *ret, struct err *err);

#endif
