/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * tls_hello: the plaintext part of TLS handshakes, from the packets of each TCP connection's beginning, whatever library
 * made them.
 *
 * A cgroup_skb program per direction follows the TLS record framing of a socket's stream from its first hello on, copies
 * the records that hold hellos (and, before TLS 1.3, the server's certificates and key exchange parameters, and alerts),
 * and stops at the first application data or encrypted handshake. State is kept in socket storage; a connection whose
 * beginning is over costs one look at it per packet. Packets are only looked at: every program returns "pass".
 *
 * Record framing: RFC 8446 section 5.1, RFC 5246 section 6.2; handshake types: RFC 8446 section 4, RFC 5246 section 7.4.
 */
#ifndef CRYPTO_TRACE_TLS_H
#define CRYPTO_TRACE_TLS_H

#define CT_PASS 1

#define CT_TLS_DATA_MAX 8192	/* bytes in one record */
#define CT_TLS_LIMIT 32768	/* bytes copied of one direction */
#define CT_TLS_FRAMES 12	/* TLS records looked at in one packet */
#define CT_TLS_LOOK_PACKETS 24	/* packets with data, per direction, in which a hello may begin (STARTTLS) */
#define CT_TLS_LATE_BYTES 65536 /* a connection that has carried this much before we saw it is not looked at */

/* TLS record: type, version (2), length (2); and the first byte of its content. */
#define CT_TLS_HEAD 6
#define CT_TLS_MAX_LEN (16384 + 2048)

enum ct_tls_content {
	CT_TLS_CCS = 20,
	CT_TLS_ALERT = 21,
	CT_TLS_HANDSHAKE = 22,
};

enum ct_tls_message {
	CT_TLS_CLIENT_HELLO = 1, /* also the role of the side that sent it */
	CT_TLS_SERVER_HELLO = 2,
	CT_TLS_CERTIFICATE = 11,
	CT_TLS_SERVER_KEY_EXCHANGE = 12,
	CT_TLS_CERTIFICATE_STATUS = 22,
	CT_TLS_NO_HELLO = 255, /* a role, not a message: it answered by an alert */
};

/* Where a direction's stream is. */
enum ct_tls_at {
	CT_AT_LOOK = 0, /* no hello yet */
	CT_AT_HEAD,	/* at, or inside, the head of a TLS record */
	CT_AT_TAKE,	/* inside a TLS record that is copied */
	CT_AT_SKIP,	/* inside one that is not */
	CT_AT_DONE,
};

struct ct_dir {
	__u32 base; /* sequence number of stream offset 0 */
	__u32 next; /* offset of the next byte */
	__u32 left; /* bytes of the TLS record still to come */
	__u32 taken;
	__u8 at;
	__u8 seen;
	__u8 packets;
	__u8 have; /* bytes of `head` that are there */
	__u8 role; /* message type of the first hello */
	__u8 changed_cipher;
	__u8 state; /* enum ct_tls_hello_state for the next record */
	__u8 reserved;
	__u8 head[16];
};

struct ct_socket {
	__u64 start_ns;
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	char comm[16];
	__u8 owner;  /* enum ct_tls_owner */
	__u8 wanted; /* that owner is selected */
	__u8 start_is_tick; /* start_ns is from /proc */
	__u8 reserved[5];
	struct ct_dir dir[2];
};

/* What a listening socket has is cloned into those accepted from it. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct ct_socket);
} sockets SEC(".maps");

/* Tells user space the layout of the map's values, for listening sockets that were there before us. */
const volatile struct ct_socket socket_layout = {};

/* One packet with data. */
struct ct_packet {
	__u32 data; /* offset of the TCP payload */
	__u32 len;
	__u32 seq;
	__u16 source_port;
	__u16 dest_port;
	__u16 family;
	__u16 direction;
	__u8 source[16];
	__u8 dest[16];
};

static __always_inline int any_process(void)
{
	return !cfg.filter_tgid && !cfg.filter_uid && !cfg.comm_count;
}

/* As process_wanted(), but for the cgroup: these programs are attached to the selected ones only. */
static __always_inline int owner_wanted(struct task_struct *task)
{
	__u32 uid = READ(task, real_cred, uid.val);
	__u32 tgid = GET(task, tgid);

	if (tgid == cfg.self_tgid || (cfg.filter_uid && !bpf_map_lookup_elem(&uids, &uid)))
		return 0;
	return tree_wanted(task, tgid);
}

/* Makes the current process the socket's owner; kernel threads own nothing. */
static __always_inline void own(struct ct_socket *st, __u8 owner)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!READ(task, mm))
		return;
	st->start_ns = READ(task, group_leader, start_boottime);
	st->tgid = GET(task, tgid);
	st->tid = GET(task, pid);
	st->uid = READ(task, real_cred, uid.val);
	st->gid = READ(task, real_cred, gid.val);
	read_comm((__u64 *)st->comm, task);
	st->wanted = owner_wanted(task);
	st->owner = owner;
	st->start_is_tick = 0;
}

/* connect(2) and listen(2) bring their sockets into these states, in the context of the process that called them. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(socket_state, const struct sock *sk, int old_state, int new_state)
{
	struct ct_socket *st;

	if (new_state != TCP_SYN_SENT && new_state != TCP_LISTEN)
		return 0;
	st = bpf_sk_storage_get(&sockets, (void *)sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!st)
		return 0;
	__builtin_memset(st, 0, sizeof(*st));
	own(st, new_state == TCP_LISTEN ? CT_OWNER_LISTENER : CT_OWNER_CONNECT);
	return 0;
}

/* Fills `packet`; 0: not TCP, or without data. */
static __always_inline int parse_packet(struct __sk_buff *skb, struct ct_packet *packet)
{
	__u8 ip[40], tcp[16];
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	if (ip[0] >> 4 == 4) {
		if (ip[9] != IPPROTO_TCP)
			return 0;
		at = (ip[0] & 0xf) * 4;
		packet->family = AF_INET;
		__builtin_memcpy(packet->source, &ip[12], 4);
		__builtin_memcpy(packet->dest, &ip[16], 4);
	} else {
		/* Extension headers before TCP are not followed: they are not in use. */
		if (ip[6] != IPPROTO_TCP)
			return 0;
		at = 40;
		packet->family = AF_INET6;
		__builtin_memcpy(packet->source, &ip[8], 16);
		__builtin_memcpy(packet->dest, &ip[24], 16);
	}
	if (bpf_skb_load_bytes(skb, at, tcp, sizeof(tcp)) || tcp[13] & TCP_FLAG_SYN)
		return 0;
	packet->source_port = (__u16)(tcp[0] << 8 | tcp[1]);
	packet->dest_port = (__u16)(tcp[2] << 8 | tcp[3]);
	packet->seq = (__u32)tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7];
	packet->data = at + (tcp[12] >> 4) * 4;
	if (skb->len <= packet->data)
		return 0;
	packet->len = skb->len - packet->data;
	return 1;
}

/* The framing of one packet, as it is followed: packet offsets of the next byte, the end, and what is to be copied. */
struct ct_walk_tls {
	struct __sk_buff *skb;
	struct bpf_sock *sk;
	struct ct_socket *st;
	struct ct_dir *d;
	const struct ct_packet *packet;
	__u32 p;
	__u32 end;
	__u32 from;
	__u32 to;
	__u32 out_from; /* what goes out now */
	__u32 out_to;
	__u32 done;
	__u32 shift; /* packet offset + shift = stream offset */
};

/* Emits what goes out. */
static __always_inline void emit_hello(struct ct_walk_tls *w)
{
	const struct ct_packet *packet = w->packet;
	struct ct_socket *st = w->st;
	__u32 len = w->out_to - w->out_from;
	struct ct_tls_hello *hello;
	struct tcp_sock *tcp;
	struct ct_scratch *s;
	struct ct_header *h;
	__u32 pos = sizeof(*h) + sizeof(*hello);
	__u32 net_ns = 0;
	__u32 slot = 0;

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
	hello->cookie = bpf_get_socket_cookie(w->skb);
	if (cfg.library_calls && st->owner == CT_OWNER_SENDER)
		note_hello(hello->cookie);
	hello->offset = w->out_from + w->shift;
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
	if (len > CT_TLS_DATA_MAX) {
		len = CT_TLS_DATA_MAX;
		w->d->state |= CT_TLS_CUT;
	}
	hello->state = w->d->state;
	asm volatile("" : "+r"(len));
	if (in_range(len, 1, CT_TLS_DATA_MAX) && !bpf_skb_load_bytes(w->skb, w->out_from, &s->record[pos], len)) {
		hello->data_len = (__u16)len;
		emit_event(s, pos + len);
	}
	scratch_give(s);
}

/* What follows the head of a TLS record that is complete in d->head. */
static __always_inline __u8 judge_head(struct ct_dir *d)
{
	__u32 len = (__u32)d->head[3] << 8 | d->head[4];
	__u8 message = d->head[5];

	d->have = 0;
	d->left = len ? len - 1 : 0;
	if (d->head[1] != 3 || !len || len > CT_TLS_MAX_LEN)
		return CT_AT_DONE;
	switch (d->head[0]) {
	case CT_TLS_CCS:
		d->changed_cipher = 1;
		return CT_AT_SKIP;
	case CT_TLS_ALERT:
		/* An encrypted one is longer. */
		return len == 2 ? CT_AT_TAKE : CT_AT_DONE;
	case CT_TLS_HANDSHAKE:
		if (message == d->role)
			return CT_AT_TAKE;
		/* After it only a second hello, after a HelloRetryRequest, is not encrypted. */
		if (d->changed_cipher)
			return CT_AT_DONE;
		if (d->role == CT_TLS_SERVER_HELLO &&
		    (message == CT_TLS_CERTIFICATE || message == CT_TLS_SERVER_KEY_EXCHANGE ||
		     message == CT_TLS_CERTIFICATE_STATUS))
			return CT_AT_TAKE;
		return CT_AT_SKIP;
	default:
		return CT_AT_DONE;
	}
}

/* Whether a hello begins at `p`, or an alert that is the answer to one in the other direction. */
static __always_inline int hello_begins(struct __sk_buff *skb, struct ct_socket *st, struct ct_dir *d, __u32 p, __u32 end)
{
	__u32 len;

	if (end - p < CT_TLS_HEAD || bpf_skb_load_bytes(skb, p, d->head, CT_TLS_HEAD))
		return 0;
	len = (__u32)d->head[3] << 8 | d->head[4];
	if (d->head[1] != 3 || d->head[2] > 4)
		return 0;
	if (d->head[0] == CT_TLS_ALERT)
		return len == 2 && (st->dir[0].role || st->dir[1].role);
	if (d->head[0] != CT_TLS_HANDSHAKE || len < 4 || len > CT_TLS_MAX_LEN)
		return 0;
	return d->head[5] == CT_TLS_CLIENT_HELLO || d->head[5] == CT_TLS_SERVER_HELLO;
}

/* Takes the head of a TLS record as far as it is there; 1: it is complete. */
static __always_inline int take_head(struct ct_walk_tls *w)
{
	struct ct_dir *d = w->d;
	__u32 have = d->have;
	__u32 n = w->end - w->p;

	/* Twice as much room as a head takes, so that masks are enough for the verifier. */
	if (have > CT_TLS_HEAD)
		have = CT_TLS_HEAD;
	if (n > CT_TLS_HEAD - have)
		n = CT_TLS_HEAD - have;
	asm volatile("" : "+r"(have), "+r"(n));
	have &= 7;
	n &= 7;
	if (!in_range(n, 1, 7) || bpf_skb_load_bytes(w->skb, w->p, &d->head[have], n))
		return 0;
	w->p += n;
	d->have = have + n;
	return d->have == CT_TLS_HEAD;
}

/* Moves on by one TLS record, or what there is of it in this packet. */
static __always_inline void next_frame(struct ct_walk_tls *w, __u32 i)
{
	struct ct_dir *d = w->d;
	__u32 head = w->p;
	__u32 n;

	if (d->at == CT_AT_HEAD) {
		if (!take_head(w)) {
			/* The rest of the head comes with the next packet. It is copied, whatever it will turn out to be. */
			if (w->to == head)
				w->to = w->p;
			w->done = 1;
			return;
		}
		d->at = judge_head(d);
		if (d->at == CT_AT_TAKE) {
			if (w->to != head) {
				w->out_from = w->from;
				w->out_to = w->to;
				w->from = head;
			}
			w->to = w->p;
		}
	}
	if (d->at != CT_AT_DONE) {
		n = w->end - w->p;
		if (n > d->left)
			n = d->left;
		w->p += n;
		d->left -= n;
		if (d->at == CT_AT_TAKE)
			w->to = w->p;
		if (!d->left)
			d->at = CT_AT_HEAD;
	}
	if (i >= CT_TLS_FRAMES && w->p < w->end && d->at != CT_AT_DONE) {
		/* More small TLS records in one packet than any hello is made of. */
		d->state |= CT_TLS_CUT;
		d->at = CT_AT_DONE;
	}
	if (d->at == CT_AT_DONE || w->p >= w->end)
		w->done = 1;
}

/* One step: a TLS record is followed; what was copied goes out when something else comes between, and at the end. */
static long step_tls(__u32 i, void *ctx)
{
	struct ct_walk_tls *w = ctx;
	long last = 0;

	w->out_from = w->out_to = 0;
	if (!w->done)
		next_frame(w, i);
	if (w->done && w->out_to == w->out_from) {
		w->out_from = w->from;
		w->out_to = w->to;
		last = 1;
	}
	if (w->out_to > w->out_from) {
		w->d->taken += w->out_to - w->out_from;
		if (w->d->taken > CT_TLS_LIMIT) {
			w->d->state |= CT_TLS_CUT;
			w->d->at = CT_AT_DONE;
		}
		emit_hello(w);
	}
	return last;
}

/* Follows the framing through one packet, of which `skipped` bytes are known already. */
static __always_inline void follow(struct __sk_buff *skb, struct bpf_sock *sk, struct ct_socket *st, struct ct_dir *d,
				   const struct ct_packet *packet, __u32 skipped)
{
	__u32 p = packet->data + skipped;
	struct ct_walk_tls w = {
		.skb = skb,
		.sk = sk,
		.st = st,
		.d = d,
		.packet = packet,
		.p = p,
		.end = packet->data + packet->len,
		.from = p,
		.to = p,
		.shift = d->next - p,
	};

	d->next += w.end - p;
	if (d->at == CT_AT_LOOK) {
		if (!hello_begins(skb, st, d, p, w.end)) {
			if (++d->packets >= CT_TLS_LOOK_PACKETS)
				d->at = CT_AT_DONE;
			return;
		}
		d->role = d->head[0] == CT_TLS_ALERT ? CT_TLS_NO_HELLO : d->head[5];
		d->at = CT_AT_HEAD;
	}
	bpf_loop(CT_TLS_FRAMES + 2, step_tls, &w, 0);
}

static __always_inline int look_at(struct __sk_buff *skb, __u16 direction)
{
	struct ct_packet packet = {};
	struct bpf_tcp_sock *tcp;
	struct bpf_sock *sk = skb->sk;
	struct ct_socket *st;
	struct ct_dir *d;
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
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
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
		if (tcp->bytes_received + tcp->bytes_acked > CT_TLS_LATE_BYTES)
			st->dir[0].at = st->dir[1].at = CT_AT_DONE;
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
		/* Something before it is missing. It comes again; this packet, which is kept by the socket, does not. */
		d->state |= CT_TLS_GAP;
		return CT_PASS;
	}
	if ((__s32)(offset + packet.len - d->next) <= 0)
		return CT_PASS; /* a retransmission */
	follow(skb, sk, st, d, &packet, d->next - offset);
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
