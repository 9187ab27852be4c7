/* SPDX-License-Identifier: GPL-2.0-only */
/* identity.c - makes a key and its certificate, once.
 *
 * Crash story: the key is written to a file of another name, made durable, and linked to its own name; then the
 * certificate likewise. Killed in between, there is nothing, or a key: the next start makes the certificate that lacks.
 * A certificate without its key means that the key was lost: a new one would be another identity, which is for the
 * administrator to decide.
 */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box/identity.h"

#define PEM_MAX 65536
#define VALID_FROM 1577836800 /* 2020: no clock is asked, as that of a new machine may be wrong */

/* ---------------------------------------------------------------- pins */

static int pin_of(gnutls_pubkey_t pub, char pin[IDENTITY_PIN_MAX])
{
	gnutls_datum_t der = {NULL, 0}, text = {NULL, 0}, sum;
	uint8_t hash[32];
	int ret = gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_DER, &der);

	if (ret >= 0)
		ret = gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash);
	sum = (gnutls_datum_t){hash, sizeof(hash)};
	if (ret >= 0)
		ret = gnutls_base64_encode2(&sum, &text);
	if (ret >= 0)
		snprintf(pin, IDENTITY_PIN_MAX, "sha256//%.*s", (int)text.size, (char *)text.data);
	gnutls_free(der.data);
	gnutls_free(text.data);
	return ret;
}

static int pin_of_cert(const gnutls_datum_t *cert, gnutls_x509_crt_fmt_t fmt, char pin[IDENTITY_PIN_MAX])
{
	gnutls_x509_crt_t crt;
	gnutls_pubkey_t pub;
	int ret = gnutls_x509_crt_init(&crt);

	if (ret < 0)
		return ret;
	ret = gnutls_pubkey_init(&pub);
	if (ret >= 0) {
		ret = gnutls_x509_crt_import(crt, cert, fmt);
		if (ret >= 0)
			ret = gnutls_pubkey_import_x509(pub, crt, 0);
		if (ret >= 0)
			ret = pin_of(pub, pin);
		gnutls_pubkey_deinit(pub);
	}
	gnutls_x509_crt_deinit(crt);
	return ret;
}

static int pin_of_key(gnutls_x509_privkey_t key, char pin[IDENTITY_PIN_MAX])
{
	gnutls_privkey_t priv;
	gnutls_pubkey_t pub;
	int ret = gnutls_privkey_init(&priv);

	if (ret < 0)
		return ret;
	ret = gnutls_pubkey_init(&pub);
	if (ret >= 0) {
		ret = gnutls_privkey_import_x509(priv, key, 0);
		if (ret >= 0)
			ret = gnutls_pubkey_import_privkey(pub, priv, 0, 0);
		if (ret >= 0)
			ret = pin_of(pub, pin);
		gnutls_pubkey_deinit(pub);
	}
	gnutls_privkey_deinit(priv);
	return ret;
}

int identity_pin_der(const void *cert, unsigned len, char pin[IDENTITY_PIN_MAX], struct err *err)
{
	gnutls_datum_t der = {(unsigned char *)(uintptr_t)cert, len};
	int ret = pin_of_cert(&der, GNUTLS_X509_FMT_DER, pin);

	return ret < 0 ? err_set(err, -EINVAL, "certificate: %s", gnutls_strerror(ret)) : 0;
}

/* ---------------------------------------------------------------- files */

/* A whole PEM file into buf. -ENOENT without a text if it is not there. */
static int read_pem(const char *path, bool secret, char buf[PEM_MAX], gnutls_datum_t *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= PEM_MAX) {
		close(fd);
		return err_set(err, -EINVAL, "%s: expected a PEM file", path);
	}
	if (secret && ((st.st_mode & 077) || (st.st_uid != 0 && st.st_uid != geteuid()))) {
		close(fd);
		return err_set(err, -EPERM, "%s: a key must be root's or ours, and nobody else's to read (mode 0600)",
			       path);
	}
	*ret = (gnutls_datum_t){(unsigned char *)buf, 0};
	do {
		n = read(fd, buf + ret->size, PEM_MAX - 1 - ret->size);
		ret->size += n > 0 ? (unsigned)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n ? err_set(err, (int)n, "%s: %s", path, strerror((int)-n)) : 0;
}

static int write_all(int fd, const gnutls_datum_t *text)
{
	for (unsigned done = 0; done < text->size;) {
		ssize_t n = write(fd, text->data + done, text->size - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (unsigned)n : 0;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	int fd, ret;

	if (slash && slash - path + 1 >= (long)sizeof(dir))
		return -ENAMETOOLONG;
	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* The file is there wholly, durably, and nobody's was replaced (-EEXIST), or it is not there. */
static int write_pem(const char *path, mode_t mode, const gnutls_datum_t *text, struct err *err)
{
	char temp[4096];
	int fd, ret;

	if (snprintf(temp, sizeof(temp), "%s.%ld", path, (long)gettid()) >= (int)sizeof(temp))
		return err_set(err, -ENAMETOOLONG, "%.200s...: the path is too long", path);
	(void)unlink(temp); /* of a thread of our number that died here */
	fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", temp, strerror(errno));
	ret = fchmod(fd, mode) < 0 ? -errno : write_all(fd, text);
	close(fd);
	if (!ret && link(temp, path) < 0)
		ret = -errno;
	(void)unlink(temp);
	if (!ret)
		ret = sync_folder(path);
	return ret ? err_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

/* ---------------------------------------------------------------- making */

static int failed(int ret, const char *path, struct err *err)
{
	return err_set(err, ret == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL, "%s: %s", path, gnutls_strerror(ret));
}

static int make_key(const char *path, struct err *err)
{
	gnutls_datum_t pem = {NULL, 0};
	gnutls_x509_privkey_t key;
	int ret = gnutls_x509_privkey_init(&key);

	if (ret < 0)
		return failed(ret, path, err);
	ret = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (ret >= 0)
		ret = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
	gnutls_x509_privkey_deinit(key);
	ret = ret < 0 ? failed(ret, path, err) : write_pem(path, 0600, &pem, err);
	if (pem.data)
		explicit_bzero(pem.data, pem.size);
	gnutls_free(pem.data);
	return ret;
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *name)
{
	uint8_t serial[16];
	int ret = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of full length (RFC 5280, 4.1.2.2) */
	if (ret >= 0)
		ret = gnutls_x509_crt_set_version(crt, 3);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (ret >= 0)
		ret = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned)strlen(name));
	if (ret >= 0)
		ret = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), 0);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_activation_time(crt, VALID_FROM);
	if (ret >= 0) /* 9999-12-31 (RFC 5280, 4.1.2.5) */
		ret = gnutls_x509_crt_set_expiration_time(crt, (time_t)GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
	if (ret >= 0)
		ret = gnutls_x509_crt_set_key(crt, key);
	return ret < 0 ? ret : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

static int make_cert(const char *path, gnutls_x509_privkey_t key, const char *name, struct err *err)
{
	gnutls_datum_t pem = {NULL, 0};
	gnutls_x509_crt_t crt;
	int ret = gnutls_x509_crt_init(&crt);

	if (ret < 0)
		return failed(ret, path, err);
	ret = fill(crt, key, name);
	if (ret >= 0)
		ret = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);
	gnutls_x509_crt_deinit(crt);
	ret = ret < 0 ? failed(ret, path, err) : write_pem(path, 0644, &pem, err);
	gnutls_free(pem.data);
	return ret;
}

/* Both files as they are; makes the certificate if the key has none. -EEXIST: another process made it just now. */
static int check(gnutls_x509_privkey_t key, const char *key_path, const char *cert_path, const char *name, char *buf,
		 char pin[IDENTITY_PIN_MAX], struct err *err)
{
	char other[IDENTITY_PIN_MAX];
	gnutls_datum_t pem;
	int ret;

	ret = pin_of_key(key, pin);
	if (ret < 0)
		return failed(ret, key_path, err);
	ret = read_pem(cert_path, false, buf, &pem, err);
	if (ret == -ENOENT)
		return make_cert(cert_path, key, name, err);
	if (ret)
		return ret;
	ret = pin_of_cert(&pem, GNUTLS_X509_FMT_PEM, other);
	if (ret < 0)
		return failed(ret, cert_path, err);
	if (strcmp(pin, other) != 0)
		return err_set(err, -EINVAL, "%s is not the certificate of the key %s", cert_path, key_path);
	return 0;
}

/* One try. */
static int ensure(const char *key_path, const char *cert_path, const char *name, char *buf, char pin[IDENTITY_PIN_MAX],
		  struct err *err)
{
	gnutls_x509_privkey_t key;
	gnutls_datum_t pem;
	int ret = read_pem(key_path, true, buf, &pem, err);

	if (ret == -ENOENT && access(cert_path, F_OK) == 0)
		return err_set(err, -ENOENT,
			       "%s is there, but not its key %s: put it back, or remove both to become somebody else",
			       cert_path, key_path);
	if (ret == -ENOENT) {
		ret = make_key(key_path, err);
		return ret ? ret : -EEXIST; /* and now as if it had been there */
	}
	if (ret)
		return ret;
	ret = gnutls_x509_privkey_init(&key);
	if (ret < 0)
		return failed(ret, key_path, err);
	ret = gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM);
	explicit_bzero(buf, PEM_MAX);
	if (ret < 0)
		ret = failed(ret, key_path, err);
	else
		ret = check(key, key_path, cert_path, name, buf, pin, err);
	gnutls_x509_privkey_deinit(key);
	return ret;
}

int identity_ensure(const char *key_path, const char *cert_path, const char *name, char pin[IDENTITY_PIN_MAX],
		    struct err *err)
{
	char *buf;
	int ret = -EEXIST;

	if (!name[0] || strlen(name) > 64)
		return err_set(err, -EINVAL, "\"%.80s\": expected a name of 1 to 64 bytes", name);
	buf = calloc(1, PEM_MAX);
	if (!buf)
		return err_set(err, -ENOMEM, "out of memory");
	/* Each turn that ends so, somebody has made a file that lacked. */
	for (int i = 0; i < 4 && ret == -EEXIST; i++)
		ret = ensure(key_path, cert_path, name, buf, pin, err);
	free(buf);
	if (ret)
		return err_wrap(err, "identity");
	if (err)
		*err = ERR_INIT;
	return 0;
}
