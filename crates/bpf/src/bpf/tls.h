/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * tls_hello: the plaintext part of TLS handshakes, from the packets of each TCP connection's beginning, whatever library
 * made them.
 *
 * A cgroup_skb program per direction follows TLS records, and the handshake messages in them, of a socket's stream from its
 * first hello on. It copies hellos and, before TLS 1.3, certificates, the server's key exchange parameters and alerts, and
 * stops where encryption begins. A message may take several records and a record may hold several messages. Of messages that
 * are not copied the heads are, so that what is left out lies inside of a record whose head is there, or is whole records.
 * A connection whose beginning is over costs one look at it per packet. Packets are only looked at: every program returns
 * "pass".
 *
 * Record framing: RFC 8446 section 5.1, RFC 5246 section 6.2; handshake types: RFC 8446 section 4, RFC 5246 section 7.4.
 */
#ifndef CRYPTO_TRACE_TLS_H
#define CRYPTO_TRACE_TLS_H

#define CT_PASS 1

#define CT_TLS_DATA_MAX 8192	 /* bytes in one of our records */
#define CT_TLS_LIMIT 32768	 /* bytes copied of one direction */
#define CT_TLS_STEPS 2048	 /* heads and bodies followed in one packet: a hello of 500 bytes in records of one byte takes 1,000 */
#define CT_TLS_FLUSH_STEPS 8	 /* of these, kept for what is to go out */
#define CT_TLS_LOOK_PACKETS 1024 /* packets with data, per direction, in which TLS may begin (STARTTLS) */
#define CT_TLS_LOOK_BYTES 65536	 /* bytes, per direction, in which it may */
#define CT_TLS_SCAN 2048	 /* bytes of one packet in which it may */
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

/* Where a direction's stream is. */
enum ct_tls_at {
	CT_AT_LOOK = 0, /* no hello yet; `have` bytes of what may be its head are kept */
	CT_AT_HEAD,	/* at, or inside, the head of a TLS record */
	CT_AT_MESSAGE,	/* at, or inside, the head of a message */
	CT_AT_BODY,	/* inside of a message */
	CT_AT_OTHER,	/* inside of a record that holds no message */
	CT_AT_DONE,
};

/* One packet, as its stream is followed. */
struct ct_walk_tls {
	struct __sk_buff *skb;
	struct bpf_sock *sk;
	struct ct_socket *st;
	struct ct_dir *d;
	const struct ct_packet *packet;
	struct ct_parked *parked; /* the socket is still to come; NULL: it is there */
};

/*
 * What a packet held that came before there was a socket for it: data with the last packet of the TCP handshake
 * (TCP_DEFER_ACCEPT, and clients that send it so), or in the SYN (TCP Fast Open). The packet is seen at the listening socket;
 * the accepted one is made right after that, on the same CPU. Its records wait for it here.
 */
#define CT_PARKED_RECORDS 5

struct ct_parked {
	__u32 count; /* of the records; 0: nothing is parked */
	__u32 seq;
	__u16 source_port;
	__u16 dest_port;
	__u32 reserved;
	struct ct_socket st;
};

struct ct_parked_record {
	__u32 len;
	__u32 reserved;
	__u8 record[sizeof(struct ct_header) + sizeof(struct ct_tls_hello) + CT_TLS_DATA_MAX + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_parked);
} parked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CT_PARKED_RECORDS);
	__type(key, __u32);
	__type(value, struct ct_parked_record);
} parked_records SEC(".maps");

/* Puts a record that is complete in scratch, but for the socket's cookie, aside. */
static __always_inline void park(struct ct_parked *parked, struct ct_scratch *s, __u32 len)
{
	__u32 slot = parked->count;
	struct ct_parked_record *record = bpf_map_lookup_elem(&parked_records, &slot);

	len = (len + 7) & ~7;
	asm volatile("" : "+r"(len));
	if (!record || !in_range(len, 1, sizeof(record->record)) || bpf_probe_read_kernel(record->record, len, s->record)) {
		count_lost(CT_TLS_HELLO);
		return;
	}
	((struct ct_header *)record->record)->len = len;
	record->len = len;
	parked->count = slot + 1;
}

/* The socket is there: its records go out, and its stream goes on where they end. */
static __always_inline void unpark(struct ct_parked *parked, struct ct_socket *st, __u64 cookie)
{
	struct ct_parked_record *record;
	struct ct_tls_hello *hello;
	__u32 count = parked->count;
	__u32 i;

	parked->count = 0;
	st->dir[CT_RECEIVED - 1] = parked->st.dir[CT_RECEIVED - 1];
	for (i = 0; i < CT_PARKED_RECORDS; i++) {
		__u32 slot = i;

		if (i >= count)
			break;
		record = bpf_map_lookup_elem(&parked_records, &slot);
		if (!record)
			break;
		hello = (struct ct_tls_hello *)(record->record + sizeof(struct ct_header));
		hello->cookie = cookie;
		output(&events_ring, cfg.events_wakeup_bytes, record->record, record->len, sizeof(record->record), 0);
	}
}

/* Whether it is this connection's, of which neither end has said more: `seq` is where its data begins. */
static __always_inline int is_parked_for(const struct ct_parked *parked, __u32 seq, __u16 local_port, __u16 remote_port)
{
	return parked->count && parked->seq == seq && parked->dest_port == local_port && parked->source_port == remote_port;
}

/* A connection was accepted from a listening socket, in the packet that the programs have just seen. */
static __always_inline void accepted(struct sock *sk)
{
	struct ct_parked *waiting;
	struct ct_socket *st;
	struct tcp_sock *tcp;
	__u32 slot = 0;

	waiting = bpf_map_lookup_elem(&parked, &slot);
	if (!waiting || !waiting->count)
		return;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return;
	if (!is_parked_for(waiting, READ(tcp, rcv_nxt) - (__u32)READ(tcp, bytes_received), READ(sk, __sk_common.skc_num),
			   bpf_ntohs(READ(sk, __sk_common.skc_dport))))
		return;
	st = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (st)
		unpark(waiting, st, bpf_get_socket_cookie(sk));
}

/* connect(2) and listen(2) bring their sockets into these states, in the context of the process that called them. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, struct sock *sk, int old_state, int new_state)
{
	struct ct_socket *st;

	if (new_state == TCP_ESTABLISHED && old_state == TCP_SYN_RECV) {
		accepted(sk);
		return 0;
	}
	if (new_state != TCP_SYN_SENT && new_state != TCP_LISTEN)
		return 0;
	st = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!st)
		return 0;
	__builtin_memset(st, 0, sizeof(*st));
	own(st, new_state == TCP_LISTEN ? CT_OWNER_LISTENER : CT_OWNER_CONNECT);
	return 0;
}

/* Emits the beginning of what goes out, as much of it as a record takes; the rest of it remains. */
static __always_inline void emit_hello(struct ct_walk_tls *w)
{
	const struct ct_packet *packet = w->packet;
	struct ct_socket *st = w->st;
	struct ct_dir *d = w->d;
	__u32 len = d->kept ? d->kept : d->out_to - d->out_from;
	__u32 from = d->out_from;
	__u32 kept = d->kept;
	struct ct_tls_hello *hello;
	struct tcp_sock *tcp;
	struct ct_scratch *s;
	struct ct_header *h;
	__u32 pos = sizeof(*h) + sizeof(*hello);
	__u32 net_ns = 0;
	__u32 slot = 0;

	d->news = 0;
	if (len > CT_TLS_DATA_MAX)
		len = CT_TLS_DATA_MAX;
	if (d->taken + len > CT_TLS_LIMIT) {
		len = CT_TLS_LIMIT - d->taken;
		d->state |= CT_TLS_CUT;
		d->at = CT_AT_DONE;
		d->done = 1;
		d->out_to = d->to = d->from = d->out_from = from + len;
	} else if (kept) {
		d->kept = 0;
	} else {
		d->out_from += len;
	}
	d->taken += len;
	tcp = bpf_skc_to_tcp_sock(w->sk);
	if (tcp) {
		net_ns = READ(tcp, inet_conn.icsk_inet.sk.__sk_common.skc_net.net, ns.inum);
		/* Who holds the socket's lock while its packet leaves is who sends. */
		if (packet->direction == CT_SENT && READ(tcp, inet_conn.icsk_inet.sk.sk_lock.owned))
			own(st, CT_OWNER_SENDER);
	}
	if (!st->wanted && (st->owner || !any_process()))
		return;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_TLS_HELLO);
		return;
	}
	h = (struct ct_header *)s->record;
	hello = (struct ct_tls_hello *)(s->record + sizeof(*h));
	__builtin_memset(h, 0, sizeof(*h));
	__builtin_memset(hello, 0, sizeof(*hello));
	h->kind = CT_TLS_HELLO;
	h->fixed_len = sizeof(*hello);
	h->flags = st->start_is_tick ? CT_F_START_IS_TICK : 0;
	h->time_ns = bpf_ktime_get_boot_ns();
	h->cpu = (__u16)bpf_get_smp_processor_id();
	h->tid = st->tid;
	h->tgid = st->tgid;
	h->uid = st->uid;
	h->gid = st->gid;
	h->start_ns = st->start_ns;
	__builtin_memcpy(h->comm, st->comm, sizeof(h->comm));
	if (!w->parked)
		hello->cookie = bpf_get_socket_cookie(w->skb);
	if (cfg.library_calls && st->owner == CT_OWNER_SENDER)
		note_hello(hello->cookie);
	hello->offset = from + d->shift - kept;
	hello->net_ns = net_ns;
	hello->family = packet->family;
	hello->direction = packet->direction;
	if (packet->direction == CT_SENT) {
		__builtin_memcpy(hello->local_addr, packet->source, 16);
		__builtin_memcpy(hello->remote_addr, packet->dest, 16);
		hello->local_port = packet->source_port;
		hello->remote_port = packet->dest_port;
	} else {
		__builtin_memcpy(hello->local_addr, packet->dest, 16);
		__builtin_memcpy(hello->remote_addr, packet->source, 16);
		hello->local_port = packet->dest_port;
		hello->remote_port = packet->source_port;
	}
	hello->owner = st->owner;
	/* An earlier packet told; this one may have been sent by the kernel on the process's behalf. */
	if (st->owner == CT_OWNER_SENDER)
		st->owner = CT_OWNER_EARLIER;
	hello->state = d->state;
	asm volatile("" : "+r"(len));
	if (kept) {
		__builtin_memcpy(&s->record[pos], d->head, 8);
		len &= 7;
	} else if (in_range(len, 1, CT_TLS_DATA_MAX)) {
		if (bpf_skb_load_bytes(w->skb, from, &s->record[pos], len))
			hello->state |= CT_TLS_CUT, len = 0;
	} else {
		/* Nothing but the news that something is missing. */
		len = 0;
	}
	hello->data_len = (__u16)len;
	if (len < 8)
		*(__u64 *)&s->record[pos + (len & 7)] = 0;
	if (w->parked)
		park(w->parked, s, pos + len);
	else
		emit_event(s, pos + len);
	scratch_give(s);
}

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
		if (d->changed_cipher && !(st->retried && d->hellos == 1))
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
				d->state |= CT_TLS_CUT;
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

/* What a hello begins with, as far as the bytes go. */
enum ct_tls_begins {
	CT_BEGINS_NOT = 0,
	CT_BEGINS = 1,
	CT_BEGINS_MAYBE = 2, /* it does as far as they go, which is not far enough */
};

#define CT_TLS_HEAD_AND_TYPE 6

/* Whether a TLS record with a hello begins at `b`, of which `n` bytes are there; 16 can be read. */
static __always_inline int hello_begins(const __u8 *b, __u32 n)
{
	__u32 len = (__u32)b[3] << 8 | b[4];

	if (b[0] != CT_TLS_HANDSHAKE || (n > 1 && b[1] != 3) || (n > 2 && b[2] > 4))
		return CT_BEGINS_NOT;
	if (n >= CT_TLS_HEAD && (!len || len > CT_TLS_MAX_LEN))
		return CT_BEGINS_NOT;
	if (n < CT_TLS_HEAD_AND_TYPE)
		return CT_BEGINS_MAYBE;
	if (b[5] != CT_TLS_CLIENT_HELLO && b[5] != CT_TLS_SERVER_HELLO)
		return CT_BEGINS_NOT;
	/* The message's length, and its version, which was 0x7f.. in drafts of TLS 1.3. */
	if (len > 1 && n > 6 && b[6] > 1)
		return CT_BEGINS_NOT;
	if (len > 6 && n > 10 && b[9] != 0x7f && (b[9] != 3 || b[10] > 4))
		return CT_BEGINS_NOT;
	return CT_BEGINS;
}

/* Whether a ClientHello in the format of SSL 2.0 begins at `b`, of which 16 bytes are there: RFC 5246 appendix E.2. */
static __always_inline int old_hello_begins(const __u8 *b)
{
	__u32 len = (__u32)(b[0] & 0x7f) << 8 | b[1];
	__u32 suites = (__u32)b[5] << 8 | b[6];
	__u32 session = (__u32)b[7] << 8 | b[8];
	__u32 challenge = (__u32)b[9] << 8 | b[10];

	if (!(b[0] & 0x80) || b[2] != CT_TLS_CLIENT_HELLO || !(b[3] == 3 && b[4] <= 4) || !suites)
		return 0;
	return len == 9 + suites + session + challenge && (!session || session == 16) && challenge >= 16 && challenge <= 32;
}

struct ct_scan {
	struct ct_scratch *s;
	__u32 at;    /* what is looked at next */
	__u32 close; /* bytes that are looked at one by one, because one of them may begin a hello */
	__u32 end;   /* of the bytes */
	__u32 found; /* where a hello begins, or may begin; 0: nowhere */
	__u32 begins;
};

#define CT_ONES 0x0101010101010101ULL
#define CT_TOPS 0x8080808080808080ULL
#define CT_SCAN_STEP 32

/* Not 0: one of the bytes is that of a handshake record. */
static __always_inline __u64 has_handshake_byte(__u64 word)
{
	word ^= CT_ONES * CT_TLS_HANDSHAKE;
	return (word - CT_ONES) & ~word & CT_TOPS;
}

/* Steps over 32 bytes among which there is no byte of a handshake record, or over one of those where there is. */
static long step_scan(__u32 i, void *ctx)
{
	struct ct_scan *scan = ctx;
	struct ct_scratch *s = scan->s;
	__u32 at = scan->at;
	const __u64 *words;
	int begins;

	asm volatile("" : "+r"(at));
	if (at >= scan->end || at > CT_TLS_SCAN + CT_SCAN_STEP)
		return 1;
	if (!scan->close) {
		words = (const __u64 *)&s->record[at];
		if (has_handshake_byte(words[0]) | has_handshake_byte(words[1]) | has_handshake_byte(words[2]) |
		    has_handshake_byte(words[3]))
			scan->close = CT_SCAN_STEP;
		else
			scan->at = at + CT_SCAN_STEP;
		return 0;
	}
	scan->close--;
	scan->at = at + 1;
	begins = hello_begins(&s->record[at], scan->end - at);
	if (!begins)
		return 0;
	scan->found = at;
	scan->begins = begins;
	return 1;
}

/*
 * Whether a packet that begins with `b` may be one of TDS with a piece of TLS in it (SQL Server before TDS 8): a header before
 * each packet, in the middle of TLS records too. It is not followed.
 */
static __always_inline int is_tds(const __u8 *b, __u32 found)
{
	return found == 8 && b[0] == 0x12 && b[1] <= 1 && ((__u32)b[2] << 8 | b[3]) > 8;
}

/* No TLS began in as much as is looked at. */
static __always_inline void give_up(struct ct_socket *st, struct ct_dir *d)
{
	d->at = CT_AT_DONE;
	if (!st->dir[0].role && !st->dir[1].role)
		st->dir[0].at = st->dir[1].at = CT_AT_DONE;
	count(CT_COUNTER_NO_TLS);
}

/*
 * Looks for a hello in a packet; 1: one begins, at d->p. Where the packet ends in what may be the first bytes of one, they are
 * kept in d->head, and d->have says how many.
 */
static __always_inline int look(struct ct_walk_tls *w)
{
	struct ct_socket *st = w->st;
	struct ct_dir *d = w->d;
	__u32 have = d->have;
	__u32 n = d->end - d->p;
	struct ct_scan scan = {};
	__u8 first[16] = {};
	__u32 slot = 0;
	int begins;

	if (have > CT_TLS_HEAD)
		have = 0;
	d->have = 0;
	if (!have && n >= sizeof(first) && !bpf_skb_load_bytes(w->skb, d->p, first, sizeof(first))) {
		if (hello_begins(first, sizeof(first)) == CT_BEGINS) {
			d->role = first[5];
			d->at = CT_AT_HEAD;
			return 1;
		}
		if (old_hello_begins(first)) {
			d->role = CT_TLS_CLIENT_HELLO;
			d->hellos = 1;
			d->take_other = 1;
			d->left = ((__u32)(first[0] & 0x7f) << 8 | first[1]) + 2;
			d->at = CT_AT_OTHER;
			return 1;
		}
	}
	scan.s = scratch_take(&slot);
	if (!scan.s)
		return 0;
	__builtin_memcpy(scan.s->record, d->head, 8);
	if (n > CT_TLS_SCAN)
		n = CT_TLS_SCAN;
	asm volatile("" : "+r"(have), "+r"(n));
	have &= 7;
	if (in_range(n, 1, CT_TLS_SCAN) && !bpf_skb_load_bytes(w->skb, d->p, &scan.s->record[have], n)) {
		scan.end = have + n;
		__builtin_memcpy(first, scan.s->record, sizeof(first));
		begins = hello_begins(first, scan.end);
		if (begins) {
			scan.begins = begins;
		} else if (scan.end >= 7 && first[0] == CT_TLS_ALERT && first[1] == 3 && first[2] <= 4 && !first[3] &&
			   first[4] == 2 && (st->dir[0].role || st->dir[1].role)) {
			/* The answer to a hello. */
			scan.begins = CT_BEGINS;
			first[5] = CT_TLS_NO_HELLO;
		} else {
			scan.at = 1;
			bpf_loop(CT_TLS_SCAN + CT_TLS_SCAN / CT_SCAN_STEP, step_scan, &scan, 0);
		}
		if (scan.begins == CT_BEGINS_MAYBE && scan.end - scan.found <= CT_TLS_HEAD && n == d->end - d->p) {
			__u32 from = scan.found;

			/* Not more than a head, so not more than are there. */
			asm volatile("" : "+r"(from));
			if (from <= CT_TLS_SCAN + CT_SCAN_STEP) {
				__builtin_memcpy(d->head, &scan.s->record[from], 8);
				d->have = scan.end - scan.found;
			}
		} else if (scan.begins == CT_BEGINS) {
			__u32 from = scan.found;

			asm volatile("" : "+r"(from));
			if (from <= CT_TLS_SCAN + CT_SCAN_STEP) {
				d->role = from ? scan.s->record[from + 5] : first[5];
				d->at = CT_AT_HEAD;
				__builtin_memcpy(d->head, &scan.s->record[from], 8);
			}
		}
	}
	scratch_give(scan.s);
	if (d->at != CT_AT_HEAD)
		return 0;
	if (is_tds(first, scan.found)) {
		d->role = 0;
		give_up(st, d);
		return 0;
	}
	if (scan.found < have) {
		/* It began in an earlier packet: what is kept of it is its head, as far as it was there. */
		d->have = d->kept = have - scan.found;
	} else {
		d->p += scan.found - have;
		d->from = d->to = d->out_from = d->out_to = d->p;
	}
	return 1;
}

/* Follows the stream through one packet, of which `skipped` bytes are known already. */
static __always_inline void follow(struct __sk_buff *skb, struct bpf_sock *sk, struct ct_socket *st, struct ct_dir *d,
				   const struct ct_packet *packet, struct ct_parked *parked, __u32 skipped)
{
	__u32 p = packet->data + skipped;
	struct ct_walk_tls w = {
		.skb = skb,
		.sk = sk,
		.st = st,
		.d = d,
		.packet = packet,
		.parked = parked,
	};

	d->p = d->from = d->to = d->out_from = d->out_to = p;
	d->end = packet->data + packet->len;
	d->shift = d->next - p;
	d->record = 0;
	d->kept = 0;
	/* What follows after missing bytes is not followed; that they are missing is told. */
	d->news = d->done = d->at == CT_AT_DONE;
	d->next += d->end - p;
	if (d->at == CT_AT_LOOK && !look(&w)) {
		if (d->at == CT_AT_LOOK && (++d->packets >= CT_TLS_LOOK_PACKETS || d->next > CT_TLS_LOOK_BYTES))
			give_up(st, d);
		return;
	}
	bpf_loop(CT_TLS_STEPS, step_tls, &w, 0);
}

/* A packet with data for a listening socket: a connection is about to be accepted, or not. */
static __always_inline void look_at_listener(struct __sk_buff *skb, struct bpf_sock *sk, const struct ct_packet *packet)
{
	struct ct_parked *waiting;
	struct ct_socket *st;
	struct ct_dir *d;
	__u32 slot = 0;

	waiting = bpf_map_lookup_elem(&parked, &slot);
	if (!waiting)
		return;
	/* Whatever waits has waited in vain: no socket was made of the packet before. */
	waiting->count = 0;
	if (!packet->len)
		return;
	st = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (st)
		waiting->st = *st;
	else
		__builtin_memset(&waiting->st, 0, sizeof(waiting->st));
	waiting->seq = packet->seq;
	waiting->source_port = packet->source_port;
	waiting->dest_port = packet->dest_port;
	d = &waiting->st.dir[CT_RECEIVED - 1];
	__builtin_memset(waiting->st.dir, 0, sizeof(waiting->st.dir));
	d->seen = 1;
	d->base = packet->seq;
	follow(skb, sk, &waiting->st, d, packet, waiting, 0);
}

static __always_inline int look_at(struct __sk_buff *skb, __u16 direction)
{
	struct ct_packet packet = {};
	struct ct_parked *waiting;
	struct bpf_tcp_sock *tcp;
	struct bpf_sock *sk = skb->sk;
	struct ct_socket *st;
	struct ct_dir *d;
	__u32 slot = 0;
	__u32 offset;

	if (!sk)
		return CT_PASS;
	/* All that most packets cost. */
	st = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (st && st->dir[direction - 1].at == CT_AT_DONE)
		return CT_PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_TCP)
		return CT_PASS;
	packet.direction = direction;
	if (!parse_packet(skb, &packet))
		return CT_PASS;
	if (sk->state == TCP_LISTEN) {
		if (direction == CT_RECEIVED)
			look_at_listener(skb, sk, &packet);
		return CT_PASS;
	}
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return CT_PASS;
	if (direction == CT_SENT && packet.syn && sk->state == TCP_SYN_RECV) {
		/* The answer to a SYN whose data was accepted (TCP Fast Open): this is the first that is seen of its socket. */
		waiting = bpf_map_lookup_elem(&parked, &slot);
		if (waiting && is_parked_for(waiting, tcp->rcv_nxt - (__u32)tcp->bytes_received, packet.source_port,
					     packet.dest_port)) {
			st = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
			if (st)
				unpark(waiting, st, bpf_get_socket_cookie(skb));
		}
		return CT_PASS;
	}
	if (!packet.len)
		return CT_PASS;
	if (!st) {
		st = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (!st) {
			count_lost(CT_TLS_HELLO);
			return CT_PASS;
		}
		/* The SYN may count as a byte. */
		if (tcp->bytes_received > 0 || tcp->bytes_acked > 1)
			st->dir[0].state = st->dir[1].state = CT_TLS_LATE;
		if (tcp->bytes_received + tcp->bytes_acked > CT_TLS_LOOK_BYTES) {
			give_up(st, &st->dir[direction - 1]);
			return CT_PASS;
		}
	}
	d = &st->dir[direction - 1];
	if (!d->seen) {
		d->seen = 1;
		if (direction == CT_RECEIVED) {
			/* Packets may arrive in any order, so the socket is asked where it is. */
			d->base = tcp->rcv_nxt - (__u32)tcp->bytes_received;
			d->next = (__u32)tcp->bytes_received;
		} else {
			d->base = packet.seq;
		}
	}
	offset = packet.seq - d->base;
	if ((__s32)(offset - d->next) > 0) {
		/*
		 * Something before it is missing, and comes again, unless the socket has it already. It has when it came after
		 * a packet like this one, which the socket kept.
		 */
		if (direction == CT_RECEIVED && (__s32)(tcp->rcv_nxt - d->base - d->next) <= 0)
			return CT_PASS;
		d->next = offset;
		if (d->at != CT_AT_LOOK) {
			d->state |= CT_TLS_GAP;
			d->at = CT_AT_DONE;
		}
		d->have = 0;
	}
	if ((__s32)(offset + packet.len - d->next) <= 0)
		return CT_PASS; /* a retransmission */
	follow(skb, sk, st, d, &packet, NULL, d->next - offset);
	return CT_PASS;
}

SEC("cgroup_skb/egress")
int tls_egress(struct __sk_buff *skb)
{
	return look_at(skb, CT_SENT);
}

SEC("cgroup_skb/ingress")
int tls_ingress(struct __sk_buff *skb)
{
	return look_at(skb, CT_RECEIVED);
}

#endif
