/* SPDX-License-Identifier: GPL-2.0-only */
/* sock.h - the client's end of a Unix stream socket: every call ends by a deadline. No state.
 *
 * Errors are those of box/: -ECONNREFUSED (nobody serves the path, also: no such file), -ETIMEDOUT, -EPIPE (whoever
 * served has gone), else the system's own.
 */
#ifndef HB_BOX_SOCK_H
#define HB_BOX_SOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t sock_now_ms(void);

/* *ret_fd: non-blocking, close-on-exec; the caller's. */
int sock_connect(const char *path, uint64_t deadline_ms, int *ret_fd, struct err *err);
/* All n bytes, or an error. */
int sock_send(int fd, const void *p, size_t n, uint64_t deadline_ms, struct err *err);
/* At least one and at most n bytes; *ret_got 0: the other end has closed. */
int sock_recv(int fd, void *p, size_t n, uint64_t deadline_ms, size_t *ret_got, struct err *err);
/* Exactly n bytes; -EPIPE if the other end closes before. */
int sock_recv_all(int fd, void *p, size_t n, uint64_t deadline_ms, struct err *err);

#endif
