/* SPDX-License-Identifier: GPL-2.0-only */
/* rawfile.c - opens a disk image, recognises what is not raw, finds its data and its holes. */
#include "box/rawfile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/units.h"

/* ------------------------------------------------------------------ formats */

/* By what is at `at`; from the end of the image where that is negative. `tool` NULL: qemu-img reads it as `name`; else
 * the program that unpacks it to its standard output. */
static const struct magic {
	const char *name, *tool;
	int at;
	unsigned len;
	const char *bytes;
} magics[] = {
	{"qcow2", NULL, 0, 4, "QFI\xfb"},
	{"qed", NULL, 0, 4, "QED\0"},
	{"vmdk", NULL, 0, 4, "KDMV"},
	{"vmdk", NULL, 0, 4, "COWD"},
	{"vmdk", NULL, 0, 21, "# Disk DescriptorFile"},
	{"vhdx", NULL, 0, 8, "vhdxfile"},
	{"vpc", NULL, 0, 8, "conectix"},
	{"vpc", NULL, -512, 8, "conectix"}, /* of a fixed size: raw, and a footer */
	{"vdi", NULL, 64, 4, "\x7f\x10\xda\xbe"},
	{"parallels", NULL, 0, 16, "WithoutFreeSpace"},
	{"parallels", NULL, 0, 16, "WithouFreSpacExt"},
	{"dmg", NULL, -512, 4, "koly"},
	{"gzip", "gzip -dc", 0, 3, "\x1f\x8b\x08"},
	{"xz", "xz -dc", 0, 6, "\xfd" "7zXZ\0"},
	{"zstd", "zstd -dc", 0, 4, "\x28\xb5\x2f\xfd"},
	{"bzip2", "bzip2 -dc", 0, 4, "BZh9"},
	{"lz4", "lz4 -dc", 0, 4, "\x04\x22\x4d\x18"},
	{"zip", "unzip -p", 0, 4, "PK\x03\x04"},
	{"tar", "tar -xOf", 257, 5, "ustar"}, /* an OVA, too: its disks are inside */
};

static bool has(const struct rawfile *image, const struct magic *m)
{
	uint64_t at = m->at < 0 ? image->size_bytes - (uint64_t)-m->at : (uint64_t)m->at;
	char got[32];

	if (m->at < 0 && image->size_bytes < (uint64_t)-m->at)
		return false;
	return pread(image->fd, got, m->len, (off_t)at) == (ssize_t)m->len && !memcmp(got, m->bytes, m->len);
}

/* As a word of the shell. */
static void quote(const char *path, char *to, size_t room)
{
	size_t n = text_fmt(to, room, "'");

	for (; *path && n + 6 < room; path++)
		n += text_fmt(to + n, room - n, *path == '\'' ? "'\\''" : "%c", *path);
	text_fmt(to + n, room - n, "'");
}

static int check_format(const struct rawfile *image, const char *path, struct err *err)
{
	char from[200], to[200], raw[180];

	for (size_t i = 0; i < ARRAY_LEN(magics); i++) {
		const struct magic *m = &magics[i];

		if (!has(image, m))
			continue;
		text_fmt(raw, sizeof(raw), "%s.raw", path);
		quote(path, from, sizeof(from));
		quote(raw, to, sizeof(to));
		if (m->tool)
			return err_set(err, -EMEDIUMTYPE, "the image is packed (%s), only raw ones are read: %s %s >%s",
				       m->name, m->tool, from, to);
		return err_set(err, -EMEDIUMTYPE,
			       "the image is of the format %s, only raw ones are read: qemu-img convert -f %s -O raw "
			       "%s %s",
			       m->name, m->name, from, to);
	}
	return 0;
}

/* ------------------------------------------------------------------ opening */

static int find_size(struct rawfile *image, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(image->fd, &st))
		return err_set(err, -errno, "%.300s: %s", path, strerror(errno));
	image->is_file = S_ISREG(st.st_mode);
	if (!image->is_file && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "%.300s: neither a regular file nor a block device", path);
	image->size_bytes = (uint64_t)st.st_size;
	if (!image->is_file && ioctl(image->fd, BLKGETSIZE64, &image->size_bytes))
		return err_set(err, -errno, "%.300s: %s", path, strerror(errno));
	return image->size_bytes ? 0 : err_set(err, -EINVAL, "%.300s: it is empty", path);
}

int rawfile_open(const char *path, struct rawfile *ret, struct err *err)
{
	/* A FIFO would wait for its other end, a terminal become ours. */
	int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, rc;
	struct rawfile image = {.fd = -1};
	struct stat st;

	if (*path != '/')
		return err_set(err, -EINVAL, "%.300s: expected a path from / on, on the box", path);
	if (lstat(path, &st))
		return err_set(err, -errno, "%.300s: %s", path, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return err_set(err, -ELOOP, "%.300s: a symbolic link is not followed", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, -EINVAL, "%.300s: neither a regular file nor a block device", path);
	/* Of a block device it means: not if it is mounted, or part of something. */
	image.fd = open(path, S_ISBLK(st.st_mode) ? flags | O_EXCL : flags);
	if (image.fd < 0)
		return err_set(err, -errno, "%.300s: %s", path, strerror(errno));
	rc = find_size(&image, path, err); /* what was opened, whatever it was before */
	rc = rc ? rc : check_format(&image, path, err);
	if (rc) {
		rawfile_close(&image);
		return rc;
	}
	posix_fadvise(image.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	*ret = image;
	return 0;
}

void rawfile_close(struct rawfile *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image->fd = -1;
}

/* ------------------------------------------------------------------ bytes */

int rawfile_data(const struct rawfile *image, uint64_t off_bytes, uint64_t *ret_off, uint64_t *ret_len, struct err *err)
{
	off_t data = (off_t)off_bytes, hole = (off_t)image->size_bytes;

	if (off_bytes >= image->size_bytes)
		return 0;
	if (image->is_file) {
		data = lseek(image->fd, (off_t)off_bytes, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? -1 : lseek(image->fd, data, SEEK_HOLE);
		if (data < 0 || hole < 0) { /* not every file system knows */
			data = (off_t)off_bytes;
			hole = (off_t)image->size_bytes;
		}
	}
	if (hole <= data || (uint64_t)data >= image->size_bytes)
		return err_set(err, -ESTALE, "the image has changed while it was read");
	*ret_off = (uint64_t)data;
	*ret_len = MIN((uint64_t)hole, image->size_bytes) - (uint64_t)data;
	return 1;
}

int rawfile_read(const struct rawfile *image, uint64_t off_bytes, void *buf, uint64_t len_bytes, struct err *err)
{
	char *to = buf;

	while (len_bytes) {
		ssize_t n = pread(image->fd, to, len_bytes, (off_t)off_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "the image at %" PRIu64 ": %s", off_bytes, strerror(errno));
		if (!n && off_bytes < image->size_bytes)
			return err_set(err, -ESTALE, "the image has become smaller while it was read");
		if (!n) {
			memset(to, 0, len_bytes);
			break;
		}
		to += n;
		off_bytes += (uint64_t)n;
		len_bytes -= (uint64_t)n;
	}
	return 0;
}

json_t *rawfile_mark(const struct rawfile *image)
{
	struct stat st = {0};

	if (fstat(image->fd, &st))
		return json_null();
	if (!image->is_file)
		return json_pack("{s:I, s:I}", "device", (json_int_t)st.st_rdev, "bytes",
				 (json_int_t)image->size_bytes);
	return json_pack("{s:I, s:I, s:I, s:I, s:I}", "fs", (json_int_t)st.st_dev, "inode", (json_int_t)st.st_ino,
			 "bytes", (json_int_t)image->size_bytes, "changed_s", (json_int_t)st.st_mtim.tv_sec,
			 "changed_ns", (json_int_t)st.st_mtim.tv_nsec);
}
