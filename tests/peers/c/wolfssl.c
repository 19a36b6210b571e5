/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One end of DTLS, or a client of TLS, by wolfSSL as it is set up by default:
 *   wolfssl server PORT 12|13 CERTIFICATE KEY, wolfssl client PORT 12|13, wolfssl tls PORT
 * Says what it agreed on, one `told` line for each thing.
 */
#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void fail(const char *what, WOLFSSL *ssl, int code)
{
	fprintf(stderr, "%s: %d\n", what, ssl ? wolfSSL_get_error(ssl, code) : code);
	exit(1);
}

int main(int count, char **words)
{
	const char *role = count > 2 ? words[1] : "";
	int server = !strcmp(role, "server"), stream = !strcmp(role, "tls");
	int modern = count > 3 && !strcmp(words[3], "13");
	struct sockaddr_in end = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);
	char heard[100];
	WOLFSSL_CTX *context;
	WOLFSSL *ssl;
	int fd, code;

	if (count < (server ? 6 : stream ? 3 : 4))
		return 2;
	end.sin_port = htons(atoi(words[2]));
	wolfSSL_Init();
	context = wolfSSL_CTX_new(stream ? wolfTLS_client_method() :
		server ? (modern ? wolfDTLSv1_3_server_method() : wolfDTLSv1_2_server_method()) :
			 (modern ? wolfDTLSv1_3_client_method() : wolfDTLSv1_2_client_method()));
	if (!context)
		fail("context", NULL, 0);
	wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
	if (server && (wolfSSL_CTX_use_certificate_chain_file(context, words[4]) != WOLFSSL_SUCCESS ||
		       wolfSSL_CTX_use_PrivateKey_file(context, words[5], WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS))
		fail("certificate", NULL, 0);
	fd = socket(AF_INET, stream ? SOCK_STREAM : SOCK_DGRAM, 0);
	ssl = wolfSSL_new(context);
	if (server) {
		if (bind(fd, (struct sockaddr *)&end, sizeof(end)))
			fail("bind", NULL, 0);
		/* Who asks first is who it talks with. */
		recvfrom(fd, heard, 1, MSG_PEEK, (struct sockaddr *)&peer, &len);
		if (connect(fd, (struct sockaddr *)&peer, len))
			fail("connect", NULL, 0);
		wolfSSL_dtls_set_peer(ssl, &peer, len);
	} else {
		if (connect(fd, (struct sockaddr *)&end, sizeof(end)))
			fail("connect", NULL, 0);
		if (!stream)
			wolfSSL_dtls_set_peer(ssl, &end, sizeof(end));
		wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, "server.test", 11);
	}
	wolfSSL_set_fd(ssl, fd);
	code = server ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl);
	if (code != WOLFSSL_SUCCESS)
		fail("handshake", ssl, code);
	printf("told %s cipher_suite %s\n", role, wolfSSL_CIPHER_get_name(wolfSSL_get_current_cipher(ssl)));
	if (wolfSSL_get_curve_name(ssl))
		printf("told %s group %s\n", role, wolfSSL_get_curve_name(ssl));
	fflush(stdout);
	if (server) {
		wolfSSL_read(ssl, heard, sizeof(heard));
		wolfSSL_write(ssl, "hello", 5);
	} else {
		wolfSSL_write(ssl, "hello", 5);
		wolfSSL_read(ssl, heard, sizeof(heard));
	}
	wolfSSL_free(ssl);
	close(fd);
	return 0;
}
