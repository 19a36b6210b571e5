/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Sockets and packets: who owns a TCP connection, and where the data of a packet is. What the data means is the business of protocols.h.
 *
 * State is kept in socket storage. A listening socket's storage is cloned into the sockets accepted from it.
 */
#ifndef CRYPTO_TRACE_NET_H
#define CRYPTO_TRACE_NET_H

/* Where a direction's stream is; the numbers between are its protocol's. */
enum ct_at {
	CT_AT_LOOK = 0, /* no hello yet; `have` bytes of what may be its beginning are kept */
	CT_AT_DONE = 255,
};

/* What is known of a socket for datagrams: how many flows have begun lately. */
struct ct_datagrams_both {
	__u32 second; /* of about 1.07 s */
	__u32 flows;  /* that began in it */
};

/* What a protocol keeps of one direction of a stream, and of both. */
union ct_reading {
	struct ct_tls_dir tls;
	struct ct_ssh_dir ssh;
};

union ct_reading_both {
	struct ct_tls_both tls;
	struct ct_datagrams_both datagrams;
};

/* What is known of one direction of a connection's byte stream. */
struct ct_dir {
	__u32 base;    /* sequence number of stream offset 0 */
	__u32 next;    /* offset of the next byte */
	__u32 taken;   /* bytes copied */
	__u16 packets; /* with data, before a hello */
	__u8 at;       /* enum ct_at */
	__u8 seen;     /* base and next are known */
	__u8 protocol; /* CT_PROTOCOL_*, once a hello began */
	__u8 role;     /* which side of its protocol this is, as that numbers them; 0: not known */
	__u8 have;     /* bytes of `head` that are there */
	__u8 kept;     /* bytes of `head` from earlier packets that are to go out */
	__u8 state;    /* CT_HELLO_*, for the next record */
	__u8 done;     /* with this packet */
	__u8 news;     /* something is to be reported, without bytes */
	__u8 reserved;
	__u8 head[16];
	union ct_reading of;
	/* Of the packet that is followed now, offsets in it. Here, not on the stack, where the verifier would follow them. */
	__u32 p;    /* of the next byte */
	__u32 end;  /* of its data */
	__u32 from; /* what is to be copied */
	__u32 to;
	__u32 out_from; /* what goes out now */
	__u32 out_to;
	__u32 shift; /* packet offset + shift = stream offset */
};

struct ct_socket {
	__u64 start_ns;
	__u32 tgid;
	__u32 tid;
	__u32 uid;
	__u32 gid;
	char comm[16];
	__u8 owner;  /* CT_OWNER_* */
	__u8 wanted; /* that owner is selected */
	__u8 start_is_tick; /* start_ns is from /proc */
	__u8 seems_accepted; /* by the process that listens: records said so, and none said who sent */
	union ct_reading_both of;
	__u8 side; /* CT_HELLO_CONNECTED or CT_HELLO_ACCEPTED, of its TCP connection; 0: not known */
	__u8 reserved[3];
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
	__u32 seq; /* of the first byte of the payload */
	__u16 source_port;
	__u16 dest_port;
	__u16 family;
	__u16 direction;
	__u8 syn;
	__u8 reserved[3];
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

/* Takes family and addresses from a header of IP; returns where what it holds begins, or 0: it is not of this protocol. */
static __always_inline __u32 parse_addresses(const __u8 *ip, __u8 protocol, struct ct_packet *packet)
{
	if (ip[0] >> 4 == 4) {
		if (ip[9] != protocol)
			return 0;
		packet->family = AF_INET;
		__builtin_memcpy(packet->source, &ip[12], 4);
		__builtin_memcpy(packet->dest, &ip[16], 4);
		return (ip[0] & 0xf) * 4;
	}
	/* Extension headers are not followed: they are not in use. */
	if (ip[6] != protocol)
		return 0;
	packet->family = AF_INET6;
	__builtin_memcpy(packet->source, &ip[8], 16);
	__builtin_memcpy(packet->dest, &ip[24], 16);
	return 40;
}

/* Fills `packet`; 0: not TCP. `packet->len` is 0 where it has no data. */
static __always_inline int parse_packet(struct __sk_buff *skb, struct ct_packet *packet)
{
	__u8 ip[40], tcp[16];
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, ip, sizeof(ip)))
		return 0;
	at = parse_addresses(ip, IPPROTO_TCP, packet);
	if (!at || bpf_skb_load_bytes(skb, at, tcp, sizeof(tcp)))
		return 0;
	packet->syn = !!(tcp[13] & TCP_FLAG_SYN);
	packet->source_port = (__u16)(tcp[0] << 8 | tcp[1]);
	packet->dest_port = (__u16)(tcp[2] << 8 | tcp[3]);
	packet->seq = (__u32)tcp[4] << 24 | tcp[5] << 16 | tcp[6] << 8 | tcp[7];
	/* A SYN takes a number of its own, before its data (TCP Fast Open, RFC 7413). */
	packet->seq += packet->syn;
	packet->data = at + (tcp[12] >> 4) * 4;
	packet->len = skb->len > packet->data ? skb->len - packet->data : 0;
	return 1;
}

#endif
