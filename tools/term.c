/* SPDX-License-Identifier: GPL-2.0-only */
/* term.c - the terminal: taken over for a live view, and given back however the program ends.
 *
 * Plain sequences of ECMA-48 that every terminal of today knows; only the alternate screen is newer (xterm), and
 * harmless where it is not known. What a signal handler does is write, tcsetattr and raise: all may be called there.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "live.h"

static const char enter_text[] = "\033[?1049h\033[?25l\033[2J";
static const char leave_text[] = "\033[0m\033[?25h\033[?1049l";

static struct termios before;
static volatile sig_atomic_t taken, resized;

static void send_text(const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static void take(void)
{
	struct termios raw = before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);	/* signals by key stay */
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	send_text(enter_text, sizeof(enter_text) - 1);
	taken = 1;
}

static void give_back(void)
{
	if (!taken)
		return;
	taken = 0;
	send_text(leave_text, sizeof(leave_text) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* ------------------------------------------------------------------ signals */
/* The terminal first, then what would have happened: the handler is gone by then. Nothing else is left to be done, so
 * the process ends at once, whatever it waits for. */
static void on_end(int sig)
{
	give_back();
	raise(sig);
}

static void on_size(int sig)
{
	(void)sig;
	resized = 1;
}

/* Ctrl-Z: the shell gets its terminal as it was; back again when it continues us. */
static void on_stop(int sig)
{
	int error = errno;

	(void)sig;
	give_back();
	raise(SIGSTOP);
	take();
	resized = 1;
	errno = error;
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&sa.sa_mask);
	sigaction(sig, &sa, NULL);
}

int term_begin(void)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before))
		return -ENOTTY;
	for (size_t i = 0; i < ARRAY_LEN(ends); i++)
		handle(ends[i], on_end, (int)SA_RESETHAND);
	handle(SIGWINCH, on_size, 0);
	handle(SIGTSTP, on_stop, 0);
	atexit(give_back);
	take();
	return 0;
}

void term_end(void)
{
	give_back();
}

void term_size(unsigned *columns, unsigned *lines)
{
	struct winsize w;

	*columns = 80;
	*lines = 24;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row) {
		*columns = w.ws_col;
		*lines = w.ws_row;
	}
}

int term_key(int timeout_ms)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	unsigned char c;
	int n = resized ? -1 : poll(&p, 1, timeout_ms);

	if (resized) {
		resized = 0;
		return -2;
	}
	if (n <= 0)
		return n < 0 && errno != EINTR ? -1 : 0;
	return read(STDIN_FILENO, &c, 1) == 1 ? c : -1;
}

void term_draw(const struct text_buf *b)
{
	send_text(b->text, b->len);
}

/* ------------------------------------------------------------------ text */
void text_add(struct text_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (b->len + (size_t)n + 1 > b->room) {
		b->room = MAX(2 * b->room, b->len + (size_t)n + 4096);
		b->text = realloc(b->text, b->room);
		if (!b->text) {
			fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
			exit(EXIT_FAILED);
		}
	}
	vsnprintf(b->text + b->len, b->room - b->len, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}
