/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * tls_hello: the plaintext beginning of a connection, from its packets, whatever library made them. What of a stream is copied says
 * its protocol; here it becomes records.
 */
#ifndef CRYPTO_TRACE_HELLO_H
#define CRYPTO_TRACE_HELLO_H

#define CT_HELLO_LIMIT 32768 /* bytes copied of one direction */

/* One packet, as its stream is followed. */
struct ct_stream {
	struct __sk_buff *skb;
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

/* No hello began in as much as is looked at. */
static __always_inline void give_up(struct ct_socket *st, struct ct_dir *d)
{
	d->at = CT_AT_DONE;
	if (!st->dir[0].role && !st->dir[1].role)
		st->dir[0].at = st->dir[1].at = CT_AT_DONE;
	count(CT_COUNTER_NO_HELLO);
}

/* Begins a record in scratch: whose socket it is, and between which ends the packet went. */
static __always_inline struct ct_tls_hello *hello_init(struct ct_scratch *s, const struct ct_socket *st, const struct ct_packet *packet)
{
	struct ct_header *h = (struct ct_header *)s->record;
	struct ct_tls_hello *hello = (struct ct_tls_hello *)(s->record + sizeof(*h));

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
	return hello;
}

/*
 * Takes the beginning of what goes out, as much of it as a record takes; the rest of it remains. Notes whose it is; 0: nobody's whose
 * hellos are recorded. Like the next one a global function: verified once, whatever was followed before.
 */
__noinline int take_part(struct __sk_buff *skb, struct ct_socket *st, __u32 direction)
{
	struct bpf_sock *sk = skb->sk;
	struct tcp_sock *tcp;
	struct ct_dir *d;
	__u32 len;

	if (!st || !sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	d = dir_of(st, direction);
	len = d->kept ? d->kept : d->out_to - d->out_from;
	d->part = d->out_from;
	d->first = d->kept;
	d->news = 0;
	if (len > CT_HELLO_DATA_MAX)
		len = CT_HELLO_DATA_MAX;
	if (d->taken + len > CT_HELLO_LIMIT) {
		len = CT_HELLO_LIMIT - d->taken;
		d->state |= CT_HELLO_CUT;
		d->at = CT_AT_DONE;
		d->done = 1;
		d->out_to = d->to = d->from = d->out_from = d->part + len;
	} else if (d->kept) {
		d->kept = 0;
	} else {
		d->out_from += len;
	}
	d->taken += len;
	d->len = len;
	if (st->owner == CT_OWNER_CONNECT)
		st->side = CT_HELLO_CONNECTED;
	else if (st->owner == CT_OWNER_LISTENER)
		st->side = CT_HELLO_ACCEPTED;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (tcp) {
		st->net_ns = READ(tcp, inet_conn.icsk_inet.sk.__sk_common.skc_net.net, ns.inum);
		/* Who holds the socket's lock while its packet leaves is who sends. */
		if (direction == CT_SENT && READ(tcp, inet_conn.icsk_inet.sk.sk_lock.owned))
			own(st, CT_OWNER_SENDER);
	}
	if (!st->wanted && (st->owner || !any_process())) {
		/*
		 * A process that is not selected accepted it from the socket of one that is, whose own what has arrived seemed to
		 * be: only that it was not is reported.
		 */
		if (st->owner != CT_OWNER_SENDER || !st->seems_accepted)
			return 0;
		st->seems_accepted = 0;
		d->state |= CT_HELLO_TAKEN;
		d->first = d->len = 0;
	}
	return 1;
}

/* Emits what was taken. */
__noinline int emit_part(struct __sk_buff *skb, struct ct_socket *st, const struct ct_packet *packet, struct ct_parked *parked)
{
	__u32 pos = sizeof(struct ct_header) + sizeof(struct ct_tls_hello);
	struct ct_tls_hello *hello;
	struct ct_scratch *s;
	struct ct_dir *d;
	__u32 slot = 0;
	__u32 len;

	if (!st || !packet)
		return 0;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_TLS_HELLO);
		return 0;
	}
	d = dir_of(st, packet->direction);
	hello = hello_init(s, st, packet);
	if (!parked)
		hello->cookie = bpf_get_socket_cookie(skb);
	if (cfg.library_calls && st->owner == CT_OWNER_SENDER && d->protocol == CT_PROTOCOL_TLS)
		note_hello(hello->cookie);
	hello->offset = d->part + d->shift - d->first;
	hello->net_ns = st->net_ns;
	hello->protocol = d->protocol;
	st->seems_accepted = st->owner == CT_OWNER_LISTENER;
	/* An earlier packet showed it; this one may have been sent by the kernel on the process's behalf. */
	if (st->owner == CT_OWNER_SENDER)
		st->owner = CT_OWNER_EARLIER;
	hello->state = d->state | st->side;
	len = d->len;
	asm volatile("" : "+r"(len));
	if (d->first) {
		__builtin_memcpy(&s->record[pos], d->head, 8);
		len &= 7;
	} else if (in_range(len, 1, CT_HELLO_DATA_MAX)) {
		if (bpf_skb_load_bytes(skb, d->part, &s->record[pos], len))
			hello->state |= CT_HELLO_CUT, len = 0;
	} else {
		/* Nothing but the news that something is missing. */
		len = 0;
	}
	hello->data_len = (__u16)len;
	if (len < 8)
		*(__u64 *)&s->record[pos + (len & 7)] = 0;
	if (parked)
		park(parked, s, pos + len);
	else
		emit_event(slot, pos + len);
	scratch_give(s);
	return 1;
}

static __always_inline void emit_hello(struct ct_stream *w)
{
	if (take_part(w->skb, w->st, w->packet->direction))
		emit_part(w->skb, w->st, w->packet, w->parked);
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

#endif
