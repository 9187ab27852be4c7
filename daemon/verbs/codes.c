/* SPDX-License-Identifier: GPL-2.0-only */
/* codes.c - the table of codes.h as texts and numbers. */
#include "verbs/codes.h"

#include <string.h>

static const struct {
	const char *text;
	unsigned http;
	int status;
} codes[EBS_CODE_COUNT] = {[EBS_OK] = {"", 200, 0},
#define EBS_CODE_ROW(name, text, http, status) [EBS_##name] = {text, http, status},
			   EBS_CODES(EBS_CODE_ROW)
#undef EBS_CODE_ROW
};

const char *ebs_code_text(enum ebs_code code)
{
	return codes[code].text;
}

static enum ebs_code find(const char *text)
{
	for (int i = 1; i < EBS_CODE_COUNT; i++)
		if (!strcmp(codes[i].text, text))
			return (enum ebs_code)i;
	return EBS_INTERNAL;
}

unsigned ebs_code_http(const char *text)
{
	return codes[find(text)].http;
}

int ebs_code_exit(const char *text)
{
	return codes[find(text)].status;
}
