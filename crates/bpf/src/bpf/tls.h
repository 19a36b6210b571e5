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
	__u32 waits; /* for a socket */
	__u32 count; /* of the records */
	__u32 seq;
	__u16 source_port;
	__u16 dest_port;
	struct ct_socket st;
};

struct ct_parked_record {
	__u32 len;
	__u32 reserved;
	__u8 record[sizeof(struct ct_header) + sizeof(struct ct_tls_hello) + CT_HELLO_DATA_MAX + 8];
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

	parked->waits = 0;
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
		output_event(record->record, record->len, sizeof(record->record), 0);
	}
}

/* Whether it is this connection's, of which neither end has said more: `seq` is where its data begins. */
static __always_inline int is_parked_for(const struct ct_parked *parked, __u32 seq, __u16 local_port, __u16 remote_port)
{
	return parked->waits && parked->seq == seq && parked->dest_port == local_port && parked->source_port == remote_port;
}

/* A connection was accepted from a listening socket, in the packet that the programs have just seen. */
static __always_inline void accepted(struct sock *sk)
{
	struct ct_parked *waiting;
	struct ct_socket *st;
	struct tcp_sock *tcp;
	__u32 slot = 0;

	waiting = bpf_map_lookup_elem(&parked, &slot);
	if (!waiting || !waiting->waits)
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
	if (len > CT_HELLO_DATA_MAX)
		len = CT_HELLO_DATA_MAX;
	if (d->taken + len > CT_TLS_LIMIT) {
		len = CT_TLS_LIMIT - d->taken;
		d->state |= CT_HELLO_CUT;
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
	if (!st->wanted && (st->owner || !any_process())) {
		/*
		 * A process that is not selected accepted it from the socket of one that is, whose own what has arrived seemed to
		 * be: that it was not is told, and nothing else.
		 */
		if (st->owner != CT_OWNER_SENDER || !st->seems_accepted)
			return;
		st->seems_accepted = 0;
		d->state |= CT_HELLO_TAKEN;
		kept = len = 0;
	}
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
	st->seems_accepted = st->owner == CT_OWNER_LISTENER;
	/* An earlier packet told; this one may have been sent by the kernel on the process's behalf. */
	if (st->owner == CT_OWNER_SENDER)
		st->owner = CT_OWNER_EARLIER;
	hello->state = d->state;
	asm volatile("" : "+r"(len));
	if (kept) {
		__builtin_memcpy(&s->record[pos], d->head, 8);
		len &= 7;
	} else if (in_range(len, 1, CT_HELLO_DATA_MAX)) {
		if (bpf_skb_load_bytes(w->skb, from, &s->record[pos], len))
			hello->state |= CT_HELLO_CUT, len = 0;
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

#endif
