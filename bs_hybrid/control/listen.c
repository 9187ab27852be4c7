/* SPDX-License-Identifier: GPL-2.0-only */
/* listen.c - takes a socket path: a stale file is replaced, a live one refused.
 *
 * The lock on PATH.lock is what keeps two servers apart: without it, two that start at once could both find the old
 * file stale, and the second would unlink the first one's new socket. It is held for the listener's life and its file
 * is never removed (removing it would let a third process lock another file of the same name). Connecting to the old
 * socket catches programs that know nothing of the lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/listen.h"

int listen_peer_uid(int fd, uid_t *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	*ret = cred.uid;
	return 0;
}

static void make_folder(const char *path)
{
	char dir[LISTEN_PATH_MAX + 1];
	const char *slash = strrchr(path, '/');

	if (!slash || slash == path)
		return;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	(void)mkdir(dir, 0755);	/* if this fails, what follows says why */
}

static int take_lock(struct listener *l, struct err *err)
{
	char lock[LISTEN_PATH_MAX + 8];

	snprintf(lock, sizeof(lock), "%s.lock", l->path);
	l->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock_fd < 0)
		return err_set(err, -errno, "%s: %s", lock, strerror(errno));
	if (flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, -EADDRINUSE, "%s: another process serves this socket (it holds %s)", l->path, lock);
	return err_set(err, -errno, "%s: lock: %s", lock, strerror(errno));
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	return sun;
}

/* Whether somebody listens there; also when that cannot be known. */
static bool is_live(const char *path)
{
	struct sockaddr_un sun = address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool live = true;

	if (fd < 0)
		return true;
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0 && (errno == ECONNREFUSED || errno == ENOENT))
		live = false;
	close(fd);
	return live;
}

static int remove_stale(const char *path, struct err *err)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EEXIST, "%s: is there and is no socket: not replaced", path);
	if (is_live(path))
		return err_set(err, -EADDRINUSE, "%s: another process serves this socket", path);
	if (unlink(path) < 0)
		return err_set(err, -errno, "%s: remove the stale socket: %s", path, strerror(errno));
	return 0;
}

static int bind_and_listen(struct listener *l, mode_t mode, struct err *err)
{
	struct sockaddr_un sun = address(l->path);
	struct stat st;

	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* An unbound socket's mode becomes that of the file, less the umask: the file is never wider than asked. */
	if (l->fd < 0 || fchmod(l->fd, mode) < 0)
		return err_set(err, -errno, "%s: socket: %s", l->path, strerror(errno));
	if (bind(l->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return err_set(err, -errno, "%s: bind: %s", l->path, strerror(errno));
	if (chmod(l->path, mode) < 0 || lstat(l->path, &st) < 0 || listen(l->fd, 64) < 0) {
		int error = errno;

		(void)unlink(l->path);
		return err_set(err, -error, "%s: listen: %s", l->path, strerror(error));
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

int listen_open(struct listener *l, const char *path, mode_t mode, struct err *err)
{
	memset(l, 0, sizeof(*l));
	l->fd = l->lock_fd = -1;
	if (!path[0] || strlen(path) > LISTEN_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "control socket: \"%.120s\": expected a path of 1 to %d bytes", path,
			       LISTEN_PATH_MAX);
	snprintf(l->path, sizeof(l->path), "%s", path);
	make_folder(path);
	if (take_lock(l, err) || remove_stale(path, err) || bind_and_listen(l, mode, err)) {
		listen_close(l);
		return err_wrap(err, "control socket");
	}
	return 0;
}

void listen_close(struct listener *l)
{
	struct stat st;

	if (l->ino && lstat(l->path, &st) == 0 && st.st_dev == l->dev && st.st_ino == l->ino)
		(void)unlink(l->path);
	if (l->fd >= 0)
		close(l->fd);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	l->fd = l->lock_fd = -1;
	l->ino = 0;
}
