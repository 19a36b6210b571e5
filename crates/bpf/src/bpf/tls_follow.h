/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Following a stream of TLS: from record to record and message to message, what is copied and what is not.
 */
#ifndef CRYPTO_TRACE_TLS_FOLLOW_H
#define CRYPTO_TRACE_TLS_FOLLOW_H

/* Copies the `n` bytes before d->p: what was to be copied goes out when something else came between. */
static __always_inline void copy(struct ct_dir *d, __u32 n)
{
	__u32 from = d->p - n;

	if (d->to != from) {
		d->out_from = d->from;
		d->out_to = d->to;
		d->from = from;
	}
	d->to = d->p;
}

/* What follows the head of a TLS record that is complete in d->head. */
static __always_inline __u8 judge_record(const struct ct_socket *st, struct ct_dir *d)
{
	__u32 len = (__u32)d->head[3] << 8 | d->head[4];

	d->left = len;
	d->take_other = 0;
	if (d->head[1] != 3 || !len || len > CT_TLS_MAX_LEN)
		return CT_AT_DONE;
	switch (d->head[0]) {
	case CT_TLS_CCS:
		d->changed_cipher = 1;
		/* A server's tells whether a session was resumed. */
		d->take_other = d->role != CT_TLS_CLIENT_HELLO;
		return len == 1 ? CT_AT_OTHER : CT_AT_DONE;
	case CT_TLS_ALERT:
		/* An encrypted one is longer. */
		d->take_other = 1;
		return len == 2 ? CT_AT_OTHER : CT_AT_DONE;
	case CT_TLS_HANDSHAKE:
		/* After it only a second hello, after a HelloRetryRequest, is not encrypted. */
		if (d->changed_cipher && !d->msg_have && !(st->retried && d->hellos == 1))
			return CT_AT_DONE;
		return d->body ? CT_AT_BODY : CT_AT_MESSAGE;
	case CT_TLS_APPLICATION_DATA:
		/* Early data, as long as the server has not answered. */
		return d->role == CT_TLS_CLIENT_HELLO && !st->answered && d->next < CT_TLS_EARLY_BYTES ? CT_AT_OTHER : CT_AT_DONE;
	case CT_TLS_HEARTBEAT:
		return CT_AT_OTHER;
	default:
		return CT_AT_DONE;
	}
}

/* What a message is worth whose head is complete in d->msg; 0: it is none, or encrypted. */
static __always_inline int judge_message(struct ct_dir *d)
{
	__u8 type = d->msg[0];

	d->msg_left = (__u32)d->msg[1] << 16 | (__u32)d->msg[2] << 8 | d->msg[3];
	if (type == CT_TLS_CLIENT_HELLO || type == CT_TLS_SERVER_HELLO) {
		if (d->role == CT_TLS_NO_HELLO)
			d->role = type;
		if (type != d->role || d->hellos >= 2)
			return 0;
		d->hellos++;
		d->take = 1;
		return 1;
	}
	if (d->changed_cipher)
		return 0;
	d->take = type == CT_TLS_CERTIFICATE ||
		  (d->role == CT_TLS_SERVER_HELLO &&
		   (type == CT_TLS_SERVER_KEY_EXCHANGE || type == CT_TLS_CERTIFICATE_STATUS));
	return 1;
}

/* The beginning of a ServerHello is complete in d->msg: whether it asks for another hello (RFC 8446 section 4.1.3). */
static __always_inline void judge_server_hello(struct ct_socket *st, const struct ct_dir *d)
{
	const __u8 *random = &d->msg[6];

	if (d->msg_have == CT_TLS_SERVER_HELLO_HEAD && random[0] == 0xcf && random[1] == 0x21 && random[2] == 0xad &&
	    random[3] == 0x74 && random[4] == 0xe5 && random[5] == 0x9a && random[6] == 0x61 && random[7] == 0x11)
		st->retried = 1;
	else
		st->answered = 1;
}

/* Takes the head of a TLS record as far as it is there. */
static __always_inline void step_head(struct ct_walk_tls *w)
{
	struct ct_dir *d = w->d;
	__u32 have = d->have;
	__u32 n = d->end - d->p;

	if (!have)
		d->record = d->p;
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
	if (n && d->at != CT_AT_DONE && (d->at != CT_AT_OTHER || d->take_other))
		copy(d, n);
}

/* Takes the head of a message as far as it is there. */
static __always_inline void step_message(struct ct_walk_tls *w)
{
	struct ct_dir *d = w->d;
	__u32 have = d->msg_have;
	__u32 n = d->end - d->p;
	__u32 need = have < CT_TLS_MESSAGE_HEAD ? CT_TLS_MESSAGE_HEAD : CT_TLS_SERVER_HELLO_HEAD;

	if (!have)
		d->lead = d->left == ((__u32)d->head[3] << 8 | d->head[4]);
	if (have > need)
		have = need;
	if (n > need - have)
		n = need - have;
	if (n > d->left)
		n = d->left;
	asm volatile("" : "+r"(have), "+r"(n));
	have &= 15;
	n &= 15;
	if (!in_range(n, 1, 15) || bpf_skb_load_bytes(w->skb, d->p, &d->msg[have], n)) {
		d->at = CT_AT_DONE;
		return;
	}
	d->msg_have = have + n;
	if (d->msg_have == CT_TLS_MESSAGE_HEAD && !judge_message(d)) {
		d->at = CT_AT_DONE;
		return;
	}
	d->p += n;
	d->left -= n;
	copy(d, n);
	if (d->msg_have < CT_TLS_MESSAGE_HEAD)
		return;
	if (d->msg_have > CT_TLS_MESSAGE_HEAD)
		d->msg_left -= n;
	if (d->msg[0] == CT_TLS_SERVER_HELLO) {
		if (d->msg_have < CT_TLS_SERVER_HELLO_HEAD && d->msg_left >= CT_TLS_SERVER_HELLO_HEAD - d->msg_have)
			return;
		judge_server_hello(w->st, d);
	}
	d->body = 1;
	d->at = CT_AT_BODY;
	/* Of a client's message that fills a record not even the heads are of use. */
	if (!d->take && d->role == CT_TLS_CLIENT_HELLO && d->lead && d->msg_left == d->left && d->record)
		d->to = d->from > d->record ? d->from : d->record;
}

/* Moves on by what there is of a message, or of a record that holds none. */
static __always_inline void step_body(struct ct_walk_tls *w)
{
	struct ct_dir *d = w->d;
	__u32 n = d->end - d->p;

	if (n > d->left)
		n = d->left;
	if (d->at == CT_AT_BODY) {
		if (n > d->msg_left)
			n = d->msg_left;
		d->msg_left -= n;
	}
	d->p += n;
	d->left -= n;
	if (n && (d->at == CT_AT_BODY ? d->take : d->take_other))
		copy(d, n);
}

/* One element of the stream. */
static __always_inline void advance(struct ct_walk_tls *w)
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
	if (d->body && !d->msg_left) {
		d->body = 0;
		d->msg_have = 0;
		if (d->at == CT_AT_BODY)
			d->at = CT_AT_MESSAGE;
	}
	if (d->at != CT_AT_HEAD && !d->left)
		d->at = CT_AT_HEAD;
}

/* One step: the stream is followed; what was copied goes out when something else comes between, and at the end. */
static long step_tls(__u32 i, void *ctx)
{
	struct ct_walk_tls *w = ctx;
	struct ct_dir *d = w->d;

	if (!d->kept && !d->news && d->out_from >= d->out_to) {
		if (d->done) {
			if (d->from >= d->to)
				return 1;
			d->out_from = d->from;
			d->out_to = d->to;
			d->from = d->to;
		} else {
			if (i >= CT_TLS_STEPS - CT_TLS_FLUSH_STEPS) {
				/* More small records in one packet than any handshake is made of. */
				d->state |= CT_HELLO_CUT;
				d->at = CT_AT_DONE;
			} else {
				advance(w);
			}
			d->done = d->at == CT_AT_DONE || d->p >= d->end;
		}
	}
	if (d->kept || d->news || d->out_from < d->out_to)
		emit_hello(w);
	return 0;
}

#endif
