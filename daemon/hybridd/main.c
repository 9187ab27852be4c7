/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - hybridd, the manager daemon: starts, listens, ends. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "api/api.h"
#include "box/identity.h"
#include "hybridd/conf.h"
#include "hybridd/front.h"
#include "saga/saga.h"
#include "verbs/ebs.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
	"Usage: hybridd [OPTION...]\n"
	"\n"
	"The manager of Hybrid: volumes, snapshots and their attachments to VMs, over the pools\n"
	"that tgtd serves. hybrid-volume is its command line.\n"
	"\n"
	"  -c, --config FILE   configuration (" HYBRIDD_CONF ", if it is there)\n"
	"      --openapi       print the description of the JSON API and end\n"
	"      --pin           print the pin of its key, for agents' configuration, and end\n"
	"  -h, --help          this text\n"
	"      --version       version of the program\n"
	"\n"
	"It stays in the foreground. SIGTERM ends it; what is under way goes on at the next start.\n";

static void run_on_worker(void *ctx, void (*fn)(void *arg), void *arg)
{
	sagas_run(ctx, fn, arg);
}

static int make_state(const struct hybridd_conf *c, struct err *err)
{
	if (!mkdir(c->state, 0700) || errno == EEXIST)
		return 0;
	return err_set(err, -errno, "%s: %s", c->state, strerror(errno));
}

/* Until a signal says so. */
static int serve(const struct hybridd_conf *c, struct err *err)
{
	struct ebs *ebs = NULL;
	struct http *http = NULL;
	struct http_handler handler = {.handle = front_handle, .run = run_on_worker};
	sigset_t signals;
	int rc, signal;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL); /* threads inherit it: one place waits for them */
	signal = 0;
	rc = ebs_new(&c->ebs, &ebs, err);
	if (!rc) {
		handler.ctx = ebs;
		handler.run_ctx = ebs_sagas(ebs);
		rc = http_new(c->listen, c->nlisten, &c->limits, &handler, &http, err);
	}
	if (!rc) {
		fprintf(stderr, "hybridd: listening on %s\n", c->listen[0].unix_path);
		for (unsigned i = 1; i < c->nlisten; i++)
			fprintf(stderr, "hybridd: listening on %s, port %u, %s\n", c->listen[i].address,
				http_port(http, i), c->listen[i].key_path ? "TLS" : "without TLS");
		sd_notify(0, "READY=1");
		sigwait(&signals, &signal);
		sd_notify(0, "STOPPING=1");
		fprintf(stderr, "hybridd: ends\n");
	}
	http_free(http);
	ebs_free(ebs);
	return rc;
}

static int print_pin(const struct hybridd_conf *c, struct err *err)
{
	char pin[IDENTITY_PIN_MAX];
	int rc = make_state(c, err);

	rc = rc ? rc : identity_ensure(c->ebs.tls_key, c->ebs.tls_cert, "hybridd", pin, err);
	if (!rc)
		puts(pin);
	return rc;
}

static int print_openapi(void)
{
	json_t *doc = api_openapi();
	int rc = json_dumpf(doc, stdout, JSON_INDENT(2));

	json_decref(doc);
	puts("");
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	enum { OPENAPI = 256, PIN, VERSION };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"openapi", no_argument, NULL, OPENAPI},
		{"pin", no_argument, NULL, PIN},          {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, VERSION},  {NULL, 0, NULL, 0},
	};
	struct hybridd_conf conf;
	struct err err = ERR_INIT;
	const char *file = NULL;
	bool pin = false;
	int o, rc;

	while ((o = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (o) {
		case 'c':
			file = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case OPENAPI:
			return print_openapi();
		case PIN:
			pin = true;
			break;
		case VERSION:
			puts("hybridd " HB_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs("Try 'hybridd --help'.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "hybridd: unexpected argument '%s'\nTry 'hybridd --help'.\n", argv[optind]);
		return EXIT_USAGE;
	}
	rc = hybridd_conf_load(file, &conf, &err);
	if (!rc) {
		umask(0077);
		rc = pin ? print_pin(&conf, &err) : make_state(&conf, &err);
		rc = rc || pin ? rc : serve(&conf, &err);
		hybridd_conf_free(&conf);
	}
	if (rc)
		fprintf(stderr, "hybridd: %s\n", err.text);
	return rc == 0 ? EXIT_SUCCESS : rc == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
}
