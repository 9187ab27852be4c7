/* SPDX-License-Identifier: GPL-2.0-only */
/* ledger.h - which blocks of something were written, each with the SHA-256 of its bytes: a file of 32 bytes a block.
 * Thread-safe: entries of different blocks never touch each other.
 *
 * Entries are not made durable one by one. After a power cut some may be missing, or tell of bytes that the pool lost:
 * who relies on a ledger compares it with the bytes. A dead process loses nothing.
 */
#ifndef HB_BOX_LEDGER_H
#define HB_BOX_LEDGER_H

#include <stdint.h>

#include "base/err.h"

#define LEDGER_DIGEST 32 /* bytes; never all zero: that is "not written" */

/* Makes the file, and its folder, if need be. 0 or a -errno. */
int ledger_put(const char *path, uint64_t index, const uint8_t digest[LEDGER_DIGEST], struct err *err);
/* Tells all entries, by ascending index, until one is answered with something else than 0: that is returned. A file
 * that is not there has none. 0 or a -errno. */
typedef int ledger_fn(void *ctx, uint64_t index, const uint8_t digest[LEDGER_DIGEST], struct err *err);
int ledger_each(const char *path, ledger_fn *fn, void *ctx, struct err *err);
/* 0, also if it is not there; or a -errno. */
int ledger_remove(const char *path, struct err *err);

#endif
