/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Where processes get random bytes from the kernel: getrandom(2), and opens of /dev/urandom and /dev/random. Nearly every
 * process does, many without end, so it is counted here, per process, and never reaches the ring.
 *
 * Counts only grow. User space reads them once a second, makes api_call records of what was added, and removes the entries
 * of processes that ended: a count that is added while it reads is in the next reading.
 *
 * The devices are counted by their opens: reads of them are reads like any other, and could be distinguished only by examining every
 * read's file. Not seen: random bytes of the vDSO (Linux 6.11 with glibc 2.41), which are made without a system call.
 */
#ifndef CRYPTO_TRACE_RANDOM_H
#define CRYPTO_TRACE_RANDOM_H

/* The kernel's crypto is wanted: these counts, and what kernel_crypto.h records. */
const volatile __u8 record_kernel_crypto = 0;

/* drivers/char/mem.c, Documentation/admin-guide/devices.txt: kernel-internal device numbers, MAJOR << 20 | MINOR */
#define CT_DEV_RANDOM (1 << 20 | 8)
#define CT_DEV_URANDOM (1 << 20 | 9)

/* Added to from the end on, and read from the beginning: who reads a call's count finds its bytes too. */
struct ct_random {
	__u64 ended_ns; /* of the process; 0: it goes on. Nothing is counted after it */
	__u64 counts[CT_RANDOM_SOURCES];
	__u64 bytes; /* that getrandom(2) gave */
	__u32 uid;
	__u32 gid;
	char comm[16]; /* of the thread-group leader */
	__s32 error;   /* of the last getrandom(2) that failed */
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_process_key);
	__type(value, struct ct_random);
} random_counts SEC(".maps");

/* Tells user space the layout of the map's values; and is one, before anything is counted. */
const volatile struct ct_random random_layout = {};

/* One more call, or open, of the current process. Some call it without end, so its pointers are typed ones: see current.h. */
__noinline int count_random(__u32 source, __u64 bytes, __s32 error)
{
	struct task_struct *task = current_task();
	struct task_struct *leader = GET(task, group_leader);
	const struct cred *cred = GET(task, real_cred);
	struct ct_process_key key = {};
	struct ct_random *r;
	__u64 comm[2];

	if (source >= CT_RANDOM_SOURCES || !process_wanted())
		return 0;
	key.tgid = GET(task, tgid);
	key.start_ns = GET(leader, start_boottime);
	r = bpf_map_lookup_elem(&random_counts, &key);
	if (!r) {
		/* Zeros. Another thread may be first; either way it is there now, or there is no room. */
		bpf_map_update_elem(&random_counts, &key, (void *)&random_layout, BPF_NOEXIST);
		r = bpf_map_lookup_elem(&random_counts, &key);
		if (!r) {
			count(CT_COUNTER_USES_FULL);
			return 0;
		}
	}
	read_comm(comm, leader);
	/* Written only when changed, so that a reader hardly ever finds half of one. */
	if (((__u64 *)r->comm)[0] != comm[0] || ((__u64 *)r->comm)[1] != comm[1])
		__builtin_memcpy(r->comm, comm, sizeof(comm));
	r->uid = GET(cred, uid.val);
	r->gid = GET(cred, gid.val);
	if (error)
		r->error = error;
	__sync_fetch_and_add(&r->bytes, bytes);
	/* Bounded above, which the compiler may have checked on a copy. */
	asm volatile("" : "+r"(source));
	__sync_fetch_and_add(&r->counts[source & (CT_RANDOM_SOURCES - 1)], 1);
	return 0;
}

/*
 * Which of the devices an opened file of this name is, which is as long as `random` or `urandom`; CT_RANDOM_SOURCES: none. Counting
 * is the caller's: one call less of those that share a stack.
 */
__noinline int random_device(__u64 file, __u64 name, __u32 len)
{
	__u32 device;
	__u16 tail;

	if (bpf_probe_read_kernel(&tail, 2, (void *)(name + len - 2)) || tail != ('o' | 'm' << 8))
		return CT_RANDOM_SOURCES;
	device = READ((struct file *)file, f_inode, i_rdev);
	if (device == CT_DEV_URANDOM)
		return CT_RANDOM_DEV_URANDOM;
	return device == CT_DEV_RANDOM ? CT_RANDOM_DEV_RANDOM : CT_RANDOM_SOURCES;
}

/* The process of this key has ended: what was counted is all. */
static __always_inline void random_ended(struct ct_process_key *key)
{
	struct ct_random *r;

	if (!record_kernel_crypto)
		return;
	r = bpf_map_lookup_elem(&random_counts, key);
	if (r)
		r->ended_ns = bpf_ktime_get_boot_ns();
}

#endif
