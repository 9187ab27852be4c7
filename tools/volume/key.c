/* SPDX-License-Identifier: GPL-2.0-only */
/* key.c - the file that an API key is kept in: what "key create --output json" prints, or its id and its secret, a line
 * each. One that others may read is refused: it is no secret any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/volume/cli.h"

#define FILE_MAX 4095
#define SPACES " \t\r\n"

static int read_text(const char *path, char text[FILE_MAX + 1], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		rc = err_set(err, -EINVAL, "%s: expected a file", path);
	else if (st.st_mode & S_IRWXO)
		rc = err_set(err, -EPERM, "%s: others may use this key: chmod o= it, and better make a new one", path);
	else
		n = read(fd, text, FILE_MAX);
	if (!rc && n < 0)
		rc = err_set(err, -EIO, "%s: cannot be read", path);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return rc;
}

/* Up to a blank; false: nothing, or too much. */
static bool take(const char *word, char *to, size_t room)
{
	size_t len = word ? strcspn(word, SPACES) : 0;

	if (!len || len >= room)
		return false;
	memcpy(to, word, len);
	to[len] = '\0';
	return true;
}

int cli_read_key(const char *path, struct cli_key *ret, struct err *err)
{
	char text[FILE_MAX + 1];
	const char *id = text, *secret;
	int rc = read_text(path, text, err);
	json_t *doc = NULL;

	if (rc)
		return rc;
	id += strspn(id, SPACES);
	if (*id == '{') {
		doc = json_loads(id, 0, NULL);
		secret = json_string_value(json_object_get(doc, "secret"));
		id = json_string_value(json_object_get(doc, "id"));
	} else {
		secret = id + strcspn(id, SPACES);
		secret += strspn(secret, SPACES);
	}
	if (!take(id, ret->id, sizeof(ret->id)) || !take(secret, ret->secret, sizeof(ret->secret)))
		rc = err_set(err, -EINVAL, "%s: expected what 'key create --output json' prints, or a key's id and its "
			     "secret, a line each", path);
	json_decref(doc);
	explicit_bzero(text, sizeof(text));
	return rc;
}
