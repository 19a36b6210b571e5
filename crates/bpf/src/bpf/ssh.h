/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * SSH on the wire: its beginning, and what of it is copied, whatever the port and whoever speaks first.
 *
 * A line "SSH-…" opens each direction; before a server's there may be lines of text, which are not copied. Then there are binary
 * packets until SSH_MSG_NEWKEYS, after which everything is encrypted. Copied are both opening lines, SSH_MSG_KEXINIT, the head of
 * every other packet, and of the server's answer to the key exchange its first string, which is the host key (or, of a group that
 * it chooses, the prime).
 *
 * Lines: RFC 4253 section 4.2; packets: section 6; messages: section 12, RFC 4419 section 5, RFC 5656 section 4.
 */
#ifndef CRYPTO_TRACE_SSH_H
#define CRYPTO_TRACE_SSH_H

#define CT_SSH_PRELUDE 4096	 /* bytes of a stream in which lines may come before the opening one */
#define CT_SSH_SCAN 1024	 /* of one packet, among which it is looked for */
#define CT_SSH_MAX_LINE 512	 /* bytes of an opening line; RFC 4253 allows 255 */
#define CT_SSH_MAX_LEN 35000	 /* of a packet, RFC 4253 section 6.1 */
#define CT_SSH_MAX_STRING 16384	 /* of a host key, with its certificate */
#define CT_SSH_MAX_PACKETS 64	 /* before keys are in use; a key exchange takes five */
#define CT_SSH_HEAD 10		 /* packet: length (4), padding (1), message (1), and the first four bytes of that */
#define CT_SSH_SIDE 1		 /* a role: which of the two sides it is is not known here */

#define CT_SSH_WORD 0x2d485353 /* "SSH-" as it is in memory */

enum ct_ssh_message {
	CT_SSH_KEXINIT = 20,
	CT_SSH_NEWKEYS = 21,
	CT_SSH_KEX_REPLY = 31,	   /* of Diffie-Hellman, elliptic curves and hybrids; the group, where the server chooses it */
	CT_SSH_KEX_GEX_REPLY = 33, /* where the server chose the group */
};

/* Where a direction's stream is, between CT_AT_LOOK and CT_AT_DONE. */
enum ct_ssh_at {
	CT_AT_SSH_LINE = 1, /* inside of the opening line */
	CT_AT_SSH_HEAD,	    /* at, or inside, the head of a packet */
	CT_AT_SSH_BODY,	    /* inside of a packet */
};

/* What is known of one direction of a stream. */
struct ct_ssh_dir {
	__u32 left;   /* bytes of the packet still to come */
	__u32 take;   /* of these, the first ones that are copied */
	__u16 line;   /* bytes of the opening line */
	__u8 packets; /* that began */
	__u8 version_one; /* no packets of this protocol follow */
};

#endif
