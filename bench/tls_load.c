/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Load for the benchmark of TLS: full handshakes between a server and a client thread over loopback, or SHA-256 of 16 bytes in a
 * loop, as fast as it goes. Says ten times a second how many there were and how much CPU time the process took; or, with a COUNT,
 * nanoseconds of CPU time per handshake over so many, after a few that warm up, and ends:
 *
 *   tls_load handshakes CERTIFICATE KEY [COUNT]
 *   tls_load digests
 */
#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WARM 10

static atomic_ulong done;
static unsigned long count;
static long long warm_ns;
static struct sockaddr_in address;
static int listener;
static SSL_CTX *server_context, *client_context;

static void check(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "tls_load: %s failed\n", what);
		exit(1);
	}
}

static long long cpu_ns(void)
{
	struct timespec cpu;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	return (long long)cpu.tv_sec * 1000000000 + cpu.tv_nsec;
}

static void *serve(void *unused)
{
	(void)unused;
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		SSL *ssl = SSL_new(server_context);
		char byte;

		check(fd >= 0, "accept");
		SSL_set_fd(ssl, fd);
		check(SSL_accept(ssl) == 1, "SSL_accept");
		SSL_read(ssl, &byte, 1);
		SSL_free(ssl);
		close(fd);
	}
	return NULL;
}

static void *connect_all(void *unused)
{
	struct linger at_once = { 1, 0 };

	(void)unused;
	for (;;) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		SSL *ssl = SSL_new(client_context);

		check(!connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
		SSL_set_fd(ssl, fd);
		check(SSL_connect(ssl) == 1, "SSL_connect");
		/* No ports left behind in TIME_WAIT. */
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		SSL_free(ssl);
		close(fd);
		atomic_fetch_add(&done, 1);
		if (count && done == WARM)
			warm_ns = cpu_ns();
		if (count && done == WARM + count) {
			printf("%lld\n", (cpu_ns() - warm_ns) / (long long)count);
			fflush(stdout);
			/* Not exit(): what it cleans up the server's thread is using. */
			_exit(0);
		}
	}
	return NULL;
}

static void *digest(void *unused)
{
	EVP_MD *sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	unsigned char out[32];

	(void)unused;
	for (;;) {
		EVP_DigestInit_ex(context, sha256, NULL);
		EVP_DigestUpdate(context, "0123456789abcdef", 16);
		EVP_DigestFinal_ex(context, out, NULL);
		atomic_fetch_add(&done, 1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct timespec pause = { 0, 100 * 1000 * 1000 };
	pthread_t thread;

	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "handshakes")) {
		socklen_t len = sizeof(address);

		count = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
		server_context = SSL_CTX_new(TLS_server_method());
		client_context = SSL_CTX_new(TLS_client_method());
		SSL_CTX_set_num_tickets(server_context, 0);
		check(SSL_CTX_use_certificate_chain_file(server_context, argv[2]) == 1, "the certificate");
		check(SSL_CTX_use_PrivateKey_file(server_context, argv[3], SSL_FILETYPE_PEM) == 1, "the key");
		address.sin_family = AF_INET;
		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		listener = socket(AF_INET, SOCK_STREAM, 0);
		check(!bind(listener, (struct sockaddr *)&address, sizeof(address)) && !listen(listener, 16), "listen");
		getsockname(listener, (struct sockaddr *)&address, &len);
		check(!pthread_create(&thread, NULL, serve, NULL), "a thread");
		check(!pthread_create(&thread, NULL, connect_all, NULL), "a thread");
	} else if (argc == 2 && !strcmp(argv[1], "digests")) {
		check(!pthread_create(&thread, NULL, digest, NULL), "a thread");
	} else {
		fprintf(stderr, "usage: tls_load handshakes CERTIFICATE KEY [COUNT] | digests\n");
		return 2;
	}
	for (;;) {
		nanosleep(&pause, NULL);
		if (count)
			continue;
		printf("%lu %lld\n", (unsigned long)done, cpu_ns());
		fflush(stdout);
	}
}
