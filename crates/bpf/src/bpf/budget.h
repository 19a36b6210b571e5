/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fair share: how much of the events ring one process, and one user, may have. Who floods loses its own records, counted by who,
 * what, how many and when; what others do is recorded, and what was recorded before stays.
 *
 * Two measures. `lately`, bytes of the last half second or so, decides how full the ring may be for one more of theirs: what is
 * left is for those who write little. `level`, a leaky bucket, bounds what goes to the disk over a longer time.
 *
 * A user is a user id; root's processes are distinguished by their cgroup, so each container counts as a user of its own.
 */
#ifndef CRYPTO_TRACE_BUDGET_H
#define CRYPTO_TRACE_BUDGET_H

/* `lately` is halved each 2^28 ns, about a quarter of a second. */
#define CT_HALVING_SHIFT 28
/* Starts are compared by the clock tick of /proc, which is all that is known of some. */
#define CT_TICK_NS 10000000
/* New rows of the map of uses, which has 16,384: as many in half a minute or so. */
#define CT_ROWS_NS 32000000000ULL
#define CT_PROCESS_ROWS 1024
#define CT_USER_ROWS 4096
/* The bucket holds as many seconds of the rate. */
#define CT_BURST_SECONDS 16
#define CT_USER_IS_CGROUP (1ULL << 63)

struct ct_budget {
	__u64 start_tick; /* of the process, 1 for a user; 0: the row is new */
	__u64 halved_ns;
	__u64 lately;
	__u64 drained_ns;
	__u64 level;
	__u64 rows_since_ns;
	__u64 rows; /* of the map of uses, made since then */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ct_budget);
} process_budgets SEC(".maps");

/* Apart from the processes': one user's many processes do not push others out. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct ct_budget);
} user_budgets SEC(".maps");

/* By how many bits the rates are shifted down: user space sets it when the past is in danger. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} pressure SEC(".maps");

/* What was not recorded. Counts only grow; user space takes what was added, and removes what no longer grows. */
struct ct_suppressed_key {
	__u64 start_ns;
	__u32 tgid; /* 0: of some of the user's processes, of which there are too many */
	__u32 uid;
	__u16 kind;
	__u16 reason; /* CT_PROCESS_SHARE and its kin */
	__u32 reserved;
};

struct ct_suppressed_sum {
	__u64 count;
	__u64 bytes;
	__u64 first_ns;
	__u64 last_ns;
	__u32 gid;
	__u32 reserved;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_suppressed_key);
	__type(value, struct ct_suppressed_sum);
} suppressed SEC(".maps");

/* Initial value of a row; gives user space its layout as well. */
const volatile struct ct_suppressed_sum no_sum = {};
const volatile struct ct_budget no_budget = {};

static __always_inline struct ct_suppressed_sum *sum_of(const struct ct_suppressed_key *key)
{
	struct ct_suppressed_sum *sum = bpf_map_lookup_elem(&suppressed, key);

	if (sum)
		return sum;
	bpf_map_update_elem(&suppressed, key, (const void *)&no_sum, BPF_NOEXIST);
	return bpf_map_lookup_elem(&suppressed, key);
}

/* Counts a record of `what` (its kind, and in the upper half its length) that is not recorded. A global function: verified once. */
__noinline int count_suppressed(__u64 what, __u32 tgid, __u32 uid, __u64 start_ns, __u32 reason)
{
	struct ct_suppressed_key key = { .start_ns = start_ns, .tgid = tgid, .uid = uid, .kind = what, .reason = reason };
	struct ct_suppressed_sum *sum = sum_of(&key);
	struct task_struct *task = current_task();
	__u64 now = bpf_ktime_get_boot_ns();

	if (!sum) {
		key.start_ns = 0;
		key.tgid = 0;
		sum = sum_of(&key);
	}
	if (!sum) {
		count(CT_COUNTER_SUPPRESSED);
		return 0;
	}
	__sync_fetch_and_add(&sum->count, 1);
	__sync_fetch_and_add(&sum->bytes, what >> 32);
	if (!sum->first_ns) {
		sum->first_ns = now;
		if (key.tgid && GET(task, tgid) == key.tgid) {
			sum->gid = READ(task, real_cred, gid.val);
			read_comm((__u64 *)sum->comm, GET(task, group_leader));
		}
	}
	sum->last_ns = now;
	return 0;
}

/* The budget of a process or a user, new where there is none; NULL where there is no room for it. */
static __always_inline struct ct_budget *budget_of(void *map, const void *key)
{
	struct ct_budget *budget = bpf_map_lookup_elem(map, key);

	if (budget)
		return budget;
	bpf_map_update_elem(map, key, (const void *)&no_budget, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

/* The user of the current process. */
static __always_inline __u64 user_of(struct task_struct *task)
{
	__u32 uid = READ(task, real_cred, uid.val);

	return uid ? uid : READ(task, cgroups, dfl_cgrp, kn, id) | CT_USER_IS_CGROUP;
}

/* Brings a budget up to now. */
static __always_inline void budget_at(struct ct_budget *budget, __u64 now, __u64 start_tick, __u64 rate)
{
	__u64 halvings = (now - budget->halved_ns) >> CT_HALVING_SHIFT;
	__u64 us = (now - budget->drained_ns) / 1000;

	if (budget->start_tick != start_tick) {
		/* A new one, or its number is another process's now. */
		budget->start_tick = start_tick;
		budget->halved_ns = budget->drained_ns = now;
		budget->lately = budget->level = budget->rows = 0;
		return;
	}
	if (halvings) {
		budget->lately = halvings > 63 ? 0 : budget->lately >> halvings;
		budget->halved_ns += halvings << CT_HALVING_SHIFT;
	}
	if (us >= 1000) {
		__u64 drained = (us > 1 << 26 ? 1 << 26 : us) * rate / 1000000;

		budget->level = budget->level > drained ? budget->level - drained : 0;
		budget->drained_ns = now;
	}
}

/*
 * How full the ring may be for one more record of a process that wrote `lately` bytes; and for one of a user. A user may fill more of
 * it, and more still for a process that writes little: those that flood do not cost others of the same user their records.
 */
static __always_inline __u64 process_limit(__u64 lately, __u64 ring)
{
	if (lately > ring * 2)
		return ring / 2;
	return lately > ring / 4 ? ring / 4 * 3 : ring;
}

static __always_inline __u64 user_limit(__u64 lately, __u64 ring, int writes_little)
{
	if (lately > ring * 2)
		return ring / 8 * (writes_little ? 7 : 6);
	return lately > ring / 2 && !writes_little ? ring / 8 * 7 : ring;
}

/*
 * Whether a record (`what` as above) of this process is one too many: why, or 0. It is counted as suppressed then. A
 * global function: verified once, and its stack is given back.
 */
__noinline int over_budget(__u64 what, __u32 tgid, __u32 uid, __u64 start_ns)
{
	__u64 ring = cfg.events_ring_bytes, fill = 0, now = bpf_ktime_get_boot_ns();
	__u64 process_rate = cfg.process_rate, user_rate = cfg.user_rate;
	struct task_struct *task = current_task();
	struct ct_budget *process, *user;
	__u64 id = uid, len = what >> 32;
	__u32 zero = 0, *shift;
	__u64 user_burst;
	int writes_little;
	int reason = 0;

	if (!process_rate && !user_rate)
		return 0;
	if (!uid)
		id = GET(task, tgid) == tgid ? user_of(task) : CT_USER_IS_CGROUP;
	shift = bpf_map_lookup_elem(&pressure, &zero);
	if (shift) {
		process_rate >>= *shift & 31;
		user_rate >>= *shift & 31;
	}
	process = budget_of(&process_budgets, &tgid);
	user = budget_of(&user_budgets, &id);
	/* The maps make room for new ones by themselves; where they could not, nothing is withheld. */
	if (!process || !user)
		return 0;
	/* Never the 0 of a fresh row. */
	budget_at(process, now, start_ns / CT_TICK_NS + 1, process_rate);
	budget_at(user, now, 1, user_rate);
	user_burst = user_rate * CT_BURST_SECONDS;
	writes_little = process->lately < ring / 16 && (!user_rate || process->level < user_burst / 64);
	/* What is kept for those that write little; not without end, as one can be many. */
	if (writes_little)
		user_burst += user_burst / 2;
	if (process->lately > ring / 4 || user->lately > ring / 2)
		fill = bpf_ringbuf_query(&events_ring, BPF_RB_AVAIL_DATA) + len;
	if (fill > process_limit(process->lately, ring))
		reason = CT_PROCESS_SHARE;
	else if (fill > user_limit(user->lately, ring, writes_little))
		reason = CT_USER_SHARE;
	else if (cfg.process_rate && process->level + len > process_rate * CT_BURST_SECONDS)
		reason = CT_PROCESS_RATE;
	else if (cfg.user_rate && user->level + len > user_burst)
		reason = CT_USER_RATE;
	if (reason) {
		count_suppressed(what, tgid, uid, start_ns, reason);
		return reason;
	}
	__sync_fetch_and_add(&process->lately, len);
	__sync_fetch_and_add(&process->level, len);
	__sync_fetch_and_add(&user->lately, len);
	__sync_fetch_and_add(&user->level, len);
	return 0;
}

/* Whether one more row may be made: `rows` in about the time after which idle ones are removed. */
static __always_inline int row_allowed(struct ct_budget *budget, __u64 now, __u64 rows)
{
	if (!budget)
		return 1;
	if (now - budget->rows_since_ns > CT_ROWS_NS) {
		budget->rows_since_ns = now;
		budget->rows = 0;
	}
	if (budget->rows >= rows)
		return 0;
	__sync_fetch_and_add(&budget->rows, 1);
	return 1;
}

/* Whether the current process may have one more row in the map of uses, of which others want some too. A global function. */
__noinline int use_allowed(void)
{
	struct task_struct *task = current_task();
	__u64 start_tick = READ(task, group_leader, start_boottime) / CT_TICK_NS + 1;
	__u64 now = bpf_ktime_get_boot_ns();
	struct ct_budget *process, *user;
	__u32 tgid = GET(task, tgid);
	__u64 id = user_of(task);

	process = budget_of(&process_budgets, &tgid);
	user = budget_of(&user_budgets, &id);
	if (process && process->start_tick != start_tick)
		budget_at(process, now, start_tick, 0);
	return row_allowed(process, now, CT_PROCESS_ROWS) && row_allowed(user, now, CT_USER_ROWS);
}

/* Whether the current process writes so much that what can be short is to be short. */
static __always_inline int writes_much(struct task_struct *task)
{
	__u32 tgid = GET(task, tgid);
	struct ct_budget *budget = bpf_map_lookup_elem(&process_budgets, &tgid);

	return budget && (budget->lately > cfg.events_ring_bytes / 16 ||
			  (cfg.process_rate && budget->level > cfg.process_rate * CT_BURST_SECONDS / 4));
}

#endif
