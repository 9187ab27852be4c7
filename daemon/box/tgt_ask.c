/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_ask.c - one request to tgtd and its answer. A connection each: tgtd closes it after the answer. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/units.h"
#include "box/sock.h"
#include "box/tgt_priv.h"

#define TEXT_MAX (256u << 20)

/* Another process: what was told to the former one is forgotten with it. */
static void note_life(struct tgt *t, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.pid == t->life)
		return;
	t->life = peer.pid;
	json_object_clear(t->digests);
}

static int receive(int fd, uint64_t deadline_ms, char **ret_text, struct err *err)
{
	struct tgt_rsp rsp;
	size_t len;
	char *text;
	int rc = sock_recv_all(fd, &rsp, sizeof(rsp), deadline_ms, err);

	if (rc)
		return rc;
	if (rsp.len < sizeof(rsp) || rsp.len > TEXT_MAX || rsp.error > INT32_MAX)
		return err_set(err, -EPROTO, "its answer is not of this protocol");
	len = rsp.error ? 0 : rsp.len - sizeof(rsp);
	if (rsp.error || !ret_text)
		return (int)rsp.error;
	text = malloc(len + 1);
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	rc = sock_recv_all(fd, text, len, deadline_ms, err);
	if (rc) {
		free(text);
		return rc;
	}
	text[len] = '\0';
	*ret_text = text;
	return 0;
}

/* The words of an error: "tgtd at PATH: ...". That it has gone in the midst is told as that it cannot be reached: all
 * that is asked of it may be asked again. */
static int ask(struct tgt *t, const void *p, size_t n, uint32_t timeout_ms, char **ret_text, struct err *err)
{
	uint64_t deadline_ms = sock_now_ms() + MIN(timeout_ms, t->patience_ms);
	struct err own = ERR_INIT;
	int fd = -1, rc;

	rc = sock_connect(t->path, deadline_ms, &fd, &own);
	if (!rc) {
		note_life(t, fd);
		rc = sock_send(fd, p, n, deadline_ms, &own);
		if (!rc)
			rc = receive(fd, deadline_ms, ret_text, &own);
		close(fd);
	}
	if (rc == -EPIPE)
		return err_set(err, -ECONNREFUSED, "tgtd at %s: it closed the connection: it died, or this is not "
			       "its user", t->path);
	return rc < 0 ? err_set(err, rc, "tgtd at %s: %s", t->path, own.text) : rc;
}

int tgt_ask(struct tgt *t, const struct tgt_req *req, uint32_t timeout_ms, char **ret_text, struct err *err,
	    const char *fmt, ...)
{
	struct {
		struct tgt_req req;
		char params[TGT_PARAMS_MAX];
	} out;
	int n = 0, rc;
	va_list ap;

	out.req = *req;
	snprintf(out.req.driver, sizeof(out.req.driver), "iscsi");
	if (fmt) {
		va_start(ap, fmt);
		n = vsnprintf(out.params, sizeof(out.params), fmt, ap) + 1; /* tgtd reads up to the zero */
		va_end(ap);
	}
	out.req.len = (uint32_t)(sizeof(out.req) + (size_t)n);
	rc = n > TGT_PARAMS_MAX ? err_set(err, -E2BIG, "the request to tgtd is too long") :
				  ask(t, &out, out.req.len, timeout_ms, ret_text, err);
	explicit_bzero(out.params, (size_t)MIN(n, TGT_PARAMS_MAX)); /* it may have had a secret */
	return rc;
}

static const char *words(int rc)
{
#define WORDS(theirs, ours, number, text) {number, text},
	static const struct {
		int number;
		const char *text;
	} all[] = {TGT_WIRE_ERRORS(WORDS)};
#undef WORDS
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i].number == rc)
			return all[i].text;
	return "an error this program does not know";
}

static int to_errno(int rc)
{
	switch (rc) {
	case TGT_NO_MEMORY:
		return -ENOMEM;
	case TGT_NO_DRIVER:
		return -ENODEV;
	case TGT_NO_TARGET:
	case TGT_NO_LUN:
	case TGT_NO_USER:
		return -EAGAIN; /* it was there a moment ago: somebody else removes it */
	case TGT_TARGET_EXISTS:
	case TGT_LUN_EXISTS:
	case TGT_USER_EXISTS:
	case TGT_OUTGOING_EXISTS:
		return -EEXIST;
	case TGT_TARGET_ACTIVE:
	case TGT_LUN_ACTIVE:
		return -EBUSY;
	default:
		return -EIO;
	}
}

int tgt_fail(int rc, struct err *err, const char *fmt, ...)
{
	char what[512];
	va_list ap;

	if (rc == 0)
		return 0;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return rc < 0 ? err_wrap(err, "%s", what) : err_set(err, to_errno(rc), "%s: %s", what, words(rc));
}
