/* SPDX-License-Identifier: GPL-2.0-only */
/* test_identity.c - keys and certificates: made once, found again, refused when they are not what they should be. */
#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "box/identity.h"
#include "suites.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_PATH_MAX], key[64], cert[64];
static struct err err;

static void begin(void)
{
	scratch_new("/tmp", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	err = ERR_INIT;
}

static void test_made_once(void)
{
	char pin[IDENTITY_PIN_MAX], again[IDENTITY_PIN_MAX], der_pin[IDENTITY_PIN_MAX];
	gnutls_datum_t pem, der;
	gnutls_x509_crt_t crt;
	struct stat st;

	begin();
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "box", pin, &err), 0);
	CU_ASSERT_EQUAL(err.code, 0);
	CU_ASSERT_EQUAL(strlen(pin), 52);
	CU_ASSERT_NSTRING_EQUAL(pin, "sha256//", 8);
	CU_ASSERT_EQUAL(stat(key, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(stat(cert, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0644);
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "other-name", again, &err), 0);
	CU_ASSERT_STRING_EQUAL(pin, again);

	CU_ASSERT_EQUAL_FATAL(gnutls_load_file(cert, &pem), 0);
	gnutls_x509_crt_init(&crt);
	CU_ASSERT_EQUAL(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM), 0);
	CU_ASSERT_EQUAL(gnutls_x509_crt_check_hostname(crt, "box"), 1);
	CU_ASSERT_TRUE(gnutls_x509_crt_get_expiration_time(crt) > (time_t)4000000000);
	CU_ASSERT_EQUAL_FATAL(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der), 0);
	CU_ASSERT_EQUAL(identity_pin_der(der.data, der.size, der_pin, &err), 0);
	CU_ASSERT_STRING_EQUAL(pin, der_pin);
	CU_ASSERT_EQUAL(identity_pin_der(der.data, der.size - 1, der_pin, &err), -EINVAL);
	CU_ASSERT_EQUAL(identity_pin_der("", 0, der_pin, NULL), -EINVAL);
	gnutls_free(der.data);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	scratch_remove(dir);
}

/* The pin by hand, as RFC 7469 has it: of what follows in the certificate as SubjectPublicKeyInfo. */
static void test_pin(void)
{
	/* P-256, an uncompressed point of 64 bytes */
	static const char prefix[] = "\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08"
				     "\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
	char pin[IDENTITY_PIN_MAX], want[IDENTITY_PIN_MAX];
	gnutls_datum_t pem, der, sum, text;
	gnutls_x509_crt_t crt;
	unsigned char hash[32], *spki;

	begin();
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "box", pin, &err), 0);
	CU_ASSERT_EQUAL_FATAL(gnutls_load_file(cert, &pem), 0);
	gnutls_x509_crt_init(&crt);
	gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM);
	gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);
	spki = memmem(der.data, der.size, prefix, sizeof(prefix) - 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(spki);
	gnutls_hash_fast(GNUTLS_DIG_SHA256, spki, sizeof(prefix) - 1 + 64, hash);
	sum = (gnutls_datum_t){hash, sizeof(hash)};
	gnutls_base64_encode2(&sum, &text);
	snprintf(want, sizeof(want), "sha256//%.*s", (int)text.size, (char *)text.data);
	CU_ASSERT_STRING_EQUAL(pin, want);
	gnutls_free(text.data);
	gnutls_free(der.data);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	scratch_remove(dir);
}

static void test_refused(void)
{
	char pin[IDENTITY_PIN_MAX], again[IDENTITY_PIN_MAX], key2[64], cert2[64], none[64], longname[80];
	FILE *f;

	begin();
	snprintf(key2, sizeof(key2), "%s/key2.pem", dir);
	snprintf(cert2, sizeof(cert2), "%s/cert2.pem", dir);
	snprintf(none, sizeof(none), "%s/none/key.pem", dir);
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "box", pin, &err), 0);
	CU_ASSERT_EQUAL(identity_ensure(key2, cert2, "box", again, &err), 0);
	CU_ASSERT_STRING_NOT_EQUAL(pin, again);
	CU_ASSERT_EQUAL(identity_ensure(key, cert2, "box", again, &err), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not the certificate of the key"));
	unlink(key2);
	CU_ASSERT_EQUAL(identity_ensure(key2, cert2, "box", again, &err), -ENOENT);
	CU_ASSERT_EQUAL(access(key2, F_OK), -1);
	/* A crash between the two: the pin stays. */
	unlink(cert);
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "box", again, &err), 0);
	CU_ASSERT_STRING_EQUAL(pin, again);
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "box", again, &err), 0);
	chmod(key, 0640);
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "box", again, &err), -EPERM);
	f = fopen(key2, "w");
	fputs("not a key\n", f);
	fclose(f);
	chmod(key2, 0600);
	CU_ASSERT_EQUAL(identity_ensure(key2, cert2, "box", again, &err), -EINVAL);
	CU_ASSERT_EQUAL(identity_ensure(none, cert, "box", again, &err), -ENOENT);
	CU_ASSERT_EQUAL(identity_ensure(dir, cert, "box", again, &err), -EINVAL);
	unlink(key);
	unlink(cert);
	CU_ASSERT_EQUAL(identity_ensure(key, cert, "", again, &err), -EINVAL);
	memset(longname, 'a', 65);
	longname[65] = '\0';
	CU_ASSERT_EQUAL(identity_ensure(key, cert, longname, again, &err), -EINVAL);
	CU_ASSERT_EQUAL(access(key, F_OK), -1);
	longname[64] = '\0';
	CU_ASSERT_EQUAL(identity_ensure(key, cert, longname, again, &err), 0);
	scratch_remove(dir);
}

static void *make(void *pin)
{
	return identity_ensure(key, cert, "box", pin, NULL) ? pin : NULL;
}

/* Many at once end with one key. */
static void test_at_once(void)
{
	char pins[8][IDENTITY_PIN_MAX], pin[IDENTITY_PIN_MAX];
	pthread_t thread[8];
	void *bad;

	begin();
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, make, pins[i]), 0);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		pthread_join(thread[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
		CU_ASSERT_EQUAL_FATAL(identity_ensure(key, cert, "box", pin, &err), 0);
		CU_ASSERT_STRING_EQUAL(pin, pins[i]);
	}
	scratch_remove(dir);
}

static CU_TestInfo tests[] = {
	{"made_once", test_made_once},
	{"pin", test_pin},
	{"refused", test_refused},
	{"at_once", test_at_once},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_identity = {"identity", tests};
