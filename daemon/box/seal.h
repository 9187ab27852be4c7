/* SPDX-License-Identifier: GPL-2.0-only */
/* seal.h - secrets at rest, and random ones: AES-256-GCM under a key in a file of root's. Thread-safe. */
#ifndef HB_BOX_SEAL_H
#define HB_BOX_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct seal;

/* Reads the key file (32 bytes; mode 0600, owner root or us, else refused), or makes it. */
int seal_open(const char *path, struct seal **ret, struct err *err);
void seal_close(struct seal *s); /* wipes the key from memory */

/* New string "s1:BASE64" (nonce, ciphertext, tag); `about` (an id) is authenticated with it, so that a sealed secret
 * cannot be put into another row. NULL: out of memory. */
char *seal_wrap(struct seal *s, const char *about, const char *secret);
/* New string, to be given to seal_forget(). -EBADMSG: another key, another row, or damaged. */
int seal_unwrap(struct seal *s, const char *about, const char *sealed, char **ret, struct err *err);
void seal_forget(char *secret); /* wipes and frees; NULL is fine */

/* HMAC-SHA256 of a text under a key that is derived from ours for this purpose. 0 or -ENOMEM. */
int seal_mac(const struct seal *s, const char *about, const char *text, uint8_t to[32]);

/* n bytes of the kernel's randomness as letters and digits, in to[n + 1]. */
void seal_random(char *to, size_t n);
/* The same time whatever the bytes are. */
bool seal_same(const void *a, const void *b, size_t n);

#endif
