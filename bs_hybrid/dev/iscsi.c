/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi.c - the remote LUN as a device: queue, kick, drain, what is given up and when, close.
 *
 * An I/O goes fresh -> (kick) waiting -> a job, cut into parts -> finished -> done(). A part is one command: ready ->
 * sent in a session -> answered; or its session ends, and it is ready again (a read), or lost until that session is
 * back (a write). Parts: iscsi_part.c, with the crash stories. Sessions: iscsi_conn.c. What a new session asks:
 * iscsi_lun.c. Opening: iscsi_open.c.
 *
 * Invariants
 * (1) done() runs in drain only; libiscsi's callbacks, which run in kick too, only move parts between lists.
 * (2) libiscsi copies between socket and I/O memory in our calls alone. A part that is not SENT is unknown to it: so an
 *     I/O is answered when none of its parts is, and dev.orphans stays 0. To take back what is SENT, the context of its
 *     session is destroyed.
 */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/text.h"
#include "dev/iscsi_priv.h"

static struct remote *remote_of(struct dev *dev)
{
	return container_of(dev, struct remote, dev);
}

static void signal_self(struct remote *d)
{
	uint64_t one = 1;

	if (!d->self_signalled && write(d->self_fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		d->self_signalled = true;
}

void remote_say(struct remote *d, const char *text)
{
	if (d->log && d->opened)
		d->log(d->log_ctx, text);
}

/* ------------------------------------------------------------------ queue and kick */

static int refusal(const struct remote *d, const struct dev_io *io)
{
	uint64_t size = d->dev.geom.size_bytes;

	if (d->dev.failed)
		return -EIO;
	if (io->op == DEV_FLUSH)
		return 0;
	if (io->off_bytes > size || io->len_bytes > size - io->off_bytes || io->len_bytes == 0)
		return -EINVAL;
	if (io->op != DEV_READ && d->read_only)
		return -EROFS;
	if (io->op == DEV_DISCARD && !d->dev.geom.discard_bytes)
		return -EOPNOTSUPP;
	return 0;
}

static void assert_io(const struct remote *d, const struct dev_io *io)
{
	uint64_t sum = 0, bits = io->off_bytes | io->len_bytes;

	assert(io->done);
	if (io->op == DEV_READ || io->op == DEV_WRITE) {
		assert(io->niov > 0 && io->niov <= DEV_IOV_MAX);
		for (int i = 0; i < io->niov; i++)
			sum += io->iov[i].iov_len;
		assert(sum == io->len_bytes);
	}
	assert(io->op == DEV_FLUSH || (bits & (d->dev.geom.logical_bytes - 1)) == 0);
}

static void remote_queue(struct dev *dev, struct dev_io *io)
{
	struct remote *d = remote_of(dev);
	int r = refusal(d, io);

	assert_io(d, io);
	io->priv = NULL;
	io->start_ns = 0;			/* until a drain tells the time: now_ns may be long ago */
	d->newcomers = true;
	if (r < 0)
		remote_answer(d, io, r);
	else
		list_push(&d->fresh, &io->link);
}

static void sort_fresh(struct remote *d)
{
	struct link *l;

	while ((l = list_pop(&d->fresh)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		if (io->op == DEV_FLUSH && d->read_only)
			remote_answer(d, io, 0);
		else if (io->op == DEV_FLUSH)
			list_push(&d->flush.wait, l);
		else
			list_push(&d->waiting, l);
	}
}

/* ------------------------------------------------------------------ giving up */

/* Everything that no session has is answered. */
static void give_up_all(struct remote *d, int error)
{
	struct link *l;

	for (size_t i = 0; i < REMOTE_DEPTH; i++) {
		struct part *p = &d->parts[i];

		if (p->state == PART_FREE || p->state == PART_SENT)
			continue;
		if (p->state != PART_LOST)
			list_del(&p->link);
		part_end(d, p, error);
	}
	sort_fresh(d);
	while ((l = list_pop(&d->waiting)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);
		struct job *job = io->priv;

		if (job) {			/* some of its parts were answered well, or are still out */
			job->error = job->error ? job->error : error;
			job->cut_bytes = io->len_bytes;
			if (job->parts)
				continue;
			job_end_if_over(d, job);
		} else {
			remote_answer(d, io, error);
		}
	}
	if (d->flush.part.state == PART_READY)
		remote_flush_done(d, error);
	remote_answer_all(d, &d->flush.wait, error);
}

void remote_fail(struct remote *d, const char *fmt, ...)
{
	char why[sizeof(d->trouble) - 64];
	va_list ap;

	if (d->dev.failed)
		return;
	va_start(ap, fmt);
	text_vfmt(why, sizeof(why), fmt, ap);
	va_end(ap);
	d->dev.failed = true;
	for (unsigned i = 0; i < d->nconns; i++)
		if (d->conns[i].ctx)
			conn_end(&d->conns[i], -EIO, "%s", why);
	give_up_all(d, -EIO);
	text_fmt(d->trouble, sizeof(d->trouble), "%s: failed: %s", d->dev.name, why);
	remote_say(d, d->trouble);
	conn_timer(d);
}

/* A part in nobody's hands is over when its I/O has waited long enough. */
static void give_up_part(struct remote *d, struct part *p, bool outage)
{
	if (p->state == PART_FREE || p->state == PART_SENT || !(outage || remote_too_late(d, p->job->io)))
		return;
	if (p->state == PART_READY && d->nup && !(part_is_change(p) && !remote_may_write(d)))
		return;				/* its turn comes */
	if (p->state == PART_LOST)
		p->conn->tainted = true;	/* story B */
	else
		list_del(&p->link);
	part_end(d, p, -EIO);
}

static void give_up_waiting(struct remote *d, bool outage)
{
	bool write = remote_may_write(d);

	list_each_safe(l, tmp, &d->waiting) {
		struct dev_io *io = list_entry(l, struct dev_io, link);
		struct job *job = io->priv;

		if (!(outage || remote_too_late(d, io)) || (d->nup && (write || io->op == DEV_READ)))
			continue;
		if (job) {
			job->error = job->error ? job->error : -EIO;
			job_end_if_over(d, job);
			continue;
		}
		list_del(l);
		remote_answer(d, io, -EIO);
	}
}

/* Patience: see iscsi.h. An outage that lasts longer than that lets new I/Os fail at once. */
static void give_up(struct remote *d)
{
	bool outage = !d->nup && d->now_ns - d->down_ns >= d->patience_ns;
	struct remote_flush *f = &d->flush;

	if (d->nup == d->nconns && list_empty(&d->held) && remote_may_write(d))
		return;
	for (size_t i = 0; i < REMOTE_DEPTH; i++)
		give_up_part(d, &d->parts[i], outage);
	give_up_waiting(d, outage);
	if (d->nup)
		return;
	if (f->part.state == PART_READY && (outage || remote_too_late(d, list_first(&f->busy, struct dev_io, link))))
		remote_flush_done(d, -EIO);
	list_each_safe(l, tmp, &f->wait) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		if (outage || remote_too_late(d, io)) {
			list_del(l);
			remote_answer(d, io, -EIO);
		}
	}
}

/* The target lives (it answers pings), but not this: the device is sick. The session's end takes the memory back. */
static void time_out(struct remote *d)
{
	bool any = false;

	for (size_t i = 0; i <= REMOTE_DEPTH; i++) {
		struct part *p = i < REMOTE_DEPTH ? &d->parts[i] : &d->flush.part;

		if (p->state != PART_SENT || !p->sent_ns || d->now_ns - p->sent_ns < d->dev.timeout_ns)
			continue;
		any = true;
		p->early = true;
		p->error = -ETIMEDOUT;
	}
	if (any)
		remote_fail(d, "a command was not answered for %llu s",
			    (unsigned long long)(d->dev.timeout_ns / SEC_NS));
}

/* ------------------------------------------------------------------ kick and drain */

static void remote_kick(struct dev *dev)
{
	struct remote *d = remote_of(dev);

	if (dev->failed) {
		give_up_all(d, -EIO);
	} else {
		sort_fresh(d);
		remote_dispatch(d);
	}
	if (!list_empty(&d->finished))
		signal_self(d);
}

static void stamp(struct link *ios, uint64_t now_ns)
{
	for (struct link *l = ios->prev; l != ios && !list_entry(l, struct dev_io, link)->start_ns; l = l->prev)
		list_entry(l, struct dev_io, link)->start_ns = now_ns;
}

/* What came since the last drain, came now. */
static void stamp_newcomers(struct remote *d)
{
	uint64_t now = MAX(d->now_ns, 1u);

	if (!d->newcomers)
		return;
	d->newcomers = false;
	stamp(&d->fresh, now);
	stamp(&d->waiting, now);
	stamp(&d->finished, now);
	stamp(&d->flush.wait, now);
	stamp(&d->flush.busy, now);
	for (size_t i = 0; i <= REMOTE_DEPTH; i++) {
		struct part *p = i < REMOTE_DEPTH ? &d->parts[i] : &d->flush.part;

		if (p->state == PART_SENT && !p->sent_ns)
			p->sent_ns = now;
		if (p->state != PART_FREE && p->job && !p->job->io->start_ns)
			p->job->io->start_ns = now;
	}
}

/* Nobody looked for a while (or the clock is another one): silence until now means nothing. */
static void rebase(struct remote *d, uint64_t now_ns)
{
	uint64_t gap = now_ns - d->now_ns;

	if (!d->rebase && gap < 2 * SEC_NS)
		return;
	for (unsigned i = 0; i < d->nconns; i++) {
		struct conn *c = &d->conns[i];

		c->heard_ns = now_ns;
		c->retry_ns = MIN(c->retry_ns, now_ns);
		if (c->state != CONN_UP && c->state != CONN_DOWN)
			c->until_ns = now_ns + LOGIN_NS;
	}
	if (d->rebase)
		d->down_ns = now_ns;
	d->rebase = false;
}

static int finish(struct remote *d)
{
	struct link todo;
	struct link *l;
	int n = 0;

	list_init(&todo);
	list_splice(&todo, &d->finished);
	while ((l = list_pop(&todo)) != NULL) {
		struct dev_io *io = list_entry(l, struct dev_io, link);

		dev_finish(&d->dev, io, io->error, d->now_ns);
		n++;
	}
	return n;
}

static int remote_drain(struct dev *dev, uint64_t now_ns)
{
	struct remote *d = remote_of(dev);

	rebase(d, now_ns);
	d->now_ns = now_ns;
	stamp_newcomers(d);
	conn_pump(d);
	if (!dev->failed && d->refused_ns != NEVER && now_ns - d->refused_ns >= REFUSE_NS) {
		for (unsigned i = 0; i < d->nconns && !dev->failed; i++)
			if (d->conns[i].why_code == -EXDEV)
				remote_fail(d, "%s", d->conns[i].why);
	}
	if (!dev->failed) {
		time_out(d);
		give_up(d);
	}
	if (dev->failed)
		give_up_all(d, -EIO);
	else
		remote_dispatch(d);
	return finish(d);
}

static int remote_event_fd(struct dev *dev)
{
	return remote_of(dev)->epoll_fd;
}

/* ------------------------------------------------------------------ the rest */

static bool rescanned(struct remote *d)
{
	for (unsigned i = 0; i < d->nconns; i++)
		if (d->conns[i].ctl && d->conns[i].step == STEP_RESCAN)
			return false;
	return true;
}

/* Asks and waits, for 5 s at most: who grows a pool needs the answer now. */
static int remote_rescan(struct dev *dev)
{
	struct remote *d = remote_of(dev);
	struct conn *c = dev->failed ? NULL : remote_oldest(d);

	if (!c || c->ctl)
		return !c ? -ENOTCONN : -EAGAIN;
	lun_ask(c, STEP_RESCAN);
	conn_push(c);
	remote_wait(d, 5 * SEC_NS, rescanned);
	if (!list_empty(&d->finished))
		signal_self(d);
	dev->geom.size_bytes = MAX(dev->geom.size_bytes, d->facts.blocks * d->facts.block_bytes);
	return rescanned(d) && c->state == CONN_UP ? 0 : -ETIMEDOUT;
}

/* Commands that the caller forgot end with their sessions. */
static void remote_close(struct dev *dev)
{
	struct remote *d = remote_of(dev);

	d->opened = false;
	for (unsigned i = 0; i < d->nconns; i++)
		if (d->conns[i].ctx)
			conn_end(&d->conns[i], -ESHUTDOWN, "closed");
	remote_free(d);
}

void remote_init(struct remote *d)
{
	struct link *const heads[] = {
		&d->fresh, &d->waiting, &d->finished, &d->free, &d->ready, &d->held, &d->free_jobs,
		&d->flush.wait, &d->flush.busy,
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		list_init(heads[i]);
	for (size_t i = 0; i < REMOTE_DEPTH; i++) {
		d->parts[i].d = d;
		list_push(&d->free, &d->parts[i].link);
	}
	for (size_t i = 0; i < ARRAY_LEN(d->jobs); i++)
		list_push(&d->free_jobs, &d->jobs[i].link);
	d->flush.part.d = d;
	d->unflushed = d->refused_ns = NEVER;
	d->epoll_fd = d->timer_fd = d->self_fd = -1;
	d->dev.ops = &remote_ops;
	d->dev.timeout_ns = DEV_TIMEOUT_NS;
}

const char *dev_iscsi_identity(const struct dev *dev)
{
	return container_of(dev, const struct remote, dev)->facts.identity;
}

const char *dev_iscsi_trouble(const struct dev *dev)
{
	return container_of(dev, const struct remote, dev)->trouble;
}

const struct dev_ops remote_ops = {
	.kind = "iscsi",
	.queue = remote_queue,
	.kick = remote_kick,
	.drain = remote_drain,
	.event_fd = remote_event_fd,
	.rescan = remote_rescan,
	.close = remote_close,
};
