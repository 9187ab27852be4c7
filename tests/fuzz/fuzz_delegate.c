/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_delegate.c - any bytes as a delegate: read wholly or refused with one sentence; and, behind a zero byte, as the
 * values of its commands: the number of arguments is the file's, and no value brings a byte that its type has not.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/perform.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* One value a line. */
static void read_values(struct values *v, const char *s, size_t len)
{
	char line[VALUE_MAX + 2];

	for (int k = 0; k < V_FILE && len; k++) {
		size_t n = strnlen(s, len), m = n < sizeof(line) - 1 ? n : sizeof(line) - 1;

		memcpy(line, s, m);
		line[m] = '\0';
		values_set(v, (enum value_kind)k, line, NULL);
		must(!v->v[k] || value_ok((enum value_kind)k, v->v[k]));
		s += n + (n < len);
		len -= n + (n < len);
	}
}

static void try_commands(const struct delegate *d, const struct values *v)
{
	const char *const mode[2] = { d->mode[0], d->mode[1] };

	for (int op = 0; op < OPS; op++) {
		for (unsigned i = 0; i < d->ops[op].n; i++) {
			const struct command *c = &d->ops[op].commands[i];
			char **argv = NULL, *text = NULL;
			unsigned n = 0;

			if (perform_argv(d, c, v, &argv, NULL) == 0) {
				while (argv[n])
					n++;
				must(n == c->argc && !strcmp(argv[0], c->argv[0].pieces[0].text));
				perform_argv_free(argv);
			}
			if (template_expand(&c->file, TEMPLATE_XML, v, mode, &text, NULL) == 0)
				free(text);
			pattern_find(&c->output, "web-1   7 2048 2 -b---- 10.5\nerror: x\n", NULL);
			pattern_find(&c->already, "Error: Device xvdf not connected.\n", NULL);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *zero = memchr(data, 0, size);
	size_t len = zero ? (size_t)(zero - text) : size;
	struct values v = { { NULL } };
	struct delegate *d = NULL;
	struct err err = ERR_INIT;
	int rc = delegate_parse(text, len, "/d.json", &d, &err);

	if (rc) {
		must(rc < 0 && err.code == rc && !d && !strncmp(err.text, "/d.json:", 8));
		return 0;
	}
	if (zero)
		read_values(&v, zero + 1, size - len - 1);
	try_commands(d, &v);
	values_free(&v);
	delegate_free(d);
	return 0;
}
