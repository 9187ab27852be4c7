/* SPDX-License-Identifier: GPL-2.0-only */
/* socket.c - sockets of listeners, and the files of TLS. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/priv.h"

#define BACKLOG 1024
#define FILE_MAX (1 << 20)

int port_listen_unix(struct port *p, const struct http_listen *l, struct err *err)
{
	int ret = listen_open(&p->sock, l->unix_path, l->unix_mode ? l->unix_mode : 0600, err);

	if (ret < 0)
		return ret;
	p->is_unix = true;
	/* A Unix socket whose queue is full refuses; many may come at once here. */
	if (listen(p->sock.fd, BACKLOG) < 0) {
		ret = err_set(err, -errno, "%s: listen: %s", l->unix_path, strerror(errno));
		listen_close(&p->sock);
	}
	return ret;
}

static bool is_loopback(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)sa)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

static int bind_one(const struct addrinfo *a, struct port *p)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int on = 1, off = 0, error;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    (a->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) ||
	    bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) < 0) {
		error = errno;
		close(fd);
		return -error;
	}
	p->fd = fd;
	p->number = ntohs(ss.ss_family == AF_INET ? ((struct sockaddr_in *)&ss)->sin_port :
						    ((struct sockaddr_in6 *)&ss)->sin6_port);
	return 0;
}

int port_listen_tcp(struct port *p, const struct http_listen *l, struct err *err)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	char service[8];
	int ret;

	snprintf(service, sizeof(service), "%u", l->port);
	ret = getaddrinfo(l->address, service, &hints, &found);
	if (ret)
		return err_set(err, ret == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL, "%s: %s", l->address,
			       ret == EAI_SYSTEM ? strerror(errno) : gai_strerror(ret));
	ret = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = found; a; a = a->ai_next) {
		if (a->ai_family != AF_INET && a->ai_family != AF_INET6)
			continue;
		if (!l->key_path && !l->plain_anywhere && !is_loopback(a->ai_addr)) {
			ret = err_set(err, -EINVAL,
				      "%s: others reach this address: expected TLS, or a loopback address", l->address);
			break;
		}
		ret = bind_one(a, p);
		if (!ret)
			break;
		err_set(err, ret, "%s, port %u: %s", l->address, l->port, strerror(-ret));
	}
	freeaddrinfo(found);
	if (ret == -EADDRNOTAVAIL && err && !err->code)
		err_set(err, ret, "%s: neither an IPv4 nor an IPv6 address", l->address);
	return ret;
}

int file_read(const char *path, char **ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	size_t have = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		close(fd);
		return err_set(err, -EINVAL, "%s: expected a file of at most %d bytes", path, FILE_MAX);
	}
	text = calloc(1, (size_t)st.st_size + 1);
	while (text && n > 0 && have < (size_t)st.st_size) {
		n = read(fd, text + have, (size_t)st.st_size - have);
		if (n > 0)
			have += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	close(fd);
	if (!text || n < 0) {
		file_forget(text);
		return err_set(err, text ? -EIO : -ENOMEM, "%s: cannot be read", path);
	}
	*ret = text;
	return 0;
}

void file_forget(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

int tls_check(const char *key, const char *cert, struct err *err)
{
	gnutls_datum_t k = {(unsigned char *)(uintptr_t)key, (unsigned)strlen(key)};
	gnutls_datum_t c = {(unsigned char *)(uintptr_t)cert, (unsigned)strlen(cert)};
	gnutls_certificate_credentials_t cred;
	int ret = gnutls_certificate_allocate_credentials(&cred);

	if (ret < 0)
		return err_set(err, -ENOMEM, "TLS: %s", gnutls_strerror(ret));
	ret = gnutls_certificate_set_x509_key_mem(cred, &c, &k, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(cred);
	return ret < 0 ? err_set(err, -EINVAL, "TLS key and certificate: %s", gnutls_strerror(ret)) : 0;
}
