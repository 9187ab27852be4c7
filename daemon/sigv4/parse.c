/* SPDX-License-Identifier: GPL-2.0-only */
/* parse.c - what a request says of its signature, strictly: what is not as the standard has it is refused, for what two
 * readers take for different things has been the way around signatures before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "sigv4/priv.h"

#define DIGITS "0123456789"
#define SMALL "abcdefghijklmnopqrstuvwxyz"
#define LARGE "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static enum sigv4_fault fault(struct err *err, enum sigv4_fault f, const char *text)
{
	if (err)
		err_set(err, -EACCES, "%s", text);
	return f;
}

const char *sigv4_field(const struct sigv4_request *q, const char *name, size_t len, unsigned *ret_n)
{
	const char *value = NULL;

	*ret_n = 0;
	for (unsigned i = 0; i < q->nfields; i++) {
		if (strlen(q->fields[i].name) != len || strncasecmp(q->fields[i].name, name, len))
			continue;
		value = q->fields[i].value;
		++*ret_n;
	}
	return *ret_n == 1 ? value : NULL;
}

/* ---------------------------------------------------------------- Authorization */

/* What is up to `end`, of these letters, into to[room]; moves *at behind it. */
static bool take(const char **at, char end, const char *letters, size_t least, char *to, size_t room)
{
	size_t len = strspn(*at, letters);

	if (len < least || len >= room || (*at)[len] != end)
		return false;
	memcpy(to, *at, len);
	to[len] = '\0';
	*at += len + (end != '\0');
	return true;
}

/* KEY/20260102/REGION/SERVICE/aws4_request */
static bool take_credential(const char *text, struct sigv4 *s)
{
	char day[9], last[16];

	if (!take(&text, '/', LARGE SMALL DIGITS "_", 1, s->key, sizeof(s->key)) ||
	    !take(&text, '/', DIGITS, 8, day, sizeof(day)) ||
	    !take(&text, '/', LARGE SMALL DIGITS "-_", 1, s->region, sizeof(s->region)) ||
	    !take(&text, '/', LARGE SMALL DIGITS "-_", 1, s->service, sizeof(s->service)) ||
	    !take(&text, '\0', SMALL DIGITS "_", 1, last, sizeof(last)))
		return false;
	memcpy(s->stamp, day, sizeof(day)); /* compared with the request's date later */
	return !strcmp(last, "aws4_request");
}

static bool take_part(char *part, struct sigv4 *s)
{
	static const char credential[] = "Credential=", names[] = "SignedHeaders=", signature[] = "Signature=";

	if (!strncmp(part, credential, sizeof(credential) - 1))
		return !*s->key && take_credential(part + sizeof(credential) - 1, s);
	if (!strncmp(part, names, sizeof(names) - 1)) {
		const char *at = part + sizeof(names) - 1;

		return !*s->signed_names && take(&at, '\0', SMALL DIGITS "-_.;!#$%&'*+^`|~", 1, s->signed_names,
						 sizeof(s->signed_names));
	}
	if (!strncmp(part, signature, sizeof(signature) - 1)) {
		const char *at = part + sizeof(signature) - 1;

		return !*s->signature &&
		       take(&at, '\0', DIGITS "abcdef", 64, s->signature, sizeof(s->signature));
	}
	return false;
}

static enum sigv4_fault read_authorization(const struct sigv4_request *q, struct sigv4 *s, struct err *err)
{
	static const char name[] = "authorization";
	unsigned n;
	const char *value = sigv4_field(q, name, sizeof(name) - 1, &n);
	bool ok = true;
	char *copy, *at;

	if (!n || (value && !*value))
		return fault(err, SIGV4_MISSING, "Request is missing Authentication Token");
	if (!value)
		return fault(err, SIGV4_INCOMPLETE, "The header Authorization is there more than once.");
	if (strncmp(value, ALGORITHM " ", sizeof(ALGORITHM)))
		return fault(err, SIGV4_INCOMPLETE, "Unsupported signature method: expected " ALGORITHM ".");
	copy = strdup(value + sizeof(ALGORITHM));
	if (!copy)
		return fault(err, SIGV4_NO_MEMORY, "out of memory");
	for (at = copy; ok && at;) {
		char *comma = strchr(at, ',');

		if (comma)
			*comma = '\0';
		at += strspn(at, " ");
		for (size_t end = strlen(at); end && at[end - 1] == ' '; end--)
			at[end - 1] = '\0';
		ok = take_part(at, s);
		at = comma ? comma + 1 : NULL;
	}
	free(copy);
	if (!ok || !*s->key || !*s->signed_names || !*s->signature)
		return fault(err, SIGV4_INCOMPLETE,
			     "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature', each once "
			     "and well formed.");
	return SIGV4_OK;
}

/* ---------------------------------------------------------------- what is signed */

static bool is_signed(const char *names, const char *name, size_t want)
{
	while (*names) {
		size_t len = strcspn(names, ";");

		if (len == want && !strncasecmp(names, name, len))
			return true;
		names += len + (names[len] == ';');
	}
	return false;
}

/* Each is a header of this request, after the one before it. */
static bool names_fit(const struct sigv4_request *q, const char *names)
{
	const char *before = "";
	size_t before_len = 0;

	for (;;) {
		size_t len = strcspn(names, ";"), both = len < before_len ? len : before_len;
		int order = memcmp(before, names, both);
		unsigned n;

		if (!len || order > 0 || (!order && len <= before_len))
			return false;
		(void)sigv4_field(q, names, len, &n);
		if (!n)
			return false;
		if (!names[len])
			return true;
		before = names;
		before_len = len;
		names += len + 1;
	}
}

static enum sigv4_fault check_signed(const struct sigv4_request *q, const struct sigv4 *s, struct err *err)
{
	unsigned hosts;

	(void)sigv4_field(q, "host", 4, &hosts);
	if (!names_fit(q, s->signed_names))
		return fault(err, SIGV4_INCOMPLETE,
			     "SignedHeaders: expected headers of this request, in small letters and ascending.");
	if (hosts != 1 || !is_signed(s->signed_names, "host", 4))
		return fault(err, SIGV4_INCOMPLETE, "'Host' must be a 'SignedHeader' in the AWS Authorization.");
	for (unsigned i = 0; i < q->nfields; i++) {
		const char *name = q->fields[i].name;

		if (strncasecmp(name, "x-amz-", 6) || is_signed(s->signed_names, name, strlen(name)))
			continue;
		if (err)
			err_set(err, -EACCES, "The header '%.60s' is there, and not signed.", name);
		return SIGV4_INCOMPLETE;
	}
	return SIGV4_OK;
}

/* ---------------------------------------------------------------- when it was signed */

static int number(const char *text, int n)
{
	int v = 0;

	while (n-- > 0)
		v = v * 10 + (*text++ - '0');
	return v;
}

/* Days since 1970 of the Gregorian calendar. */
static int64_t days(int year, int month, int day)
{
	int y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return (int64_t)365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* "20260102T030405Z" */
static bool read_stamp(const char *t, int64_t *ret_s)
{
	if (strlen(t) != 16 || strspn(t, DIGITS) != 8 || t[8] != 'T' || strspn(t + 9, DIGITS) != 6 || t[15] != 'Z')
		return false;
	if (number(t + 4, 2) < 1 || number(t + 4, 2) > 12 || number(t + 6, 2) < 1 || number(t + 6, 2) > 31 ||
	    number(t + 9, 2) > 23 || number(t + 11, 2) > 59 || number(t + 13, 2) > 60)
		return false;
	*ret_s = days(number(t, 4), number(t + 4, 2), number(t + 6, 2)) * 86400 + number(t + 9, 2) * 3600 +
		 number(t + 11, 2) * 60 + number(t + 13, 2);
	return true;
}

/* "Fri, 02 Jan 2026 03:04:05 GMT" (RFC 9110, 5.6.7) as a stamp. */
static bool stamp_of_date(const char *t, char to[17])
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec", form[] = "AAA, 00 AAA 0000 00:00:00 GMT";
	int month = 0;

	if (strlen(t) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++) {
		bool fits = form[i] == '0'   ? t[i] >= '0' && t[i] <= '9'
			    : form[i] == 'A' ? (t[i] | 0x20) >= 'a' && (t[i] | 0x20) <= 'z'
					     : t[i] == form[i];

		if (!fits)
			return false;
	}
	while (month < 12 && strncmp(months + 3 * month, t + 8, 3))
		month++;
	text_fmt(to, 17, "%.4s%02d%.2sT%.2s%.2s%.2sZ", t + 12, month + 1, t + 5, t + 17, t + 20, t + 23);
	return month < 12;
}

static enum sigv4_fault check_date(const struct sigv4_request *q, int64_t now_s, struct sigv4 *s, struct err *err)
{
	unsigned amz, date;
	const char *value = sigv4_field(q, "x-amz-date", 10, &amz), *plain = sigv4_field(q, "date", 4, &date);
	char day[9], stamp[17];
	int64_t at;

	if (!amz)
		value = plain;
	if (!value)
		return fault(err, SIGV4_INCOMPLETE,
			     "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
	if (!amz && !is_signed(s->signed_names, "date", 4))
		return fault(err, SIGV4_INCOMPLETE, "The header 'Date' says when it was signed, and is not signed.");
	if (read_stamp(value, &at))
		text_fmt(stamp, sizeof(stamp), "%s", value);
	else if (amz || !stamp_of_date(value, stamp) || !read_stamp(stamp, &at))
		return fault(err, SIGV4_INCOMPLETE, "Date must be in ISO-8601 'basic format', as 20260102T030405Z.");
	memcpy(day, s->stamp, sizeof(day));
	memcpy(s->stamp, stamp, sizeof(stamp));
	if (strncmp(day, stamp, 8))
		return fault(err, SIGV4_MISMATCH, "Date in Credential scope does not match the request's date.");
	if (at > now_s + SIGV4_WINDOW_S || at < now_s - SIGV4_WINDOW_S)
		return fault(err, SIGV4_EXPIRED,
			     "Request has expired: it is dated more than 5 minutes from this box's clock.");
	return SIGV4_OK;
}

enum sigv4_fault sigv4_parse(const struct sigv4_request *q, int64_t now_s, struct sigv4 *ret, struct err *err)
{
	struct sigv4 s;
	enum sigv4_fault f;

	memset(&s, 0, sizeof(s));
	if (q->nfields > SIGV4_FIELDS_MAX)
		return fault(err, SIGV4_INCOMPLETE, "The request has too many headers.");
	f = read_authorization(q, &s, err);
	f = f ? f : check_signed(q, &s, err);
	f = f ? f : check_date(q, now_s, &s, err);
	if (!f)
		*ret = s;
	return f;
}
