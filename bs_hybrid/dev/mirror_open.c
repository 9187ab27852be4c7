/* SPDX-License-Identifier: GPL-2.0-only */
/* mirror_open.c - what a mirror is made of: new, descriptors, geometry, a half that is replaced and trusted, close. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "dev/mirror_priv.h"

/* ------------------------------------------------------------------ the descriptor */

/* One descriptor that is readable when one of those in it is. They are watched by level: a half that is told of edges
 * (dev.edge_events) leaves its own readable, and every signal of it still is an edge of ours. */
static int listen_begin(struct mirror_dev *m)
{
	struct epoll_event ev = {.events = EPOLLIN};

	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	m->self_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->epoll_fd < 0 || m->self_fd < 0)
		return -errno;
	return epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->self_fd, &ev) < 0 ? -errno : 0;
}

static void listen_end(struct mirror_dev *m)
{
	if (m->self_fd >= 0)
		close(m->self_fd);
	if (m->epoll_fd >= 0)
		close(m->epoll_fd);
	m->self_fd = m->epoll_fd = -1;
}

int mirror_listen(struct mirror_dev *m, struct dev *half)
{
	struct epoll_event ev = {.events = EPOLLIN};
	bool first = m->epoll_fd < 0;
	int fd = dev_event_fd(half), r = 0;

	if (fd < 0)
		return 0;
	if (first)
		r = listen_begin(m);
	if (r == 0 && epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		r = -errno;
	if (r < 0 && first)
		listen_end(m);
	return r;
}

/* Explicitly, before the half closes it: a duplicate that a hanging helper thread has would keep it in. */
void mirror_unlisten(struct mirror_dev *m, struct dev *half)
{
	int fd = dev_event_fd(half);

	if (fd >= 0 && m->epoll_fd >= 0)
		epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* ------------------------------------------------------------------ new */

static void take_geometry(struct mirror_dev *m)
{
	struct dev_geom g = {.size_bytes = UINT64_MAX};
	bool discard = true;

	for (int h = 0; h < 2; h++) {
		const struct dev_geom *one;

		if (m->half[h].state == MIRROR_OUT)
			continue;
		one = &m->half[h].dev->geom;
		g.size_bytes = MIN(g.size_bytes, one->size_bytes);
		g.logical_bytes = MAX(g.logical_bytes, one->logical_bytes);
		g.mem_align = MAX(g.mem_align, one->mem_align);
		g.discard_bytes = MAX(g.discard_bytes, one->discard_bytes);
		g.rotational |= one->rotational;
		discard &= one->discard_bytes != 0;
	}
	if (!discard)
		g.discard_bytes = 0;
	g.size_bytes = ROUND_DOWN(g.size_bytes, (uint64_t)g.logical_bytes);
	m->dev.geom = g;
}

static void take_name(struct mirror_dev *m)
{
	const struct dev *a = m->half[0].dev, *b = m->half[1].dev;

	if (a && b)
		text_fmt(m->dev.name, sizeof(m->dev.name), "mirror of %s and %s", a->name, b->name);
	else
		text_fmt(m->dev.name, sizeof(m->dev.name), "mirror of %s alone", a ? a->name : b->name);
}

static void mirror_init(struct mirror_dev *m)
{
	struct link *const heads[] = {
		&m->free, &m->writes, &m->waiting, &m->parked, &m->finished, &m->todo, &m->held,
	};

	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		list_init(heads[i]);
	for (size_t i = 0; i < MIRROR_PAIRS; i++) {
		m->pairs[i].m = m;
		list_push(&m->free, &m->pairs[i].link);
	}
	m->dev.ops = &mirror_ops;
	m->epoll_fd = m->self_fd = -1;
}

int dev_mirror_new(struct dev *half[2], const enum mirror_state state[2], struct dev **ret, struct err *err)
{
	struct mirror_dev *m;
	int r = 0;

	if (!(half[0] && state[0] == MIRROR_IN) && !(half[1] && state[1] == MIRROR_IN))
		return err_set(err, -EINVAL, "mirror: neither half is in");
	m = mem_zalloc(sizeof(*m));
	if (!m)
		return err_set(err, -ENOMEM, "mirror: out of memory");
	mirror_init(m);
	for (int h = 0; h < 2; h++) {
		m->half[h].dev = half[h];
		m->half[h].state = half[h] ? state[h] : MIRROR_OUT;
		if (half[h])
			m->dev.timeout_ns = MAX(m->dev.timeout_ns, half[h]->timeout_ns);
		if (half[h] && r == 0)
			r = mirror_listen(m, half[h]);
	}
	if (r < 0) {
		listen_end(m);
		mem_free(m);
		return err_set(err, r, "mirror: no descriptor: %s", strerror(-r));
	}
	m->timeout_ns = m->dev.timeout_ns;
	take_geometry(m);
	take_name(m);
	*ret = &m->dev;
	return 0;
}

void mirror_close(struct dev *dev)
{
	struct mirror_dev *m = mirror_of(dev);

	for (int i = 0; i < MIRROR_GRAVES; i++)
		dev_close(m->graves[i]);
	for (int h = 0; h < 2; h++)
		dev_close(m->half[h].dev);
	listen_end(m);
	/* Even if a half hangs and has some of it: the kernel holds the pages as long as the device may use them. */
	if (m->sync.mem)
		mem_unmap(m->sync.mem, SYNC_WINDOWS * SYNC_WINDOW_BYTES);
	mem_free(m);
}

int mirror_rescan(struct dev *dev)
{
	struct mirror_dev *m = mirror_of(dev);
	uint64_t size = UINT64_MAX;

	for (int h = 0; h < 2; h++) {
		int r;

		if (m->half[h].state == MIRROR_OUT)
			continue;
		r = dev_rescan(m->half[h].dev);
		if (r < 0)
			return r;
		size = MIN(size, m->half[h].dev->geom.size_bytes);
	}
	if (size != UINT64_MAX)
		dev->geom.size_bytes = MAX(dev->geom.size_bytes, ROUND_DOWN(size, (uint64_t)dev->geom.logical_bytes));
	return 0;
}

/* ------------------------------------------------------------------ what the owner asks */

void dev_mirror_watch(struct dev *dev, const struct mirror_watch *watch)
{
	struct mirror_dev *m = mirror_of(dev);

	m->watch = watch ? *watch : (struct mirror_watch){0};
	if (m->half[0].untold || m->half[1].untold)
		mirror_signal(m);
}

bool dev_is_mirror(const struct dev *dev)
{
	return dev->ops == &mirror_ops;
}

enum mirror_state dev_mirror_state(const struct dev *dev, int half)
{
	return mirror_of(dev)->half[half].state;
}

struct dev *dev_mirror_half(struct dev *dev, int half)
{
	return mirror_of(dev)->half[half].dev;
}

int dev_mirror_unaccepted(const struct dev *dev)
{
	const struct mirror_dev *m = mirror_of(dev);

	if (dev->failed)
		return -1;
	for (int h = 0; h < 2; h++) {
		if (m->half[h].unaccepted && !m->half[h].untold)
			return h;
	}
	return -1;
}

/* ------------------------------------------------------------------ a new half */

static int check_fits(const struct mirror_dev *m, const struct dev *half, struct err *err)
{
	const struct dev_geom *g = &m->dev.geom, *new = &half->geom;

	if (new->size_bytes < g->size_bytes)
		return err_set(err, -EINVAL, "%s: has %llu bytes, the mirror %llu", half->name,
			       (unsigned long long)new->size_bytes, (unsigned long long)g->size_bytes);
	if (new->logical_bytes > g->logical_bytes || new->mem_align > g->mem_align)
		return err_set(err, -EINVAL, "%s: its unit of I/O is %u bytes (memory: %u), the mirror's %u (%u)",
			       half->name, new->logical_bytes, new->mem_align, g->logical_bytes, g->mem_align);
	return 0;
}

static struct dev **free_grave(struct mirror_dev *m)
{
	for (int i = 0; i < MIRROR_GRAVES; i++) {
		if (!m->graves[i])
			return &m->graves[i];
	}
	return NULL;
}

int dev_mirror_replace(struct dev *dev, int half, struct dev *new_half, struct err *err)
{
	struct mirror_dev *m = mirror_of(dev);
	struct half *h = &m->half[half];
	struct dev **grave = free_grave(m);
	int r;

	if (dev->failed || h->state != MIRROR_OUT || h->unaccepted || m->sync.running)
		return err_set(err, -EBUSY, "%s: the half to be replaced is still in use", dev->name);
	if (h->dev && !grave)
		return err_set(err, -EBUSY, "%s: %d replaced devices still hang", dev->name, MIRROR_GRAVES);
	r = check_fits(m, new_half, err);
	if (r < 0)
		return r;
	r = mirror_listen(m, new_half);
	if (r < 0)
		return err_set(err, r, "%s: no descriptor: %s", new_half->name, strerror(-r));
	if (h->dev)
		*grave = h->dev;
	*h = (struct half){.dev = new_half, .state = MIRROR_SYNCING};
	m->sync.copied[half] = false;
	new_half->edge_events = dev->edge_events;
	new_half->timeout_ns = dev->timeout_ns;
	if (!new_half->geom.discard_bytes || !dev->geom.discard_bytes)
		dev->geom.discard_bytes = 0;
	else
		dev->geom.discard_bytes = MAX(dev->geom.discard_bytes, new_half->geom.discard_bytes);
	take_name(m);
	mirror_signal(m);
	return 0;
}

int dev_mirror_trust(struct dev *dev, int half)
{
	struct mirror_dev *m = mirror_of(dev);

	if (m->half[half].state != MIRROR_SYNCING || !m->sync.copied[half])
		return -EINVAL;
	if (m->sync.running)
		return -EBUSY;
	m->half[half].state = MIRROR_IN;
	return 0;
}
