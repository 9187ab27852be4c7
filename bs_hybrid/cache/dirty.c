/* SPDX-License-Identifier: GPL-2.0-only */
/* dirty.c - the set of dirty pool blocks: a radix tree, 64 children a node, as high as its highest member needs.
 *
 * Invariants
 * (1) Every node below the root pointer leads to at least one member; an empty set has no nodes.
 * (2) A node's bit c is set exactly when child[c] is there.
 * (3) The tree of height h covers the blocks below 2^(9 + 6h); height 0 is a leaf.
 */
#include "cache/dirty.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>

#define LEAF_SHIFT 9
#define LEAF_WORDS ((1u << LEAF_SHIFT) / 64)
#define NODE_SHIFT 6
#define NODE_CHILDREN (1u << NODE_SHIFT)
#define HEIGHT_MAX DIV_UP(PBLK_BITS - LEAF_SHIFT, NODE_SHIFT)

struct leaf {
	uint64_t bits[LEAF_WORDS];
};

struct node {
	uint64_t there;
	void *child[NODE_CHILDREN];	/* struct node, or struct leaf below height 1 */
};

struct dirty {
	void *root;			/* NULL when empty */
	unsigned int height;
	uint64_t count, leaves, nodes;
};

static unsigned int shift_at(unsigned int height)
{
	return LEAF_SHIFT + NODE_SHIFT * height;
}

static unsigned int child_no(uint64_t n, unsigned int height)
{
	return (n >> shift_at(height - 1)) & (NODE_CHILDREN - 1);
}

static uint64_t bit_of(uint64_t n)
{
	return 1ull << (n & 63);
}

static uint64_t *word_of(struct leaf *l, uint64_t n)
{
	return &l->bits[(n >> 6) & (LEAF_WORDS - 1)];
}

struct dirty *dirty_new(void)
{
	return mem_zalloc(sizeof(struct dirty));
}

static void free_tree(void *tree, unsigned int height)
{
	if (height) {
		struct node *node = tree;

		for (uint64_t left = node->there; left; left &= left - 1)
			free_tree(node->child[__builtin_ctzll(left)], height - 1);
	}
	mem_free(tree);
}

void dirty_free(struct dirty *d)
{
	if (!d)
		return;
	if (d->root)
		free_tree(d->root, d->height);
	mem_free(d);
}

/* A tree of this height with n as its only member; NULL when out of memory (then nothing is kept). */
static void *tree_new(struct dirty *d, uint64_t n, unsigned int height)
{
	struct leaf *leaf = mem_zalloc(sizeof(*leaf));
	void *tree = leaf;

	if (!leaf)
		return NULL;
	*word_of(leaf, n) = bit_of(n);
	for (unsigned int h = 1; h <= height; h++) {
		struct node *node = mem_zalloc(sizeof(*node));

		if (!node) {
			free_tree(tree, h - 1);
			return NULL;
		}
		node->there = 1ull << child_no(n, h);
		node->child[child_no(n, h)] = tree;
		tree = node;
	}
	d->leaves++;
	d->nodes += height;
	return tree;
}

/* Makes the tree high enough for n. A tree that grew in vain is still sound. */
static int grow(struct dirty *d, uint64_t n)
{
	while (n >> shift_at(d->height)) {
		if (d->root) {
			struct node *top = mem_zalloc(sizeof(*top));

			if (!top)
				return -ENOMEM;
			top->there = 1;
			top->child[0] = d->root;
			d->root = top;
			d->nodes++;
		}
		d->height++;
	}
	return 0;
}

int dirty_set(struct dirty *d, pblk_t p)
{
	unsigned int h;
	struct node *parent = NULL;
	void **link = &d->root;

	assert(p.n <= PBLK_MAX);
	if (grow(d, p.n))
		return -ENOMEM;
	for (h = d->height; h && *link; h--) {
		parent = *link;
		link = &parent->child[child_no(p.n, h)];
	}
	if (*link) {
		uint64_t *word = word_of(*link, p.n);

		d->count += !(*word & bit_of(p.n));
		*word |= bit_of(p.n);
		return 0;
	}
	*link = tree_new(d, p.n, h);
	if (!*link)
		return -ENOMEM;
	if (parent)
		parent->there |= 1ull << child_no(p.n, h + 1);	/* (2) */
	d->count++;
	return 0;
}

static struct leaf *leaf_of(const struct dirty *d, uint64_t n)
{
	void *tree = d->root;

	if (n >> shift_at(d->height))
		return NULL;
	for (unsigned int h = d->height; h && tree; h--)
		tree = ((struct node *)tree)->child[child_no(n, h)];
	return tree;
}

static bool leaf_empty(const struct leaf *l)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < LEAF_WORDS; i++)
		all |= l->bits[i];
	return !all;
}

/* Frees the empty leaf of n, and the nodes that lead nowhere else: (1). path[h] is the node of height h. */
static void prune(struct dirty *d, uint64_t n, void *const path[])
{
	mem_free(path[0]);
	d->leaves--;
	for (unsigned int h = 1; h <= d->height; h++) {
		unsigned int c = child_no(n, h);
		struct node *node = path[h];

		node->child[c] = NULL;
		node->there &= ~(1ull << c);
		if (node->there)
			return;
		mem_free(node);
		d->nodes--;
	}
	d->root = NULL;
	d->height = 0;
}

void dirty_clear(struct dirty *d, pblk_t p)
{
	void *path[HEIGHT_MAX + 1];
	void *tree = d->root;
	uint64_t *word;

	if (!tree || p.n >> shift_at(d->height))
		return;
	for (unsigned int h = d->height; h; h--) {
		path[h] = tree;
		tree = ((struct node *)tree)->child[child_no(p.n, h)];
		if (!tree)
			return;
	}
	path[0] = tree;
	word = word_of(tree, p.n);
	if (!(*word & bit_of(p.n)))
		return;
	*word &= ~bit_of(p.n);
	d->count--;
	if (leaf_empty(tree))
		prune(d, p.n, path);
}

bool dirty_test(const struct dirty *d, pblk_t p)
{
	struct leaf *l = leaf_of(d, p.n);

	return l && *word_of(l, p.n) & bit_of(p.n);
}

/* The first member at or after n within the leaf's range; n lies in it. */
static bool next_in_leaf(struct leaf *l, uint64_t n, uint64_t *ret)
{
	uint64_t first = ROUND_DOWN(n, 1ull << LEAF_SHIFT);
	unsigned int i = (n - first) / 64;
	uint64_t word = l->bits[i] & -bit_of(n);

	while (!word) {
		if (++i == LEAF_WORDS)
			return false;
		word = l->bits[i];
	}
	*ret = first + i * 64 + (unsigned int)__builtin_ctzll(word);
	return true;
}

static bool next_in(void *tree, unsigned int height, uint64_t n, uint64_t *ret)
{
	struct node *node = tree;
	unsigned int shift, c;
	uint64_t later;

	if (!height)
		return next_in_leaf(tree, n, ret);
	shift = shift_at(height - 1);
	c = child_no(n, height);
	if (node->child[c] && next_in(node->child[c], height - 1, n, ret))
		return true;
	later = c + 1 < NODE_CHILDREN ? node->there >> (c + 1) << (c + 1) : 0;
	if (!later)
		return false;
	c = (unsigned int)__builtin_ctzll(later);
	n = ROUND_DOWN(n, 1ull << shift_at(height)) + ((uint64_t)c << shift);
	return next_in(node->child[c], height - 1, n, ret);	/* (1): true */
}

bool dirty_next(const struct dirty *d, pblk_t from, pblk_t *ret)
{
	if (!d->root || from.n >> shift_at(d->height))
		return false;
	return next_in(d->root, d->height, from.n, &ret->n);
}

uint64_t dirty_run(const struct dirty *d, pblk_t p, uint64_t max)
{
	uint64_t n = p.n, end = n + MIN(max, PBLK_MAX + 1 - n);

	assert(p.n <= PBLK_MAX);
	while (n < end) {
		struct leaf *l = leaf_of(d, n);

		if (!l)
			break;
		do {
			uint64_t holes = ~*word_of(l, n) & -bit_of(n);

			if (holes) {
				n = ROUND_DOWN(n, 64) + (unsigned int)__builtin_ctzll(holes);
				return MIN(n, end) - p.n;
			}
			n = ROUND_DOWN(n, 64) + 64;
		} while (n < end && n % (1u << LEAF_SHIFT));
	}
	return MIN(n, end) - p.n;
}

uint64_t dirty_count(const struct dirty *d)
{
	return d->count;
}

uint64_t dirty_bytes(const struct dirty *d)
{
	return sizeof(*d) + d->leaves * sizeof(struct leaf) + d->nodes * sizeof(struct node);
}
