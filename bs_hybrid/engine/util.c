/* SPDX-License-Identifier: GPL-2.0-only */
/* util.c - small things of the engine: log lines, failing, one I/O waited for. */
#include <stdarg.h>

#include "engine/pool.h"

const uint8_t zero_block[BLK_BYTES] __attribute__((aligned(4096)));

void pool_log(const struct hb_pool *p, enum hb_log_level lv, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	size_t n = text_fmt(text, sizeof(text), "pool %s: ", p->sb.name);

	va_start(ap, fmt);
	text_vfmt(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	p->env.log(p->env.ctx, lv, text);
}

void pool_fail(struct hb_pool *p, const char *why)
{
	if (p->failed)
		return;
	p->failed = true;
	text_fmt(p->trouble, sizeof(p->trouble), "%s", why);
	pool_log(p, HB_LOG_ERROR, "%s; no more writes are taken, answered ones are safe in the log and in staging",
		 why);
	req_wake_all(&p->log_waiters);
	req_wake_all(&p->space_waiters);
	turns_wake_all(&p->write_turns);
	req_wake_all(&p->flush_waiters);
	req_wake_all(&p->through.waiters);
}

bool all_zero(const void *buf, size_t len)
{
	const uint8_t *b = buf;

	return len == 0 || (b[0] == 0 && memcmp(b, b + 1, len - 1) == 0);
}

bool pblk_ok(const struct hb_pool *p, uint64_t n)
{
	uint64_t first = (uint64_t)p->sb.first_chunk * p->sb.chunk_blk;

	return n >= first && n - first < (uint64_t)p->sb.nchunks * p->sb.chunk_blk;
}

bool hb_name_ok(const char *s)
{
	size_t n = strlen(s);

	if (n < 1 || n > HB_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
			return false;
	}
	return true;
}

uint64_t hb_staging_bytes(void)
{
	return BLK_BYTES + 16ull * SEG_BLK_MAX * BLK_BYTES;
}

static void sync_done(struct dev_io *io)
{
	*(bool *)io->owner = true;
}

int sync_io(const struct hb_env *env, struct dev *dev, enum dev_op op, uint64_t blk, void *buf, uint32_t nblk)
{
	int rc = sync_io_at(env, dev, 0, op, blk, buf, nblk);

	/* A half of a mirror that hangs is out by that; other memory may be read into from the other one (mirror.h). */
	if (rc == -ETIMEDOUT && op == DEV_READ && dev_is_mirror(dev) && !dev->failed)
		rc = sync_io_at(env, dev, 0, op, blk, buf, nblk);
	return rc;
}

int sync_io_at(const struct hb_env *env, struct dev *dev, uint8_t side, enum dev_op op, uint64_t blk, void *buf,
	       uint32_t nblk)
{
	size_t len = (size_t)nblk * BLK_BYTES;
	struct {
		struct dev_io io;
		struct iovec iov;
		bool done;
	} *s = mem_zalloc(sizeof(*s));
	uint8_t *mem = len ? mem_alloc_aligned(len) : NULL;
	int error;

	if (!s || (len && !mem)) {
		mem_free(s);
		mem_free(mem);
		return -ENOMEM;
	}
	if (op == DEV_WRITE)
		memcpy(mem, buf, len);
	s->iov = (struct iovec){mem, len};
	s->io = (struct dev_io){.op = op,
				.side = side,
				.off_bytes = blk * BLK_BYTES,
				.len_bytes = len,
				.iov = len ? &s->iov : NULL,
				.niov = len ? 1 : 0,
				.done = sync_done,
				.owner = &s->done};
	dev_queue(dev, &s->io);
	dev_kick(dev);
	while (dev_drain(dev, env->now_ns(env->ctx)), !s->done) {
		env->wait(env->ctx, env->now_ns(env->ctx) + SEC_NS);
		dev_kick(dev);
	}
	error = s->io.error;
	if (!error && op == DEV_READ)
		memcpy(buf, mem, len);
	if (error != -ETIMEDOUT) /* else the device may still write into it: given up */
		mem_free(mem);
	mem_free(s);
	return error;
}

void new_uuid(const struct hb_env *env, uint8_t uuid[16])
{
	for (int i = 0; i < 2; i++) {
		uint64_t r = env->random(env->ctx);

		memcpy(uuid + 8 * i, &r, 8);
	}
}
