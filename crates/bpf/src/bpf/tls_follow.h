/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Following a stream of TLS: from record to record and message to message, what is copied and what is not.
 */
#ifndef CRYPTO_TRACE_TLS_FOLLOW_H
#define CRYPTO_TRACE_TLS_FOLLOW_H

/* What follows the head of a TLS record that is complete in d->head. */
static __always_inline __u8 judge_record(const struct ct_socket *st, struct ct_dir *d)
{
	__u32 len = (__u32)d->head[3] << 8 | d->head[4];

	d->of.tls.left = len;
	d->of.tls.take_other = 0;
	if (d->head[1] != 3 || !len || len > CT_TLS_MAX_LEN)
		return CT_AT_DONE;
	switch (d->head[0]) {
	case CT_TLS_CCS:
		d->of.tls.changed_cipher = 1;
		/* A server's shows whether a session was resumed. */
		d->of.tls.take_other = d->role != CT_TLS_CLIENT_HELLO;
		return len == 1 ? CT_AT_OTHER : CT_AT_DONE;
	case CT_TLS_ALERT:
		/* An encrypted one is longer. */
		d->of.tls.take_other = 1;
		return len == 2 ? CT_AT_OTHER : CT_AT_DONE;
	case CT_TLS_HANDSHAKE:
		/* After it only a second hello, after a HelloRetryRequest, is not encrypted. */
		if (d->of.tls.changed_cipher && !d->of.tls.msg_have && !(st->of.tls.retried && d->of.tls.hellos == 1))
			return CT_AT_DONE;
		return d->of.tls.body ? CT_AT_BODY : CT_AT_MESSAGE;
	case CT_TLS_APPLICATION_DATA:
		/* Early data, as long as the server has not answered. */
		return d->role == CT_TLS_CLIENT_HELLO && !st->of.tls.answered && d->next < CT_TLS_EARLY_BYTES ? CT_AT_OTHER : CT_AT_DONE;
	case CT_TLS_HEARTBEAT:
		return CT_AT_OTHER;
	default:
		return CT_AT_DONE;
	}
}

/* What a message is worth whose head is complete in d->of.tls.msg; 0: it is none, or encrypted. */
static __always_inline int judge_message(struct ct_dir *d)
{
	__u8 type = d->of.tls.msg[0];

	d->of.tls.msg_left = (__u32)d->of.tls.msg[1] << 16 | (__u32)d->of.tls.msg[2] << 8 | d->of.tls.msg[3];
	if (type == CT_TLS_CLIENT_HELLO || type == CT_TLS_SERVER_HELLO) {
		if (d->role == CT_TLS_NO_HELLO)
			d->role = type;
		if (type != d->role || d->of.tls.hellos >= 2)
			return 0;
		d->of.tls.hellos++;
		d->of.tls.take = 1;
		return 1;
	}
	if (d->of.tls.changed_cipher)
		return 0;
	d->of.tls.take = type == CT_TLS_CERTIFICATE ||
		  (d->role == CT_TLS_SERVER_HELLO &&
		   (type == CT_TLS_SERVER_KEY_EXCHANGE || type == CT_TLS_CERTIFICATE_STATUS));
	return 1;
}

/* The beginning of a ServerHello is complete in d->of.tls.msg: whether it asks for another hello (RFC 8446 section 4.1.3). */
static __always_inline void judge_server_hello(struct ct_socket *st, const struct ct_dir *d)
{
	const __u8 *random = &d->of.tls.msg[6];

	if (d->of.tls.msg_have == CT_TLS_SERVER_HELLO_HEAD && random[0] == 0xcf && random[1] == 0x21 && random[2] == 0xad &&
	    random[3] == 0x74 && random[4] == 0xe5 && random[5] == 0x9a && random[6] == 0x61 && random[7] == 0x11)
		st->of.tls.retried = 1;
	else
		st->of.tls.answered = 1;
}

/* Takes the head of a TLS record as far as it is there. */
static __always_inline void step_head(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	__u32 have = d->have;
	__u32 n = d->end - d->p;

	if (!have)
		d->of.tls.record = d->p;
	/* Twice as much room as a head takes, so that masks are enough for the verifier. */
	if (have > CT_TLS_HEAD)
		have = CT_TLS_HEAD;
	if (n > CT_TLS_HEAD - have)
		n = CT_TLS_HEAD - have;
	asm volatile("" : "+r"(have), "+r"(n));
	have &= 7;
	n &= 7;
	/* All of it may be there: of a first segment that ended with it. */
	if (in_range(n, 1, 7) && bpf_skb_load_bytes(w->skb, d->p, &d->head[have], n)) {
		d->at = CT_AT_DONE;
		return;
	}
	d->p += n;
	d->have = have + n;
	if (d->have < CT_TLS_HEAD) {
		/* The rest of it comes with the next packet. It is copied, whatever it will turn out to be. */
		copy(d, n);
		return;
	}
	d->have = 0;
	d->at = judge_record(w->st, d);
	if (n && d->at != CT_AT_DONE && (d->at != CT_AT_OTHER || d->of.tls.take_other))
		copy(d, n);
}

/* Takes the head of a message as far as it is there. */
static __always_inline void step_message(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	__u32 have = d->of.tls.msg_have;
	__u32 n = d->end - d->p;
	__u32 need = have < CT_TLS_MESSAGE_HEAD ? CT_TLS_MESSAGE_HEAD : CT_TLS_SERVER_HELLO_HEAD;

	if (!have)
		d->of.tls.lead = d->of.tls.left == ((__u32)d->head[3] << 8 | d->head[4]);
	if (have > need)
		have = need;
	if (n > need - have)
		n = need - have;
	if (n > d->of.tls.left)
		n = d->of.tls.left;
	asm volatile("" : "+r"(have), "+r"(n));
	have &= 15;
	n &= 15;
	if (!in_range(n, 1, 15) || bpf_skb_load_bytes(w->skb, d->p, &d->of.tls.msg[have], n)) {
		d->at = CT_AT_DONE;
		return;
	}
	d->of.tls.msg_have = have + n;
	if (d->of.tls.msg_have == CT_TLS_MESSAGE_HEAD && !judge_message(d)) {
		d->at = CT_AT_DONE;
		return;
	}
	d->p += n;
	d->of.tls.left -= n;
	copy(d, n);
	if (d->of.tls.msg_have < CT_TLS_MESSAGE_HEAD)
		return;
	if (d->of.tls.msg_have > CT_TLS_MESSAGE_HEAD)
		d->of.tls.msg_left -= n;
	if (d->of.tls.msg[0] == CT_TLS_SERVER_HELLO) {
		if (d->of.tls.msg_have < CT_TLS_SERVER_HELLO_HEAD && d->of.tls.msg_left >= CT_TLS_SERVER_HELLO_HEAD - d->of.tls.msg_have)
			return;
		judge_server_hello(w->st, d);
	}
	d->of.tls.body = 1;
	d->at = CT_AT_BODY;
	/* Of a client's message that fills a record not even the heads are of use. */
	if (!d->of.tls.take && d->role == CT_TLS_CLIENT_HELLO && d->of.tls.lead && d->of.tls.msg_left == d->of.tls.left && d->of.tls.record)
		d->to = d->from > d->of.tls.record ? d->from : d->of.tls.record;
}

/* Moves on by what there is of a message, or of a record that holds none. */
static __always_inline void step_body(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	__u32 n = d->end - d->p;

	if (n > d->of.tls.left)
		n = d->of.tls.left;
	if (d->at == CT_AT_BODY) {
		if (n > d->of.tls.msg_left)
			n = d->of.tls.msg_left;
		d->of.tls.msg_left -= n;
	}
	d->p += n;
	d->of.tls.left -= n;
	if (n && (d->at == CT_AT_BODY ? d->of.tls.take : d->of.tls.take_other))
		copy(d, n);
}

/* One element of the stream. */
static __always_inline void tls_judge(struct ct_stream *w)
{
	struct ct_dir *d = w->d;

	switch (d->at) {
	case CT_AT_HEAD:
		step_head(w);
		break;
	case CT_AT_MESSAGE:
		step_message(w);
		break;
	default:
		step_body(w);
		break;
	}
	if (d->at == CT_AT_DONE)
		return;
	if (d->of.tls.body && !d->of.tls.msg_left) {
		d->of.tls.body = 0;
		d->of.tls.msg_have = 0;
		if (d->at == CT_AT_BODY)
			d->at = CT_AT_MESSAGE;
	}
	if (d->at != CT_AT_HEAD && !d->of.tls.left)
		d->at = CT_AT_HEAD;
}

#endif
