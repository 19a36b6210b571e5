/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Putting a record together in scratch and handing it to a ring.
 */
#ifndef CRYPTO_TRACE_RECORD_H
#define CRYPTO_TRACE_RECORD_H

/* Fills the header for `task`, which is the current one or, for a fork, the child. */
static __always_inline void header_init(struct ct_header *h, struct task_struct *task, __u16 kind, __u16 fixed_len)
{
	const struct cred *cred = READ(task, real_cred);

	h->kind = kind;
	h->fixed_len = fixed_len;
	h->time_ns = bpf_ktime_get_boot_ns();
	h->cpu = (__u16)bpf_get_smp_processor_id();
	h->flags = 0;
	h->tid = GET(task, pid);
	h->tgid = GET(task, tgid);
	h->uid = READ(cred, uid.val);
	h->gid = READ(cred, gid.val);
	h->start_ns = READ(task, group_leader, start_boottime);
	h->reserved = 0;
	read_comm((__u64 *)h->comm, task);
}

/* Appends `len` bytes of kernel memory; returns how many were. Clang must not see through the mask. */
static __always_inline __u32 append(struct ct_scratch *s, __u32 *pos, const void *from, __u32 len)
{
	__u32 at = *pos;

	if (len > CT_PATH_MAX)
		len = CT_PATH_MAX;
	asm volatile("" : "+r"(at), "+r"(len));
	if (at > CT_RECORD_MASK || !in_range(len, 1, CT_PATH_MAX))
		return 0;
	if (bpf_probe_read_kernel(&s->record[at], len, from))
		return 0;
	*pos = at + len;
	return len;
}

/* Outputs a record of `len` bytes, of at most `max`, and counts it. `urgent`: the reader is to act on it. */
static __always_inline void output(void *ring, __u32 wakeup_bytes, const __u8 *record, __u32 len, __u32 max, int urgent)
{
	const struct ct_header *h = (const struct ct_header *)record;
	struct ct_counter_row *c = counter(h->kind);
	__u64 wakeup = BPF_RB_NO_WAKEUP;
	__u64 fill, after, step;

	if (!c)
		return;
	/*
	 * Crossing the mark wakes the reader; below it the reader comes by itself. Two producers that look at the same
	 * time may both miss a crossing, so every further sixteenth of the mark wakes as well.
	 */
	step = wakeup_bytes >> 4;
	fill = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);
	after = fill + len + 8;
	if (urgent || (after >= wakeup_bytes && step && fill / step != after / step))
		wakeup = BPF_RB_FORCE_WAKEUP;
	__sync_fetch_and_add(&c->produced, 1);
	asm volatile("" : "+r"(len));
	if (len > max)
		return;
	if (bpf_ringbuf_output(ring, (void *)record, len, wakeup)) {
		__sync_fetch_and_add(&c->lost, 1);
		c->last_lost_ns = h->time_ns;
	}
}

/* The same of an event, unless it is one too many of its process or user. */
static __always_inline void output_event(const __u8 *record, __u32 len, __u32 max, int urgent)
{
	const struct ct_header *h = (const struct ct_header *)record;

	if (!over_budget((__u64)len << 32 | h->kind, h->tgid, h->uid, h->start_ns))
		output(&events_ring, cfg.events_wakeup_bytes, record, len, max, urgent);
}

/* Pads to 8 bytes and writes the length, which is returned. */
static __always_inline __u32 finish(struct ct_scratch *s, __u32 pos)
{
	struct ct_header *h = (struct ct_header *)s->record;

	asm volatile("" : "+r"(pos));
	if (pos > CT_RECORD_MASK)
		pos = CT_RECORD_MASK & ~7;
	*(__u64 *)&s->record[pos] = 0;
	pos = (pos + 7) & ~7;
	h->len = pos;
	return pos;
}

static __always_inline void emit_lifecycle(struct ct_scratch *s, __u32 pos)
{
	pos = finish(s, pos);
	output(&lifecycle_ring, cfg.lifecycle_wakeup_bytes, s->record, pos, CT_RECORD_MASK + 8, 0);
}

/* Hands over the event in a slot of scratch, of `pos` bytes. A global function: verified once, not for each kind of event. */
__noinline int emit(__u32 slot, __u32 pos, int urgent)
{
	struct ct_scratch *s = scratch_of(slot);

	if (s)
		output_event(s->record, finish(s, pos), CT_RECORD_MASK + 8, urgent);
	return 0;
}

static __always_inline void emit_event(__u32 slot, __u32 pos)
{
	emit(slot, pos, 0);
}

/* One that the reader is to act on. */
static __always_inline void emit_urgent(__u32 slot, __u32 pos)
{
	emit(slot, pos, 1);
}

#endif
