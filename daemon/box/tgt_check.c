/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_check.c - whether a target can be told to tgtd at all: nothing passed may be read as something else there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "box/tgt_priv.h"

#define NAME_MAX_BYTES 223 /* RFC 7143, 4.2.7.1 */

/* Printable ASCII, none of `but`. */
static bool is_plain(const char *s, size_t max, const char *but)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~' || strchr(but, s[i]))
			return false;
	return n > 0 && n <= max;
}

static int refuse(struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "%s cannot be told to tgtd", what);
}

int tgt_check_iqn(const char *iqn, struct err *err)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:.-";
	size_t n = strlen(iqn);

	return n && n <= NAME_MAX_BYTES && strspn(iqn, set) == n ? 0 : refuse(err, "the target's name");
}

static bool initiator_ok(const char *s)
{
	size_t n = strlen(TGT_BY_ADDRESS);

	if (!strncmp(s, TGT_BY_ADDRESS, n))
		return is_plain(s + n, NAME_MAX_BYTES, ",=");
	return is_plain(s, NAME_MAX_BYTES, ",=") &&
	       (!strncmp(s, "iqn.", 4) || !strncmp(s, "eui.", 4) || !strncmp(s, "naa.", 4));
}

static int check_accounts(const struct tgt_target *want, struct err *err)
{
	unsigned outgoing = 0;

	for (unsigned i = 0; i < want->naccounts; i++) {
		const struct tgt_account *a = &want->accounts[i];

		if (!is_plain(a->user, NAME_MAX_BYTES, ",="))
			return refuse(err, "a user's name");
		if (!is_plain(a->secret, TGT_SECRET_MAX, "") || strlen(a->secret) < TGT_SECRET_MIN)
			return err_set(err, -EINVAL, "the secret of %s: 12 to 255 printable bytes are needed", a->user);
		outgoing += a->outgoing;
		for (unsigned k = 0; k < i; k++) {
			const struct tgt_account *b = &want->accounts[k];

			if (!strcmp(a->user, b->user))
				return err_set(err, -EINVAL, "account %s is there twice", a->user);
			/* RFC 7143, 9.2.1: else who knows how to prove itself to us can pretend to be us. */
			if (a->outgoing != b->outgoing && !strcmp(a->secret, b->secret))
				return err_set(err, -EINVAL, "accounts %s and %s have one secret", a->user, b->user);
		}
	}
	return outgoing <= 1 ? 0 : err_set(err, -EINVAL, "a target has one outgoing account at most");
}

int tgt_check(const struct tgt_target *want, struct err *err)
{
	if (tgt_check_iqn(want->iqn, err))
		return err->code;
	if (!is_plain(want->store, 512, ",="))
		return refuse(err, "the volume's name");
	if (want->conf && (!is_plain(want->conf, 1000, ",") || *want->conf != '/'))
		return refuse(err, "the configuration's path");
	if (want->serial && !is_plain(want->serial, 20, ",="))
		return refuse(err, "the serial number");
	if (want->product && !is_plain(want->product, 16, ",="))
		return refuse(err, "the product's name");
	for (unsigned i = 0; i < want->ninitiators; i++)
		if (!initiator_ok(want->initiators[i]))
			return refuse(err, "an initiator's name");
	return check_accounts(want, err);
}
