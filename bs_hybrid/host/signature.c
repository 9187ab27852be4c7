/* SPDX-License-Identifier: GPL-2.0-only */
/* signature.c - what libblkid finds on a device: partition tables, file systems, RAID and volume-manager members. */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/priv.h"

static int probe_open(const char *path, bool writing, int *ret_fd, blkid_probe *ret, struct err *err)
{
	int fd = open(path, (writing ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	blkid_probe pr;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	pr = blkid_new_probe();
	if (!pr || blkid_probe_set_device(pr, fd, 0, 0) != 0) {
		blkid_free_probe(pr);
		close(fd);
		return err_set(err, -EIO, "%s: cannot be searched for what is on it", path);
	}
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL |
					      BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_BADCSUM);
	blkid_probe_enable_partitions(pr, 1);
	blkid_probe_set_partitions_flags(pr, BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
	*ret_fd = fd;
	*ret = pr;
	return 0;
}

static const char *probe_value(blkid_probe pr, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(pr, name, &value, NULL) == 0 ? value : NULL;
}

/* What kind of thing that is. */
static const char *usage_words(const char *usage)
{
	static const char *const words[][2] = {
		{ "filesystem", "file system" }, { "raid", "member" }, { "crypto", "encrypted volume" },
	};

	for (size_t i = 0; usage && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i][0], usage) == 0)
			return words[i][1];
	}
	return "signature";
}

static int tell_found(blkid_probe pr, const char *path, struct err *err)
{
	const char *table = probe_value(pr, "PTTYPE"), *type = probe_value(pr, "TYPE");
	const char *label = probe_value(pr, "LABEL");

	if (!type)
		return err_set(err, -EEXIST, "%s holds something (%s partition table), expected an empty device", path,
			       table ? table : "unknown");
	return err_set(err, -EEXIST, "%s holds something (%s %s%s%s%s), expected an empty device", path, type,
		       usage_words(probe_value(pr, "USAGE")), label ? ", label \"" : "", label ? label : "",
		       label ? "\"" : "");
}

int signature_find(const char *path, struct err *err)
{
	blkid_probe pr;
	int fd, r = probe_open(path, false, &fd, &pr, err);

	if (r < 0)
		return r;
	r = blkid_do_probe(pr);		/* 0: found; 1: nothing */
	if (r == 0)
		r = tell_found(pr, path, err);
	else if (r < 0)
		r = err_set(err, -EIO, "%s: cannot be searched for what is on it", path);
	else
		r = 0;
	blkid_free_probe(pr);
	close(fd);
	return r;
}

int signature_wipe(const char *path, struct err *err)
{
	blkid_probe pr;
	int fd, r = probe_open(path, true, &fd, &pr, err);

	if (r < 0)
		return r;
	while ((r = blkid_do_probe(pr)) == 0) {
		if (blkid_do_wipe(pr, 0) != 0) {
			r = -1;
			break;
		}
	}
	r = r < 0 || fsync(fd) < 0 ? err_set(err, -EIO, "%s: cannot be wiped", path) : 0;
	blkid_free_probe(pr);
	close(fd);
	return r;
}
