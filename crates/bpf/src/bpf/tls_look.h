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
#define CT_TLS_SHORT_RECORD 6 /* bytes; shorter ones need several to be recognised */
#define CT_SPLIT_BYTES 36     /* six records of one byte */

/* Byte of a word as it is in memory. */
static __always_inline __u8 byte_of(__u64 word, __u32 number)
{
	return (__u8)(word >> 8 * number);
}

/*
 * Whether a TLS record with a hello begins with these 16 bytes, of which `n` are there. A global function: verified once, and what it
 * found out on its way is not followed behind it.
 */
__noinline int hello_begins(__u64 head, __u64 more, __u32 n)
{
	__u32 len = (__u32)byte_of(head, 3) << 8 | byte_of(head, 4);

	if (byte_of(head, 0) != CT_TLS_HANDSHAKE || (n > 1 && byte_of(head, 1) != 3) || (n > 2 && byte_of(head, 2) > 4))
		return CT_BEGINS_NOT;
	if (n >= CT_TLS_HEAD && (!len || len > CT_TLS_MAX_LEN))
		return CT_BEGINS_NOT;
	if (n < CT_TLS_HEAD_AND_TYPE)
		return CT_BEGINS_MAYBE;
	if (byte_of(head, 5) != CT_TLS_CLIENT_HELLO && byte_of(head, 5) != CT_TLS_SERVER_HELLO)
		return CT_BEGINS_NOT;
	/* The message's length, and its version, which was 0x7f.. in drafts of TLS 1.3. */
	if (len > 1 && n > 6 && byte_of(head, 6) > 1)
		return CT_BEGINS_NOT;
	if (len > 6 && n > 10 && byte_of(more, 1) != 0x7f && (byte_of(more, 1) != 3 || byte_of(more, 2) > 4))
		return CT_BEGINS_NOT;
	return CT_BEGINS;
}

/* The same of bytes in memory, of which 16 can be read. */
static __always_inline int hello_begins_at(const __u8 *b, __u32 n)
{
	const __u64 *words = (const __u64 *)b;

	return b[0] == CT_TLS_HANDSHAKE ? hello_begins(words[0], words[1], n) : CT_BEGINS_NOT;
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
	begins = hello_begins_at(&s->record[at], scan->end - at);
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

/*
 * Looks for a hello in a packet; 1: one begins, at d->p. Where the packet ends in what may be the first bytes of one, they are
 * kept in d->head, and d->have says how many.
 */
static __noinline int tls_begins(struct ct_stream *w)
{
	struct ct_socket *st = w->st;
	struct ct_dir *d = w->d;
	__u32 have = d->have;
	__u32 n = d->end - d->p;
	struct ct_scan scan = {};
	__u8 first[16] __attribute__((aligned(8))) = {};
	__u32 slot = 0;
	int begins;

	if (have > CT_TLS_HEAD)
		have = 0;
	d->have = 0;
	if (!have && n >= sizeof(first) && !bpf_skb_load_bytes(w->skb, d->p, first, sizeof(first))) {
		if (hello_begins_at(first, sizeof(first)) == CT_BEGINS && (first[3] || first[4] >= CT_TLS_SHORT_RECORD)) {
			d->role = first[5];
			d->at = CT_AT_HEAD;
			return 1;
		}
		if (old_hello_begins(first)) {
			d->role = CT_TLS_CLIENT_HELLO;
			d->of.tls.hellos = 1;
			d->of.tls.take_other = 1;
			d->of.tls.left = ((__u32)(first[0] & 0x7f) << 8 | first[1]) + 2;
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
		begins = hello_begins_at(first, scan.end);
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

#endif
