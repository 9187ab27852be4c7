/* SPDX-License-Identifier: GPL-2.0-only */
/* ptree_disk.c - saving the dirty part of a tree and loading a whole one, page by page.
 *
 * A leaf's page is its bytes. An inner node's page is 256 pairs {page, crc32c} (little-endian), then zeros.
 */
#include "map/ptree_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

#define PTR_BYTES 8u
_Static_assert(PTREE_FAN * PTR_BYTES <= PTREE_LEAF_BYTES, "an inner node fits a page");

struct save {
	struct ptree_env *env;
	uint32_t (*put)(void *ctx, const void *data, uint32_t crc);
	void *ctx;
};

bool ptree_dirty(const struct ptree *t)
{
	return t->root && t->root->page == PTREE_NO_PAGE;
}

struct page_ptr ptree_root(const struct ptree *t)
{
	if (!t->root || t->root->page == PTREE_NO_PAGE)
		return (struct page_ptr){ .page = PTREE_NO_PAGE };
	return (struct page_ptr){ .page = t->root->page, .crc = t->root->crc };
}

static uint64_t node_dirty_count(const struct pnode *n, uint64_t max)
{
	uint64_t count = 1;

	for (unsigned int i = 0; n->level && i < PTREE_FAN && count < max; i++)
		if (n->child[i] && n->child[i]->page == PTREE_NO_PAGE)
			count += node_dirty_count(n->child[i], max - count);
	return count;
}

uint64_t ptree_dirty_count(const struct ptree *t, uint64_t max)
{
	return max && ptree_dirty(t) ? node_dirty_count(t->root, max) : 0;
}

static int node_put_page(const struct save *how, struct pnode *n, const void *bytes)
{
	uint32_t crc = crc32c(0, bytes, PTREE_LEAF_BYTES);
	uint32_t page = how->put(how->ctx, bytes, crc);

	if (page == PTREE_NO_PAGE)
		return -ENOSPC;
	n->page = page;
	n->crc = crc;
	how->env->dirty--;
	return 0;
}

static int inner_put_page(const struct save *how, struct pnode *n)
{
	unsigned char bytes[PTREE_LEAF_BYTES] = { 0 };

	for (unsigned int i = 0; i < PTREE_FAN; i++) {
		const struct pnode *c = n->child[i];

		assert(!c || c->page != PTREE_NO_PAGE);
		put_le32(bytes + i * PTR_BYTES, c ? c->page : PTREE_NO_PAGE);
		put_le32(bytes + i * PTR_BYTES + 4, c ? c->crc : 0);
	}
	return node_put_page(how, n, bytes);
}

/* Children first: if put() fails midway, what was saved is clean and all above it is still dirty (invariant 2). */
static int node_save(const struct save *how, struct pnode *n)
{
	if (n->page != PTREE_NO_PAGE)
		return 0;
	if (!n->level)
		return node_put_page(how, n, n->data);
	for (unsigned int i = 0; i < PTREE_FAN; i++) {
		int rc = n->child[i] ? node_save(how, n->child[i]) : 0;

		if (rc)
			return rc;
	}
	return inner_put_page(how, n);
}

int ptree_save(struct ptree_env *env, struct ptree *t,
	       uint32_t (*put)(void *ctx, const void *data, uint32_t crc), void *ctx, struct page_ptr *ret)
{
	const struct save how = { .env = env, .put = put, .ctx = ctx };
	int rc = t->root ? node_save(&how, t->root) : 0;

	if (rc)
		return rc;
	ret->page = t->root ? t->root->page : PTREE_NO_PAGE;
	ret->crc = t->root ? t->root->crc : 0;
	return 0;
}

static int bad_page(struct ptree_load *how, uint32_t page)
{
	how->ret_bad = page;
	return -EBADMSG;
}

static int page_read(struct ptree_load *how, struct page_ptr at, void *bytes)
{
	int rc = how->get(how->ctx, at.page, bytes);

	if (rc)
		return rc;
	return crc32c(0, bytes, PTREE_LEAF_BYTES) == at.crc ? 0 : bad_page(how, at.page);
}

static int node_load(struct ptree_env *env, struct ptree_load *how, struct page_ptr at, unsigned int level,
		     uint64_t first, struct pnode **ret);

static int children_load(struct ptree_env *env, struct ptree_load *how, struct page_ptr at, struct pnode *n)
{
	unsigned char bytes[PTREE_LEAF_BYTES];
	int rc = page_read(how, at, bytes);

	for (unsigned int i = 0; !rc && i < PTREE_FAN; i++) {
		struct page_ptr child = { .page = get_le32(bytes + i * PTR_BYTES),
					  .crc = get_le32(bytes + i * PTR_BYTES + 4) };
		uint64_t first = n->first + ((uint64_t)i << ((n->level - 1) * PTREE_FAN_SHIFT));

		if (child.page == PTREE_NO_PAGE)
			continue;
		rc = node_load(env, how, child, n->level - 1u, first, &n->child[i]);
		n->used += !rc;
	}
	if (!rc && !n->used)
		return bad_page(how, at.page);
	return rc;
}

/* A page that two trees hold must mean the same in both: one env, one level, one place. This also keeps a forged page
 * from being met again and again below itself. */
static int node_load_shared(const struct ptree_env *env, struct ptree_load *how, struct page_ptr at,
			    unsigned int level, uint64_t first, struct pnode *n)
{
	if (n->env != env || n->level != level || n->first != first || n->page != at.page || n->crc != at.crc)
		return bad_page(how, at.page);
	n->refs++;
	return 0;
}

static int node_load(struct ptree_env *env, struct ptree_load *how, struct page_ptr at, unsigned int level,
		     uint64_t first, struct pnode **ret)
{
	struct pnode *n = how->seen ? how->seen(how->ctx, at.page) : NULL;
	int rc;

	if (n) {
		rc = node_load_shared(env, how, at, level, first, n);
		if (!rc)
			*ret = n;
		return rc;
	}
	n = pnode_new(env, level, level == 0);
	if (!n)
		return -ENOMEM;
	n->refs = 1;
	n->first = first;
	rc = level ? children_load(env, how, at, n) : page_read(how, at, n->data);
	if (rc) {
		pnode_forget(env, n);
		return rc;
	}
	n->page = at.page;
	n->crc = at.crc;
	env->dirty--;
	if (how->remember)
		how->remember(how->ctx, at.page, n);
	*ret = n;
	return 0;
}

int ptree_load(struct ptree_env *env, struct ptree *t, uint8_t levels, struct page_ptr root, struct ptree_load *how)
{
	int rc;

	*t = (struct ptree){ .root = NULL };
	how->ret_bad = PTREE_NO_PAGE;
	if (root.page == PTREE_NO_PAGE)
		return 0;
	if (levels > PTREE_LEVELS_MAX)
		return bad_page(how, root.page);
	rc = node_load(env, how, root, levels, 0, &t->root);
	if (!rc)
		t->levels = levels;
	return rc;
}
