/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_query.c - any bytes as a form of EC2's protocol: read wholly or refused; what was read has names and values as
 * the room promises, and what is written of it as XML holds no character that would break it.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ec2/priv.h"
#include "ec2/query.h"
#include "ec2/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(const json_t *node, int depth)
{
	const char *name;
	json_t *v;

	if (json_is_string(node)) {
		must(strlen(json_string_value(node)) == json_string_length(node));
		must(json_string_length(node) <= QUERY_VALUE_MAX);
		return;
	}
	must(json_is_object(node) && depth <= QUERY_DEPTH_MAX);
	must(depth == 0 || json_object_size(node));
	json_object_foreach((json_t *)(uintptr_t)node, name, v)
	{
		must(*name && strlen(name) <= QUERY_NAME_MAX && !strpbrk(name, "<>&\"'. \n"));
		check(v, depth + 1);
	}
}

static void check_lists(const json_t *tree)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)tree, name, v)
	{
		struct err err = ERR_INIT;
		json_t *list = query_list(v, name, &err);

		must(list ? !err.code : err.code < 0 && err.text[0]);
		must(!list || json_array_size(list) == (json_is_object(v) ? json_object_size(v) : 0));
		json_decref(list);
	}
}

/* A pattern that is a text matches it; one of stars does, too; nothing runs away. */
static void check_glob(const json_t *node)
{
	const char *text = json_string_value(node), *name;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)node, name, v) check_glob(v);
	if (!text || strlen(text) > 256)
		return;
	must(ec2_glob("*", text) && ec2_glob("**", text));
	must(strpbrk(text, "*?\\") || ec2_glob(text, text));
	ec2_glob(text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
}

static void check_xml(const json_t *tree)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	unsigned opened = 0, closed = 0;
	json_t *read_again;

	must(f != NULL);
	xml_element(f, "e", tree);
	must(!fclose(f));
	for (size_t i = 0; i < len; i++) {
		opened += text[i] == '<';
		closed += text[i] == '>';
		must((unsigned char)text[i] >= 0x20 || text[i] == '\n' || text[i] == '\t');
		must(text[i] != '&' || strchr("algq#", text[i + 1]));
	}
	must(opened == closed);
	read_again = json_stringn(text, len); /* UTF-8 */
	must(read_again != NULL);
	json_decref(read_again);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	json_t *tree = json_object();
	int rc = query_parse(tree, (const char *)data, size, false, &err);

	must(rc ? rc < 0 && err.code == rc && err.text[0] : !err.code);
	if (!rc) {
		check(tree, 0);
		check_lists(tree);
		check_glob(tree);
		check_xml(tree);
	}
	json_decref(tree);
	return 0;
}
