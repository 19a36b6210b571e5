/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which file is really mapped. A file of an overlay is one of a layer below, which is what the kernel maps and puts probes on; and
 * subvolumes of btrfs have files that share device and inode number. The inode that a mapping holds tells them all apart.
 */
#ifndef CRYPTO_TRACE_REAL_H
#define CRYPTO_TRACE_REAL_H

/* A number that stands for an object, so that no address is recorded. */
static __always_inline __u64 object_number(__u64 object)
{
	__u64 n = object ^ cfg.object_key;

	if (!object)
		return 0;
	n = (n ^ (n >> 32)) * 0xd6e8feb86659fd93ULL;
	n = (n ^ (n >> 32)) * 0xd6e8feb86659fd93ULL;
	return n ^ (n >> 32);
}

/* As a number, which may be calculated with; 0: it is of no file. */
static __always_inline __u64 inode_of_vma(struct vm_area_struct *vma)
{
	struct file *file = READ(vma, vm_file);
	__u64 inode = 0;

	if (file)
		bpf_core_read(&inode, sizeof(inode), &file->f_inode);
	return inode;
}

#ifndef CT_OLD_KERNEL

static long look_at_vma(struct task_struct *task, struct vm_area_struct *vma, __u64 *inode)
{
	*inode = inode_of_vma(vma);
	return 0;
}

/* 0: nothing of a file is mapped there, or somebody changes the mappings just now. */
static __always_inline __u64 mapped_inode(struct task_struct *task, __u64 address)
{
	__u64 inode = 0;

	bpf_find_vma(task, address, look_at_vma, &inode, 0);
	return inode;
}

#else

static __always_inline __u64 mapped_inode(struct task_struct *task, __u64 address)
{
	return 0;
}

#endif

/* Half of a number, so that nobody finds the address. An inode may be another file's later, which has another generation. */
static __always_inline __u32 file_number(__u64 inode)
{
	__u64 generation = inode ? READ((struct inode *)inode, i_generation) : 0;

	return inode ? object_number(inode ^ generation << 20) >> 32 | 1 : 0;
}

/* For user space, which runs the program itself: the inode that is mapped at `address` in the process that asks. */
struct ct_asked {
	__u64 address;
	__u64 inode;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_asked);
} asked SEC(".maps");

SEC("raw_tp")
int what_is_mapped(void *context)
{
	__u32 zero = 0;
	struct ct_asked *question = bpf_map_lookup_elem(&asked, &zero);

	if (question)
		question->inode = mapped_inode(bpf_get_current_task_btf(), question->address);
	return 0;
}

#endif
