/* SPDX-License-Identifier: GPL-2.0-only */
/* halves.c - a write tier on two devices: which of them count, and how that is remembered.
 *
 * Each half, and the pool's root, have an epoch and the set of halves that are out. Whenever a half goes or comes, the
 * epoch is raised: on the halves that count, then in the root; only then does dev/mirror.c go on (its crash stories say
 * what it holds back meanwhile). At open the highest epoch that is found anywhere speaks; a half with an older one is
 * stale, and is made good in the background, like one that was replaced.
 *
 * Crash stories
 * - Half 1 is lost, and power fails when half 0 says so and the root does not: half 0's epoch is the highest, half 1 is
 *   out. If it is half 1 alone that comes back, its epoch and the root's are the same: it counts, and rightly so, for
 *   nothing was answered that it does not have. It then says that half 0 is out, with the epoch that half 0 has too;
 *   but so does the root, and the root is believed.
 * - Half 1 has been made good, and power fails when half 0 says so, and half 1 does not yet: it has an old epoch, is
 *   out, and is made good again.
 * - Power fails with units under way: the halves differ there. Replay takes each unit from the half that has it whole,
 *   and writes it to both before it counts (replay.c); what lies before the checkpoint was flushed on both.
 */
#include "engine/pool.h"

#define HALF_TIMEOUT_NS (8 * SEC_NS) /* until then, writes hang: well below what initiators bear */
#define SUPER_STEPS 4u

/* ---------------------------------------------------------------- which halves count */

struct half_label {
	struct dev *dev;
	struct super sb;
	bool ours;
};

static bool is_half(const struct super *root, const struct super *s)
{
	return s->role == HB_ROLE_WRITE && !memcmp(s->pool_uuid, root->pool_uuid, 16) && s->index >= 1 &&
	       s->index <= 2 && !memcmp(root->devs[s->index].uuid, s->dev_uuid, 16) && s->nsegs == root->nsegs &&
	       s->seg_blk == root->seg_blk;
}

static bool recent(const struct super *root, const struct super *s)
{
	return s->generation == root->generation || s->generation == root->generation + 1;
}

/* The membership with the highest epoch; the root's if it is among them. */
static void speaks(const struct super *root, const struct half_label h[2], uint64_t *ret_epoch, uint32_t *ret_out)
{
	*ret_epoch = root->mirror_epoch;
	*ret_out = root->mirror_out;
	for (int i = 0; i < 2; i++) {
		if (!h[i].ours || !recent(root, &h[i].sb) || h[i].sb.mirror_epoch <= *ret_epoch ||
		    h[i].sb.mirror_out & 1u << i)
			continue;
		*ret_epoch = h[i].sb.mirror_epoch;
		*ret_out = h[i].sb.mirror_out;
	}
}

static int label_halves(const struct hb_env *env, const struct super *root, struct dev *const half[2],
			struct half_label h[2], struct err *err)
{
	for (int i = 0; i < 2; i++) {
		struct err why = ERR_INIT;
		struct super s;
		int mend, rc = half[i] ? super_read(env, half[i], &s, &mend, &why) : -ENODATA;

		if (rc == -ENOMEM)
			return err_set(err, rc, "out of memory");
		if (rc || !is_half(root, &s))
			continue;
		if (h[s.index - 1].dev)
			return err_set(err, -EXDEV, "%s and %s are copies of one another", h[s.index - 1].dev->name,
				       half[i]->name);
		h[s.index - 1] = (struct half_label){half[i], s, true};
	}
	return 0;
}

int hb_mirror_open(const struct hb_env *env, struct dev *capacity, struct dev *const half[2], struct dev **ret,
		   struct err *err)
{
	enum mirror_state state[2] = {MIRROR_OUT, MIRROR_OUT};
	struct half_label h[2] = {{0}, {0}};
	struct dev *order[2];
	struct super root;
	uint64_t epoch;
	uint32_t out;
	int mend, rc = super_read(env, capacity, &root, &mend, err);

	if (!rc && root.ndevs != 3)
		rc = err_set(err, -EXDEV, "the write tier of pool %s is no mirror", root.name);
	if (!rc)
		rc = label_halves(env, &root, half, h, err);
	if (rc)
		return rc;
	speaks(&root, h, &epoch, &out);
	for (int i = 0; i < 2; i++) {
		order[i] = h[i].dev;
		if (!h[i].ours)
			continue;
		state[i] = MIRROR_SYNCING;
		if (recent(&root, &h[i].sb) &&
		    ((h[i].sb.mirror_epoch == epoch && !(out & 1u << i)) || BUG(MIRROR_TRUSTS_STALE)))
			state[i] = MIRROR_IN;
		h[i].dev->timeout_ns = MIN(h[i].dev->timeout_ns, HALF_TIMEOUT_NS);
	}
	for (int i = 0; i < 2; i++) /* a device that is no half of this pool, or damaged: as if it were not there */
		if (half[i] && half[i] != order[0] && half[i] != order[1] && order[0] && order[1])
			return err_set(err, -EXDEV, "%s is no device of pool %s", half[i]->name, root.name);
	if (state[0] != MIRROR_IN && state[1] != MIRROR_IN)
		return err_set(err, -EXDEV, "no device of the write tier of pool %s is up to date: is one missing?",
			       root.name);
	rc = dev_mirror_new(order, state, ret, err);
	/* A half alone may be larger than the pool knows: what comes in the other's place need not be. */
	if (!rc)
		(*ret)->geom.size_bytes = MIN((*ret)->geom.size_bytes, root.devs[1].size_blk * BLK_BYTES);
	for (int i = 0; !rc && i < 2; i++)
		if (half[i] != order[0] && half[i] != order[1])
			dev_close(half[i]);
	return rc;
}

/* ---------------------------------------------------------------- at open */

static void lost(void *ctx, int half, int error);
static void synced(void *ctx, int half, int error);

int halves_read(struct hb_pool *p, struct err *err)
{
	struct mirror_watch w = {.lost = lost, .synced = synced, .ctx = p};
	struct halves *m = &p->halves;
	uint64_t epoch = p->sb.mirror_epoch;

	m->mirrored = true;
	m->lost = m->coming = -1;
	m->io.mem = mem_alloc_aligned(BLK_BYTES);
	if (!m->io.mem)
		return err_set(err, -ENOMEM, "out of memory");
	dev_mirror_watch(p->wt, &w);
	for (int i = 0; i < 2; i++) {
		struct dev *half = dev_mirror_half(p->wt, i);
		struct err why = ERR_INIT;
		int mend, rc;

		if (dev_mirror_state(p->wt, i) != MIRROR_IN)
			continue;
		rc = super_read(&p->env, half, &m->sb[i], &mend, &why);
		if (rc && (rc == -ENOMEM || dev_mirror_state(p->wt, !i) != MIRROR_IN))
			return err_set(err, rc, "%s", why.text);
		if (rc) { /* it could be read a moment ago, or it would not count */
			dev_mirror_drop(p->wt, i, rc);
			continue;
		}
		p->wt_sb = m->sb[i];
		epoch = MAX(epoch, m->sb[i].mirror_epoch);
	}
	pool_log(p, HB_LOG_DEBUG, "write tier: half 0 %d, half 1 %d; epoch %llu, root %llu (out %x)",
		 dev_mirror_state(p->wt, 0), dev_mirror_state(p->wt, 1), (unsigned long long)epoch,
		 (unsigned long long)p->sb.mirror_epoch, p->sb.mirror_out);
	p->sb.mirror_epoch = epoch;
	return 0;
}

/* Bits of the halves that do not count now. */
static uint32_t out_now(const struct hb_pool *p)
{
	uint32_t out = 0;

	for (int i = 0; i < 2; i++)
		if (dev_mirror_state(p->wt, i) != MIRROR_IN)
			out |= 1u << i;
	return out;
}

static void new_membership(struct super *s, const struct super *from, const struct halves *m, uint64_t epoch,
			   uint32_t out)
{
	(void)m;
	s->generation = from->generation;
	s->mirror_epoch = epoch;
	s->mirror_out = out;
	s->seq++;
}

/* The root follows with the checkpoint that ends the opening. */
int halves_stamp(struct hb_pool *p, struct err *err)
{
	struct halves *m = &p->halves;
	uint32_t out;
	int rc;

	do {
		rc = 0;
		out = out_now(p);
		if (out != p->sb.mirror_out)
			p->sb.mirror_epoch++;
		p->sb.mirror_out = out;
		for (int i = 0; i < 2 && !rc; i++) {
			if (out & 1u << i)
				continue;
			new_membership(&m->sb[i], &p->sb, m, p->sb.mirror_epoch, out);
			for (int copy = 0; copy < 2 && !rc; copy++)
				rc = super_mend(&p->env, p->wt, (uint8_t)(i + 1), &m->sb[i], copy);
		}
	} while (!p->wt->failed && out_now(p) != out); /* one was lost meanwhile: the other says so */
	m->stamped = true;
	return rc ? err_set(err, rc, "%s: superblock: %s", p->wt->name, strerror(-rc)) : 0;
}

/* ---------------------------------------------------------------- one superblock, asynchronously */

static void super_step_done(struct dev_io *io)
{
	struct super_io *s = container_of(io, struct super_io, io);
	struct hb_pool *p = container_of(s, struct hb_pool, halves.io);

	if (io->error && io->op == DEV_FLUSH && s->dev == p->cap)
		bypass_flush_lost(p);
	s->waiting = false;
	s->error = io->error;
	s->step++;
}

/* Steps 1 and 3 write a copy, 2 and 4 flush it. 1: done; 0: not yet; or -errno. */
static int super_step(struct super_io *s)
{
	if (s->waiting)
		return 0;
	if (s->error || s->step > SUPER_STEPS)
		return s->error ? s->error : 1;
	s->io = (struct dev_io){.op = s->step % 2 ? DEV_WRITE : DEV_FLUSH, .side = s->side, .done = super_step_done};
	if (s->step % 2) {
		uint64_t at = s->step == 1 ? SUPER_A : SUPER_B;

		super_encode(s->super, at, s->mem);
		s->iov = (struct iovec){s->mem, BLK_BYTES};
		s->io.iov = &s->iov;
		s->io.niov = 1;
		s->io.off_bytes = at * BLK_BYTES;
		s->io.len_bytes = BLK_BYTES;
	}
	s->waiting = true;
	dev_queue(s->dev, &s->io);
	return 0;
}

static void super_begin(struct halves *m, struct dev *dev, int half, const struct super *super)
{
	m->io.dev = dev;
	m->io.side = (uint8_t)(half + 1);
	m->io.super = super;
	m->io.step = 1;
	m->io.error = 0;
}

/* ---------------------------------------------------------------- while requests go on */

static void lost(void *ctx, int half, int error)
{
	struct hb_pool *p = ctx;

	pool_log(p, HB_LOG_ERROR, "half %d of the write tier (%s) is out: %s; the other one has all of it", half,
		 dev_mirror_half(p->wt, half) ? dev_mirror_half(p->wt, half)->name : "absent", strerror(-error));
	p->due = true;
	if (!p->halves.stamped) /* nothing was promised yet, and halves_stamp() records it */
		dev_mirror_accept(p->wt, half);
}

static void synced(void *ctx, int half, int error)
{
	struct hb_pool *p = ctx;

	p->due = true;
	if (error && error != -EIO)
		return;
	if (error)
		pool_log(p, HB_LOG_WARN, "half %d of the write tier: %llu bytes could not be read from the other one",
			 half, (unsigned long long)dev_mirror_unreadable(p->wt));
	p->halves.synced = true;
}

void halves_start(struct hb_pool *p)
{
	struct halves *m = &p->halves;

	if (!m->mirrored)
		return;
	for (int i = 0; i < 2; i++) {
		if (dev_mirror_state(p->wt, i) == MIRROR_SYNCING) {
			m->coming = i;
			m->sync_wanted = true;
			m->sb[i] = m->sb[!i];
			m->sb[i].index = (uint32_t)(1 + i);
			m->sb[i].size_blk = dev_mirror_half(p->wt, i)->geom.size_bytes / BLK_BYTES;
			memcpy(m->sb[i].dev_uuid, p->sb.devs[1 + i].uuid, 16);
		} else if (dev_mirror_state(p->wt, i) == MIRROR_OUT) {
			pool_log(p, HB_LOG_WARN, "the write tier has one device only: what is dirty is on it alone");
		}
	}
}

static bool root_being_written(const struct hb_pool *p)
{
	return p->ck.state >= CKPT_ROOT_A;
}

bool halves_busy(const struct hb_pool *p)
{
	return p->halves.state == HALVES_ROOT;
}

static void refuse(struct hb_pool *p, int half)
{
	pool_fail(p, "it cannot be recorded that a half of the write tier is stale");
	dev_mirror_refuse(p->wt, half, -EIO);
	p->halves.state = HALVES_IDLE;
}

/* What changes is recorded on the half that counts, on the one that comes, in the root. */
static bool begin_record(struct hb_pool *p, int half, bool comes)
{
	struct halves *m = &p->halves;
	uint32_t out = comes ? p->sb.mirror_out & ~(1u << half) : p->sb.mirror_out | 1u << half;

	for (int i = 0; i < 2; i++)
		new_membership(&m->sb[i], &p->sb, m, p->sb.mirror_epoch + 1, out);
	m->lost = comes ? -1 : half;
	m->state = HALVES_OLD;
	super_begin(m, p->wt, !half, &m->sb[!half]);
	if (BUG(MIRROR_LOSS_UNTOLD) && !comes) {
		dev_mirror_accept(p->wt, half);
		m->state = HALVES_IDLE;
	}
	return true;
}

static bool idle(struct hb_pool *p)
{
	struct halves *m = &p->halves;
	int half = dev_mirror_unaccepted(p->wt);
	uint64_t seg = (uint64_t)p->sb.seg_blk * BLK_BYTES;

	if (half >= 0) {
		if (m->coming == half)
			m->coming = -1, m->synced = m->sync_wanted = false;
		if (dev_mirror_state(p->wt, !half) != MIRROR_IN) {
			refuse(p, half);
			return true;
		}
		return begin_record(p, half, false);
	}
	if (p->closing || p->failed || m->coming < 0)
		return false;
	if (m->synced) {
		m->synced = false;
		return begin_record(p, m->coming, true);
	}
	if (m->sync_wanted) {
		m->sync_wanted = false;
		pool_log(p, HB_LOG_INFO, "half %d of the write tier is being made good", m->coming);
		if (dev_mirror_sync(p->wt, seg, (p->sb.nsegs + 1ull) * seg, m->rate_bytes_s))
			m->coming = -1;
		return true;
	}
	return false;
}

static void recorded(struct hb_pool *p)
{
	struct halves *m = &p->halves;

	p->sb = m->next;
	m->state = HALVES_IDLE;
	if (m->lost >= 0) {
		dev_mirror_accept(p->wt, m->lost);
		m->lost = -1;
	} else if (m->coming >= 0) {
		if (!dev_mirror_trust(p->wt, m->coming))
			pool_log(p, HB_LOG_INFO, "half %d of the write tier is as good as the other again", m->coming);
		m->coming = -1;
	}
}

bool halves_pump(struct hb_pool *p)
{
	struct halves *m = &p->halves;
	int rc;

	if (!m->mirrored || p->read_only || !m->io.mem)
		return false;
	if (m->state == HALVES_IDLE)
		return idle(p);
	rc = super_step(&m->io);
	if (!rc)
		return false;
	if (rc < 0) {
		m->io.error = 0;
		if (m->lost >= 0) {
			refuse(p, m->lost);
		} else { /* the half that was to come, or the other: the mirror says which, and that is recorded next */
			/* A flush error is told once: what write-back waits for may be lost with it. */
			if (m->state == HALVES_ROOT)
				pool_fail(p, "the capacity device does not take the root");
			m->coming = -1;
			m->state = HALVES_IDLE;
		}
		return true;
	}
	if (m->state == HALVES_OLD && m->lost < 0 && m->coming >= 0) {
		m->state = HALVES_NEW;
		super_begin(m, p->wt, m->coming, &m->sb[m->coming]);
	} else if (m->state != HALVES_ROOT) {
		if (root_being_written(p)) /* it ends soon: it waits for the capacity device only */
			return false;
		m->state = HALVES_ROOT;
		m->next = p->sb;
		m->next.seq++;
		m->next.mirror_epoch = m->sb[0].mirror_epoch;
		m->next.mirror_out = m->sb[0].mirror_out;
		if (m->coming >= 0)
			memcpy(m->next.devs[1 + m->coming].uuid, m->sb[m->coming].dev_uuid, 16);
		super_begin(m, p->cap, -1, &m->next);
	} else {
		recorded(p);
	}
	return true;
}

void halves_close(struct hb_pool *p)
{
	if (p->halves.mirrored)
		dev_mirror_stop(p->wt);
}

void halves_fini(struct hb_pool *p)
{
	if (!p->halves.io.waiting) /* else a device may still look at it */
		mem_free(p->halves.io.mem);
	if (p->halves.mirrored)
		dev_mirror_watch(p->wt, NULL);
}

int hb_mirror_replace(struct hb_pool *p, struct dev *dev, struct err *err)
{
	struct halves *m = &p->halves;
	int half = m->mirrored ? dev_mirror_state(p->wt, 0) == MIRROR_OUT ? 0 : 1 : -1, rc;

	if (half < 0)
		return err_set(err, -EINVAL, "the write tier of pool %s is no mirror", p->sb.name);
	if (dev_mirror_state(p->wt, half) != MIRROR_OUT || m->state != HALVES_IDLE || m->coming >= 0)
		return err_set(err, -EBUSY, "no half of the write tier of pool %s is out", p->sb.name);
	dev->timeout_ns = MIN(dev->timeout_ns, HALF_TIMEOUT_NS);
	rc = dev_mirror_replace(p->wt, half, dev, err);
	if (rc)
		return rc;
	m->sb[half] = m->sb[!half];
	m->sb[half].index = (uint32_t)(1 + half);
	m->sb[half].size_blk = dev->geom.size_bytes / BLK_BYTES;
	new_uuid(&p->env, m->sb[half].dev_uuid);
	m->coming = half;
	m->sync_wanted = true;
	p->due = true;
	return 0;
}

void hb_mirror_status(const struct hb_pool *p, struct hb_mirror_status *ret)
{
	*ret = (struct hb_mirror_status){.mirrored = p->halves.mirrored};
	if (!ret->mirrored)
		return;
	ret->recorded = p->halves.state == HALVES_IDLE && dev_mirror_unaccepted(p->wt) < 0;
	for (int i = 0; i < 2; i++) {
		struct dev *half = dev_mirror_half(p->wt, i);

		ret->half[i] = (enum hb_half_state)dev_mirror_state(p->wt, i);
		text_fmt(ret->name[i], sizeof(ret->name[i]), "%s", half ? half->name : "");
	}
	if (p->halves.coming >= 0)
		dev_mirror_synced(p->wt, &ret->done_bytes, &ret->total_bytes);
}

/* ---------------------------------------------------------------- a bad copy of a block */

struct repair {
	struct dev_io io;
	struct iovec iov;
	struct hb_pool *pool;
	struct seg *seg;
	uint8_t mem[];
};

static void repaired(struct dev_io *io)
{
	struct repair *r = container_of(io, struct repair, io);

	r->seg->readers--;
	if (!io->error)
		r->pool->st.healed_blocks++;
	if (io->error != -ETIMEDOUT)
		mem_free(r);
}

void half_repair(struct hb_pool *p, slot_t s, uint8_t side, const void *data)
{
	struct repair *r = mem_alloc_aligned(sizeof(*r) + 2 * BLK_BYTES);
	uint8_t *mem;

	if (!r)
		return;
	mem = (uint8_t *)ROUND_UP((uintptr_t)r->mem, BLK_BYTES);
	memcpy(mem, data, BLK_BYTES);
	r->pool = p;
	r->seg = segs_of_slot(&p->segs, s); /* is not used again meanwhile */
	r->seg->readers++;
	r->iov = (struct iovec){mem, BLK_BYTES};
	r->io = (struct dev_io){.op = DEV_WRITE,
				.side = side,
				.off_bytes = (uint64_t)s.n * BLK_BYTES,
				.len_bytes = BLK_BYTES,
				.iov = &r->iov,
				.niov = 1,
				.done = repaired};
	dev_queue(p->wt, &r->io);
}
