/* SPDX-License-Identifier: GPL-2.0-only */
/* sim_medium.c - pages of 4 KiB, counted references, copied when written; for each page with undurable writes the list
 * of its versions, the durable one first, the one that reads see last.
 *
 * A page that was never written is NULL and reads as zeros. A version list is at most VER_MAX long: when it is full, a
 * middle one is forgotten (fewer possible outcomes, never a wrong one).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "dev/sim_medium.h"

#define VER_MAX 6
#define SECTORS (BLK_BYTES / SECTOR_BYTES)
#define FORSAKEN UINT64_MAX /* greater than any flush's seq */

struct page {
	uint32_t refs;
	uint8_t data[BLK_BYTES];
};

struct version {
	uint64_t seq; /* of the write that made it; 0: durable */
	struct page *page; /* one reference; NULL: zeros */
};

struct undurable {
	uint64_t page;
	uint32_t n; /* >= 2; v[0] is durable, v[n - 1] is what reads see */
	struct version v[VER_MAX];
};

struct medium {
	uint64_t npages;
	struct page **cur; /* one reference each */
	uint32_t *slot; /* by page: index into und + 1; 0: durable */
	struct undurable *und;
	uint32_t nund, cap;
	uint64_t seq;
};

static const uint8_t zeros[BLK_BYTES];

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static struct page *page_ref(struct page *p)
{
	if (p)
		p->refs++;
	return p;
}

static void page_unref(struct page *p)
{
	if (p && !--p->refs)
		free(p);
}

static const uint8_t *page_data(const struct page *p)
{
	return p ? p->data : zeros;
}

static struct page *page_new(const struct page *from)
{
	struct page *p = need(malloc(sizeof(*p)));

	p->refs = 1;
	memcpy(p->data, page_data(from), BLK_BYTES);
	return p;
}

struct medium *medium_new(uint64_t size_bytes)
{
	struct medium *m = need(calloc(1, sizeof(*m)));

	assert(size_bytes && size_bytes % BLK_BYTES == 0);
	m->npages = size_bytes / BLK_BYTES;
	m->cur = need(calloc(m->npages, sizeof(*m->cur)));
	m->slot = need(calloc(m->npages, sizeof(*m->slot)));
	return m;
}

void medium_grow(struct medium *m, uint64_t size_bytes)
{
	uint64_t n = size_bytes / BLK_BYTES;

	assert(n >= m->npages);
	m->cur = need(realloc(m->cur, n * sizeof(*m->cur)));
	m->slot = need(realloc(m->slot, n * sizeof(*m->slot)));
	memset(m->cur + m->npages, 0, (n - m->npages) * sizeof(*m->cur));
	memset(m->slot + m->npages, 0, (n - m->npages) * sizeof(*m->slot));
	m->npages = n;
}

struct medium *medium_clone(const struct medium *m)
{
	struct medium *c = need(malloc(sizeof(*c)));

	*c = *m;
	c->cap = m->nund;
	c->cur = need(malloc(m->npages * sizeof(*c->cur)));
	c->slot = need(malloc(m->npages * sizeof(*c->slot)));
	c->und = need(malloc((m->nund + 1) * sizeof(*c->und)));
	memcpy(c->slot, m->slot, m->npages * sizeof(*c->slot));
	for (uint64_t i = 0; i < m->npages; i++)
		c->cur[i] = page_ref(m->cur[i]);
	for (uint32_t i = 0; i < m->nund; i++) {
		c->und[i] = m->und[i];
		for (uint32_t j = 0; j < m->und[i].n; j++)
			page_ref(m->und[i].v[j].page);
	}
	return c;
}

static void undurable_drop(struct medium *m, uint32_t i)
{
	struct undurable *u = &m->und[i];

	for (uint32_t j = 0; j < u->n; j++)
		page_unref(u->v[j].page);
	m->slot[u->page] = 0;
	if (i != --m->nund) {
		*u = m->und[m->nund];
		m->slot[u->page] = i + 1;
	}
}

void medium_free(struct medium *m)
{
	while (m->nund)
		undurable_drop(m, m->nund - 1);
	for (uint64_t i = 0; i < m->npages; i++)
		page_unref(m->cur[i]);
	free(m->cur);
	free(m->slot);
	free(m->und);
	free(m);
}

static struct undurable *undurable_get(struct medium *m, uint64_t page)
{
	struct undurable *u;

	if (m->slot[page])
		return &m->und[m->slot[page] - 1];
	if (m->nund == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 64;
		m->und = need(realloc(m->und, m->cap * sizeof(*m->und)));
	}
	u = &m->und[m->nund++];
	m->slot[page] = m->nund;
	u->page = page;
	u->n = 1;
	u->v[0] = (struct version){0, page_ref(m->cur[page])};
	return u;
}

static void version_remove(struct undurable *u, uint32_t i)
{
	page_unref(u->v[i].page);
	memmove(&u->v[i], &u->v[i + 1], (u->n - i - 1) * sizeof(u->v[0]));
	u->n--;
}

/* Takes over the caller's reference to `now`. */
static void page_replace(struct medium *m, uint64_t page, struct page *now)
{
	struct undurable *u = undurable_get(m, page);

	if (u->n == VER_MAX)
		version_remove(u, 1 + hash64(m->seq + page) % (VER_MAX - 2));
	u->v[u->n++] = (struct version){m->seq, page_ref(now)};
	page_unref(m->cur[page]);
	m->cur[page] = now;
}

void medium_read(const struct medium *m, uint64_t off, void *buf, uint64_t len)
{
	uint8_t *to = buf;

	while (len) {
		uint64_t in = off % BLK_BYTES, n = MIN(len, BLK_BYTES - in);

		memcpy(to, page_data(m->cur[off / BLK_BYTES]) + in, n);
		off += n;
		to += n;
		len -= n;
	}
}

void medium_write(struct medium *m, uint64_t off, const void *buf, uint64_t len)
{
	const uint8_t *from = buf;

	m->seq++;
	while (len) {
		uint64_t in = off % BLK_BYTES, n = MIN(len, BLK_BYTES - in);
		struct page *p = page_new(m->cur[off / BLK_BYTES]);

		memcpy(p->data + in, from, n);
		page_replace(m, off / BLK_BYTES, p);
		off += n;
		from += n;
		len -= n;
	}
}

void medium_write_some(struct medium *m, uint64_t off, const void *buf, uint64_t len, struct rng *rng, unsigned keep)
{
	const uint8_t *from = buf;
	uint64_t i = 0, n = len / SECTOR_BYTES;

	while (i < n) {
		uint64_t run = 1;

		if (rng_below(rng, 256) >= keep) {
			i++;
			continue;
		}
		while (i + run < n && rng_below(rng, 256) < keep)
			run++;
		medium_write(m, off + i * SECTOR_BYTES, from + i * SECTOR_BYTES, run * SECTOR_BYTES);
		i += run;
	}
}

void medium_poke(struct medium *m, uint64_t off, const void *buf, uint64_t len)
{
	const uint8_t *from = buf;

	while (len) {
		uint64_t page = off / BLK_BYTES, in = off % BLK_BYTES, n = MIN(len, BLK_BYTES - in);
		struct page *p = page_new(m->cur[page]);

		memcpy(p->data + in, from, n);
		if (m->slot[page])
			undurable_drop(m, m->slot[page] - 1);
		page_unref(m->cur[page]);
		m->cur[page] = p;
		off += n;
		from += n;
		len -= n;
	}
}

uint64_t medium_seq(const struct medium *m)
{
	return m->seq;
}

void medium_flush(struct medium *m, uint64_t seq)
{
	for (uint32_t i = m->nund; i-- > 0;) {
		struct undurable *u = &m->und[i];
		uint32_t last = u->n - 1;

		while (last && u->v[last].seq > seq)
			last--;
		for (uint32_t j = 0; j < last; j++)
			page_unref(u->v[j].page);
		memmove(u->v, u->v + last, (u->n - last) * sizeof(u->v[0]));
		u->n -= last;
		u->v[0].seq = 0;
		if (u->n == 1)
			undurable_drop(m, i);
	}
}

void medium_forsake(struct medium *m, uint64_t seq)
{
	for (uint32_t i = 0; i < m->nund; i++)
		for (uint32_t j = 1; j < m->und[i].n; j++)
			if (m->und[i].v[j].seq <= seq)
				m->und[i].v[j].seq = FORSAKEN;
}

void medium_relent(struct medium *m)
{
	for (uint32_t i = 0; i < m->nund; i++)
		for (uint32_t j = 1; j < m->und[i].n; j++)
			if (m->und[i].v[j].seq == FORSAKEN)
				m->und[i].v[j].seq = 1;
}

/* How one power cut treats the undurable: drawn once, so that whole cuts differ in kind and not only in detail. */
struct cut {
	enum { CUT_NOTHING_STAYS, CUT_ALL_STAYS, CUT_BY_SECTOR, CUT_BY_PAGE, CUT_IN_ORDER, CUT_KINDS } kind;
	unsigned keep; /* chance of a later version, of 256 */
	uint64_t upto; /* CUT_IN_ORDER: writes up to this one stayed */
};

static struct cut cut_draw(const struct medium *m, struct rng *rng)
{
	static const unsigned chances[] = {8, 64, 128, 192, 248};
	static const uint8_t kinds[] = {CUT_NOTHING_STAYS, CUT_ALL_STAYS, CUT_BY_SECTOR, CUT_BY_SECTOR,
					CUT_BY_PAGE,       CUT_IN_ORDER,  CUT_IN_ORDER};
	uint64_t low = m->seq;
	struct cut c;

	c.kind = kinds[rng_below(rng, ARRAY_LEN(kinds))];
	c.keep = chances[rng_below(rng, ARRAY_LEN(chances))];
	for (uint32_t i = 0; i < m->nund; i++)
		low = MIN(low, m->und[i].v[1].seq);
	c.upto = low + rng_below(rng, m->seq - low + 1) - rng_below(rng, 2);
	return c;
}

static uint32_t version_draw(const struct undurable *u, const struct cut *c, struct rng *rng)
{
	uint32_t i = u->n - 1;

	switch (c->kind) {
	case CUT_NOTHING_STAYS:
		return 0;
	case CUT_IN_ORDER:
		while (i && u->v[i].seq > c->upto)
			i--;
		return i;
	case CUT_BY_SECTOR:
	case CUT_BY_PAGE:
		if (rng_below(rng, 256) >= c->keep)
			return 0;
		return rng_below(rng, 4) ? i : 1 + rng_below(rng, i);
	default:
		return i;
	}
}

static struct page *page_settle(const struct undurable *u, const struct cut *c, struct rng *rng, bool tear)
{
	uint32_t whole = version_draw(u, c, rng);
	struct page *p;

	if (c->kind != CUT_BY_SECTOR)
		return page_ref(u->v[whole].page);
	p = page_new(u->v[whole].page);
	for (unsigned s = 0; s < SECTORS; s++) {
		const uint8_t *from = page_data(u->v[version_draw(u, c, rng)].page) + s * SECTOR_BYTES;
		uint64_t torn = !tear || rng_below(rng, 64) ? 0 : 1 + rng_below(rng, SECTOR_BYTES - 1);

		memcpy(p->data + s * SECTOR_BYTES + torn, from + torn, SECTOR_BYTES - torn);
	}
	return p;
}

void medium_settle(struct medium *m, struct rng *rng, bool tear)
{
	struct cut c;

	if (!m->nund)
		return;
	c = cut_draw(m, rng);
	while (m->nund) {
		struct undurable *u = &m->und[m->nund - 1];
		uint64_t page = u->page;
		struct page *now = page_settle(u, &c, rng, tear);

		page_unref(m->cur[page]);
		m->cur[page] = now;
		undurable_drop(m, m->nund - 1);
	}
}

uint64_t medium_undurable(const struct medium *m)
{
	return m->nund;
}

uint64_t medium_untouched(const struct medium *m, uint64_t off, uint64_t len)
{
	uint64_t n = 0;

	for (uint64_t i = off / BLK_BYTES; i < DIV_UP(off + len, BLK_BYTES); i++)
		n += !m->cur[i];
	return n;
}

uint64_t medium_next_page(const struct medium *m, uint64_t from)
{
	while (from < m->npages && !m->cur[from])
		from++;
	return from < m->npages ? from : UINT64_MAX;
}
