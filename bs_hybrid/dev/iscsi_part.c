/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi_part.c - I/Os of the remote LUN cut into commands, sent, answered, sent again; and when a flush counts.
 *
 * Crash stories
 * (A) A write is sent in session S, the connection dies, the target still holds the command. If it were sent again
 *     in session T and answered, and a newer write of the same place after it, the old command, executed at last,
 *     would lay old data over new. So a lost write waits until S itself is back: its login, with the ISID of
 *     before, ends the tasks of the old session first (RFC 7143, 6.3.5). Resending then is harmless, for nothing
 *     newer can have overlapped it while it was not answered (precondition, iscsi.h).
 * (B) The same write is given up (patience is over, -EIO) before S is back; the caller writes the place anew, in
 *     T. So after giving up, no write at all is sent until S is back (remote_may_write()).
 * (C) Writes are acknowledged into the target's volatile cache; the target restarts (or its machine loses power)
 *     and forgets them; sessions are made anew in a second, and a flush, sent only then, would be answered GOOD:
 *     for writes that are gone. SCSI has no name for "this run of the target"; it only tells by a unit attention
 *     (29h) in a new session that it was reset, and some targets (tgt) say that in every new session. What proves
 *     that it did not restart is a session which lived through it. So: logins are numbered. Session b, alive when
 *     it answers what was sent after login n, proves logins b..n to be in one run of the target; so does, for n-1
 *     and n, a login n without the unit attention. A flush, sent in the oldest session f, counts if all logins
 *     between f and the lowest of which a write was acknowledged are proven to be one run. Else it is answered
 *     with -EIO, once: the caller then treats what was written since the last flush as not written. Without a
 *     volatile cache (WCE=0) there is nothing to lose.
 */
#include <assert.h>
#include <errno.h>

#include "base/text.h"
#include "dev/iscsi_priv.h"

void remote_answer(struct remote *d, struct dev_io *io, int error)
{
	io->error = error;
	list_push(&d->finished, &io->link);
}

void remote_answer_all(struct remote *d, struct link *ios, int error)
{
	struct link *l;

	while ((l = list_pop(ios)) != NULL)
		remote_answer(d, list_entry(l, struct dev_io, link), error);
}

/* ------------------------------------------------------------------ flush: which run of the target it was */

void remote_proof(struct remote *d, const struct conn *c, uint64_t seq)
{
	if (c->state != CONN_UP)
		return;
	for (uint64_t n = c->born + 1; n <= seq; n++)
		if (d->logins - n < 64)
			d->proven |= 1ull << (d->logins - n);
}

static bool same_run(const struct remote *d, uint64_t a, uint64_t b)
{
	uint64_t low = MIN(a, b), high = MAX(a, b);

	for (uint64_t n = low + 1; n <= high; n++)
		if (d->logins - n >= 64 || !(d->proven >> (d->logins - n) & 1))
			return false;
	return true;
}

void remote_flush_done(struct remote *d, int error)
{
	struct remote_flush *f = &d->flush;

	f->part.state = PART_FREE;
	f->part.conn = NULL;
	remote_answer_all(d, &f->busy, error);
}

static void flush_answered(struct remote *d, const struct conn *c, int error)
{
	struct remote_flush *f = &d->flush;

	bool proven = d->outlives || f->covers == NEVER || same_run(d, f->covers, c->born);

	if (!error && (d->write_lost || !proven)) {
		text_fmt(d->trouble, sizeof(d->trouble), "%s: %s", d->dev.name,
			 d->write_lost ? "the target lost an acknowledged write" :
					 "the target may have restarted, and lost what was not flushed");
		remote_say(d, d->trouble);
		error = -EIO;
	} else if (!error && d->nup) {
		d->trouble[0] = '\0';
	}
	d->write_lost = false;
	remote_flush_done(d, error);
}

static void flush_start(struct remote *d)
{
	struct remote_flush *f = &d->flush;

	if (f->part.state != PART_FREE || list_empty(&f->wait))
		return;
	list_splice(&f->busy, &f->wait);
	f->covers = d->unflushed;
	d->unflushed = NEVER;			/* what is acknowledged from now on is for the next one */
	f->part.state = PART_READY;
	d->newcomers = true;
}

/* ------------------------------------------------------------------ parts and jobs */

static bool is_data(const struct part *p)
{
	return p->job && p->job->io->op != DEV_DISCARD;
}

bool part_is_change(const struct part *p)
{
	return p->job && p->job->io->op != DEV_READ;
}

static void part_free(struct remote *d, struct part *p)
{
	p->state = PART_FREE;
	p->job = NULL;
	p->conn = NULL;
	list_push_front(&d->free, &p->link);
}

void job_end_if_over(struct remote *d, struct job *job)
{
	struct dev_io *io = job->io;

	if (job->error && job->cut_bytes < io->len_bytes) {
		list_del(&io->link);		/* it was waiting for its next part */
		job->cut_bytes = io->len_bytes;
	}
	if (job->parts || job->cut_bytes < io->len_bytes)
		return;
	remote_answer(d, io, job->error);
	job->io = NULL;
	list_push_front(&d->free_jobs, &job->link);
}

/* The part is over; it is on no list and not libiscsi's any more. */
void part_end(struct remote *d, struct part *p, int error)
{
	struct job *job = p->job;

	if (!job) {
		remote_flush_done(d, error);
		return;
	}
	if (error && !job->error)
		job->error = error;
	job->parts--;
	part_free(d, p);
	job_end_if_over(d, job);
}

static void part_again(struct remote *d, struct part *p, enum part_state state)
{
	p->state = state;
	p->conn = NULL;
	p->sent_ns = 0;
	if (!p->job)
		p->state = PART_READY;		/* flush_send() looks at the state alone */
	else
		list_push(state == PART_READY ? &d->ready : &d->held, &p->link);
}

bool remote_too_late(const struct remote *d, const struct dev_io *io)
{
	return io->start_ns && d->now_ns - io->start_ns >= d->patience_ns;
}

static struct dev_io *part_io(struct remote *d, struct part *p)
{
	return p->job ? p->job->io : list_first(&d->flush.busy, struct dev_io, link);
}

/* The target's answer in other words; *again: it is to be sent again. */
static int result_of(struct conn *c, const struct part *p, int status, const struct scsi_task *task, bool *again)
{
	struct remote *d = c->d;
	int ascq = task->sense.ascq, code = task->sense.error_type & 0x7f;

	*again = false;
	if (status == SCSI_STATUS_GOOD)		/* tgt says of a good UNMAP that its parameters were not wanted */
		return task->residual_status == SCSI_RESIDUAL_NO_RESIDUAL || !is_data(p) ? 0 : -EIO;
	*again = status == SCSI_STATUS_BUSY || status == SCSI_STATUS_TASK_SET_FULL ||
		 status == SCSI_STATUS_TASK_ABORTED;
	if (status != SCSI_STATUS_CHECK_CONDITION)
		return *again ? -EIO : -EBUSY;
	if (code == 0x71 || code == 0x73) {	/* deferred: about a write long answered; this one was not executed */
		d->write_lost = true;
		*again = true;
		return -EIO;
	}
	switch ((int)task->sense.key) {
	case SCSI_SENSE_UNIT_ATTENTION:
		conn_attention(c, ascq);
		*again = true;
		return -EIO;
	case SCSI_SENSE_NOT_READY:
	case SCSI_SENSE_COMMAND_ABORTED:
		*again = true;
		return -EIO;
	case SCSI_SENSE_DATA_PROTECTION:
		return ascq == 0x2707 ? -ENOSPC : -EROFS;
	case SCSI_SENSE_ILLEGAL_REQUEST:
		return ascq == 0x2100 ? -EINVAL : p->job && p->job->io->op == DEV_DISCARD ? -EOPNOTSUPP : -EIO;
	default:
		return -EIO;
	}
}

static void part_answered(struct remote *d, struct part *p, int error, bool again)
{
	struct conn *c = p->conn;

	c->sent--;
	if (again && !remote_too_late(d, part_io(d, p))) {
		part_again(d, p, PART_HELD);
		conn_timer(d);
	} else if (!p->job) {
		flush_answered(d, c, error);
	} else {
		if (!error && p->job->io->op == DEV_WRITE && d->facts.cache)
			d->unflushed = MIN(d->unflushed, c->born);
		part_end(d, p, error);
	}
}

static void on_part(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct part *p = priv;
	struct conn *c = p->conn;
	bool again;

	(void)data;
	if (c->closing)
		return;
	if (conn_lost_status(status)) {
		c->broken = true;		/* the part stays SENT: see remote_conn_lost() */
		return;
	}
	remote_proof(c->d, c, p->sent_seq);
	p->error = result_of(c, p, status, p->task, &again);
	/* Refused before all its data was sent: PDUs that wait in libiscsi still point at task and memory. */
	if (status != SCSI_STATUS_GOOD && part_is_change(p) && iscsi_out_queue_length(ctx) > 0) {
		p->early = !again;
		c->broken = true;
		return;
	}
	scsi_free_scsi_task(p->task);
	p->task = NULL;
	part_answered(c->d, p, p->error, again);
}

/* ------------------------------------------------------------------ sessions come and go */

void remote_conn_lost(struct remote *d, struct conn *c)
{
	for (size_t i = 0; i <= REMOTE_DEPTH; i++) {
		struct part *p = i < REMOTE_DEPTH ? &d->parts[i] : &d->flush.part;

		if (p->state != PART_SENT || p->conn != c)
			continue;
		scsi_free_scsi_task(p->task);
		p->task = NULL;
		c->sent--;
		if (p->early) {
			p->early = false;
			part_end(d, p, p->error);
		} else if (part_is_change(p)) {
			p->state = PART_LOST;	/* story A */
		} else {
			part_again(d, p, PART_READY);
		}
	}
	assert(c->sent == 0);
	if (d->nup || !d->opened || d->dev.failed || d->trouble[0])
		return;
	text_fmt(d->trouble, sizeof(d->trouble), "%s: connection lost: %s", d->dev.name, c->why);
	remote_say(d, d->trouble);
}

void remote_conn_up(struct remote *d, struct conn *c)
{
	char text[320];

	for (size_t i = 0; i < REMOTE_DEPTH; i++)
		if (d->parts[i].state == PART_LOST && d->parts[i].conn == c)
			part_again(d, &d->parts[i], PART_READY);
	if (!d->trouble[0] || d->nup != 1)
		return;
	text_fmt(text, sizeof(text), "%s: connected again", d->dev.name);
	remote_say(d, text);
	d->trouble[0] = '\0';
}

/* Story B. */
bool remote_may_write(const struct remote *d)
{
	for (unsigned i = 0; i < d->nconns; i++)
		if (d->conns[i].tainted)
			return false;
	return true;
}

/* ------------------------------------------------------------------ sending */

static struct conn *idlest(struct remote *d)
{
	struct conn *best = NULL;

	for (unsigned i = 0; i < d->nconns; i++) {
		struct conn *c = &d->conns[i];

		if (c->state == CONN_UP && !c->broken && c->sent < CONN_DEPTH && (!best || c->sent < best->sent))
			best = c;
	}
	return best;
}

struct conn *remote_oldest(struct remote *d)
{
	struct conn *best = NULL;

	for (unsigned i = 0; i < d->nconns; i++) {
		struct conn *c = &d->conns[i];

		if (c->state == CONN_UP && !c->broken && (!best || c->born < best->born))
			best = c;
	}
	return best;
}

static struct scsi_task *part_task(struct conn *c, struct part *p)
{
	uint32_t block = c->d->facts.block_bytes;
	uint64_t lba = p->off_bytes / block;
	struct unmap_list list = { .lba = lba, .num = (uint32_t)(p->len_bytes / block) };
	int lun = (int)c->d->lun;

	if (!p->job)
		return iscsi_synchronizecache16_task(c->ctx, lun, 0, 0, 0, 0, on_part, p);
	if (p->job->io->op == DEV_READ)
		return iscsi_read16_iov_task(c->ctx, lun, lba, (uint32_t)p->len_bytes, (int)block, 0, 0, 0, 0, 0,
					     on_part, p, p->iov, p->niov);
	if (p->job->io->op == DEV_WRITE)
		return iscsi_write16_iov_task(c->ctx, lun, lba, NULL, (uint32_t)p->len_bytes, (int)block, 0, 0, 0, 0, 0,
					      on_part, p, p->iov, p->niov);
	return iscsi_unmap_task(c->ctx, lun, 0, 0, &list, 1, on_part, p);
}

/* On no list. */
static void part_send(struct remote *d, struct part *p, struct conn *c)
{
	p->conn = c;
	p->sent_ns = 0;
	p->sent_seq = d->logins;
	p->early = false;
	p->task = part_task(c, p);
	if (!p->task) {
		part_end(d, p, -ENOMEM);
		return;
	}
	p->state = PART_SENT;
	c->sent++;
	c->queued = true;
	d->newcomers = true;
}

static void part_fill_iov(struct part *p, const struct dev_io *io, uint64_t at)
{
	uint64_t left = p->len_bytes;
	int k = 0;

	while (at >= io->iov[k].iov_len)
		at -= io->iov[k++].iov_len;
	for (p->niov = 0; left; p->niov++, k++) {
		uint64_t n = MIN(left, io->iov[k].iov_len - at);

		p->iov[p->niov] = (struct scsi_iovec){ (char *)io->iov[k].iov_base + at, n };
		left -= n;
		at = 0;
	}
}

static struct job *job_of(struct remote *d, struct dev_io *io)
{
	struct job *job = io->priv;

	if (job)
		return job;
	job = list_entry(list_pop(&d->free_jobs), struct job, link);	/* there are more of them than parts */
	*job = (struct job){ .io = io };
	io->priv = job;
	return job;
}

/* The next part of the I/O that waits longest. */
static struct part *cut(struct remote *d)
{
	struct dev_io *io = list_first(&d->waiting, struct dev_io, link);
	struct part *p = list_entry(list_pop(&d->free), struct part, link);
	struct job *job = job_of(d, io);
	uint64_t most = io->op == DEV_DISCARD ? d->unmap_bytes : d->part_bytes;

	p->job = job;
	p->off_bytes = io->off_bytes + job->cut_bytes;
	p->len_bytes = MIN(io->len_bytes - job->cut_bytes, most);
	p->state = PART_READY;
	if (io->op != DEV_DISCARD)
		part_fill_iov(p, io, job->cut_bytes);
	job->cut_bytes += p->len_bytes;
	job->parts++;
	if (job->cut_bytes == io->len_bytes)
		list_del(&io->link);
	return p;
}

static struct part *next_ready(struct remote *d, bool write)
{
	list_each_safe(l, tmp, &d->ready) {
		struct part *p = list_entry(l, struct part, link);

		if (part_is_change(p) && !write)
			continue;
		list_del(l);
		return p;
	}
	/* Behind a write that must wait everything waits: that is short, or the device is as good as gone. */
	if (list_empty(&d->waiting) || list_empty(&d->free) ||
	    (!write && list_first(&d->waiting, struct dev_io, link)->op != DEV_READ))
		return NULL;
	return cut(d);
}

void remote_dispatch(struct remote *d)
{
	bool write = remote_may_write(d);
	struct conn *c;
	struct part *p;

	flush_start(d);
	if (d->flush.part.state == PART_READY && (c = remote_oldest(d)) != NULL)
		part_send(d, &d->flush.part, c);
	while ((c = idlest(d)) != NULL && (p = next_ready(d, write)) != NULL)
		part_send(d, p, c);
	for (unsigned i = 0; i < d->nconns; i++)
		if (d->conns[i].queued)
			conn_push(&d->conns[i]);
}
