/* SPDX-License-Identifier: GPL-2.0-only */
/* rawfile.h - a raw disk image on this machine, as a source: a regular file or a block device. */
#ifndef HB_BOX_RAWFILE_H
#define HB_BOX_RAWFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct rawfile {
	int fd;
	uint64_t size_bytes; /* more than 0 */
	bool is_file;
};

/* Opens it for reading. path: absolute. -ENOENT, -EACCES, ... as open(). -ELOOP: its last part is a symbolic link.
 * -EINVAL: not absolute, neither file nor block device, empty. -EBUSY: a block device that is mounted, or otherwise
 * in use. -EMEDIUMTYPE: another format than raw; the sentence has the command that converts it. */
int rawfile_open(const char *path, struct rawfile *ret, struct err *err);
void rawfile_close(struct rawfile *image);

/* The next bytes that may be other than zero, from off_bytes on: 1 and *ret_off (not before off_bytes), *ret_len; 0:
 * there are none; or a -errno. */
int rawfile_data(const struct rawfile *image, uint64_t off_bytes, uint64_t *ret_off, uint64_t *ret_len,
		 struct err *err);
/* All of these bytes; what lies behind its end reads as zeros. -EIO, ... */
int rawfile_read(const struct rawfile *image, uint64_t off_bytes, void *buf, uint64_t len_bytes, struct err *err);

/* What tells this image, and that nobody has written to it: device, inode, size, time of the last change (not of block
 * devices). New reference; to be compared by json_equal(). NULL: out of memory. */
json_t *rawfile_mark(const struct rawfile *image);

#endif
