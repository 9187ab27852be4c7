/* SPDX-License-Identifier: GPL-2.0-only */
/* test_ptree.c - persistent trees: known answers, and a forest against a model that is an array of numbers. */
#include "suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "map/ptree.h"
#include "page_store.h"

#define LEAF_MAX ((1ull << (PTREE_FAN_SHIFT * PTREE_LEVELS_MAX)) - 1)

static struct page_store *plain_store;

/* An env without hooks on a store of its own. */
static struct ptree_env env_open(uint32_t pages)
{
	plain_store = page_store_new(pages);
	return (struct ptree_env){ .ctx = plain_store, .page_retire = page_store_retire };
}

static void env_close(struct ptree_env *env)
{
	CHECK(!env->nodes && !env->leaves && !env->dirty);
	CHECK(!plain_store->nused);
	page_store_free(plain_store);
}

static void put_value(struct ptree_env *env, struct ptree *t, uint64_t leaf, uint64_t value)
{
	unsigned char *data = ptree_change(env, t, leaf);

	CHECK(data);
	put_le64(data, value);
	put_le64(data + 4088, ~value);
}

/* 0: a hole. */
static uint64_t value_at(const struct ptree *t, uint64_t leaf)
{
	const unsigned char *data = ptree_get(t, leaf);

	if (!data)
		return 0;
	CHECK(get_le64(data + 4088) == ~get_le64(data));
	return get_le64(data);
}

static struct page_ptr saved(struct ptree_env *env, struct ptree *t)
{
	struct page_ptr at = { 0, 0 };

	CHECK(ptree_save(env, t, page_store_put, plain_store, &at) == 0);
	return at;
}

/* ------------------------------------------------------------------ known answers */
static void empty_tree(void)
{
	struct ptree_env env = env_open(4);
	struct ptree t = { 0 }, u = { 0 };
	struct ptree_load how = page_store_loader(plain_store);
	struct page_ptr at;

	CU_ASSERT_PTR_NULL(ptree_get(&t, 0));
	CU_ASSERT_PTR_NULL(ptree_get(&t, UINT64_MAX));
	CU_ASSERT_FALSE(ptree_exclusive(&t, 0));
	CU_ASSERT_EQUAL(ptree_next(&t, 0), UINT64_MAX);
	CU_ASSERT_EQUAL(ptree_remove(&env, &t, 7), 0);
	CU_ASSERT_FALSE(ptree_dirty(&t));
	CU_ASSERT_EQUAL(ptree_dirty_count(&t, 10), 0);
	ptree_share(&u, &t);
	CU_ASSERT_PTR_NULL(u.root);
	ptree_clear(&env, &t);
	at = saved(&env, &t);
	CU_ASSERT_EQUAL(at.page, PTREE_NO_PAGE);
	CU_ASSERT_EQUAL(at.crc, 0);
	CU_ASSERT_EQUAL(ptree_load(&env, &t, 3, at, &how), 0);
	CU_ASSERT_PTR_NULL(t.root);
	env_close(&env);
}

static void grows(void)
{
	static const uint64_t leaves[] = { 0, 1, 255, 256, 65535, 65536, 1ull << 24, 1ull << 32, LEAF_MAX };
	static const uint8_t levels[] = { 0, 1, 1, 2, 2, 3, 4, 5, 5 };
	struct ptree_env env = env_open(100);
	struct ptree t = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		put_value(&env, &t, leaves[i], 100 + i);
		CU_ASSERT_EQUAL(t.levels, levels[i]);
		CU_ASSERT_EQUAL(env.leaves, i + 1);
		for (size_t k = 0; k < ARRAY_LEN(leaves); k++)
			CU_ASSERT_EQUAL(value_at(&t, leaves[k]), k <= i ? 100 + k : 0);
	}
	CU_ASSERT_PTR_NULL(ptree_get(&t, LEAF_MAX + 1));
	for (size_t i = 0; i < ARRAY_LEN(leaves); i++) {
		CU_ASSERT_EQUAL(ptree_next(&t, leaves[i]), leaves[i]);
		CU_ASSERT_EQUAL(ptree_next(&t, leaves[i] + 1), i + 1 < ARRAY_LEN(leaves) ? leaves[i + 1] : UINT64_MAX);
	}
	for (size_t i = ARRAY_LEN(leaves); i-- > 0;) {
		CU_ASSERT_EQUAL(ptree_remove(&env, &t, leaves[i]), 0);
		CU_ASSERT_EQUAL(value_at(&t, leaves[i]), 0);
	}
	CU_ASSERT_PTR_NULL(t.root);
	CU_ASSERT_EQUAL(t.levels, 0);
	/* An empty tree starts with as many levels as the leaf needs. */
	put_value(&env, &t, LEAF_MAX, 5);
	CU_ASSERT_EQUAL(env.nodes, 5);
	ptree_clear(&env, &t);
	env_close(&env);
}

static void shares(void)
{
	struct ptree_env env = env_open(100);
	struct ptree a = { 0 }, b = { 0 };

	put_value(&env, &a, 3, 33);
	put_value(&env, &a, 300, 330);
	CU_ASSERT(ptree_exclusive(&a, 3));
	CU_ASSERT_FALSE(ptree_exclusive(&a, 4));
	ptree_share(&b, &a);
	CU_ASSERT_FALSE(ptree_exclusive(&a, 3));
	CU_ASSERT_PTR_NULL(ptree_get_exclusive(&b, 300));
	CU_ASSERT_PTR_EQUAL(ptree_get(&a, 3), ptree_get(&b, 3));
	CU_ASSERT_EQUAL(env.leaves, 2);
	CU_ASSERT_EQUAL(env.nodes, 3);
	put_value(&env, &a, 3, 44);		/* copies root, inner node, leaf */
	CU_ASSERT_EQUAL(env.leaves, 3);
	CU_ASSERT_EQUAL(env.nodes, 5);
	CU_ASSERT(ptree_exclusive(&a, 3));
	CU_ASSERT(ptree_exclusive(&b, 3));
	CU_ASSERT_FALSE(ptree_exclusive(&b, 300));
	CU_ASSERT_EQUAL(value_at(&b, 3), 33);
	CU_ASSERT_EQUAL(ptree_remove(&env, &b, 300), 0);	/* no copy: the node above goes with it */
	CU_ASSERT_EQUAL(env.nodes, 5);
	CU_ASSERT_EQUAL(value_at(&a, 300), 330);
	CU_ASSERT(ptree_exclusive(&a, 300));
	ptree_clear(&env, &a);
	CU_ASSERT_EQUAL(value_at(&b, 3), 33);
	ptree_clear(&env, &b);
	env_close(&env);
}

/* The bytes of pages, and which are written. */
static void saves(void)
{
	struct ptree_env env = env_open(100);
	struct ptree a = { 0 }, b = { 0 };
	struct page_ptr at, leaf0, leaf7;
	const unsigned char *root;

	put_value(&env, &a, 0, 1);
	put_value(&env, &a, 7, 2);
	CU_ASSERT(ptree_dirty(&a));
	CU_ASSERT_EQUAL(ptree_dirty_count(&a, 100), 3);
	CU_ASSERT_EQUAL(ptree_dirty_count(&a, 2), 2);
	CU_ASSERT_EQUAL(env.dirty, 3);
	at = saved(&env, &a);
	CU_ASSERT_EQUAL(plain_store->nused, 3);
	root = plain_store->data[at.page];
	CU_ASSERT_EQUAL(at.crc, crc32c(0, root, 4096));
	leaf0 = (struct page_ptr){ get_le32(root), get_le32(root + 4) };
	leaf7 = (struct page_ptr){ get_le32(root + 56), get_le32(root + 60) };
	CU_ASSERT_EQUAL(get_le64(plain_store->data[leaf0.page]), 1);
	CU_ASSERT_EQUAL(get_le64(plain_store->data[leaf7.page]), 2);
	CU_ASSERT_EQUAL(leaf7.crc, crc32c(0, plain_store->data[leaf7.page], 4096));
	CU_ASSERT_EQUAL(get_le64(root + 8), 0xffffffffull);	/* a hole */
	for (size_t i = 2048; i < 4096; i++)
		CHECK(!root[i]);
	CU_ASSERT_EQUAL(env.dirty + ptree_dirty_count(&a, 9), 0);
	/* Nothing to do. */
	CU_ASSERT_EQUAL(saved(&env, &a).page, at.page);
	CU_ASSERT_EQUAL(plain_store->puts, 3);
	/* A change gives back what it changed: the leaf and the root. */
	put_value(&env, &a, 7, 3);
	CU_ASSERT_EQUAL(plain_store->nused, 1);
	CU_ASSERT(plain_store->used[leaf0.page]);
	CU_ASSERT_EQUAL(ptree_dirty_count(&a, 9), 2);
	/* What two trees hold is written once. */
	ptree_share(&b, &a);
	at = saved(&env, &a);
	CU_ASSERT_EQUAL(plain_store->puts, 5);
	CU_ASSERT_EQUAL(saved(&env, &b).page, at.page);
	CU_ASSERT_EQUAL(plain_store->puts, 5);
	/* A copy leaves the other's pages alone. */
	put_value(&env, &b, 7, 4);
	CU_ASSERT_EQUAL(plain_store->nused, 3);
	ptree_clear(&env, &a);
	CU_ASSERT_EQUAL(plain_store->nused, 1);	/* leaf 0 */
	ptree_clear(&env, &b);
	env_close(&env);
}

static void save_continues(void)
{
	struct ptree_env env = env_open(400);
	struct page_ptr at = { 1, 2 };
	struct ptree t = { 0 };
	int rounds = 0, rc;

	for (uint64_t i = 0; i < 300; i++)
		put_value(&env, &t, i * 3, i + 1);
	do {
		plain_store->room = 7;
		rc = ptree_save(&env, &t, page_store_put, plain_store, &at);
		CU_ASSERT_EQUAL(env.dirty, ptree_dirty_count(&t, 1000));
		CU_ASSERT(rc == 0 || (rc == -ENOSPC && at.page == 1 && at.crc == 2 && ptree_dirty(&t)));
	} while (rc && ++rounds < 100);
	CU_ASSERT_EQUAL(rounds, (300 + 4 + 1) / 7);
	CU_ASSERT_EQUAL(plain_store->puts, 305);
	ptree_clear(&env, &t);
	env_close(&env);
}

/* Says what loading the tree at `at` answers; on success compares a few leaves. */
static int load_says(uint8_t levels, struct page_ptr at, uint32_t *ret_bad)
{
	struct ptree_env env = { .ctx = plain_store, .page_retire = page_store_retire };
	struct ptree_load how = page_store_loader(plain_store);
	struct ptree t = { .levels = 9 };
	int rc = ptree_load(&env, &t, levels, at, &how);

	*ret_bad = how.ret_bad;
	if (rc) {
		CHECK(!t.root && !t.levels);
	} else {
		CHECK(value_at(&t, 5) == 55 && value_at(&t, 600) == 66 && !ptree_dirty(&t) && !env.dirty);
	}
	ptree_forget(&env, &t);
	CHECK(!env.nodes && !env.leaves && !env.dirty);
	return rc;
}

/* Rewrites an inner page's child and gives the page's new crc. */
static uint32_t set_child(uint32_t page, unsigned int i, struct page_ptr child)
{
	put_le32(plain_store->data[page] + 8 * i, child.page);
	put_le32(plain_store->data[page] + 8 * i + 4, child.crc);
	return crc32c(0, plain_store->data[page], 4096);
}

static struct page_ptr get_child(uint32_t page, unsigned int i)
{
	return (struct page_ptr){ get_le32(plain_store->data[page] + 8 * i),
				  get_le32(plain_store->data[page] + 8 * i + 4) };
}

static void load_bad(void)
{
	struct ptree_env env = env_open(16);
	struct page_ptr at, mid0, leaf;
	struct ptree t = { 0 };
	uint32_t bad;

	put_value(&env, &t, 5, 55);
	put_value(&env, &t, 600, 66);
	at = saved(&env, &t);
	CU_ASSERT_EQUAL(load_says(2, at, &bad), 0);
	CU_ASSERT_EQUAL(bad, PTREE_NO_PAGE);
	/* Every page's every 97th bit. */
	for (uint32_t bit = 0; bit < 5 * 4096 * 8; bit += 97) {
		unsigned char *byte = &plain_store->data[bit / 32768][bit % 32768 / 8];

		*byte ^= (unsigned char)(1u << bit % 8);
		CU_ASSERT_EQUAL(load_says(2, at, &bad), -EBADMSG);
		CU_ASSERT_EQUAL(bad, bit / 32768);
		*byte ^= (unsigned char)(1u << bit % 8);
	}
	for (uint32_t n = 1; n <= 5; n++) {
		plain_store->get_fails_at = n;
		CU_ASSERT_EQUAL(load_says(2, at, &bad), -EIO);
	}
	for (unsigned long n = 1; n <= 5; n++) {
		mem_fail_at(n);
		CU_ASSERT_EQUAL(load_says(2, at, &bad), -ENOMEM);
		mem_fail_at(0);
	}
	/* With good crcs, but nonsense. */
	CU_ASSERT_EQUAL(load_says(PTREE_LEVELS_MAX + 1, at, &bad), -EBADMSG);
	mid0 = get_child(at.page, 0);
	leaf = get_child(mid0.page, 5);
	at.crc = set_child(at.page, 1, mid0);		/* one subtree at two places */
	CU_ASSERT_EQUAL(load_says(2, at, &bad), -EBADMSG);
	CU_ASSERT_EQUAL(bad, mid0.page);
	at.crc = set_child(at.page, 1, leaf);		/* a leaf as an inner node */
	CU_ASSERT_EQUAL(load_says(2, at, &bad), -EBADMSG);
	CU_ASSERT_EQUAL(bad, leaf.page);
	at.crc = set_child(at.page, 1, (struct page_ptr){ 12345, 1 });
	CU_ASSERT_EQUAL(load_says(2, at, &bad), -ERANGE);
	at.crc = set_child(at.page, 1, (struct page_ptr){ PTREE_NO_PAGE, 0 });
	CU_ASSERT_EQUAL(load_says(2, at, &bad), 0);
	/* An inner node without children. */
	mid0.crc = set_child(mid0.page, 5, (struct page_ptr){ PTREE_NO_PAGE, 0 });
	at.crc = set_child(at.page, 0, mid0);
	CU_ASSERT_EQUAL(load_says(2, at, &bad), -EBADMSG);
	CU_ASSERT_EQUAL(bad, mid0.page);
	ptree_clear(&env, &t);
	env_close(&env);
}

/* A page that was a leaf is no inner node of another tree, and no node of a tree of another kind. */
static void load_other_level(void)
{
	struct ptree_env env = env_open(4), kind = env;
	struct ptree_load how = page_store_loader(plain_store);
	struct ptree t = { 0 }, a = { 0 }, b = { 0 };
	struct page_ptr at;

	put_value(&env, &t, 0, 1);
	at = saved(&env, &t);
	CU_ASSERT_EQUAL(ptree_load(&env, &a, 0, at, &how), 0);
	CU_ASSERT_EQUAL(ptree_load(&env, &b, 1, at, &how), -EBADMSG);
	CU_ASSERT_EQUAL(how.ret_bad, at.page);
	CU_ASSERT_EQUAL(ptree_load(&env, &b, 0, (struct page_ptr){ at.page, at.crc + 1 }, &how), -EBADMSG);
	CU_ASSERT_EQUAL(ptree_load(&kind, &b, 0, at, &how), -EBADMSG);
	CU_ASSERT_EQUAL(ptree_load(&env, &b, 0, at, &how), 0);
	CU_ASSERT_PTR_EQUAL(a.root, b.root);
	ptree_forget(&env, &a);
	CU_ASSERT_EQUAL(value_at(&b, 0), 1);
	ptree_forget(&env, &b);
	ptree_clear(&env, &t);
	env_close(&env);
}

/* A page that stands below itself at every level, and 256 times each: here the device answers each time what fits. */
struct cycle {
	unsigned char level[PTREE_LEVELS_MAX + 1][4096];
	unsigned int gets;
	struct pnode *node;
};

static int cycle_get(void *ctx, uint32_t page, void *data)
{
	struct cycle *c = ctx;

	CHECK(page == 3 && c->gets <= PTREE_LEVELS_MAX);
	memcpy(data, c->level[PTREE_LEVELS_MAX - c->gets++], 4096);
	return 0;
}

static struct pnode *cycle_seen(void *ctx, uint32_t page)
{
	(void)page;
	return ((struct cycle *)ctx)->node;
}

static void cycle_remember(void *ctx, uint32_t page, struct pnode *node)
{
	(void)page;
	((struct cycle *)ctx)->node = node;
}

static void load_cycle(void)
{
	struct cycle *c = calloc(1, sizeof(*c));
	struct ptree_load how = { .ctx = c, .get = cycle_get, .seen = cycle_seen, .remember = cycle_remember };
	struct ptree_env env = env_open(1);
	struct page_ptr at = { .page = 3 };
	struct ptree t = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (unsigned int level = 0; level <= PTREE_LEVELS_MAX; level++) {
		for (unsigned int i = 0; level && i < PTREE_FAN; i++) {
			put_le32(c->level[level] + 8 * i, at.page);
			put_le32(c->level[level] + 8 * i + 4, at.crc);
		}
		at.crc = crc32c(0, c->level[level], 4096);
	}
	CU_ASSERT_EQUAL(ptree_load(&env, &t, PTREE_LEVELS_MAX, at, &how), -EBADMSG);
	CU_ASSERT_EQUAL(how.ret_bad, 3);
	CU_ASSERT_EQUAL(c->gets, PTREE_LEVELS_MAX + 1);
	free(c);
	env_close(&env);
}

/* ------------------------------------------------------------------ a forest and its model */
#define TREES 6
#define PLACES 40
#define VALUES 4096

/* Places where nodes begin and end. */
static const uint64_t places[PLACES] = {
	0, 1, 2, 3, 100, 254, 255, 256, 257, 300, 511, 512, 513, 1000, 30000, 65279, 65280, 65534, 65535, 65536, 65537,
	65791, 65792, 131071, 131072, 1u << 20, (1u << 24) - 257, (1u << 24) - 1, 1u << 24, (1u << 24) + 1,
	(1u << 24) + 65536, 1ull << 31, (1ull << 32) - 1, 1ull << 32, (1ull << 32) + 1, (1ull << 32) + (1u << 24),
	1ull << 39, LEAF_MAX - 65536, LEAF_MAX - 1, LEAF_MAX,
};

struct forest {
	struct rng rng;
	struct page_store *store;
	struct ptree_env env;
	struct ptree tree[TREES];
	uint64_t model[TREES][PLACES];	/* value of the leaf; 0: a hole */
	uint32_t holders[VALUES];	/* by value: distinct leaves, as the hooks say */
	uint64_t next_value;
	uint64_t saves, loads, failures;
};

static void on_copied(void *ctx, const void *data)
{
	((struct forest *)ctx)->holders[get_le64(data) % VALUES]++;
}

static void on_freed(void *ctx, void *data)
{
	struct forest *f = ctx;

	CHECK(f->holders[get_le64(data) % VALUES] > 0);
	f->holders[get_le64(data) % VALUES]--;
}

static void on_retire(void *ctx, uint32_t page)
{
	page_store_retire(((struct forest *)ctx)->store, page);
}

/* What a walk over all trees finds. */
struct census {
	struct ptr_set met;
	uint64_t nodes, leaves, dirty, pages;
	uint32_t holders[VALUES];
	const struct forest *f;
	bool ancestors_dirty[PTREE_LEVELS_MAX + 2];
	const struct ptree *tree;
	uint64_t tree_dirty;
};

static bool census_node(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs, uint64_t leaf,
			const void *data)
{
	struct census *c = ctx;
	bool dirty = page == PTREE_NO_PAGE;

	CHECK(refs > 0 && !data == (level > 0));
	if (level < c->tree->levels && dirty)
		CHECK(c->ancestors_dirty[level + 1]);
	c->ancestors_dirty[level] = dirty;
	c->tree_dirty += dirty;
	if (data)
		CHECK(ptree_get(c->tree, leaf) == data);
	if (ptr_set_add(&c->met, node))
		return true;		/* for ancestors_dirty, see every tree whole */
	*(level ? &c->nodes : &c->leaves) += 1;
	c->dirty += dirty;
	if (!dirty) {
		CHECK(page < c->f->store->count && c->f->store->used[page]);
		c->pages++;
	}
	if (data)
		c->holders[get_le64(data) % VALUES]++;
	return true;
}

static void forest_check(const struct forest *f)
{
	struct census c = { .f = f };

	for (unsigned int t = 0; t < TREES; t++) {
		uint64_t next = UINT64_MAX;

		for (unsigned int i = PLACES; i-- > 0;) {
			CHECK(value_at(&f->tree[t], places[i]) == f->model[t][i]);
			if (f->model[t][i])
				next = places[i];
			CHECK(ptree_next(&f->tree[t], places[i]) == next);
		}
		c.tree = &f->tree[t];
		c.tree_dirty = 0;
		ptree_walk(c.tree, census_node, &c);
		CHECK(c.tree_dirty == ptree_dirty_count(c.tree, UINT64_MAX));
		CHECK(MIN(c.tree_dirty, 3) == ptree_dirty_count(c.tree, 3));
	}
	CHECK(c.nodes == f->env.nodes && c.leaves == f->env.leaves && c.dirty == f->env.dirty);
	CHECK(c.pages == f->store->nused);
	CHECK(memcmp(c.holders, f->holders, sizeof(c.holders)) == 0);
	ptr_set_clear(&c.met);
}

/* The leaf's other holders must not notice (forest_check). -ENOMEM must change nothing. */
static int forest_change(struct forest *f, unsigned int t, unsigned int i)
{
	uint64_t value = 1 + f->next_value % (VALUES - 1), *model = &f->model[t][i];
	unsigned char *data = ptree_change(&f->env, &f->tree[t], places[i]);

	if (!data)
		return -ENOMEM;
	CHECK(ptree_exclusive(&f->tree[t], places[i]));
	CHECK(ptree_get(&f->tree[t], places[i]) == data);
	CHECK(ptree_get_exclusive(&f->tree[t], places[i]) == data);
	if (*model) {
		CHECK(get_le64(data) == *model);
		f->holders[*model]--;
	} else {
		for (unsigned int b = 0; b < 4096; b += 8)
			CHECK(!get_le64(data + b));
	}
	put_le64(data, value);
	put_le64(data + 4088, ~value);
	f->holders[value]++;
	*model = value;
	f->next_value++;
	return 0;
}

static int forest_remove(struct forest *f, unsigned int t, unsigned int i)
{
	bool alone = ptree_exclusive(&f->tree[t], places[i]);
	int rc = ptree_remove(&f->env, &f->tree[t], places[i]);

	CHECK(rc == 0 || (rc == -ENOMEM && !alone));
	if (!rc)
		f->model[t][i] = 0;
	return rc;
}

static void forest_share(struct forest *f, unsigned int to, unsigned int from)
{
	if (to == from)
		return;
	ptree_clear(&f->env, &f->tree[to]);
	ptree_share(&f->tree[to], &f->tree[from]);
	memcpy(f->model[to], f->model[from], sizeof(f->model[to]));
}

static void forest_save(struct forest *f, unsigned int t)
{
	uint64_t dirty = ptree_dirty_count(&f->tree[t], UINT64_MAX);
	uint32_t puts = f->store->puts;
	struct page_ptr at;
	int rc;

	f->store->room = (uint32_t)rng_below(&f->rng, dirty + 2);
	rc = ptree_save(&f->env, &f->tree[t], page_store_put, f->store, &at);
	CHECK(rc == (f->store->puts - puts < dirty ? -ENOSPC : 0));
	CHECK(ptree_dirty_count(&f->tree[t], UINT64_MAX) == dirty - (f->store->puts - puts));
	f->saves++;
}

/* Saves all, loads all anew beside it, and goes on with what was loaded. */
static void forest_reload(struct forest *f, bool fail)
{
	struct ptree_load how = page_store_loader(f->store);
	struct ptree_env env = f->env;
	struct ptree tree[TREES];
	int rc = 0;

	env.nodes = env.leaves = env.dirty = 0;
	mem_fail_at(fail ? 1 + rng_below(&f->rng, 40) : 0);
	for (unsigned int t = 0; t < TREES; t++) {
		struct page_ptr at;

		f->store->room = UINT32_MAX;
		CHECK(ptree_save(&f->env, &f->tree[t], page_store_put, f->store, &at) == 0);
		tree[t] = (struct ptree){ .root = NULL };
		if (!rc)
			rc = ptree_load(&env, &tree[t], f->tree[t].levels, at, &how);
		CHECK(rc == 0 || (fail && rc == -ENOMEM));
	}
	mem_fail_at(0);
	CHECK(rc || how.ret_bad == PTREE_NO_PAGE);
	CHECK(rc || (f->store->gets == f->store->nused && env.nodes + env.leaves == f->store->nused && !env.dirty));
	for (unsigned int t = 0; t < TREES; t++)
		ptree_forget(rc ? &env : &f->env, rc ? &tree[t] : &f->tree[t]);
	CHECK(!(rc ? env.nodes + env.leaves : f->env.nodes + f->env.leaves + f->env.dirty));
	if (!rc) {
		memcpy(f->tree, tree, sizeof(tree));
		f->env = env;
	}
	f->loads += !rc;
}

static void forest_step(struct forest *f)
{
	unsigned int t = (unsigned int)rng_below(&f->rng, TREES), i = (unsigned int)rng_below(&f->rng, PLACES);
	uint64_t dice = rng_below(&f->rng, 1000), fail = rng_below(&f->rng, 8) ? 0 : 1 + rng_below(&f->rng, 6);
	int rc = 0;

	mem_fail_at(fail);
	if (dice < 600)
		rc = forest_change(f, t, i);
	else if (dice < 900)
		rc = forest_remove(f, t, i);
	mem_fail_at(0);
	CHECK(rc == 0 || (fail && rc == -ENOMEM));
	f->failures += rc != 0;
	if (rc || dice % 300 == 0)
		forest_check(f);
	if (dice >= 900 && dice < 930) {
		forest_share(f, t, (unsigned int)rng_below(&f->rng, TREES));
	} else if (dice >= 930 && dice < 935) {
		ptree_clear(&f->env, &f->tree[t]);
		memset(f->model[t], 0, sizeof(f->model[t]));
	} else if (dice >= 935 && dice < 995) {
		forest_save(f, t);
	} else if (dice >= 995) {
		forest_reload(f, fail);
		forest_check(f);
	}
}

static void forest(void)
{
	struct forest *f = calloc(1, sizeof(*f));

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	f->rng = unit_rng();
	f->store = page_store_new(4096);
	f->env = (struct ptree_env){ .ctx = f, .page_retire = on_retire, .leaf_copied = on_copied,
				     .leaf_freed = on_freed };
	for (unit_step = 0; unit_step < 200000; unit_step++)
		forest_step(f);
	forest_check(f);
	CU_ASSERT(f->saves > 1000 && f->loads > 100 && f->failures > 1000);
	for (unsigned int t = 0; t < TREES; t++) {
		ptree_clear(&f->env, &f->tree[t]);
		memset(f->model[t], 0, sizeof(f->model[t]));
		forest_check(f);
	}
	CU_ASSERT_EQUAL(f->env.nodes + f->env.leaves + f->env.dirty + f->store->nused, 0);
	page_store_free(f->store);
	free(f);
}

const struct hb_suite suite_ptree = { "ptree", (CU_TestInfo[]){
	{ "empty_tree", empty_tree },
	{ "grows", grows },
	{ "shares", shares },
	{ "saves", saves },
	{ "save_continues", save_continues },
	{ "load_bad", load_bad },
	{ "load_other_level", load_other_level },
	{ "load_cycle", load_cycle },
	{ "forest", forest },
	CU_TEST_INFO_NULL
} };
