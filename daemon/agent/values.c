/* SPDX-License-Identifier: GPL-2.0-only */
/* values.c - the types of values; see values.h. */
#include "agent/values.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <string.h>

#include "agent/need.h"

#define ALNUM "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define NAME_SET ALNUM "._-"
#define CHAP_SET ALNUM "._:@+=/-"

/* ------------------------------------------------------------------ checks */

static bool of_set(const char *s, const char *set, size_t least, size_t most)
{
	size_t n = strlen(s);

	return n >= least && n <= most && strspn(s, set) == n;
}

static bool id_ok(const char *s)
{
	return of_set(s, NAME_SET, 1, 64) && isalnum((unsigned char)*s);
}

static bool vm_ok(const char *s)
{
	return of_set(s, NAME_SET, 1, 128);
}

static bool device_ok(const char *s)
{
	static const char *const prefixes[] = { "xvd", "sd", "vd", "hd" };
	size_t letters, digits;

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (strncmp(s, prefixes[i], n) != 0)
			continue;
		letters = strspn(s + n, "abcdefghijklmnopqrstuvwxyz");
		digits = strspn(s + n + letters, "0123456789");
		return letters >= 1 && letters <= 3 && digits <= 2 && !s[n + letters + digits];
	}
	return false;
}

static bool path_ok(const char *s)
{
	if (!of_set(s, ALNUM "._:@+=/[]-", 6, VALUE_MAX) || strncmp(s, "/dev/", 5) != 0)
		return false;
	while (*s) {
		size_t n = strcspn(++s, "/");	/* a component */

		if (n == 0 || (n <= 2 && strspn(s, ".") >= n))
			return false;
		s += n;
	}
	return true;
}

static bool mode_ok(const char *s)
{
	return !strcmp(s, "rw") || !strcmp(s, "ro");
}

/* RFC 7143, 4.2.7: "iqn." year "-" month "." and a reversed domain, ":" and anything; "eui." and 16 hexadecimal
 * digits; "naa." and 16 or 32. After its preparation (4.2.7.1) a name of ASCII has small letters, digits,
 * '-', '.', ':' only. */
static bool iscsi_name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n > 223)
		return false;
	if (!strncmp(s, "eui.", 4))
		return n == 20 && strspn(s + 4, "0123456789abcdefABCDEF") == 16;
	if (!strncmp(s, "naa.", 4))
		return (n == 20 || n == 36) && strspn(s + 4, "0123456789abcdefABCDEF") == n - 4;
	return !strncmp(s, "iqn.", 4) && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.:-") == n && n > 12 &&
	       strspn(s + 4, "0123456789") == 4 && s[8] == '-' && strspn(s + 9, "0123456789") == 2 && s[11] == '.' &&
	       islower((unsigned char)s[12]);
}

static bool number_ok(const char *s, unsigned long least, unsigned long most)
{
	unsigned long n;

	if (!of_set(s, "0123456789", 1, 5) || (s[0] == '0' && s[1]))
		return false;
	n = strtoul(s, NULL, 10);
	return n >= least && n <= most;
}

static bool lun_ok(const char *s)
{
	return number_ok(s, 0, 255);
}

static bool port_ok(const char *s)
{
	return number_ok(s, 1, 65535);
}

static bool address_ok(const char *s)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, s, bytes) == 1 || inet_pton(AF_INET6, s, bytes) == 1;
}

/* Into address (without brackets) and port. */
static bool portal_split(const char *s, char address[64], const char **port)
{
	bool six = *s == '[';
	const char *colon = strrchr(s, ':'), *from = s + six, *to = colon;
	unsigned char bytes[16];

	if (!colon)
		return false;
	if (six && *--to != ']')
		return false;
	if (to <= from || to - from > 63)
		return false;
	memcpy(address, from, (size_t)(to - from));
	address[to - from] = '\0';
	*port = colon + 1;
	return inet_pton(six ? AF_INET6 : AF_INET, address, bytes) == 1 && port_ok(*port);
}

static bool portal_ok(const char *s)
{
	char address[64];
	const char *port;

	return portal_split(s, address, &port);
}

static bool serial_ok(const char *s)
{
	return of_set(s, NAME_SET, 1, 20);
}

static bool user_ok(const char *s)
{
	return of_set(s, CHAP_SET, 1, VALUE_MAX);
}

static bool secret_ok(const char *s)
{
	return of_set(s, CHAP_SET, 12, VALUE_MAX);
}

static bool uuid_ok(const char *s)
{
	return of_set(s, "0123456789abcdef-", 36, 36);
}

static bool backend_ok(const char *s)
{
	return *s == '/' && of_set(s, ALNUM "/_-", 2, VALUE_MAX) && !strstr(s, "//");
}

static bool file_ok(const char *s)
{
	return !strcmp(s, "/proc/self/fd/3");
}

static const struct kind {
	const char *name;
	bool (*ok)(const char *s);
	bool secret;
} kinds[V_KINDS] = {
	[V_ATTACHMENT] = { "attachment", id_ok, false }, [V_VOLUME] = { "volume", id_ok, false },
	[V_VM] = { "vm", vm_ok, false }, [V_DEVICE] = { "device", device_ok, false },
	[V_PATH] = { "path", path_ok, false }, [V_MODE] = { "mode", mode_ok, false },
	[V_TARGET] = { "target", iscsi_name_ok, false }, [V_PORTAL] = { "portal", portal_ok, false },
	[V_ADDRESS] = { "address", address_ok, false }, [V_PORT] = { "port", port_ok, false },
	[V_LUN] = { "lun", lun_ok, false }, [V_SERIAL] = { "serial", serial_ok, false },
	[V_INITIATOR] = { "initiator", iscsi_name_ok, false }, [V_USER] = { "user", user_ok, false },
	[V_BACK_USER] = { "back_user", user_ok, false }, [V_SECRET] = { "secret", secret_ok, true },
	[V_BACK_SECRET] = { "back_secret", secret_ok, true }, [V_UUID] = { "uuid", uuid_ok, false },
	[V_BACKEND] = { "backend", backend_ok, false }, [V_FILE] = { "file", file_ok, false },
};

const char *value_name(enum value_kind kind)
{
	return kinds[kind].name;
}

int value_find(const char *name, size_t len)
{
	for (int i = 0; i < V_KINDS; i++)
		if (strlen(kinds[i].name) == len && !memcmp(kinds[i].name, name, len))
			return i;
	return -1;
}

bool value_secret(enum value_kind kind)
{
	return kinds[kind].secret;
}

bool value_ok(enum value_kind kind, const char *s)
{
	return kinds[kind].ok(s);
}

/* ------------------------------------------------------------------ sets of values */

static void put(struct values *v, enum value_kind kind, const char *s)
{
	char *old = v->v[kind];

	v->v[kind] = s ? need_str(s) : NULL;	/* first: s may be the old one */
	if (old && kinds[kind].secret)
		explicit_bzero(old, strlen(old));
	free(old);
}

/* Version 8 of RFC 9562: our own bits, here of a hash, so that a second life names the same thing. */
static void uuid_of(const char *attachment, char ret[37])
{
	char text[128];
	unsigned char h[32];
	size_t n = 0;

	snprintf(text, sizeof(text), "hybrid-agent attachment %s", attachment);
	if (gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), h) < 0)
		abort();	/* no SHA-256 in the TLS library: nothing else would work either */
	h[6] = (unsigned char)(0x80 | (h[6] & 0x0f));
	h[8] = (unsigned char)(0x80 | (h[8] & 0x3f));
	for (int i = 0; i < 16; i++)
		n += (size_t)snprintf(ret + n, 37 - n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
				      h[i]);
}

int values_set(struct values *v, enum value_kind kind, const char *s, struct err *err)
{
	char address[64], uuid[37], shown[48];
	const char *port;

	if (!kinds[kind].ok(s)) {
		if (kinds[kind].secret)
			return err_set(err, -EINVAL, "\"%s\" is not 12 to 255 letters, digits and \"._:@+=/-\"",
				       kinds[kind].name);
		snprintf(shown, sizeof(shown), "%s", s);
		for (char *c = shown; *c; c++)
			*c = *c < ' ' || *c > '~' ? '?' : *c;
		return err_set(err, -EINVAL, "\"%s\" cannot be \"%s\"", kinds[kind].name, shown);
	}
	put(v, kind, s);
	if (kind == V_PORTAL && portal_split(s, address, &port)) {
		put(v, V_ADDRESS, address);
		put(v, V_PORT, port);
	}
	if (kind == V_ATTACHMENT) {
		uuid_of(s, uuid);
		put(v, V_UUID, uuid);
	}
	return 0;
}

void values_copy(struct values *to, const struct values *from)
{
	for (int i = 0; i < V_KINDS; i++)
		put(to, (enum value_kind)i, from->v[i]);
}

void values_free(struct values *v)
{
	for (int i = 0; i < V_KINDS; i++)
		put(v, (enum value_kind)i, NULL);
}

/* ------------------------------------------------------------------ Xen's numbers */

/* a to z, aa to zz, aaa... */
static void letters_of(uint32_t n, char ret[8])
{
	char back[8];
	int len = 0;

	for (n++; n; n = (n - 1) / 26)
		back[len++] = (char)('a' + (n - 1) % 26);
	for (int i = 0; i < len; i++)
		ret[i] = back[len - 1 - i];
	ret[len] = '\0';
}

static bool device_text(char ret[16], const char *prefix, uint32_t disk, uint32_t part)
{
	char letters[8], digits[12] = "";

	letters_of(disk, letters);
	if (part)
		snprintf(digits, sizeof(digits), "%u", part & 0xff);
	return snprintf(ret, 16, "%s%s%s", prefix, letters, digits) < 16 && device_ok(ret);
}

bool value_device_of_vdev(uint32_t vdev, char ret[16])
{
	if (vdev >> 28 == 1)
		return device_text(ret, "xvd", (vdev & 0x0fffffff) >> 8, vdev & 0xff);
	if (vdev >> 8 == 202)
		return device_text(ret, "xvd", (vdev & 0xff) >> 4, vdev & 0xf);
	if (vdev >> 8 == 8)
		return device_text(ret, "sd", (vdev & 0xff) >> 4, vdev & 0xf);
	if (vdev >> 8 == 3)
		return device_text(ret, "hd", (vdev & 0xff) >> 6, vdev & 0x3f);
	if (vdev >> 8 == 22)
		return device_text(ret, "hd", 2 + ((vdev & 0xff) >> 6), vdev & 0x3f);
	return false;
}
