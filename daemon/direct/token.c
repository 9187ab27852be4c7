/* SPDX-License-Identifier: GPL-2.0-only */
/* token.c - tokens of blocks and pages: an index, until when, and a proof, in base64. Nothing is kept of them, so they
 * outlive us. */
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "direct/priv.h"

#define PROOF 16 /* bytes of it: 2^-128 is enough for a guess */
#define BYTES (8 + 8 + PROOF) /* 44 characters */

static bool prove(struct ebs *e, const char *kind, const char *about, uint64_t index, uint64_t until_s,
		  uint8_t to[32])
{
	char text[200];

	text_fmt(text, sizeof(text), "%s\n%s\n%llu\n%llu", kind, about, (unsigned long long)index,
		 (unsigned long long)until_s);
	return !block_proof(e, "tokens of blocks", text, to);
}

bool token_make(struct ebs *e, const char *kind, const char *about, uint64_t index, uint64_t until_s,
		char to[TOKEN_CHARS + 1])
{
	gnutls_datum_t from, text = {0};
	uint8_t bytes[BYTES], proof[32];
	bool ok;

	put_le64(bytes, index);
	put_le64(bytes + 8, until_s);
	if (!prove(e, kind, about, index, until_s, proof))
		return false;
	memcpy(bytes + 16, proof, PROOF);
	from = (gnutls_datum_t){bytes, BYTES};
	ok = !gnutls_base64_encode2(&from, &text) && text.size == TOKEN_CHARS;
	if (ok)
		memcpy(to, text.data, TOKEN_CHARS);
	to[ok ? TOKEN_CHARS : 0] = '\0';
	gnutls_free(text.data);
	return ok;
}

static bool same(const uint8_t *a, const uint8_t *b, size_t n)
{
	unsigned differ = 0;

	while (n--)
		differ |= (unsigned)(a[n] ^ b[n]);
	return !differ;
}

enum token_fault token_look(struct ebs *e, const char *kind, const char *about, const char *token, uint64_t now_s,
			    uint64_t *ret_index)
{
	uint8_t bytes[BYTES], proof[32];

	if (!direct_digest(token, bytes))
		return TOKEN_FALSE;
	if (!prove(e, kind, about, get_le64(bytes), get_le64(bytes + 8), proof) || !same(bytes + 16, proof, PROOF))
		return TOKEN_FALSE;
	*ret_index = get_le64(bytes);
	return get_le64(bytes + 8) > now_s ? TOKEN_OK : TOKEN_EXPIRED;
}
