/* SPDX-License-Identifier: GPL-2.0-only */
/* file.c - JSON files, and files that are there wholly or not at all; see file.h. */
#include "agent/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/need.h"

void (*file_step)(const char *what);

static void step(const char *what)
{
	if (file_step)
		file_step(what);
}

int file_text(const char *path, char **ret, size_t *ret_len, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;
	int e = 0;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret = need_zalloc(CONF_FILE_BYTES_MAX + 2);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		e = err_set(err, -EINVAL, "%s: is no regular file", path);
	while (e == 0 && len <= CONF_FILE_BYTES_MAX && (n = read(fd, *ret + len, CONF_FILE_BYTES_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (e == 0 && n < 0)
		e = err_set(err, -errno, "%s: %s", path, strerror(errno));
	else if (e == 0 && len > CONF_FILE_BYTES_MAX)
		e = err_set(err, -EFBIG, "%s: is larger than 1 MiB", path);
	close(fd);
	if (e < 0)
		free(*ret);
	*ret_len = len;
	return e;
}

int file_object(const char *text, size_t len, const char *file, const char *what, const struct field *fields,
		void *out, struct err *err)
{
	char dir[PATH_MAX];
	struct reader r = { .file = file, .text = text, .len = len, .dir = dir, .err = err };
	struct at top = { NULL, 0 };
	json_error_t je;
	json_t *json;
	char *slash;
	int e;

	if (memchr(text, 0, len))
		return err_set(err, -EINVAL, "%s:1: not valid JSON: a zero byte, expected text", file);
	snprintf(dir, sizeof(dir), "%s", file);
	slash = strrchr(dir, '/');
	snprintf(slash ? slash : dir, 2, "%s", slash ? "" : ".");
	json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	if (!json)
		return err_set(err, -EINVAL, "%s:%d: not valid JSON: %s", file, je.line, je.text);
	e = read_object(&r, json, &top, what, fields, out);
	json_decref(json);
	return e;
}

static int sync_dir(const char *path)
{
	char dir[PATH_MAX];
	int fd, e;

	snprintf(dir, sizeof(dir), "%s", path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	e = fd < 0 || fsync(fd) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return e;
}

static int write_all(int fd, const char *text, size_t len)
{
	size_t at = 0;
	ssize_t n;

	while (at < len) {
		step("write");
		n = write(fd, text + at, len - at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int file_replace(const char *path, const char *temp, const char *text, size_t len, struct err *err)
{
	int fd, e;

	step("unlink");
	unlink(temp);
	step("open");
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", temp, strerror(errno));
	e = write_all(fd, text, len);
	step("fsync");
	if (e == 0 && fsync(fd) < 0)
		e = -errno;
	close(fd);
	step("rename");
	if (e == 0 && rename(temp, path) < 0)
		e = -errno;
	step("fsync of the folder");
	if (e == 0)
		e = sync_dir(path);
	else
		unlink(temp);
	return e < 0 ? err_set(err, e, "%s: %s", path, strerror(-e)) : 0;
}
