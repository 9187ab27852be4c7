/* SPDX-License-Identifier: GPL-2.0-only */
/* fake_server.c - threads behind a Unix socket. */
#include "tests/daemon/fake_server.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECTIONS 256

struct conn {
	struct fake *f;
	pthread_t thread;
	int fd;
	bool open;
};

struct fake {
	char dir[64];
	struct sockaddr_un sun;
	void (*serve)(void *arg, int fd);
	void *arg;
	pthread_mutex_t lock;
	pthread_t acceptor;
	int fd;
	unsigned n;
	struct conn conns[CONNECTIONS];
};

static void *run(void *arg)
{
	struct conn *c = arg;

	c->f->serve(c->f->arg, c->fd);
	pthread_mutex_lock(&c->f->lock);
	shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	c->open = false;
	pthread_mutex_unlock(&c->f->lock);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct fake *f = arg;

	for (;;) {
		int fd = accept(f->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		pthread_mutex_lock(&f->lock);
		if (f->n == CONNECTIONS)
			abort();
		f->conns[f->n] = (struct conn){.f = f, .fd = fd, .open = true};
		if (pthread_create(&f->conns[f->n].thread, NULL, run, &f->conns[f->n]))
			abort();
		f->n++;
		pthread_mutex_unlock(&f->lock);
	}
}

void fake_revive(struct fake *f)
{
	unlink(f->sun.sun_path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&f->sun, sizeof(f->sun)) || listen(f->fd, 32) ||
	    pthread_create(&f->acceptor, NULL, accept_all, f))
		abort();
}

struct fake *fake_start(void (*serve)(void *arg, int fd), void *arg)
{
	struct fake *f = calloc(1, sizeof(*f));

	if (!f)
		abort();
	f->serve = serve;
	f->arg = arg;
	pthread_mutex_init(&f->lock, NULL);
	snprintf(f->dir, sizeof(f->dir), "/tmp/hybrid-fake.XXXXXX");
	if (!mkdtemp(f->dir))
		abort();
	f->sun.sun_family = AF_UNIX;
	snprintf(f->sun.sun_path, sizeof(f->sun.sun_path), "%s/s", f->dir);
	fake_revive(f);
	return f;
}

const char *fake_path(const struct fake *f)
{
	return f->sun.sun_path;
}

unsigned fake_connections(const struct fake *f)
{
	struct fake *own = (struct fake *)(uintptr_t)f;
	unsigned n;

	pthread_mutex_lock(&own->lock);
	n = f->n;
	pthread_mutex_unlock(&own->lock);
	return n;
}

void fake_die(struct fake *f)
{
	if (f->fd < 0)
		return;
	shutdown(f->fd, SHUT_RDWR); /* accept() ends */
	pthread_join(f->acceptor, NULL);
	close(f->fd);
	f->fd = -1;
	pthread_mutex_lock(&f->lock);
	for (unsigned i = 0; i < f->n; i++)
		if (f->conns[i].open)
			shutdown(f->conns[i].fd, SHUT_RDWR);
	pthread_mutex_unlock(&f->lock);
	for (unsigned i = 0; i < f->n; i++)
		pthread_join(f->conns[i].thread, NULL);
	f->n = 0;
}

void fake_stop(struct fake *f)
{
	fake_die(f);
	unlink(f->sun.sun_path);
	rmdir(f->dir);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

bool fake_read(int fd, void *p, size_t n)
{
	char *to = p;

	while (n) {
		ssize_t got = recv(fd, to, n, 0);

		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

bool fake_read_line(int fd, char *buf, size_t cap)
{
	for (size_t n = 0; n < cap; n++) {
		if (!fake_read(fd, buf + n, 1))
			return false;
		if (buf[n] == '\n') {
			buf[n] = '\0';
			return true;
		}
	}
	return false;
}

bool fake_write(int fd, const void *p, size_t n)
{
	const char *from = p;

	while (n) {
		ssize_t done = send(fd, from, n, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		from += done;
		n -= (size_t)done;
	}
	return true;
}
