/* SPDX-License-Identifier: GPL-2.0-only */
/* login.c - what volume-login answers, as lines to paste into an initiator's shell: open-iscsi's iscsiadm(8). */
#include <stdio.h>
#include <string.h>

#include "tools/volume/cli.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* Single quotes keep everything but themselves from a shell; names and secrets of ours have none. */
static bool is_plain(const char *s)
{
	return !strchr(s, '\'') && !strchr(s, '\n');
}

static void set(const char *target, const char *portal, const char *name, const char *value)
{
	/* The space keeps a line out of the history of shells that have HISTCONTROL=ignorespace. */
	printf(" iscsiadm -m node -T '%s' -p '%s' -o update -n node.session.auth.%s -v '%s'\n", target, portal, name,
	       value);
}

static void at_portal(const char *target, const char *portal, const json_t *login)
{
	printf("iscsiadm -m node -T '%s' -p '%s' -o new\n", target, portal);
	set(target, portal, "authmethod", "CHAP");
	set(target, portal, "username", text(login, "user"));
	set(target, portal, "password", text(login, "secret"));
	set(target, portal, "username_in", text(login, "back_user"));
	set(target, portal, "password_in", text(login, "back_secret"));
	printf("iscsiadm -m node -T '%s' -p '%s' --login\n", target, portal);
}

bool cli_is_login(const json_t *result)
{
	return json_is_array(json_object_get(result, "logins")) && json_is_array(json_object_get(result, "portals"));
}

int cli_show_login(const json_t *result)
{
	static const char *const said[] = {"user", "secret", "back_user", "back_secret"};
	const char *target = text(result, "target");
	json_t *login, *portal;
	size_t i, j;

	json_array_foreach(json_object_get(result, "logins"), i, login)
	{
		bool plain = is_plain(target);

		printf("%s# On the host whose /etc/iscsi/initiatorname.iscsi says %s, as root:\n", i ? "\n" : "",
		       text(login, "initiator"));
		for (j = 0; j < sizeof(said) / sizeof(*said); j++)
			plain &= is_plain(text(login, said[j]));
		if (!plain) {
			puts("# A value has a quote in it: take --output json.");
			continue;
		}
		json_array_foreach(json_object_get(result, "portals"), j, portal)
			at_portal(target, json_string_value(portal), login);
	}
	return 0;
}
