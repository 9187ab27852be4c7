/* SPDX-License-Identifier: GPL-2.0-only */
/* secret.c - a secret out of a file that nobody but its owner may read; no sentence has it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/priv.h"

int secret_read(const char *path, char ret[SECRET_MAX + 1], struct err *err)
{
	char text[SECRET_MAX + 2];	/* one more: a longer one is noticed */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0, line;
	struct stat st;
	ssize_t n = 1;

	ret[0] = '\0';
	if (fd < 0)
		return err_set(err, -errno, "secret %s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077)) {
		close(fd);
		return err_set(err, -EACCES, "secret %s: expected a regular file that only its owner may read (0600)",
			       path);
	}
	while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0)
		len += (size_t)n;
	close(fd);
	line = 0;
	while (line < len && text[line] != '\n' && text[line] != '\r')
		line++;
	if (n >= 0 && line > 0 && line <= SECRET_MAX && !memchr(text, '\0', line)) {
		memcpy(ret, text, line);
		ret[line] = '\0';
	}
	explicit_bzero(text, sizeof(text));
	return ret[0] ? 0 : err_set(err, -EINVAL, "secret %s: expected one line of 1 to %d bytes", path, SECRET_MAX);
}
