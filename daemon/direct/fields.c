/* SPDX-License-Identifier: GPL-2.0-only */
/* fields.c - what a request says in its path, query and headers: numbers, ids, checksums. */
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "direct/priv.h"

#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* malloc'd. What is no escape stays as it is; a zero ends it. */
static char *decoded(const char *from, size_t len)
{
	char *text = malloc(len + 1), *to = text;

	for (size_t i = 0; text && i < len; i++) {
		if (from[i] == '%' && i + 2 < len && hex_value(from[i + 1]) >= 0 && hex_value(from[i + 2]) >= 0) {
			*to++ = (char)(hex_value(from[i + 1]) * 16 + hex_value(from[i + 2]));
			i += 2;
		} else {
			*to++ = from[i];
		}
	}
	if (text)
		*to = '\0';
	return text;
}

char *direct_param(const struct direct_call *x, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = x->q->query; *p; p += *p == '&') {
		size_t len = strcspn(p, "&");

		if (len > n && p[n] == '=' && !strncmp(p, name, n))
			return decoded(p + n + 1, len - n - 1);
		p += len;
	}
	return NULL;
}

bool direct_number(struct direct_call *x, const char *name, const char *text, uint64_t least, uint64_t most,
		   uint64_t *ret)
{
	uint64_t n;

	if (!text)
		return true;
	if (!*text || strlen(text) > 18 || text[strspn(text, DIGITS)])
		return direct_invalid(x, "INVALID_PARAMETER_VALUE", "%s: expected a whole number.", name);
	n = strtoull(text, NULL, 10);
	if (n < least || n > most)
		return direct_invalid(x, "INVALID_PARAMETER_VALUE", "%s: expected %llu to %llu.", name,
				      (unsigned long long)least, (unsigned long long)most);
	*ret = n;
	return true;
}

const char *direct_header(const struct direct_call *x, const char *name)
{
	return x->q->header ? x->q->header(x->q->ctx, name) : NULL;
}

bool direct_id(struct direct_call *x, const char *text)
{
	size_t n = strlen("snap-"), len = strlen(text);

	if (strncmp(text, "snap-", n) || !text[n] || text[n + strspn(text + n, HEX)])
		return direct_invalid(x, "INVALID_SNAPSHOT_ID", "The snapshot ID is malformed.");
	if (len != ID_CHARS) /* of a form that no snapshot of this box has */
		return direct_fail_verb(x, ebs_code_text(EBS_NO_SNAPSHOT), "The snapshot does not exist.");
	return true;
}

bool direct_digest(const char *text, uint8_t to[BLOCK_DIGEST])
{
	gnutls_datum_t from = {(unsigned char *)(uintptr_t)text, 44}, bin = {0};
	bool ok = text && strlen(text) == 44 && !gnutls_base64_decode2(&from, &bin) && bin.size == BLOCK_DIGEST;

	if (ok)
		memcpy(to, bin.data, BLOCK_DIGEST);
	gnutls_free(bin.data);
	return ok;
}

void direct_digest_text(const uint8_t digest[BLOCK_DIGEST], char to[64])
{
	gnutls_datum_t from = {(unsigned char *)(uintptr_t)digest, BLOCK_DIGEST}, text = {0};

	*to = '\0';
	if (!gnutls_base64_encode2(&from, &text))
		snprintf(to, 64, "%.*s", (int)text.size, text.data);
	gnutls_free(text.data);
}

struct ebs_call direct_caller(const struct direct_call *x, const json_t *args)
{
	const struct ebs_call *who = x->q->who;

	return (struct ebs_call){.who = who->who, .rights = who->rights, .only_tags = who->only_tags, .args = args};
}
