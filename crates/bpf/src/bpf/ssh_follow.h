/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Looking for the beginning of SSH in the packets of a socket, and following a stream of it.
 */
#ifndef CRYPTO_TRACE_SSH_FOLLOW_H
#define CRYPTO_TRACE_SSH_FOLLOW_H

/* The opening line goes on, or begins, at d->p; as much of it as earlier packets held is in d->head. */
static __always_inline int ssh_begun(struct ct_dir *d)
{
	__builtin_memset(&d->of.ssh, 0, sizeof(d->of.ssh));
	d->of.ssh.line = d->kept;
	d->from = d->to = d->out_from = d->out_to = d->p;
	d->role = CT_SSH_SIDE;
	d->at = CT_AT_SSH_LINE;
	return 1;
}

struct ct_ssh_scan {
	struct ct_scratch *s;
	__u32 at;
	__u32 close; /* bytes that are looked at one by one, because the opening line begins behind one of them */
	__u32 end;
	__u32 found; /* where the opening line begins; 0: nowhere */
};

#define CT_SSH_SCAN_STEP 16

/* Not 0: the opening line begins behind one of these eight bytes. Each is looked at with the four that follow it. */
static __always_inline __u64 has_ssh_behind(const __u8 *b)
{
	__u64 differs = *(const __u64 *)b ^ CT_ONES * '\n';

	differs |= *(const __u64 *)(b + 1) ^ CT_ONES * 'S';
	differs |= *(const __u64 *)(b + 2) ^ CT_ONES * 'S';
	differs |= *(const __u64 *)(b + 3) ^ CT_ONES * 'H';
	differs |= *(const __u64 *)(b + 4) ^ CT_ONES * '-';
	return (differs - CT_ONES) & ~differs & CT_TOPS;
}

/* Steps over 16 bytes behind none of which the opening line begins, or over one of those where it does. */
static long step_ssh_scan(__u32 i, void *ctx)
{
	struct ct_ssh_scan *scan = ctx;
	__u32 at = scan->at;

	asm volatile("" : "+r"(at));
	if (at + 5 > scan->end || at > CT_SSH_SCAN)
		return 1;
	if (!scan->close) {
		if (has_ssh_behind(&scan->s->record[at]) | has_ssh_behind(&scan->s->record[at + 8]))
			scan->close = CT_SSH_SCAN_STEP;
		else
			scan->at = at + CT_SSH_SCAN_STEP;
		return 0;
	}
	scan->close--;
	scan->at = at + 1;
	if (scan->s->record[at] != '\n' || scan->s->record[at + 1] != 'S' || scan->s->record[at + 2] != 'S' ||
	    scan->s->record[at + 3] != 'H' || scan->s->record[at + 4] != '-')
		return 0;
	scan->found = at + 1;
	return 1;
}

/* Whether the opening line begins after other lines of this packet; then d->p is where. */
static __always_inline int ssh_begins_later(struct ct_stream *w, __u8 first)
{
	struct ct_dir *d = w->d;
	struct ct_ssh_scan scan = {};
	__u32 n = d->end - d->p;
	__u32 slot = 0;

	if (first < ' ' && first != '\r' && first != '\n' && first != '\t')
		return 0;
	scan.s = scratch_take(&slot);
	if (!scan.s)
		return 0;
	if (n > CT_SSH_SCAN)
		n = CT_SSH_SCAN;
	if (n && !bpf_skb_load_bytes(w->skb, d->p, scan.s->record, at_least_one(n, CT_SSH_SCAN))) {
		scan.end = n;
		bpf_loop(CT_SSH_SCAN / CT_SSH_SCAN_STEP + 2 * CT_SSH_SCAN_STEP, step_ssh_scan, &scan, 0);
	}
	scratch_give(scan.s);
	if (!scan.found)
		return 0;
	d->p += scan.found;
	return 1;
}

/*
 * Looks for the opening line in a packet; 1: it begins, at d->p. -1: the stream has ended in the middle of "SSH-", which is kept
 * in d->head. A line that is not the first one is believed only where the other side has said nothing, or has spoken SSH: what
 * answers a request in another protocol may hold anything.
 */
static __noinline int ssh_begins(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	const struct ct_dir *other = &w->st->dir[w->packet->direction == CT_SENT ? CT_RECEIVED - 1 : CT_SENT - 1];
	__u32 at = d->p + d->shift;
	__u32 have = d->have;
	__u32 n = d->end - d->p;
	__u8 head[8] = {};

	if (at >= CT_SSH_PRELUDE || have > 3 || (have && d->head[0] != 'S'))
		return 0;
	if (n > 4 - have)
		n = 4 - have;
	if (!n || bpf_skb_load_bytes(w->skb, d->p, head, at_least_one(n, 4)))
		return 0;
	if (have) {
		__u32 word = *(__u32 *)head << 8 * have;

		word |= *(__u32 *)d->head & ((1U << 8 * have) - 1);
		*(__u32 *)head = word;
	}
	n += have;
	if (n < 4 ? *(__u32 *)head == (CT_SSH_WORD & ((1U << 8 * n) - 1)) : *(__u32 *)head == CT_SSH_WORD) {
		if (at != have && other->next && other->protocol != CT_PROTOCOL_SSH)
			return 0;
		if (n < 4) {
			*(__u32 *)d->head = *(__u32 *)head;
			d->have = n;
			return -1;
		}
		d->kept = have;
		d->have = 0;
		return ssh_begun(d);
	}
	if (have || n < 4 || (other->next && other->protocol != CT_PROTOCOL_SSH))
		return 0;
	return ssh_begins_later(w, head[0]) ? ssh_begun(d) : 0;
}

/* Takes some bytes of the opening line: as far as it goes, and its end. */
static __always_inline void ssh_line(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	__u32 n = d->end - d->p;
	__u32 used, i;

	if (n > 15)
		n = 15;
	if (!n || bpf_skb_load_bytes(w->skb, d->p, d->head, at_least_one(n, sizeof(d->head)))) {
		d->at = CT_AT_DONE;
		return;
	}
	/* "SSH-2.0-", or "SSH-1.99-" of those that speak both. */
	if (!d->of.ssh.line && n >= 8)
		d->of.ssh.version_one = d->head[4] == '1' && d->head[6] != '9';
	used = n;
	for (i = 0; i < 15; i++) {
		if (i < n && d->head[i] == '\n') {
			used = i + 1;
			d->at = d->of.ssh.version_one ? CT_AT_DONE : CT_AT_SSH_HEAD;
			break;
		}
	}
	d->of.ssh.line += used;
	d->p += used;
	copy(d, used);
	if (d->at == CT_AT_SSH_LINE && d->of.ssh.line > CT_SSH_MAX_LINE) {
		d->state |= CT_HELLO_CUT;
		d->at = CT_AT_DONE;
	}
}

/* What of the packet is copied whose head is complete in d->head. */
static __always_inline void ssh_judge_packet(struct ct_dir *d)
{
	__u32 len = (__u32)d->head[0] << 24 | (__u32)d->head[1] << 16 | (__u32)d->head[2] << 8 | d->head[3];
	__u32 string = (__u32)d->head[6] << 24 | (__u32)d->head[7] << 16 | (__u32)d->head[8] << 8 | d->head[9];
	__u8 message = d->head[5];

	/* The padding takes at least four bytes, and all of it a multiple of eight. */
	if (len < 12 || len > CT_SSH_MAX_LEN || d->head[4] < 4 || d->head[4] >= len || !message ||
	    ++d->of.ssh.packets > CT_SSH_MAX_PACKETS) {
		d->at = CT_AT_DONE;
		return;
	}
	len -= CT_SSH_HEAD - 4;
	d->of.ssh.left = len;
	d->of.ssh.take = 0;
	if (message == CT_SSH_KEXINIT)
		d->of.ssh.take = len;
	else if (message == CT_SSH_KEX_REPLY || message == CT_SSH_KEX_GEX_REPLY)
		d->of.ssh.take = string > CT_SSH_MAX_STRING ? CT_SSH_MAX_STRING : string;
	if (d->of.ssh.take > len)
		d->of.ssh.take = len;
	d->at = message == CT_SSH_NEWKEYS ? CT_AT_DONE : CT_AT_SSH_BODY;
}

/* Takes the head of a packet as far as it is there. */
static __always_inline void ssh_head(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	__u32 have = d->have;
	__u32 n = d->end - d->p;

	/* More room than a head takes, so that masks are enough for the verifier. */
	if (have > CT_SSH_HEAD)
		have = CT_SSH_HEAD;
	if (n > CT_SSH_HEAD - have)
		n = CT_SSH_HEAD - have;
	asm volatile("" : "+r"(have));
	have &= 15;
	if (!n || bpf_skb_load_bytes(w->skb, d->p, &d->head[have], at_least_one(n, sizeof(d->head)))) {
		d->at = CT_AT_DONE;
		return;
	}
	d->p += n;
	d->have = have + n;
	/* Whatever it will turn out to be: the rest of it may come with the next packet. */
	copy(d, n);
	if (d->have < CT_SSH_HEAD)
		return;
	d->have = 0;
	ssh_judge_packet(d);
}

/* Moves on by what there is of a packet. */
static __always_inline void ssh_body(struct ct_stream *w)
{
	struct ct_dir *d = w->d;
	__u32 n = d->end - d->p;
	__u32 taken = d->of.ssh.take;

	if (n > d->of.ssh.left)
		n = d->of.ssh.left;
	if (taken) {
		if (n > taken)
			n = taken;
		d->of.ssh.take = taken - n;
	}
	d->of.ssh.left -= n;
	d->p += n;
	if (taken)
		copy(d, n);
	if (!d->of.ssh.left)
		d->at = CT_AT_SSH_HEAD;
}

/* One element of the stream. */
static __always_inline void ssh_judge(struct ct_stream *w)
{
	switch (w->d->at) {
	case CT_AT_SSH_LINE:
		ssh_line(w);
		break;
	case CT_AT_SSH_HEAD:
		ssh_head(w);
		break;
	default:
		ssh_body(w);
		break;
	}
}

#endif
