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
	/* Of what goes out in one record. */
	__u32 part;  /* offset in the packet */
	__u32 len;
	__u32 first; /* of these bytes, how many earlier packets held: `head` has them */
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
	__u32 net_ns; /* inode number of its network namespace; 0: not known */
	__u8 side; /* CT_HELLO_CONNECTED or CT_HELLO_ACCEPTED, of its TCP connection; 0: not known */
	__u8 reserved[3];
	struct ct_dir dir[2];
};

/* Of one direction; masked, so that the verifier knows that it is one of both. */
static __always_inline struct ct_dir *dir_of(struct ct_socket *st, __u32 direction)
{
	return &st->dir[(direction - 1) & 1];
}

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
	__u64 source[2];
	__u64 dest[2];
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
static __always_inline int own(struct ct_socket *st, __u32 owner)
{
	struct task_struct *task = bpf_get_current_task_btf();

	if (!st || !READ(task, mm))
		return 0;
	st->start_ns = READ(task, group_leader, start_boottime);
	st->tgid = GET(task, tgid);
	st->tid = GET(task, pid);
	st->uid = READ(task, real_cred, uid.val);
	st->gid = READ(task, real_cred, gid.val);
	read_comm((__u64 *)st->comm, task);
	st->wanted = owner_wanted(task);
	st->owner = owner;
	st->start_is_tick = 0;
	return 1;
}

/*
 * The head of a packet. Its first byte tells which kind of IP it is; what differs between them is chosen by masks, so that the
 * verifier follows one path for both.
 */
struct ct_ip {
	__u64 words[5];
};

/* All ones for IPv4, else 0. */
static __always_inline __u64 is_v4_mask(const struct ct_ip *ip)
{
	__u64 mask = 0 - (((__u64)((__u8)ip->words[0] >> 4 ^ 4) - 1) >> 63);

	asm volatile("" : "+r"(mask));
	return mask;
}

/* Takes family and addresses from it; returns where what it holds begins, or 0: it is not of this protocol. */
static __always_inline __u32 parse_addresses(const struct ct_ip *ip, __u8 protocol, struct ct_packet *packet)
{
	__u64 v4 = is_v4_mask(ip), first = ip->words[0];
	const __u32 *half = (const __u32 *)ip->words;
	/* The protocol is byte 9 of IPv4 and byte 6 of IPv6, whose extension headers are not followed: they are not in use. */
	__u8 its = (__u8)((ip->words[1] >> 8 & v4) | (first >> 48 & ~v4));

	if (its != protocol)
		return 0;
	packet->family = (__u16)((AF_INET & v4) | (AF_INET6 & ~v4));
	packet->source[0] = (ip->words[1] & ~v4) | (half[3] & v4);
	packet->source[1] = ip->words[2] & ~v4;
	packet->dest[0] = (ip->words[3] & ~v4) | (half[4] & v4);
	packet->dest[1] = ip->words[4] & ~v4;
	return (__u32)(((first & 0xf) * 4 & v4) | (40 & ~v4));
}

/* Fills `packet`; 0: not TCP. `packet->len` is 0 where it has no data. Not inlined: its room on the stack is free again after it. */
static __noinline int parse_packet(struct __sk_buff *skb, struct ct_packet *packet)
{
	struct ct_ip ip;
	__u8 tcp[16];
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
		return 0;
	at = parse_addresses(&ip, IPPROTO_TCP, packet);
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
