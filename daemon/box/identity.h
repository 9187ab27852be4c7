/* SPDX-License-Identifier: GPL-2.0-only */
/* identity.h - a program's TLS key and self-signed certificate, and what others know it by. */
#ifndef HB_BOX_IDENTITY_H
#define HB_BOX_IDENTITY_H

#include "base/err.h"

#define IDENTITY_PIN_MAX 64 /* "sha256//" and 44 characters of base64, and the zero */

/* Makes both files (an ECDSA P-256 key, 0600; a certificate for `name`, 1 to 64 bytes, valid for ever in practice) if
 * neither is there. A key alone gets a new certificate (a crash came between the two; the pin is the key's and stays);
 * a certificate alone is refused (-ENOENT), as are two that do not belong together (-EINVAL) and a key that others may
 * read, or that is neither ours nor root's (-EPERM). Gives the pin: base64 of the SHA-256 of the DER
 * SubjectPublicKeyInfo (RFC 7469, 2.4). Two programs that do this at once end with the same key. */
int identity_ensure(const char *key_path, const char *cert_path, const char *name, char pin[IDENTITY_PIN_MAX],
		    struct err *err);
/* The pin of a certificate (DER). -EINVAL: it is none. */
int identity_pin_der(const void *cert, unsigned len, char pin[IDENTITY_PIN_MAX], struct err *err);

#endif
