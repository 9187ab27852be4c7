/* SPDX-License-Identifier: GPL-2.0-only */
/* seal.c - AES-256-GCM (NIST SP 800-38D) by GnuTLS, nonces of 96 random bits, the key in a file.
 *
 * Random nonces are fine for 2^32 secrets under one key (SP 800-38D, 8.3): a box seals thousands.
 */
#include "box/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define MARK "s1:"
#define MARK_LEN (sizeof(MARK) - 1)

struct seal {
	uint8_t key[KEY_BYTES];
};

/* There is no use in going on without randomness, and nobody could do anything about it. */
static void random_bytes(void *to, size_t n)
{
	uint8_t *p = to;

	while (n) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

/* ------------------------------------------------------------------ the key's file */
static int check_key_file(int fd, const char *path, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "key %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "key %s: not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(err, -EPERM, "key %s: its owner is neither root nor the user who runs this", path);
	if (st.st_mode & 077)
		return err_set(err, -EPERM, "key %s: others than its owner may use it (mode %03o, should be 600)", path,
			       st.st_mode & 0777);
	if (st.st_size != KEY_BYTES)
		return err_set(err, -EBADMSG, "key %s: %lld bytes, should be %d", path, (long long)st.st_size,
			       KEY_BYTES);
	return 0;
}

static int read_key(const char *path, uint8_t key[KEY_BYTES], struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), rc;

	if (fd < 0)
		return err_set(err, -errno, "key %s: %s", path, strerror(errno));
	rc = check_key_file(fd, path, err);
	if (!rc && read(fd, key, KEY_BYTES) != KEY_BYTES)
		rc = err_set(err, -EIO, "key %s: cannot be read", path);
	close(fd);
	return rc;
}

static void sync_folder(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* The key is whole and on disk before it has its name: killed at any point, there is no half key, and nothing was ever
 * sealed under one that is lost. Who comes second takes the first one's. */
static int make_key(const char *path, struct err *err)
{
	char tmp[PATH_MAX];
	uint8_t key[KEY_BYTES];
	int fd, rc = 0;

	if (snprintf(tmp, sizeof(tmp), "%s.new-%ld", path, (long)getpid()) >= (int)sizeof(tmp))
		return err_set(err, -ENAMETOOLONG, "key %s: the path is too long", path);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(err, -errno, "key %s: cannot be made: %s", path, strerror(errno));
	random_bytes(key, sizeof(key));
	if (write(fd, key, sizeof(key)) != (ssize_t)sizeof(key) || fsync(fd) < 0 ||
	    (link(tmp, path) < 0 && errno != EEXIST))
		rc = err_set(err, errno ? -errno : -EIO, "key %s: cannot be made: %s", path, strerror(errno));
	explicit_bzero(key, sizeof(key));
	close(fd);
	unlink(tmp);
	sync_folder(path);
	return rc;
}

int seal_open(const char *path, struct seal **ret, struct err *err)
{
	struct err own = ERR_INIT;
	struct seal *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	rc = read_key(path, s->key, &own);
	if (rc == -ENOENT) {
		own = ERR_INIT;
		rc = make_key(path, &own);
		if (!rc)
			rc = read_key(path, s->key, &own);
	}
	if (rc) {
		seal_close(s);
		return err_set(err, rc, "%s", own.text);
	}
	*ret = s;
	return 0;
}

void seal_close(struct seal *s)
{
	if (!s)
		return;
	explicit_bzero(s, sizeof(*s));
	free(s);
}

/* ------------------------------------------------------------------ seal, unseal */
/* A handle a call: GnuTLS does not say that one may be used by several threads. */
static int cipher_new(const struct seal *s, gnutls_aead_cipher_hd_t *ret)
{
	gnutls_datum_t key = {.data = (unsigned char *)(uintptr_t)s->key, .size = KEY_BYTES};

	return gnutls_aead_cipher_init(ret, GNUTLS_CIPHER_AES_256_GCM, &key);
}

/* bin: nonce, and room for the sealed text. */
static int encrypt(const struct seal *s, const char *about, const char *secret, size_t len, uint8_t *bin)
{
	gnutls_aead_cipher_hd_t h;
	size_t out = len + TAG_BYTES;
	int rc;

	random_bytes(bin, NONCE_BYTES);
	if (cipher_new(s, &h))
		return -ENOMEM;
	rc = gnutls_aead_cipher_encrypt(h, bin, NONCE_BYTES, about, strlen(about), TAG_BYTES, secret, len,
					bin + NONCE_BYTES, &out);
	gnutls_aead_cipher_deinit(h);
	return rc || out != len + TAG_BYTES ? -ENOMEM : 0;
}

char *seal_wrap(struct seal *s, const char *about, const char *secret)
{
	size_t len = strlen(secret), n = NONCE_BYTES + len + TAG_BYTES;
	gnutls_datum_t bin = {.data = malloc(n), .size = (unsigned)n}, text = {NULL, 0};
	char *ret = NULL;

	if (bin.data && !encrypt(s, about, secret, len, bin.data) && !gnutls_base64_encode2(&bin, &text)) {
		ret = malloc(MARK_LEN + text.size + 1);
		if (ret)
			snprintf(ret, MARK_LEN + text.size + 1, MARK "%.*s", (int)text.size, (char *)text.data);
	}
	gnutls_free(text.data);
	free(bin.data);
	return ret;
}

static int decrypt(const struct seal *s, const char *about, const gnutls_datum_t *bin, char **ret)
{
	size_t len = bin->size - NONCE_BYTES - TAG_BYTES, out = len;
	gnutls_aead_cipher_hd_t h;
	char *secret = calloc(1, len + 1);
	int rc = -ENOMEM;

	if (!secret)
		return -ENOMEM;
	if (!cipher_new(s, &h)) {
		rc = gnutls_aead_cipher_decrypt(h, bin->data, NONCE_BYTES, about, strlen(about), TAG_BYTES,
						bin->data + NONCE_BYTES, bin->size - NONCE_BYTES, secret, &out);
		rc = rc || out != len ? -EBADMSG : 0;
		gnutls_aead_cipher_deinit(h);
	}
	if (rc)
		explicit_bzero(secret, len + 1);
	/* A text with a zero in it was not sealed by us, whatever the tag says. */
	if (!rc && strlen(secret) != len)
		rc = -EBADMSG;
	if (rc)
		free(secret);
	else
		*ret = secret;
	return rc;
}

int seal_unwrap(struct seal *s, const char *about, const char *sealed, char **ret, struct err *err)
{
	gnutls_datum_t bin = {NULL, 0}, text;
	int rc = -EBADMSG;

	if (!strncmp(sealed, MARK, MARK_LEN)) {
		text.data = (unsigned char *)(uintptr_t)(sealed + MARK_LEN);
		text.size = (unsigned)strlen(sealed + MARK_LEN);
		if (!gnutls_base64_decode2(&text, &bin) && bin.size >= NONCE_BYTES + TAG_BYTES)
			rc = decrypt(s, about, &bin, ret);
	}
	gnutls_free(bin.data);
	if (rc == -ENOMEM)
		return err_set(err, rc, "out of memory");
	if (rc)
		return err_set(err, rc, "the sealed secret of %.80s does not open: another key, another row, or "
			       "damaged", about);
	return 0;
}

void seal_forget(char *secret)
{
	if (!secret)
		return;
	explicit_bzero(secret, strlen(secret));
	free(secret);
}

/* ------------------------------------------------------------------ */
void seal_random(char *to, size_t n)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	enum { SET = sizeof(set) - 1, FAIR = 256 / SET * SET };
	size_t i = 0;

	while (i < n) {
		uint8_t bytes[64];

		random_bytes(bytes, sizeof(bytes));
		for (size_t k = 0; k < sizeof(bytes) && i < n; k++)
			if (bytes[k] < FAIR) /* else the first letters would come more often */
				to[i++] = set[bytes[k] % SET];
		explicit_bzero(bytes, sizeof(bytes));
	}
	to[n] = '\0';
}

bool seal_same(const void *a, const void *b, size_t n)
{
	return gnutls_memcmp(a, b, n) == 0;
}

int seal_mac(const struct seal *s, const char *about, const char *text, uint8_t to[32])
{
	uint8_t key[32];
	int rc = gnutls_hmac_fast(GNUTLS_MAC_SHA256, s->key, KEY_BYTES, about, strlen(about), key);

	if (!rc)
		rc = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, sizeof(key), text, strlen(text), to);
	explicit_bzero(key, sizeof(key));
	return rc ? -ENOMEM : 0;
}
