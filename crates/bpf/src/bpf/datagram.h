/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Datagrams that open a handshake: QUIC's Initial and Retry packets, DTLS before it is encrypted, the first exchange of IKEv2,
 * WireGuard's messages before data.
 *
 * Each datagram tells by itself what it is, so that no state is kept of those that are none of these, nor of what follows a
 * handshake. They are copied whole, up to a bound of each flow; the packets of a flow are numbered, because nothing in them is a
 * place in a stream. One packet here may hold many datagrams of one size (GSO, GRO).
 *
 * QUIC: RFC 9000 section 17.2, RFC 9369 section 3.2; DTLS: RFC 6347 section 4.1, RFC 9147 section 4; IKEv2: RFC 7296 section 3.1,
 * RFC 3948 section 2.2 (port 4500); WireGuard: "WireGuard: Next Generation Kernel Network Tunnel", section 5.4.
 */
#ifndef CRYPTO_TRACE_DATAGRAM_H
#define CRYPTO_TRACE_DATAGRAM_H

#define CT_PASS 1

#define CT_UDP_HEAD 8
#define CT_DATAGRAM_HEAD 32  /* bytes that tell what it is */
#define CT_FLOW_DATAGRAMS 24 /* copied of one flow in one direction, */
#define CT_FLOW_BYTES 24576  /* and their bytes, */
#define CT_FLOW_NS 10000000000ULL /* in this time; then it may have as many again */
#define CT_SEGMENTS 64	     /* datagrams of one packet */
#define CT_NEW_FLOWS 512     /* of one socket, in a second: more is a flood */
#define CT_DATAGRAM_PROTOCOLS \
	(1 << CT_PROTOCOL_QUIC | 1 << CT_PROTOCOL_DTLS | 1 << CT_PROTOCOL_IKE | 1 << CT_PROTOCOL_WIREGUARD)
#define CT_SOCK_COMMON 64    /* bytes of struct sock_common in which its network namespace is */

#define CT_QUIC_VERSION_1 0x00000001 /* RFC 9000 section 15 */
#define CT_QUIC_VERSION_2 0x6b3343cf /* RFC 9369 section 3.1 */
#define CT_QUIC_LONG 0x80	     /* header form */
#define CT_QUIC_TYPE 0x30	     /* of a packet with a long header */

#define CT_IKE_PORT 500
#define CT_IKE_NAT_PORT 4500
#define CT_IKE_HEAD 28
#define CT_IKE_SA_INIT 34
#define CT_IKE_INTERMEDIATE 43 /* RFC 9242: encrypted, its head is copied alone */

/* WireGuard: how long each message is, and what is copied of it: its type and the indexes of its senders, which are random. */
#define CT_WIREGUARD_INITIATION 1
#define CT_WIREGUARD_INITIATION_LEN 148
#define CT_WIREGUARD_RESPONSE 2
#define CT_WIREGUARD_RESPONSE_LEN 92
#define CT_WIREGUARD_COOKIE_REPLY 3
#define CT_WIREGUARD_COOKIE_REPLY_LEN 64
#define CT_WIREGUARD_ONE_INDEX 8
#define CT_WIREGUARD_BOTH_INDEXES 12

/* Datagrams between a socket and one other end. */
struct ct_flow_key {
	__u64 cookie;
	__u64 remote_addr[2];
	__u16 remote_port;
	__u16 protocol;
	__u32 reserved;
};

/* What was copied of them; by direction. */
struct ct_flow {
	__u64 since_ns;
	__u32 next[2];	/* number of the next datagram */
	__u32 bytes[2]; /* since then */
	__u32 count[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ct_flow_key);
	__type(value, struct ct_flow);
} flows SEC(".maps");

/* The packet that is looked at. */
struct ct_datagrams {
	struct __sk_buff *skb;
	struct ct_socket *st;
	struct ct_packet packet;
	__u32 at;      /* of the next datagram */
	__u32 end;     /* of the last */
	__u32 segment; /* length of each, but for the last */
};

static __always_inline __u32 number_at(const __u8 *at)
{
	return (__u32)at[0] << 24 | (__u32)at[1] << 16 | (__u32)at[2] << 8 | at[3];
}

static __always_inline int is_port(__u16 port, __u16 source_port, __u16 dest_port)
{
	return source_port == port || dest_port == port;
}

/* Whether four zeros come first, which only IKE has where ESP may come as well (RFC 3948 section 2.2). */
static __always_inline int has_ike_marker(const __u8 *b, __u16 source_port, __u16 dest_port)
{
	return is_port(CT_IKE_NAT_PORT, source_port, dest_port) && !number_at(b);
}

/* Whether this is a version of QUIC that is known; 0 is in the packet that negotiates one. */
static __always_inline int is_quic_version(__u32 version)
{
	return version == CT_QUIC_VERSION_1 || version == CT_QUIC_VERSION_2 || !version;
}

/* Whether this is the type of a message of WireGuard that comes before data, and the zeros after it. */
static __always_inline int is_wireguard(const __u8 *b)
{
	return b[0] >= CT_WIREGUARD_INITIATION && b[0] <= CT_WIREGUARD_COOKIE_REPLY && !b[1] && !b[2] && !b[3];
}

/* Whether a datagram may open a handshake; most are told apart by their first five bytes, which are at `b`. */
static __always_inline int may_open(const __u8 *b, __u16 source_port, __u16 dest_port)
{
	/* Before the others: it begins with the initiator's SPI, which is any eight bytes. */
	if (cfg.wire & 1 << CT_PROTOCOL_IKE &&
	    (is_port(CT_IKE_PORT, source_port, dest_port) || has_ike_marker(b, source_port, dest_port)))
		return 1;
	if (b[0] & CT_QUIC_LONG)
		return cfg.wire & 1 << CT_PROTOCOL_QUIC && is_quic_version(number_at(&b[1]));
	if (is_wireguard(b))
		return cfg.wire & 1 << CT_PROTOCOL_WIREGUARD;
	return b[0] >= CT_TLS_CCS && b[0] <= CT_TLS_HANDSHAKE && b[1] == 0xfe && cfg.wire & 1 << CT_PROTOCOL_DTLS;
}

/*
 * What is known of one datagram that opens something, as one number, for a global function takes five and returns one: its protocol,
 * whether it begins a flow, and how many bytes of it are copied. 0: it opens nothing.
 */
#define CT_OPENS(protocol, begins, len) ((__u64)(protocol) << 40 | (__u64)!!(begins) << 32 | (len))

/* A datagram, as far as it tells what it is. */
struct ct_opening {
	__u8 head[CT_DATAGRAM_HEAD]; /* its first bytes, but for the marker */
	__u32 len;
	__u32 marker; /* bytes before them: see has_ike_marker() */
	__u16 source_port;
	__u16 dest_port;
};

/* The same of a message of WireGuard. Only an initiation begins a flow: others are too little like it alone. */
static __always_inline __u64 opens_wireguard(__u8 type, __u32 len)
{
	if (!(cfg.wire & 1 << CT_PROTOCOL_WIREGUARD))
		return 0;
	if (type == CT_WIREGUARD_INITIATION && len == CT_WIREGUARD_INITIATION_LEN)
		return CT_OPENS(CT_PROTOCOL_WIREGUARD, 1, CT_WIREGUARD_ONE_INDEX);
	if (type == CT_WIREGUARD_RESPONSE && len == CT_WIREGUARD_RESPONSE_LEN)
		return CT_OPENS(CT_PROTOCOL_WIREGUARD, 0, CT_WIREGUARD_BOTH_INDEXES);
	if (type == CT_WIREGUARD_COOKIE_REPLY && len == CT_WIREGUARD_COOKIE_REPLY_LEN)
		return CT_OPENS(CT_PROTOCOL_WIREGUARD, 0, CT_WIREGUARD_ONE_INDEX);
	return 0;
}

/* What a datagram opens, as CT_OPENS tells it. A global function: verified once. */
__noinline __u64 opens(const struct ct_opening *o)
{
	__u32 version, type;
	const __u8 *b;

	if (!o)
		return 0;
	b = o->head;
	if (cfg.wire & 1 << CT_PROTOCOL_IKE &&
	    (is_port(CT_IKE_PORT, o->source_port, o->dest_port) || is_port(CT_IKE_NAT_PORT, o->source_port, o->dest_port)) &&
	    o->len >= o->marker + CT_IKE_HEAD && b[17] >> 4 == 2 && number_at(&b[24]) == o->len - o->marker) {
		if (b[18] == CT_IKE_SA_INIT)
			return CT_OPENS(CT_PROTOCOL_IKE, 1, o->len);
		if (b[18] == CT_IKE_INTERMEDIATE)
			return CT_OPENS(CT_PROTOCOL_IKE, 1, o->marker + CT_IKE_HEAD);
	}
	if (o->marker)
		return 0;
	if (b[0] & CT_QUIC_LONG) {
		if (!(cfg.wire & 1 << CT_PROTOCOL_QUIC))
			return 0;
		version = number_at(&b[1]);
		type = b[0] & CT_QUIC_TYPE;
		/* Initial, and Retry. */
		if (version == CT_QUIC_VERSION_1)
			return type == 0x00 || type == 0x30 ? CT_OPENS(CT_PROTOCOL_QUIC, 1, o->len) : 0;
		if (version == CT_QUIC_VERSION_2)
			return type == 0x10 || type == 0x00 ? CT_OPENS(CT_PROTOCOL_QUIC, 1, o->len) : 0;
		/* Version negotiation; others have zeros there as well, so it counts only where a flow has begun. */
		return version ? 0 : CT_OPENS(CT_PROTOCOL_QUIC, 0, o->len);
	}
	if (is_wireguard(b))
		return opens_wireguard(b[0], o->len);
	/* Records of the first epoch. */
	if (b[0] >= CT_TLS_CCS && b[0] <= CT_TLS_HANDSHAKE && b[1] == 0xfe && (b[2] == 0xff || b[2] == 0xfd) && !b[3] && !b[4])
		return cfg.wire & 1 << CT_PROTOCOL_DTLS ? CT_OPENS(CT_PROTOCOL_DTLS, 1, o->len) : 0;
	return 0;
}

/* Whether this socket may begin one more flow; a flood of first packets from many addresses is not recorded whole. */
static __always_inline int flow_allowed(struct ct_socket *st, __u64 now)
{
	struct ct_datagrams_both *both = &st->of.datagrams;
	__u32 second = (__u32)(now >> 30);

	if (both->second != second) {
		both->second = second;
		both->flows = 0;
	}
	return both->flows++ < CT_NEW_FLOWS;
}

/* The flow of a datagram; NULL: nothing of it is copied. Like others here not inlined: its room on the stack is free again after it. */
static __noinline struct ct_flow *flow_of(struct ct_socket *st, const struct ct_packet *packet, __u64 cookie, __u64 what)
{
	struct ct_flow_key key = {};
	struct ct_flow *flow;
	__u64 now = bpf_ktime_get_boot_ns();
	int sent = packet->direction == CT_SENT;

	key.cookie = cookie;
	key.protocol = what >> 40;
	key.remote_port = sent ? packet->dest_port : packet->source_port;
	key.remote_addr[0] = sent ? packet->dest[0] : packet->source[0];
	key.remote_addr[1] = sent ? packet->dest[1] : packet->source[1];
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow) {
		struct ct_flow none = { .since_ns = now };

		if (!(what >> 32 & 1))
			return NULL;
		if (!flow_allowed(st, now)) {
			count_suppressed(what << 32 | CT_TLS_HELLO, st->tgid, st->uid, st->start_ns, CT_PROCESS_SHARE);
			return NULL;
		}
		bpf_map_update_elem(&flows, &key, &none, BPF_NOEXIST);
		flow = bpf_map_lookup_elem(&flows, &key);
		if (!flow) {
			count_lost(CT_TLS_HELLO);
			return NULL;
		}
	}
	if (now - flow->since_ns > CT_FLOW_NS) {
		flow->since_ns = now;
		flow->bytes[0] = flow->bytes[1] = 0;
		flow->count[0] = flow->count[1] = 0;
	}
	return flow;
}

/* Records one datagram, which begins at `at`: CT_OPENS tells `what` it is. A global function: verified once. */
__noinline int emit_datagram(struct __sk_buff *skb, struct ct_socket *st, const struct ct_packet *packet, __u32 at, __u64 what)
{
	__u32 pos = sizeof(struct ct_header) + sizeof(struct ct_tls_hello);
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct ct_tls_hello *hello;
	__u32 len = (__u32)what;
	struct ct_scratch *s;
	struct ct_flow *flow;
	__u32 slot = 0;
	__u32 side;

	if (!st || !packet || (!st->wanted && (st->owner || !any_process())))
		return 0;
	flow = flow_of(st, packet, cookie, what);
	if (!flow)
		return 0;
	side = packet->direction == CT_SENT;
	if (flow->count[side] >= CT_FLOW_DATAGRAMS || flow->bytes[side] + len > CT_FLOW_BYTES) {
		count_suppressed((__u64)len << 32 | CT_TLS_HELLO, st->tgid, st->uid, st->start_ns, CT_PROCESS_SHARE);
		return 0;
	}
	flow->count[side]++;
	flow->bytes[side] += len;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_TLS_HELLO);
		return 0;
	}
	hello = hello_init(s, st, packet);
	hello->cookie = cookie;
	hello->offset = flow->next[side]++ << 16;
	hello->net_ns = st->net_ns;
	hello->protocol = what >> 40;
	if (len > CT_HELLO_DATA_MAX) {
		hello->state |= CT_HELLO_CUT;
		len = CT_HELLO_DATA_MAX;
	}
	len = at_least_one(len, CT_HELLO_DATA_MAX);
	if (bpf_skb_load_bytes(skb, at, &s->record[pos], len)) {
		hello->state |= CT_HELLO_CUT;
		len = 0;
	}
	hello->data_len = (__u16)len;
	if (len < 8)
		*(__u64 *)&s->record[pos + (len & 7)] = 0;
	emit_event(slot, pos + len);
	scratch_give(s);
	return 1;
}

/* One datagram of a packet. */
static long step_datagram(__u32 i, void *ctx)
{
	struct ct_datagrams *w = ctx;
	struct ct_opening o = { .source_port = w->packet.source_port, .dest_port = w->packet.dest_port };
	__u64 what;
	__u32 n;

	if (w->at >= w->end)
		return 1;
	o.len = w->end - w->at;
	if (o.len > w->segment)
		o.len = w->segment;
	n = at_least_one(o.len > CT_DATAGRAM_HEAD ? CT_DATAGRAM_HEAD : o.len, CT_DATAGRAM_HEAD);
	if (bpf_skb_load_bytes(w->skb, w->at, o.head, n))
		return 1;
	if (has_ike_marker(o.head, o.source_port, o.dest_port) && o.len >= 4 + CT_IKE_HEAD) {
		o.marker = 4;
		if (bpf_skb_load_bytes(w->skb, w->at + 4, o.head, CT_IKE_HEAD))
			return 1;
	}
	what = opens(&o);
	if (what)
		emit_datagram(w->skb, w->st, &w->packet, w->at, what);
	w->at += o.len;
	return 0;
}

/* The inode number of the network namespace of a socket. */
static __noinline __u32 socket_net_ns(struct bpf_sock *sk)
{
	__u8 common[CT_SOCK_COMMON] = {};
	__u32 at = bpf_core_field_offset(struct sock_common, skc_net);
	struct net *net;

	/* The verifier knows no fields of a socket but its own, so that all of them are read. */
	if (at > sizeof(common) - sizeof(net) || bpf_probe_read_kernel(common, sizeof(common), sk))
		return 0;
	__builtin_memcpy(&net, &common[at], sizeof(net));
	return READ(net, ns.inum);
}

/* Fills `packet`; 0: not UDP. */
static __noinline int parse_datagram(struct __sk_buff *skb, struct ct_packet *packet)
{
	struct ct_ip ip;
	__u8 udp[CT_UDP_HEAD];
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return 0;
	at = parse_addresses(&ip, IPPROTO_UDP, packet);
	if (!at || bpf_skb_load_bytes(skb, at, udp, sizeof(udp)))
		return 0;
	packet->source_port = (__u16)(udp[0] << 8 | udp[1]);
	packet->dest_port = (__u16)(udp[2] << 8 | udp[3]);
	packet->data = at + CT_UDP_HEAD;
	return 1;
}

/* Who makes a socket for datagrams is who it is of, until somebody sends: known from then on which processes' are selected. */
SEC("cgroup/sock_create")
int datagram_socket(struct bpf_sock *sk)
{
	struct ct_socket *st;

	if (sk->type != SOCK_DGRAM)
		return CT_PASS;
	st = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (st)
		own(st, CT_OWNER_LISTENER);
	return CT_PASS;
}

/* A packet whose first datagram may open a handshake. */
static __noinline int take_datagrams(struct __sk_buff *skb, __u32 direction)
{
	struct ct_datagrams w = { .skb = skb };
	struct bpf_sock *sk = skb->sk;
	__u8 first[8];

	/* Where none of it is looked for, none of it has to be verified. */
	if (!(cfg.wire & CT_DATAGRAM_PROTOCOLS) || !sk)
		return CT_PASS;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != IPPROTO_UDP)
		return CT_PASS;
	w.packet.direction = direction;
	if (!parse_datagram(skb, &w.packet) || bpf_skb_load_bytes(skb, w.packet.data, first, 5) ||
	    !may_open(first, w.packet.source_port, w.packet.dest_port))
		return CT_PASS;
	w.at = w.packet.data;
	w.end = skb->len;
	w.segment = skb->gso_size;
	if (!w.segment)
		w.segment = w.end;
	w.st = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!w.st) {
		count_lost(CT_TLS_HELLO);
		return CT_PASS;
	}
	w.st->net_ns = socket_net_ns(sk);
	/* A datagram leaves in the context of who sends it. */
	if (direction == CT_SENT)
		own(w.st, CT_OWNER_SENDER);
	bpf_loop(CT_SEGMENTS, step_datagram, &w, 0);
	/* What it receives next is for the same process, as far as is known. */
	if (w.st->owner == CT_OWNER_SENDER)
		w.st->owner = CT_OWNER_EARLIER;
	return CT_PASS;
}

/* What a packet is, by its first bytes. */
enum ct_packet_is {
	CT_IS_NOTHING = 0, /* too short for any */
	CT_IS_STREAM,	   /* or cannot be told yet */
	CT_IS_DATAGRAM,	   /* which opens nothing */
	CT_IS_OPENING,	   /* or may be */
};

static __always_inline enum ct_packet_is classify(struct __sk_buff *skb)
{
	const __u8 *ip = (const __u8 *)(long)skb->data;
	const __u8 *end = (const __u8 *)(long)skb->data_end;
	const __u8 *udp;
	__u32 at;

	if (skb->len < 40)
		return CT_IS_NOTHING;
	/* What follows the headers may lie elsewhere: of several datagrams in one packet it does. */
	if (ip + 20 > end)
		return CT_IS_STREAM;
	if (ip[0] >> 4 == 4) {
		if (ip[9] != IPPROTO_UDP)
			return CT_IS_STREAM;
		at = (ip[0] & 0xf) * 4;
	} else {
		if (ip[6] != IPPROTO_UDP)
			return CT_IS_STREAM;
		at = 40;
	}
	udp = ip + at;
	if (udp + CT_UDP_HEAD + 5 > end)
		return skb->len < at + CT_UDP_HEAD + 5 ? CT_IS_NOTHING : CT_IS_OPENING;
	return may_open(&udp[CT_UDP_HEAD], (__u16)(udp[0] << 8 | udp[1]), (__u16)(udp[2] << 8 | udp[3])) ? CT_IS_OPENING :
													   CT_IS_DATAGRAM;
}

#endif
