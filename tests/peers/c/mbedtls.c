/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One end of DTLS, or a client of TLS, by mbed TLS with its defaults:
 *   mbedtls server PORT CERTIFICATE KEY, mbedtls client PORT, mbedtls tls PORT
 * The server wants a cookie. Says what it agreed on, one `told` line for each thing.
 */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cookie.h>
#include <mbedtls/timing.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(const char *what, int code)
{
	if (code >= 0)
		return;
	fprintf(stderr, "%s: -0x%04x\n", what, -code);
	exit(1);
}

int main(int count, char **words)
{
	const char *role = count > 2 ? words[1] : "";
	int server = !strcmp(role, "server"), stream = !strcmp(role, "tls");
	mbedtls_timing_delay_context timer;
	mbedtls_net_context listening, net;
	mbedtls_ctr_drbg_context random;
	mbedtls_entropy_context entropy;
	mbedtls_ssl_cookie_ctx cookies;
	mbedtls_ssl_config config;
	mbedtls_ssl_context ssl;
	mbedtls_x509_crt chain;
	mbedtls_pk_context key;
	unsigned char client[16], heard[100];
	size_t client_len = 0;
	int code;

	if (count < (server ? 5 : 3))
		return 2;
	mbedtls_net_init(&listening);
	mbedtls_net_init(&net);
	mbedtls_ctr_drbg_init(&random);
	mbedtls_entropy_init(&entropy);
	mbedtls_ssl_cookie_init(&cookies);
	mbedtls_ssl_config_init(&config);
	mbedtls_ssl_init(&ssl);
	mbedtls_x509_crt_init(&chain);
	mbedtls_pk_init(&key);
	check("psa", psa_crypto_init());
	check("random", mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0));
	check("defaults", mbedtls_ssl_config_defaults(&config, server ? MBEDTLS_SSL_IS_SERVER : MBEDTLS_SSL_IS_CLIENT,
		stream ? MBEDTLS_SSL_TRANSPORT_STREAM : MBEDTLS_SSL_TRANSPORT_DATAGRAM, MBEDTLS_SSL_PRESET_DEFAULT));
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
	if (server) {
		check("certificate", mbedtls_x509_crt_parse_file(&chain, words[3]));
		check("key", mbedtls_pk_parse_keyfile(&key, words[4], NULL, mbedtls_ctr_drbg_random, &random));
		check("own", mbedtls_ssl_conf_own_cert(&config, &chain, &key));
		check("cookies", mbedtls_ssl_cookie_setup(&cookies, mbedtls_ctr_drbg_random, &random));
		mbedtls_ssl_conf_dtls_cookies(&config, mbedtls_ssl_cookie_write, mbedtls_ssl_cookie_check, &cookies);
		check("bind", mbedtls_net_bind(&listening, "127.0.0.1", words[2], MBEDTLS_NET_PROTO_UDP));
	} else {
		check("connect", mbedtls_net_connect(&net, "127.0.0.1", words[2], stream ? MBEDTLS_NET_PROTO_TCP : MBEDTLS_NET_PROTO_UDP));
	}
	check("setup", mbedtls_ssl_setup(&ssl, &config));
	mbedtls_ssl_set_timer_cb(&ssl, &timer, mbedtls_timing_set_delay, mbedtls_timing_get_delay);
	if (!server)
		check("name", mbedtls_ssl_set_hostname(&ssl, "server.test"));
	do {
		if (server) {
			mbedtls_net_free(&net);
			check("session", mbedtls_ssl_session_reset(&ssl));
			check("accept", mbedtls_net_accept(&listening, &net, client, sizeof(client), &client_len));
			check("client", mbedtls_ssl_set_client_transport_id(&ssl, client, client_len));
		}
		mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, mbedtls_net_recv_timeout);
		do
			code = mbedtls_ssl_handshake(&ssl);
		while (code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE);
	} while (code == MBEDTLS_ERR_SSL_HELLO_VERIFY_REQUIRED);
	check("handshake", code);
	printf("told %s cipher_suite %s\n", role, mbedtls_ssl_get_ciphersuite(&ssl));
	printf("told %s version %s\n", role, strcmp(mbedtls_ssl_get_version(&ssl), "DTLSv1.2") ? mbedtls_ssl_get_version(&ssl) : "DTLS 1.2");
	fflush(stdout);
	if (server) {
		mbedtls_ssl_read(&ssl, heard, sizeof(heard));
		mbedtls_ssl_write(&ssl, (const unsigned char *)"hello", 5);
	} else {
		mbedtls_ssl_write(&ssl, (const unsigned char *)"hello", 5);
		mbedtls_ssl_read(&ssl, heard, sizeof(heard));
	}
	return 0;
}
