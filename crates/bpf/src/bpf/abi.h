/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The records our programs write, and the configuration they read.
 *
 * The record structs are the C side of crates/format/src/record/kinds.rs. build.rs turns the tables there into one
 * _Static_assert per field (abi_check.h), so that the two cannot drift: a mismatch does not compile. It writes all numbers into
 * abi_codes.h: those of records are declared in crates/format/src/record/codes.rs, the others in crates/bpf/src/numbers.rs.
 * Every record is a header, a fixed part, byte strings, and zero padding to 8 bytes.
 */
#ifndef CRYPTO_TRACE_ABI_H
#define CRYPTO_TRACE_ABI_H

#include "abi_codes.h"

struct ct_header {
	__u32 len;
	__u16 kind;
	__u16 fixed_len;
	__u64 time_ns;
	__u16 cpu;
	__u16 flags;
	__u32 tid;
	__u32 tgid;
	__u32 uid;
	__u64 start_ns;
	__u32 gid;
	__u32 reserved;
	char comm[16];
};

struct ct_process_exec {
	__u32 ppid;
	__u32 ns_pid;
	__u64 parent_start_ns;
	__u64 cgroup_id;
	__u64 exe_dev;
	__u64 exe_ino;
	__u32 pid_ns;
	__u32 mnt_ns;
	__u32 net_ns;
	__u32 user_ns;
	__u32 argv_full_len;
	__u16 exe_len;
	__u16 argv_len;
	__u16 cwd_len;
	__u16 cgroup_len;
	__u32 reserved;
};

struct ct_process_fork {
	__u32 ppid;
	__u32 ns_pid;
	__u64 parent_start_ns;
};

struct ct_process_exit {
	__u32 status;
	__u32 reserved;
	__u64 duration_ns;
};

struct ct_file_open {
	__s32 result;
	__u32 flags;
	__u32 mode;
	__s32 dfd;
	__u64 dev;
	__u64 ino;
	__u32 inode_mode;
	__u16 call;
	__u16 tier;
	__u64 resolve;
	__u16 path_len;
	__u16 given_len;
	__u16 dir_len;
	__u16 reserved;
	__u32 flags_high;
	__u32 reserved2;
};

struct ct_file_change {
	__s32 result;
	__u32 flags;
	__u32 mode;
	__u32 uid;
	__u32 gid;
	__s32 dfd;
	__s32 new_dfd;
	__u32 inode_mode;
	__u64 dev;
	__u64 ino;
	__u16 call;
	__u16 tier;
	__u16 path_len;
	__u16 dir_len;
	__u16 new_len;
	__u16 new_dir_len;
	__u32 reserved;
};

struct ct_lib_load {
	__u64 dev;
	__u64 ino;
	__u64 address;
	__u64 offset;
	__u64 size;
	__u16 path_len;
	__u16 tier;
	__u32 file;
};

struct ct_tls_hello {
	__u64 cookie;
	__u32 offset;
	__u32 net_ns;
	__u8 local_addr[16];
	__u8 remote_addr[16];
	__u16 local_port;
	__u16 remote_port;
	__u16 family;
	__u16 direction;
	__u16 owner;
	__u16 state;
	__u16 data_len;
	__u16 protocol;
};

struct ct_api_call {
	__u64 dev;
	__u64 ino;
	__u64 object;
	__u64 cookie;
	__u64 duration_ns;
	__s64 result;
	__u64 count;
	__u64 number;
	__s32 fd;
	__u32 calls;
	__u16 version;
	__u16 suite;
	__u16 meaning;
	__u16 state;
	__u16 level;
	__u16 function_len;
	__u16 text_len;
	__u16 reserved;
};

/* A row of the functions map: one row of the probe table. Arguments are counted from 0; -1: none. */
struct ct_function {
	char name[CT_FUNCTION_MAX];
	__u64 only_value;
	__s64 success;	/* of a handshake */
	__s64 again[CT_AGAIN_MAX]; /* results that ask to be called again */
	__u16 name_len;
	__u16 meaning;
	__u8 does;
	__s8 object_arg;
	__s8 text_arg;
	__s8 length_arg; /* of a text that is not ended by NUL */
	__s8 number_arg;
	__s8 only_arg; /* only calls with only_value in this argument */
	__u8 again_count;
	__u8 returns; /* CT_RETURNS_* */
	__u8 algorithm; /* CT_ALGORITHM_* */
	__s8 algorithm_arg;
	__s8 context_arg; /* asked when the algorithm is null: it goes on with the one it has */
	__u8 reserved;
	__u8 by[CT_BY];
	__u8 context_by[CT_BY];
	__u8 reserved2[4];
};

/*
 * How to come from an object to a number in it, as the library's own accessor does it: follow the pointers at
 * offsets[0..steps-1), read `size` bytes at the last one. When `guard_size` is not 0, only if as many bytes at
 * guard_offset in the object are guard_value.
 */
struct ct_accessor {
	__u16 offsets[CT_ACCESSOR_STEPS];
	__u8 steps; /* 0: not known */
	__u8 size;
	__u16 guard_offset;
	__u32 guard_value;
	__u8 guard_size;
	__u8 reserved[3];
};

/* A row of the map of probed libraries. */
struct ct_library {
	__u64 dev;
	__u64 ino;
	__u64 inode; /* where the kernel has it, which the probes keep there: what is really mapped, see real.h; 0: not known */
	struct ct_accessor version;
	struct ct_accessor suite;
	struct ct_accessor accessors[CT_ACCESSORS];
	struct ct_accessor waiting; /* what a call that did not succeed waits for */
	__u32 not_waiting;	    /* ... when it waits for nothing */
	__u16 version_base;	    /* added to the version that was read */
	__u16 version_limit;	    /* versions from here on have no code point; 0: none */
};

/* A use of an algorithm that is counted: by process, function, library, and what names the algorithm. */
struct ct_use_key {
	__u64 start_ns;
	__u64 number;
	__u32 tgid;
	__u16 function;
	__u16 library;
	__u32 internal; /* the library called itself */
	__u32 reserved;
	char text[CT_USE_TEXT];
};

struct ct_use {
	__u64 count;
	__u64 first_ns;
	__u64 last_ns;
	__u32 uid;
	__u32 gid;
	char comm[16];
};

/* One row per kind: what a program wanted to deliver, and what the ring refused. */
struct ct_counter_row {
	__u64 produced;
	__u64 lost;
	__u64 last_lost_ns;
};

/* A process name to look for: up to 15 bytes, as two masked words. */
struct ct_comm_filter {
	__u64 bytes[2];
	__u64 mask[2];
	__u32 len;
	__u32 reserved;
};

/* Set by user space before load; see crates/bpf/src/select.rs. */
struct ct_config {
	__u32 self_tgid;
	__u8 filter_tgid;     /* only tgids in the targets map */
	__u8 follow_children; /* descendants of a selected process are selected */
	__u8 filter_uid;      /* only uids in the uids map */
	__u8 cgroup_count;    /* only below cgroups[0..count) */
	__u8 comm_count;      /* only names that contain one of comms[0..count) */
	__u8 match_all_names; /* every file name matches: for a glob that no table can express */
	__u8 match_dirs;      /* the directories map is in force */
	__u8 filter_prefix;   /* resolved path must be in the prefixes trie */
	__u8 argv;	      /* CT_ARGV_* */
	__u8 library_calls;   /* probes on libraries may be attached */
	__u8 page_shift;      /* of the unit in which mappings count their offset */
	__u8 wire;	      /* whose hellos are recorded: bit 1 << CT_PROTOCOL_* */
	__u64 object_key[2];  /* what objects are numbered with */
	__u32 lifecycle_wakeup_bytes; /* ring fill that wakes the reader */
	__u32 events_wakeup_bytes;
	__u64 events_ring_bytes;
	__u64 process_rate; /* bytes of events that one process may write each second, over a longer time; 0: any */
	__u64 user_rate;    /* the same of a user */
	struct ct_comm_filter comms[CT_MAX_COMM_FILTERS];
};

/* Key of the names map: whole file name or suffix (with its dot, lower case), zero padded. */
struct ct_name_key {
	char name[CT_NAME_MAX + 1];
};

/* Key of the directories map: last component, and the one before it or zeros. */
struct ct_dir_key {
	char parent[CT_NAME_MAX + 1];
	char grandparent[CT_NAME_MAX + 1];
};

/* Key of the tries: bits, then bytes. */
struct ct_lib_key {
	__u32 prefix_bits;
	char name[CT_NAME_MAX + 1];
};

struct ct_path_key {
	__u32 prefix_bits;
	char path[CT_PREFIX_MAX + 1];
};

#endif
