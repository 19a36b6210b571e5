/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Looking for the beginning of TLS in the packets of a socket, and the programs that see them.
 */
#ifndef CRYPTO_TRACE_TLS_LOOK_H
#define CRYPTO_TRACE_TLS_LOOK_H

/* What a hello begins with, as far as the bytes go. */
enum ct_tls_begins {
	CT_BEGINS_NOT = 0,
	CT_BEGINS = 1,
	CT_BEGINS_MAYBE = 2, /* it does as far as they go, which is not far enough */
};

#define CT_TLS_HEAD_AND_TYPE 6
#define CT_TLS_SHORT_RECORD 6 /* bytes; of shorter ones it takes several to tell */
#define CT_SPLIT_BYTES 36     /* six records of one byte */

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

/* The first bytes of a message that goes over short TLS records. Kept in scratch, where the verifier does not follow it. */
struct ct_split {
	__u32 at;
	__u32 end;
	__u32 left;  /* bytes of the record still to come */
	__u32 head;  /* bytes of its head that were read */
	__u32 bytes; /* of the message */
	__u32 len;
	__u32 is; /* not one of another kind */
};

/* One byte: each must be what it is in a hello. */
static long step_split(__u32 i, void *ctx)
{
	struct ct_scratch *s = *(struct ct_scratch **)ctx;
	struct ct_split *split = (struct ct_split *)s->user;
	__u32 at = split->at;
	__u8 byte;

	asm volatile("" : "+r"(at));
	if (at >= split->end || at > CT_TLS_SCAN + CT_SPLIT_BYTES || !split->is || split->bytes == 6)
		return 1;
	byte = s->record[at];
	split->at = at + 1;
	if (split->left) {
		split->left--;
		if (split->bytes == 1)
			split->is = byte <= 1;
		else if (split->bytes == 4)
			split->is = byte == 3 || byte == 0x7f;
		split->bytes++;
		return 0;
	}
	if (split->head == 0)
		split->is = byte == CT_TLS_HANDSHAKE;
	else if (split->head == 1)
		split->is = byte == 3;
	split->len = split->len << 8 | byte;
	if (++split->head == CT_TLS_HEAD) {
		split->head = 0;
		split->left = split->len & 0xffff;
		split->is = split->is && split->left;
	}
	return 0;
}

/*
 * Whether a hello goes over short records from `at` on; where the bytes end before that is certain, it is one at the beginning
 * of a stream alone.
 */
static __always_inline int is_split_hello(struct ct_scratch *s, __u32 at, __u32 end, int at_beginning)
{
	struct ct_split *split = (struct ct_split *)s->user;

	__builtin_memset(split, 0, sizeof(*split));
	split->at = at;
	split->end = end;
	split->is = 1;
	bpf_loop(CT_SPLIT_BYTES, step_split, &s, 0);
	return split->is && (split->bytes == 6 || at_beginning);
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
		if (hello_begins(first, sizeof(first)) == CT_BEGINS && (first[3] || first[4] >= CT_TLS_SHORT_RECORD)) {
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
		if (scan.begins == CT_BEGINS && first[5] != CT_TLS_NO_HELLO) {
			__u32 from = scan.found;

			asm volatile("" : "+r"(from));
			if (from > CT_TLS_SCAN + CT_SCAN_STEP ||
			    (!scan.s->record[from + 3] && scan.s->record[from + 4] < CT_TLS_SHORT_RECORD &&
			     !is_split_hello(scan.s, from, scan.end, !from && d->next == scan.end)))
				scan.begins = CT_BEGINS_NOT;
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
			st->dir[0].state = st->dir[1].state = CT_HELLO_LATE;
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
			d->state |= CT_HELLO_GAP;
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
