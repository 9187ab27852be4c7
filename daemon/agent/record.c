/* SPDX-License-Identifier: GPL-2.0-only */
/* record.c - CHAP secrets in open-iscsi's node record; see record.h. */
#include "agent/record.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent/need.h"

#define AUTH "node.session.auth."
#define END "# END RECORD"

/* Is it one of the lines that are set anew? */
static bool is_ours(const char *line)
{
	static const char *const keys[] = { "authmethod", "username", "password", "username_in", "password_in" };
	size_t n;

	line += strspn(line, " \t");
	if (strncmp(line, AUTH, sizeof(AUTH) - 1) != 0)
		return false;
	line += sizeof(AUTH) - 1;
	n = strcspn(line, " \t=\n");
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (strlen(keys[i]) == n && !memcmp(keys[i], line, n))
			return true;
	return false;
}

static size_t put_line(char *to, size_t room, const char *key, const char *value)
{
	return value ? (size_t)snprintf(to, room, AUTH "%s = %s\n", key, value) : 0;
}

int record_edit(const char *text, const struct values *v, char **ret, struct err *err)
{
	size_t room = strlen(text) + 5 * (64 + VALUE_MAX), n = 0;
	char *to;

	if (!strstr(text, END))
		return err_set(err, -EBADMSG, "a node record of open-iscsi has no end");
	to = need_zalloc(room);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n"), whole = len + (line[len] == '\n');

		if (!strncmp(line, END, sizeof(END) - 1)) {
			n += put_line(to + n, room - n, "authmethod", v->v[V_USER] ? "CHAP" : "None");
			n += put_line(to + n, room - n, "username", v->v[V_USER]);
			n += put_line(to + n, room - n, "password", v->v[V_SECRET]);
			n += put_line(to + n, room - n, "username_in", v->v[V_BACK_USER]);
			n += put_line(to + n, room - n, "password_in", v->v[V_BACK_SECRET]);
			n += (size_t)snprintf(to + n, room - n, "%s\n", END);
			break;
		}
		if (!is_ours(line)) {
			memcpy(to + n, line, whole);
			n += whole;
		}
		line += whole;
	}
	*ret = to;
	return 0;
}

static void wipe(char *s)
{
	explicit_bzero(s, strlen(s));
	free(s);
}

/* A target's portal has a folder with its interfaces; older ones, without a group's number, are the file itself. */
static int place(const char *dir, const struct values *v, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s/%s,%s,1/default", dir, v->v[V_TARGET], v->v[V_ADDRESS], v->v[V_PORT]);

	return n < PATH_MAX && access(path, F_OK) == 0 ? 0 : -ENOENT;
}

/* Beside NODES, by the attachment's name: what a kill leaves there is overwritten by the next try. */
static bool temp_place(const char *dir, const struct values *v, char path[PATH_MAX])
{
	return snprintf(path, PATH_MAX, "%s/../.hybrid-%s", dir, v->v[V_ATTACHMENT]) < PATH_MAX;
}

void record_forget(const char *const *dirs, const struct values *v)
{
	char path[PATH_MAX];

	for (; *dirs; dirs++)
		if (temp_place(*dirs, v, path))
			unlink(path);
}

int record_set_chap(const char *const *dirs, const struct values *v, struct err *err)
{
	char path[PATH_MAX], temp[PATH_MAX], *text, *edited = NULL;
	size_t len;
	int e;

	while (*dirs && place(*dirs, v, path) < 0)
		dirs++;
	if (!*dirs)
		return err_set(err, -ENOENT, "iscsiadm left no node record where one is expected");
	e = file_text(path, &text, &len, err);
	if (e < 0)
		return e;
	e = record_edit(text, v, &edited, err);
	wipe(text);
	if (e < 0)
		return e;
	if (!temp_place(*dirs, v, temp))
		e = err_set(err, -ENAMETOOLONG, "%s: too long", *dirs);
	else
		e = file_replace(path, temp, edited, strlen(edited), err);
	wipe(edited);
	return e;
}
