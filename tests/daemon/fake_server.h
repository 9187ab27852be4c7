/* SPDX-License-Identifier: GPL-2.0-only */
/* fake_server.h - a server on a Unix socket in a new folder, whose connections a test's function serves. */
#ifndef HB_TESTS_DAEMON_FAKE_SERVER_H
#define HB_TESTS_DAEMON_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct fake;

/* Serves each connection on a thread of its own by serve(arg, fd), and closes it after that. */
struct fake *fake_start(void (*serve)(void *arg, int fd), void *arg);
const char *fake_path(const struct fake *f);
/* Closes the listening socket and ends all connections; the path stays. */
void fake_die(struct fake *f);
/* Listens again, after fake_die(). */
void fake_revive(struct fake *f);
unsigned fake_connections(const struct fake *f); /* how many there have been */
void fake_stop(struct fake *f);

/* Reads exactly n bytes; false: the other end has closed. */
bool fake_read(int fd, void *p, size_t n);
/* Reads up to a newline (which is replaced by a zero); false: closed, or too long. */
bool fake_read_line(int fd, char *buf, size_t cap);
bool fake_write(int fd, const void *p, size_t n);

#endif
