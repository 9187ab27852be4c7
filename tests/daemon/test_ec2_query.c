/* SPDX-License-Identifier: GPL-2.0-only */
/* test_ec2_query.c - EC2's form encoding, its lists and its wildcards, and what is written as XML. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ec2/priv.h"
#include "ec2/query.h"
#include "ec2/xml.h"
#include "tests/daemon/suites.h"

/* The tree as compact JSON, sorted; "": refused. Static. */
static const char *tree_of(const char *form, size_t len)
{
	static char text[4096];
	struct err err = ERR_INIT;
	json_t *tree = json_object();
	int rc = query_parse(tree, form, len, false, &err);
	char *dumped = rc ? NULL : json_dumps(tree, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);

	CU_ASSERT_EQUAL(rc, err.code);
	CU_ASSERT_EQUAL(!rc, !err.text[0]);
	snprintf(text, sizeof(text), "%s", dumped ? dumped : "");
	free(dumped);
	json_decref(tree);
	return text;
}

static void tree_is(const char *form, const char *expected)
{
	CU_ASSERT_STRING_EQUAL(tree_of(form, strlen(form)), expected);
}

static void test_forms(void)
{
	tree_is("", "{}");
	tree_is("a=1", "{\"a\":\"1\"}");
	tree_is("a=1&b=", "{\"a\":\"1\",\"b\":\"\"}");
	tree_is("a", "{\"a\":\"\"}");
	tree_is("a=b=c", "{\"a\":\"b=c\"}");
	tree_is("a=x+y%20z%2B%26%3D", "{\"a\":\"x y z+&=\"}");
	tree_is("a=%C3%A9%c3%a9", "{\"a\":\"\\u00E9\\u00E9\"}");
	tree_is("F.1.Name=n&F.1.Value.1=a&F.1.Value.2=b",
		"{\"F\":{\"1\":{\"Name\":\"n\",\"Value\":{\"1\":\"a\",\"2\":\"b\"}}}}");
	tree_is("F%2E1=a", "{\"F\":{\"1\":\"a\"}}"); /* decoded, then taken apart */
	tree_is("a=%0A", "{\"a\":\"\\n\"}"); /* it is the verbs that refuse control characters */
}

static void test_refused_forms(void)
{
	static const char *const bad[] = {
		"=1", "a=1&&b=2", "&", "a=%", "a=%1", "a=%zz", "a=%0", "%=1", "a=%00", "%00=1", "a=%ff", "a=%C3",
		"a=%ED%A0%80", "a=1&a=1", "a=1&a=2", "a=1&a.b=2", "a.b=2&a=1", "a.b=1&a.b=2", ".a=1", "a.=1", "a..b=1",
		".=1", "a b=1", "a+b=1", "a%3d=1", "a<b=1", "a.b.c.d.e.f.g.h.i=1", "\xff=1", "a=\xff"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		tree_is(bad[i], "");
	CU_ASSERT_STRING_EQUAL(tree_of("a=x\0y", 5), "");
	CU_ASSERT_STRING_EQUAL(tree_of("a\0=x", 4), "");
	tree_is("a.b.c.d.e.f.g.h=1", "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":\"1\"}}}}}}}}");
}

/* A form of so many bytes: a name of n and a value of m. */
static bool fits(size_t n, size_t m)
{
	struct err err = ERR_INIT;
	char *form = malloc(n + 1 + m);
	json_t *tree = json_object();
	int rc;

	memset(form, 'a', n);
	form[n] = '=';
	memset(form + n + 1, 'b', m);
	rc = query_parse(tree, form, n + 1 + m, false, &err);
	json_decref(tree);
	free(form);
	return !rc;
}

static bool so_many(unsigned pairs)
{
	struct err err = ERR_INIT;
	char *form = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&form, &len);
	json_t *tree = json_object();
	int rc;

	for (unsigned i = 0; i < pairs; i++)
		fprintf(f, "%sP.%u=1", i ? "&" : "", i);
	fclose(f);
	rc = query_parse(tree, form, len, false, &err);
	CU_ASSERT_TRUE(rc || json_object_size(json_object_get(tree, "P")) == pairs);
	json_decref(tree);
	free(form);
	return !rc;
}

static void test_bounds(void)
{
	CU_ASSERT_TRUE(fits(QUERY_NAME_MAX, 1));
	CU_ASSERT_FALSE(fits(QUERY_NAME_MAX + 1, 1));
	CU_ASSERT_TRUE(fits(1, QUERY_VALUE_MAX));
	CU_ASSERT_FALSE(fits(1, QUERY_VALUE_MAX + 1));
	CU_ASSERT_TRUE(so_many(QUERY_PAIRS_MAX));
	CU_ASSERT_FALSE(so_many(QUERY_PAIRS_MAX + 1));
}

/* URL and body are one form. */
static void test_two_forms(void)
{
	struct err err = ERR_INIT;
	json_t *tree = json_object();

	CU_ASSERT_EQUAL(query_parse(tree, "a=1&b.1=x", 9, false, &err), 0);
	CU_ASSERT_EQUAL(query_parse(tree, "b.2=y", 5, false, &err), 0);
	CU_ASSERT_EQUAL(json_object_size(json_object_get(tree, "b")), 2);
	/* In a URL a plus is signed as one. */
	CU_ASSERT_EQUAL(query_parse(tree, "c=x+y", 5, true, &err), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(tree, "c")), "x+y");
	CU_ASSERT_TRUE(query_parse(tree, "a=1", 3, false, &err) < 0);
	json_decref(tree);
}

static size_t list_size(const char *form)
{
	struct err err = ERR_INIT;
	json_t *tree = json_object(), *list;
	size_t n;

	query_parse(tree, form, strlen(form), false, &err);
	list = query_list(json_object_get(tree, "V"), "V", &err);
	n = list ? json_array_size(list) : 99;
	if (n != 99 && n)
		CU_ASSERT_STRING_EQUAL(json_string_value(json_array_get(list, 0)), "a");
	json_decref(list);
	json_decref(tree);
	return n;
}

static void test_lists(void)
{
	CU_ASSERT_EQUAL(list_size("V.1=a"), 1);
	CU_ASSERT_EQUAL(list_size("V.2=b&V.1=a"), 2);
	CU_ASSERT_EQUAL(list_size("V="), 0);
	CU_ASSERT_EQUAL(list_size("V=a"), 99);
	CU_ASSERT_EQUAL(list_size("V.2=a"), 99);
	CU_ASSERT_EQUAL(list_size("V.1=a&V.3=a"), 99);
	CU_ASSERT_EQUAL(list_size("V.0=a&V.1=a"), 99);
	CU_ASSERT_EQUAL(list_size("V.01=a"), 99);
	CU_ASSERT_EQUAL(list_size("V.x=a"), 99);
	CU_ASSERT_EQUAL(list_size("W=1"), 99);
	CU_ASSERT_EQUAL(list_size("V.1=a&V.2=b&V.3=c&V.4=d&V.5=e&V.6=f&V.7=g&V.8=h&V.9=i&V.10=j&V.11=k"), 11);
}

static void test_glob(void)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"", "", true}, {"", "a", false}, {"a", "a", true}, {"a", "b", false}, {"a", "", false},
		{"*", "", true},
		{"*", "abc", true}, {"a*", "abc", true}, {"*c", "abc", true}, {"*b*", "abc", true},
		{"*d*", "abc", false},
		{"a*c", "abcbc", true}, {"a*b*c*d", "a1b2c3d", true}, {"a*b*c*d", "a1c2b3d", false}, {"?", "a", true},
		{"?", "", false}, {"?", "ab", false}, {"a?c", "abc", true}, {"?", "\xc3\xa9", true},
		{"\\*", "*", true}, {"\\*", "a", false}, {"\\?", "?", true}, {"\\?", "a", false}, {"\\\\", "\\", true},
		{"a\\*b", "a*b", true}, {"a\\*b", "axb", false}, {"*\\**", "a*b", true}, {"*\\**", "ab", false},
		{"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		CU_ASSERT_EQUAL(ec2_glob(cases[i].pattern, cases[i].text), cases[i].matches);
}

static void xml_is(json_t *tree, const char *expected)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	xml_element(f, "e", tree);
	fclose(f);
	CU_ASSERT_STRING_EQUAL(text, expected);
	free(text);
	json_decref(tree);
}

static void test_xml(void)
{
	xml_is(json_string("plain"), "<e>plain</e>");
	xml_is(json_string("<a b=\"c\">&amp;</a>"), "<e>&lt;a b=&quot;c&quot;&gt;&amp;amp;&lt;/a&gt;</e>");
	xml_is(json_string("]]>"), "<e>]]&gt;</e>");
	xml_is(json_string("a\tb\nc\rd"), "<e>a\tb\nc&#13;d</e>");
	xml_is(json_string("\x01\x1f\x7f"), "<e>\xef\xbf\xbd\xef\xbf\xbd\x7f</e>");
	xml_is(json_string("\xef\xbf\xbe\xef\xbf\xbd\xc3\xa9"), "<e>\xef\xbf\xbd\xef\xbf\xbd\xc3\xa9</e>");
	xml_is(json_string(""), "<e/>");
	xml_is(json_array(), "<e/>");
	xml_is(json_object(), "<e/>");
	xml_is(json_null(), "");
	xml_is(json_true(), "<e>true</e>");
	xml_is(json_false(), "<e>false</e>");
	xml_is(json_integer(-7), "<e>-7</e>");
	xml_is(json_pack("[{s:s, s:n}, {s:[i]}]", "a", "1", "b", "c", 2),
	       "<e><item><a>1</a></item><item><c><item>2</item></c></item></e>");
}

static CU_TestInfo tests[] = {
	{"forms", test_forms},
	{"refused_forms", test_refused_forms},
	{"bounds", test_bounds},
	{"two_forms", test_two_forms},
	{"lists", test_lists},
	{"glob", test_glob},
	{"xml", test_xml},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_ec2_query = {"ec2_query", tests};
