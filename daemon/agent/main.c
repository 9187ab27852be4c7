/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - hybrid-agent: does on a host of virtual machines what the manager asks; start, signals, sd_notify. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/delegate.h"
#include "agent/need.h"
#include "agent/serve.h"
#include "box/identity.h"

#ifndef HB_VERSION
#define HB_VERSION "0"
#endif

enum { EXIT_USAGE = 2 };

static void usage(FILE *to)
{
	fputs("usage: hybrid-agent [--config FILE] [--init | --check]\n"
	      "  -c, --config FILE  the configuration (" AGENT_CONF_FILE ")\n"
	      "      --init         makes this host's key, unless there is one, and says how to tell the manager\n"
	      "      --check        reads configuration and delegate, and ends\n"
	      "  -h, --help         this text\n"
	      "      --version      the version\n",
	      to);
}

static int complain(const struct err *err)
{
	fprintf(stderr, "hybrid-agent: %s\n", err->text);
	return EXIT_FAILURE;
}

/* sd_notify(3): a datagram to the socket that systemd names; without one nobody wants to know. */
static void notify(const char *what)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(to.sun_path) || (*path != '/' && *path != '@'))
		return;
	memcpy(to.sun_path, path, len);
	to.sun_path[0] = *path == '@' ? '\0' : *path;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, what, strlen(what), MSG_NOSIGNAL, (struct sockaddr *)&to,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		fprintf(stderr, "cannot tell systemd: %s\n", strerror(errno));
	close(fd);
}

static const char *host_name(char ret[256])
{
	if (gethostname(ret, 255) < 0 || !*ret)
		snprintf(ret, 256, "host");
	ret[255] = '\0';
	return ret;
}

static int ensure_identity(const struct agent_conf *conf, char pin[IDENTITY_PIN_MAX], struct err *err)
{
	char name[256];

	return identity_ensure(conf->key, conf->certificate, host_name(name), pin, err);
}

/* ------------------------------------------------------------------ --init */

/* Before there is a configuration, the usual places count. */
static int conf_or_defaults(const char *file, struct agent_conf *conf, struct err *err)
{
	int e = agent_conf_load(file, conf, err);

	if (e != -ENOENT)
		return e;
	*err = ERR_INIT;
	agent_conf_defaults(conf);
	return 0;
}

/* Where nobody said an address, or all of them, the manager has to be told one. */
static void print_line(const struct agent_conf *conf, const char *pin)
{
	bool any = !conf->address || !strcmp(conf->address, "0.0.0.0") || !strcmp(conf->address, "::");
	bool six = conf->address && strchr(conf->address, ':');
	char name[256];

	host_name(name);
	printf("pin: %s\n\nOn the box:\n\n  hybrid-volume host add %s https://%s%s%s:%u --pin %s\n", pin, name,
	       !any && six ? "[" : "", any ? name : conf->address, !any && six ? "]" : "",
	       conf->address ? conf->port : AGENT_PORT, pin);
	if (!conf->manager_pin)
		printf("\nHere, in the configuration, the pin that hybridd prints: \"manager_pin\": \"sha256//...\"\n");
}

static int init(const char *file)
{
	char pin[IDENTITY_PIN_MAX];
	struct err err = ERR_INIT;
	struct agent_conf conf;

	if (conf_or_defaults(file, &conf, &err) < 0)
		return complain(&err);
	if (ensure_identity(&conf, pin, &err) == 0)
		print_line(&conf, pin);
	agent_conf_free(&conf);
	return err.code ? complain(&err) : EXIT_SUCCESS;
}

/* ------------------------------------------------------------------ serving */

static int serve_until_told(const struct agent_conf *conf, const sigset_t *ends, struct err *err)
{
	char pin[IDENTITY_PIN_MAX];
	struct agent *a = NULL;
	struct serve *s = NULL;
	int e = ensure_identity(conf, pin, err), which = 0;

	if (e == 0)
		e = agent_new(conf, &a, err);
	if (e == 0)
		e = serve_new(conf, a, &s, err);
	if (e == 0) {
		fprintf(stderr, "serves at port %u, pin %s\n", serve_port(s), pin);
		notify("READY=1");
		while (sigwait(ends, &which) != 0)
			;
		notify("STOPPING=1");
		fprintf(stderr, "ends: %s\n", strsignal(which));
	}
	serve_free(s);
	agent_free(a);
	return e;
}

static int serve(const char *file, bool only_check)
{
	struct err err = ERR_INIT;
	struct delegate *d = NULL;
	struct agent_conf conf;
	sigset_t ends;
	int e;

	/* Before any thread is: they inherit it. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	if (agent_conf_load(file, &conf, &err) < 0)
		return complain(&err);
	if (!conf.manager_pin) {
		e = err_set(&err, -EINVAL, "%s lacks \"manager_pin\": whose verbs may be obeyed?", file);
	} else if (only_check) {
		e = delegate_load(conf.delegate, &d, &err);
		delegate_free(d);
	} else {
		e = serve_until_told(&conf, &ends, &err);
	}
	agent_conf_free(&conf);
	return e < 0 ? complain(&err) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "init", no_argument, NULL, 'i' },
		{ "check", no_argument, NULL, 'k' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' }, { NULL, 0, NULL, 0 },
	};
	const char *file = AGENT_CONF_FILE;
	bool do_init = false, check = false;

	for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
		if (c == 'h') {
			usage(stdout);
			return EXIT_SUCCESS;
		}
		if (c == 'v') {
			puts("hybrid-agent " HB_VERSION);
			return EXIT_SUCCESS;
		}
		if (c == '?') {
			usage(stderr);
			return EXIT_USAGE;
		}
		file = c == 'c' ? optarg : file;
		do_init |= c == 'i';
		check |= c == 'k';
	}
	if (optind < argc || (do_init && check)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	return do_init ? init(file) : serve(file, check);
}
