/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * TLS on the wire: numbers, and what is kept of a stream of it. Looking for its beginning is in tls_look.h, following it in
 * tls_follow.h; what is done with any protocol is in hello.h and stream.h.
 *
 * TLS records are followed, and the handshake messages in them, from the first hello on. Hellos are copied and, before TLS 1.3,
 * certificates, the server's key exchange parameters and alerts; where encryption begins, the stream is done. A message may take
 * several records and a record may hold several messages. Of messages that are not copied the heads are, so that what is left
 * out lies inside of a record whose head is there, or is whole records.
 *
 * Record framing: RFC 8446 section 5.1, RFC 5246 section 6.2; handshake types: RFC 8446 section 4, RFC 5246 section 7.4.
 */
#ifndef CRYPTO_TRACE_TLS_H
#define CRYPTO_TRACE_TLS_H

#define CT_TLS_SCAN 2048	 /* bytes of one packet in which it may begin */
#define CT_TLS_EARLY_BYTES 262144 /* of early data that are stepped over: a second hello may follow (RFC 8446 section 4.2.10) */

#define CT_TLS_HEAD 5		/* TLS record: type, version (2), length (2) */
#define CT_TLS_MESSAGE_HEAD 4	/* message: type, length (3) */
#define CT_TLS_SERVER_HELLO_HEAD 14 /* and version (2), first bytes of the random (8) */
#define CT_TLS_MAX_LEN (16384 + 2048)

enum ct_tls_content {
	CT_TLS_CCS = 20,
	CT_TLS_ALERT = 21,
	CT_TLS_HANDSHAKE = 22,
	CT_TLS_APPLICATION_DATA = 23,
	CT_TLS_HEARTBEAT = 24,
};

enum ct_tls_message {
	CT_TLS_CLIENT_HELLO = 1, /* also the role of the side that sent it */
	CT_TLS_SERVER_HELLO = 2,
	CT_TLS_CERTIFICATE = 11,
	CT_TLS_SERVER_KEY_EXCHANGE = 12,
	CT_TLS_CERTIFICATE_STATUS = 22,
	CT_TLS_NO_HELLO = 255, /* a role, not a message: it began by an alert */
};

/* Where a direction's stream is, between CT_AT_LOOK and CT_AT_DONE. */
enum ct_tls_at {
	CT_AT_HEAD = 1, /* at, or inside, the head of a TLS record */
	CT_AT_MESSAGE,	/* at, or inside, the head of a message */
	CT_AT_BODY,	/* inside of a message */
	CT_AT_OTHER,	/* inside of a record that holds no message */
};

/* What is known of one direction of a stream. */
struct ct_tls_dir {
	__u32 left;	/* bytes of the TLS record still to come */
	__u32 msg_left; /* bytes of the handshake message still to come */
	__u32 record;	/* where in the packet the TLS record began; 0: in an earlier packet */
	__u8 msg_have;	/* bytes of `msg` that are there */
	__u8 hellos;
	__u8 changed_cipher;
	__u8 take; /* the message is copied */
	__u8 lead; /* the message began its TLS record */
	__u8 body; /* inside of a message, after its head */
	__u8 take_other; /* the record, which holds no message, is copied */
	__u8 reserved;
	__u8 msg[32];
};

/* What is known of both. */
struct ct_tls_both {
	__u8 retried;  /* the server asked for a second hello */
	__u8 answered; /* the server's hello was seen */
};

#endif
