/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Following a connection's byte stream through its packets, from the first hello on, and the programs that see them.
 *
 * A cgroup_skb program per direction looks at the packets of a socket's beginning; a hello need not be the first thing in them
 * (STARTTLS). A connection whose beginning is over costs one look at it per packet. What is a datagram goes to datagram.h. Packets
 * are only looked at: every program returns "pass".
 */
#ifndef CRYPTO_TRACE_STREAM_H
#define CRYPTO_TRACE_STREAM_H

#define CT_STEPS 2048	     /* elements followed in one packet: a hello of 500 bytes in TLS records of one byte takes 1,000 */
#define CT_FLUSH_STEPS 8     /* of these, kept for what is to go out */
#define CT_LOOK_PACKETS 1024 /* packets with data, per direction, in which a hello may begin (STARTTLS) */
#define CT_LOOK_BYTES 65536  /* bytes, per direction, in which it may */

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

/* One step: the stream is followed; what was copied goes out when something else comes between, and at the end. */
static long step_stream(__u32 i, void *ctx)
{
	struct ct_stream *w = ctx;
	struct ct_dir *d = w->d;

	if (!d->kept && !d->news && d->out_from >= d->out_to) {
		if (d->done) {
			if (d->from >= d->to)
				return 1;
			d->out_from = d->from;
			d->out_to = d->to;
			d->from = d->to;
		} else {
			if (i >= CT_STEPS - CT_FLUSH_STEPS) {
				/* More small records in one packet than any handshake is made of. */
				d->state |= CT_HELLO_CUT;
				d->at = CT_AT_DONE;
			} else {
				judge(w);
			}
			d->done = d->at == CT_AT_DONE || d->p >= d->end;
		}
	}
	if (d->kept || d->news || d->out_from < d->out_to)
		emit_hello(w);
	return 0;
}

/*
 * Follows the stream through one packet, of which `skipped` bytes are known already. A global function: verified once, whoever calls it.
 */
__noinline int follow(struct __sk_buff *skb, struct ct_socket *st, const struct ct_packet *packet, struct ct_parked *parked,
		      __u32 skipped)
{
	struct ct_stream w = { .skb = skb, .st = st, .packet = packet, .parked = parked };
	struct ct_dir *d;
	__u32 p;

	if (!st || !packet)
		return 0;
	w.d = d = dir_of(st, packet->direction);
	p = packet->data + skipped;
	d->p = d->from = d->to = d->out_from = d->out_to = p;
	d->end = packet->data + packet->len;
	d->shift = d->next - p;
	new_packet(d);
	d->kept = 0;
	/* What comes after missing bytes is not followed; that they are missing is reported. */
	d->news = d->done = d->at == CT_AT_DONE;
	d->next += d->end - p;
	if (d->at == CT_AT_LOOK && !begins(&w)) {
		if (d->at == CT_AT_LOOK && (++d->packets >= CT_LOOK_PACKETS || d->next > CT_LOOK_BYTES))
			give_up(st, d);
		return 0;
	}
	bpf_loop(CT_STEPS, step_stream, &w, 0);
	return 0;
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
	waiting->waits = 0;
	if (!packet->len)
		return;
	waiting->waits = 1;
	waiting->count = 0;
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
	follow(skb, &waiting->st, packet, waiting, 0);
}

/*
 * A packet of a stream in which a hello may be; `st` is what is known of its socket, if anything is. Not inlined: what datagrams need of
 * the stack does not come on top of what this does, nor does all that most packets cost.
 */
static __noinline int look_at_stream(struct __sk_buff *skb, struct bpf_sock *sk, struct ct_socket *st, __u32 direction)
{
	struct ct_packet packet = {};
	struct ct_parked *waiting;
	struct bpf_tcp_sock *tcp;
	struct ct_dir *d;
	__u32 slot = 0;
	__u32 offset;

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
			st->dir[0].state = st->dir[1].state = CT_HELLO_LATE;
		if (tcp->bytes_received + tcp->bytes_acked > CT_LOOK_BYTES) {
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
			d->state |= CT_HELLO_GAP;
			d->at = CT_AT_DONE;
		}
		d->have = 0;
	}
	if ((__s32)(offset + packet.len - d->next) <= 0)
		return CT_PASS; /* a retransmission */
	follow(skb, st, &packet, NULL, d->next - offset);
	return CT_PASS;
}

static __always_inline int look_at(struct __sk_buff *skb, __u32 direction)
{
	struct bpf_sock *sk;
	struct ct_socket *st;

	switch (classify(skb)) {
	case CT_IS_STREAM:
		sk = skb->sk;
		if (!sk)
			return CT_PASS;
		/* All that most packets cost. */
		st = bpf_sk_storage_get(&sockets, sk, NULL, 0);
		if (st && st->dir[direction - 1].at == CT_AT_DONE)
			return CT_PASS;
		return look_at_stream(skb, sk, st, direction);
	case CT_IS_OPENING:
		return take_datagrams(skb, direction);
	default:
		return CT_PASS;
	}
}

/*
 * One program for both directions, so that it is verified once: what arrives comes from a device. The direction is calculated, not
 * chosen, so that the verifier follows one path for both.
 */
SEC("cgroup_skb/ingress")
int packets(struct __sk_buff *skb)
{
	__u64 arrived = (__u64)-(__s64)skb->ingress_ifindex >> 63;

	return look_at(skb, CT_SENT + (__u32)arrived);
}

#endif
