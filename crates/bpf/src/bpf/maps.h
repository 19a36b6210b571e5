/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Maps, read-only configuration, and the per-CPU scratch in which a record is put together.
 */
#ifndef CRYPTO_TRACE_MAPS_H
#define CRYPTO_TRACE_MAPS_H

const volatile struct ct_config cfg = {};

/*
 * One bit per hash of the last eight bytes of a wanted name (filter.h). Rejects nearly every name that no table holds for the
 * price of one load.
 */
#define CT_TAILS (1 << (CT_TAIL_BITS - 3))

const volatile __u8 name_tails[CT_TAILS] = {};
const volatile __u8 dir_tails[CT_TAILS] = {};

/* How wanted names may begin, and which bits of that count; no bits: none is wanted by its beginning. */
const volatile __u64 name_head = 0;
const volatile __u64 name_head_mask = 0;

/* Backups and temporaries of wanted names are wanted. */
const volatile __u8 match_copies = 0;

/* Lifecycle records have a ring of their own, so that a storm of opens cannot cost the process tree. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} lifecycle_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} events_ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CT_COUNTERS);
	__type(key, __u32);
	__type(value, struct ct_counter_row);
} counters SEC(".maps");

/* Selected processes: CT_TARGET_SEED or CT_TARGET_DESCENDANT. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} targets SEC(".maps");

/*
 * Whether the executables of processes have a wanted name, as exe_wanted() in filter.h found. Entries of user space have no more
 * than `wanted`: of processes that were there before, and may end before they are judged.
 */
struct ct_image {
	__u64 start_ns;
	__u64 exe;  /* the file's address */
	__u64 name; /* its dentry's */
	__u64 wanted;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct ct_image);
} images SEC(".maps");

/* Initial value of an entry; gives user space its layout as well. */
const volatile struct ct_image no_image = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u8);
} uids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, CT_MAX_CGROUP_FILTERS);
	__type(key, __u32);
	__type(value, __u32);
} cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_name_key);
	__type(value, __u8);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_dir_key);
	__type(value, __u8);
} directories SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_lib_key);
	__type(value, __u8);
} libraries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_path_key);
	__type(value, __u8);
} prefixes SEC(".maps");

/* Processes whose exit was recorded, where two threads may both see themselves as the last. */
struct ct_process_key {
	__u32 tgid;
	__u32 reserved;
	__u64 start_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ct_process_key);
	__type(value, __u8);
} exited SEC(".maps");

/* What is probed, filled by user space before the probes are attached. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CT_MAX_FUNCTIONS);
	__type(key, __u32);
	__type(value, struct ct_function);
} functions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CT_MAX_LIBRARIES);
	__type(key, __u32);
	__type(value, struct ct_library);
} probed SEC(".maps");

/* Algorithms in use. Counts only grow; user space takes what was added since it last looked. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ct_use_key);
	__type(value, struct ct_use);
} uses SEC(".maps");

/* How often each probe on an algorithm was hit, by whomever. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CT_MAX_HITS);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

/* Libraries that user space has looked at. */
struct ct_file_key {
	__u64 dev;
	__u64 ino;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct ct_file_key);
	__type(value, __u8);
} known_files SEC(".maps");

static __always_inline int library_known(__u64 dev, __u64 ino)
{
	struct ct_file_key key = { .dev = dev, .ino = ino };

	return bpf_map_lookup_elem(&known_files, &key) != NULL;
}

/* Calls that a thread is in, innermost last. */
#define CT_CALL_DEPTH 4

struct ct_call {
	__u64 enter_ns;
	__u64 object;
	__u64 text;
	__u64 length;
	__u64 number;
	__u32 function;
	__u16 library;
	__u16 state;
};

struct ct_thread {
	__u64 cookie; /* of the socket that a hello was sent on, from within the calls */
	__u32 depth;
	__u32 reserved;
	struct ct_call calls[CT_CALL_DEPTH];
};

/* What an entry begins as: not on the stack, which is too small for it and for what is called beneath. */
const volatile struct ct_thread no_thread = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct ct_thread);
} threads SEC(".maps");

/* Connections by the library's object. One that is pushed out by others loses its descriptor, not its records. */
struct ct_object_key {
	__u64 object;
	__u32 tgid;
	__u32 reserved;
};

struct ct_object {
	__u64 first_ns; /* first call of the handshake that goes on; 0: none does */
	__u64 cookie;
	__s32 fd; /* plus one */
	__u32 calls;
	__u32 done;
	__s32 result; /* of the last call */
	__u32 function;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct ct_object_key);
	__type(value, struct ct_object);
} objects SEC(".maps");

/*
 * Scratch: `record` takes the record (strings are appended at a masked offset, so it is one string longer than the
 * mask), `path` is filled from its end by the path walk, `user` takes a path as passed, `window` the end of a name,
 * the last two keys of maps: all of them together are more than the stack holds.
 */
#define CT_RECORD_MASK 0x3fff
#define CT_PATH_END CT_PATH_MAX

/* Where a walk towards the root is (path.h). In a map, where the verifier follows neither pointers nor bounds. */
struct ct_walk {
	struct dentry *dentry;
	struct mount *mnt;
	struct dentry *mnt_root;
	__u32 start;
	__u32 flags;
};

/* An open that ended: files.h. */
struct ct_open {
	__u64 user_path; /* an address in the process; 0: none (open_by_handle_at) */
	__s64 result;
	__u64 resolve;
	__u64 flags;
	__u32 mode;
	__s32 dfd;
	__u16 call;
	__u16 tier;
	__u16 compat;
	__u16 reserved;
};

/* What is to be recorded of a call into the kernel's crypto: kernel_crypto.h. */
struct ct_kernel_call {
	__u64 user_text; /* appended to `text` */
	__u64 cookie;
	__u64 number;
	__s64 result;
	__u32 user_len; /* at most, with its NUL */
	__u32 name;	/* in kernel_calls */
	__s32 fd;
	__u16 version;
	__u16 meaning;
	__u16 state;
	__u16 compat;
	char text[24];
	__u32 reserved;
};

/* A call that ended and is about names, modes or owners: changes.h. Addresses in the process are plain numbers here. */
struct ct_change {
	__u64 path;	/* 0: none, dfd is what it is about */
	__u64 new_path; /* 0: none */
	__s64 result;
	__u32 flags;
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__s32 dfd; /* or the descriptor of a call on one */
	__s32 new_dfd;
	__u16 call;
	__u16 tier;
	__u16 compat;
	/* The record so far: where it ends, and whether it is wanted. */
	__u32 pos;
	__u32 wanted;
};

struct ct_scratch {
	/* What ended, for the global functions that record it: a program has one at a time. */
	union {
		struct ct_open open;
		struct ct_kernel_call call;
		struct ct_change change;
	};
	__u32 busy;
	__u32 reserved;
	__u64 number;
	struct ct_walk walk;
	__u8 record[CT_RECORD_MASK + 1 + CT_PATH_MAX];
	__u8 path[CT_PATH_MAX + 256];
	__u8 user[CT_PATH_MAX];
	__u64 window_words[0]; /* the same as `window` */
	__u8 window[CT_NAME_MAX + 1];
	struct ct_path_key prefix;
	struct ct_dir_key directory;
};

/* Two per CPU: where programs may be preempted, a second one can run while the first holds its own. */
#define CT_SCRATCH_SLOTS 2

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CT_SCRATCH_SLOTS);
	__type(key, __u32);
	__type(value, struct ct_scratch);
} scratch SEC(".maps");

/* A slot of scratch, for global functions, which are given its number. NULL: there is no such slot. */
static __always_inline struct ct_scratch *scratch_of(__u32 slot)
{
	return slot < CT_SCRATCH_SLOTS ? bpf_map_lookup_elem(&scratch, &slot) : NULL;
}

/* Where a thread is in a function that counts and may end by a jump into another one. */
struct ct_jump {
	__u64 stack;
	__u64 site;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct ct_jump);
} jumps SEC(".maps");

/* A thread that ended in the middle of a call does not return from it. */
static __always_inline void forget_thread(__u32 tid)
{
	if (cfg.library_calls) {
		bpf_map_delete_elem(&threads, &tid);
		bpf_map_delete_elem(&jumps, &tid);
	}
}

static __always_inline struct ct_counter_row *counter(__u32 row)
{
	return bpf_map_lookup_elem(&counters, &row);
}

static __always_inline void count(__u32 row)
{
	struct ct_counter_row *c = counter(row);

	if (c) {
		__sync_fetch_and_add(&c->lost, 1);
		c->last_lost_ns = bpf_ktime_get_boot_ns();
	}
}

/* A record that is wanted but cannot be put together: produced and lost. */
static __always_inline void count_lost(__u32 kind)
{
	struct ct_counter_row *c = counter(kind);

	if (c) {
		__sync_fetch_and_add(&c->produced, 1);
		__sync_fetch_and_add(&c->lost, 1);
		c->last_lost_ns = bpf_ktime_get_boot_ns();
	}
}

/* Whether it was free, and now is not. Others on this CPU may do the same in the middle of it. */
static __always_inline int scratch_hold(struct ct_scratch *s)
{
#ifndef CT_OLD_KERNEL
	return !__sync_fetch_and_or(&s->busy, 1);
#else
	__sync_fetch_and_add(&s->busy, 1);
	if (*(volatile __u32 *)&s->busy == 1)
		return 1;
	__sync_fetch_and_add(&s->busy, -1);
	return 0;
#endif
}

static __always_inline void scratch_give(struct ct_scratch *s)
{
#ifndef CT_OLD_KERNEL
	__sync_fetch_and_and(&s->busy, 0);
#else
	__sync_fetch_and_add(&s->busy, -1);
#endif
}

/* Takes a free scratch slot; the slot's number goes to *slot for the path walk. NULL: both are taken. */
static __always_inline struct ct_scratch *scratch_take(__u32 *slot)
{
	struct ct_scratch *s;
	__u32 i = 0;

	s = bpf_map_lookup_elem(&scratch, &i);
	if (s && scratch_hold(s)) {
		*slot = 0;
		return s;
	}
	i = 1;
	s = bpf_map_lookup_elem(&scratch, &i);
	if (s && scratch_hold(s)) {
		*slot = 1;
		return s;
	}
	return NULL;
}

/* A pointer as the plain number that global functions take: on its way through a map it loses its type. */
static __always_inline __u64 plain(struct ct_scratch *s, const void *pointer)
{
	volatile __u64 *number = &s->number;

	*number = (__u64)pointer;
	return *number;
}

#endif
