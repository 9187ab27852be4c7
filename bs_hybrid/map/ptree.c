/* SPDX-License-Identifier: GPL-2.0-only */
/* ptree.c - persistent trees in memory: finding, changing, sharing and letting go of nodes.
 *
 * A change first counts the nodes it will need, takes them all, and only then touches the tree: from there on nothing
 * can fail, so a failure leaves the tree as it was. (Invariants: ptree.h.)
 */
#include "map/ptree_priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bug.h"
#include "base/mem.h"

/* The most inner nodes that one change can need: the wraps of a growing tree and a whole new path. */
#define SUPPLY_MAX (2 * PTREE_LEVELS_MAX)

/* New nodes for one change. */
struct supply {
	struct pnode *inner[SUPPLY_MAX];
	struct pnode *leaf;
	unsigned int ninner;
};

static size_t node_bytes(unsigned int level)
{
	return level ? offsetof(struct pnode, child) + PTREE_FAN * sizeof(struct pnode *)
		     : offsetof(struct pnode, data) + PTREE_LEAF_BYTES;
}

struct pnode *pnode_new(struct ptree_env *env, unsigned int level, bool blank)
{
	struct pnode *n = blank ? mem_alloc(node_bytes(level)) : mem_zalloc(node_bytes(level));

	if (!n)
		return NULL;
	n->env = env;
	n->refs = 0;
	n->page = PTREE_NO_PAGE;
	n->crc = 0;
	n->used = 0;
	n->level = (uint8_t)level;
	n->first = 0;
	if (level)
		env->nodes++;
	else
		env->leaves++;
	env->dirty++;
	return n;
}

void pnode_free(struct ptree_env *env, struct pnode *n)
{
	if (n->level)
		env->nodes--;
	else
		env->leaves--;
	if (n->page == PTREE_NO_PAGE)
		env->dirty--;
	mem_free(n);
}

void pnode_forget(struct ptree_env *env, struct pnode *n)
{
	assert(n->refs > 0);
	if (--n->refs)
		return;
	for (unsigned int i = 0; n->level && i < PTREE_FAN; i++)
		if (n->child[i])
			pnode_forget(env, n->child[i]);
	pnode_free(env, n);
}

/* Lets go of the node; with its last reference go its page, what it names, and its subtree. */
static void node_put(struct ptree_env *env, struct pnode *n)
{
	assert(n->refs > 0);
	if (--n->refs) {
		if (BUG(TRIM_FREES_SHARED) && !n->level && env->leaf_freed)
			env->leaf_freed(env->ctx, n->data);
		return;
	}
	if (n->page != PTREE_NO_PAGE)
		env->page_retire(env->ctx, n->page);
	if (!n->level && env->leaf_freed)
		env->leaf_freed(env->ctx, n->data);
	for (unsigned int i = 0; n->level && i < PTREE_FAN; i++)
		if (n->child[i])
			node_put(env, n->child[i]);
	pnode_free(env, n);
}

/* A leaf to be copied over comes blank. False: out of memory, nothing taken. */
static bool supply_take(struct ptree_env *env, struct supply *s, unsigned int inner, bool leaf, bool blank)
{
	*s = (struct supply){ .leaf = NULL };
	assert(inner <= SUPPLY_MAX);
	while (s->ninner < inner) {
		struct pnode *n = pnode_new(env, 1, false);

		if (!n)
			goto drop_inner;
		s->inner[s->ninner++] = n;
	}
	if (!leaf)
		return true;
	s->leaf = pnode_new(env, 0, blank);
	if (s->leaf)
		return true;
drop_inner:
	while (s->ninner)
		pnode_free(env, s->inner[--s->ninner]);
	return false;
}

/* The next node of the supply, with one holder to come. */
static struct pnode *supply_next(struct supply *s, unsigned int level, uint64_t first)
{
	struct pnode *n = s->leaf;

	if (level) {
		assert(s->ninner);
		n = s->inner[--s->ninner];
	} else {
		s->leaf = NULL;
	}
	assert(n);
	n->level = (uint8_t)level;
	n->first = first;
	n->refs = 1;
	return n;
}

/* Invariant 1: takes the place of a shared node for one of its holders. */
static struct pnode *node_copy(struct ptree_env *env, struct supply *s, struct pnode *old)
{
	struct pnode *n = supply_next(s, old->level, old->first);

	assert(old->refs > 1);
	old->refs--;
	n->used = old->used;
	if (!old->level) {
		memcpy(n->data, old->data, PTREE_LEAF_BYTES);
		if (env->leaf_copied)
			env->leaf_copied(env->ctx, n->data);
		return n;
	}
	for (unsigned int i = 0; i < PTREE_FAN; i++) {
		n->child[i] = old->child[i];
		if (n->child[i])
			n->child[i]->refs++;
	}
	return n;
}

/* The node is about to be changed: its page holds something else from now on (invariant 3). */
static void node_dirty(struct ptree_env *env, struct pnode *n)
{
	assert(n->refs == 1);
	if (n->page == PTREE_NO_PAGE)
		return;
	env->page_retire(env->ctx, n->page);
	n->page = PTREE_NO_PAGE;
	env->dirty++;
}

/* Makes the node in `slot` (which its holder may change) exclusive and dirty. */
static struct pnode *node_change(struct ptree_env *env, struct supply *s, struct pnode **slot)
{
	if ((*slot)->refs > 1)
		*slot = node_copy(env, s, *slot);
	else
		node_dirty(env, *slot);
	return *slot;
}

const void *ptree_get(const struct ptree *t, uint64_t leaf)
{
	const struct pnode *n = t->root;
	unsigned int level = t->levels;

	if (!ptree_covers(level, leaf))
		return NULL;
	for (; n && level; level--)
		n = n->child[ptree_index(leaf, level)];
	return n ? n->data : NULL;
}

const void *ptree_get_exclusive(const struct ptree *t, uint64_t leaf)
{
	const struct pnode *n = t->root;
	unsigned int level = t->levels;

	if (!ptree_covers(level, leaf))
		return NULL;
	for (; n && n->refs == 1 && level; level--)
		n = n->child[ptree_index(leaf, level)];
	return n && n->refs == 1 ? n->data : NULL;
}

bool ptree_exclusive(const struct ptree *t, uint64_t leaf)
{
	return ptree_get_exclusive(t, leaf) != NULL;
}

/* What changing the leaf will need. False: nothing, the path is there and exclusive. */
static bool change_needs(const struct ptree *t, uint64_t leaf, unsigned int levels, unsigned int *ret_inner,
			 bool *ret_leaf, bool *ret_copy)
{
	const struct pnode *n = t->root;
	unsigned int level = t->levels, inner = 0;
	bool shared = false;

	*ret_inner = 0;
	*ret_leaf = *ret_copy = false;
	if (n && levels > level) {
		/* Old root wrapped up to the new root; the leaf lies beside it, down a path of its own. */
		*ret_inner = levels - level + levels - 1;
		*ret_leaf = true;
		return true;
	}
	for (; n; n = n->child[ptree_index(leaf, level--)]) {
		/* Below a shared node all are shared: its copy will hold them too. */
		shared |= n->refs > 1;
		if (!level) {
			*ret_leaf = *ret_copy = shared;
			*ret_inner = inner;
			return shared;
		}
		inner += shared;
	}
	*ret_leaf = true;
	*ret_inner = inner + (t->root ? level : levels);
	return true;
}

static void tree_grow(struct ptree *t, struct supply *s, unsigned int levels)
{
	if (!t->root)
		t->levels = (uint8_t)levels;
	while (t->levels < levels) {
		struct pnode *n = supply_next(s, t->levels + 1u, 0);

		n->child[0] = t->root;
		n->used = 1;
		t->root = n;
		t->levels++;
	}
}

void *ptree_change(struct ptree_env *env, struct ptree *t, uint64_t leaf)
{
	unsigned int levels = t->root ? t->levels : 0, inner;
	struct pnode **slot = &t->root, *parent = NULL, *n;
	struct supply s = { .leaf = NULL };
	bool need_leaf, copy;

	assert(ptree_covers(PTREE_LEVELS_MAX, leaf));
	while (!ptree_covers(levels, leaf))
		levels++;
	if (change_needs(t, leaf, levels, &inner, &need_leaf, &copy) &&
	    !supply_take(env, &s, inner, need_leaf, copy))
		return NULL;
	tree_grow(t, &s, levels);
	for (unsigned int level = levels;; level--) {
		if (*slot) {
			n = node_change(env, &s, slot);
		} else {
			unsigned int shift = level * PTREE_FAN_SHIFT;

			n = *slot = supply_next(&s, level, leaf >> shift << shift);
			if (parent)
				parent->used++;
		}
		if (!level)
			break;
		parent = n;
		slot = &n->child[ptree_index(leaf, level)];
	}
	assert(!s.ninner && !s.leaf);
	return n->data;
}

/* Finds the lowest node on the leaf's path that keeps other children when the leaf goes: NULL if there is none.
 * False: the leaf is a hole. *ret_shared: how many nodes down to that one must be copied. */
static bool remove_needs(const struct ptree *t, uint64_t leaf, unsigned int stop, const struct pnode **ret_keep,
			 unsigned int *ret_shared)
{
	const struct pnode *n = t->root;
	unsigned int level = t->levels, shared = 0;
	bool any = false;

	*ret_keep = NULL;
	*ret_shared = 0;
	if (!ptree_covers(level, leaf))
		return false;
	for (; n && level > stop; n = n->child[ptree_index(leaf, level--)]) {
		any |= n->refs > 1;
		shared += any;
		if (n->used > 1) {
			*ret_keep = n;
			*ret_shared = shared;
		}
	}
	return n != NULL;
}

int ptree_remove_part(struct ptree_env *env, struct ptree *t, uint64_t leaf, unsigned int part)
{
	struct pnode **slot = &t->root, *n, *gone;
	const struct pnode *keep;
	unsigned int shared, keep_level;
	struct supply s;

	if (!remove_needs(t, leaf, part, &keep, &shared))
		return 0;
	if (!keep) {
		ptree_clear(env, t);
		return 0;
	}
	keep_level = keep->level;
	if (!supply_take(env, &s, shared, false, false))
		return -ENOMEM;
	for (unsigned int level = t->levels;; level--) {
		n = node_change(env, &s, slot);
		slot = &n->child[ptree_index(leaf, level)];
		if (level == keep_level)
			break;
	}
	assert(!s.ninner);
	gone = *slot;
	*slot = NULL;
	n->used--;
	node_put(env, gone);
	return 0;
}

int ptree_remove(struct ptree_env *env, struct ptree *t, uint64_t leaf)
{
	return ptree_remove_part(env, t, leaf, 0);
}

bool ptree_first_part(const struct ptree *t, uint64_t *ret_leaf, unsigned int *ret_level)
{
	const struct pnode *n = t->root;

	if (!n)
		return false;
	while (n->refs == 1 && n->level) {
		unsigned int i = 0;

		while (!n->child[i])	/* no inner node is empty */
			i++;
		n = n->child[i];
	}
	*ret_leaf = n->first;
	*ret_level = n->level;
	return true;
}

void ptree_share(struct ptree *dst, const struct ptree *src)
{
	assert(!dst->root);
	*dst = *src;
	if (dst->root)
		dst->root->refs++;
}

void ptree_clear(struct ptree_env *env, struct ptree *t)
{
	struct pnode *root = t->root;

	*t = (struct ptree){ .root = NULL };
	if (root)
		node_put(env, root);
}

void ptree_forget(struct ptree_env *env, struct ptree *t)
{
	if (t->root)
		pnode_forget(env, t->root);
	*t = (struct ptree){ .root = NULL };
}

/* As no inner node is empty, this goes astray at most once a level. */
static uint64_t node_next(const struct pnode *n, uint64_t from)
{
	if (!n->level)
		return n->first;
	for (unsigned int i = from > n->first ? ptree_index(from, n->level) : 0; i < PTREE_FAN; i++) {
		uint64_t found = n->child[i] ? node_next(n->child[i], from) : UINT64_MAX;

		if (found != UINT64_MAX)
			return found;
	}
	return UINT64_MAX;
}

uint64_t ptree_next(const struct ptree *t, uint64_t from)
{
	if (!t->root || !ptree_covers(t->levels, from))
		return UINT64_MAX;
	return node_next(t->root, from);
}

static uint64_t node_next_exclusive(const struct pnode *n, uint64_t from)
{
	uint64_t found = UINT64_MAX;

	if (n->refs > 1)
		return UINT64_MAX;
	if (!n->level)
		return n->first >= from ? n->first : UINT64_MAX;
	for (unsigned int i = from > n->first ? ptree_index(from, n->level) : 0;
	     i < PTREE_FAN && found == UINT64_MAX; i++)
		if (n->child[i])
			found = node_next_exclusive(n->child[i], from);
	return found;
}

uint64_t ptree_next_exclusive(const struct ptree *t, uint64_t from)
{
	if (!t->root || !ptree_covers(t->levels, from))
		return UINT64_MAX;
	return node_next_exclusive(t->root, from);
}

/* What a node of `level` at the place of n would have as child i: a smaller tree lies in the first child of larger
 * ones. */
static const struct pnode *child_at(const struct pnode *n, unsigned int level, unsigned int i)
{
	if (n && n->level == level)
		return n->child[i];
	return i ? NULL : n;
}

static uint64_t node_next_diff(const struct pnode *a, const struct pnode *b, unsigned int level, uint64_t first,
			       uint64_t from)
{
	uint64_t found = UINT64_MAX;

	if (a == b)
		return UINT64_MAX;
	if (!level)
		return first >= from ? first : UINT64_MAX;
	for (unsigned int i = from > first ? ptree_index(from, level) : 0; i < PTREE_FAN && found == UINT64_MAX; i++)
		found = node_next_diff(child_at(a, level, i), child_at(b, level, i), level - 1,
				       first + ((uint64_t)i << ((level - 1) * PTREE_FAN_SHIFT)), from);
	return found;
}

uint64_t ptree_next_diff(const struct ptree *a, const struct ptree *b, uint64_t from)
{
	unsigned int level = MAX(a->root ? a->levels : 0, b->root ? b->levels : 0);

	return ptree_covers(level, from) ? node_next_diff(a->root, b->root, level, 0, from) : UINT64_MAX;
}

uint64_t ptree_bytes(const struct ptree_env *env)
{
	return env->nodes * node_bytes(1) + env->leaves * node_bytes(0);
}

static void node_walk(const struct pnode *n, ptree_visit *visit, void *ctx)
{
	if (!visit(ctx, n, n->level, n->page, n->refs, n->first, n->level ? NULL : n->data))
		return;
	for (unsigned int i = 0; n->level && i < PTREE_FAN; i++)
		if (n->child[i])
			node_walk(n->child[i], visit, ctx);
}

void ptree_walk(const struct ptree *t, ptree_visit *visit, void *ctx)
{
	if (t->root)
		node_walk(t->root, visit, ctx);
}
