/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Which file is really mapped. A file of an overlay is one of a layer below, which is what the kernel maps and puts probes on; and
 * subvolumes of btrfs have files that share device and inode number. The inode that a mapping holds distinguishes them all.
 */
#ifndef CRYPTO_TRACE_REAL_H
#define CRYPTO_TRACE_REAL_H

#define CT_ROTATE(x, by) ((x) << (by) | (x) >> (64 - (by)))

/* SipRound, of SipHash (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012). */
#define CT_SIP_ROUND                                                                                                   \
	do {                                                                                                           \
		v0 += v1;                                                                                              \
		v2 += v3;                                                                                              \
		v1 = CT_ROTATE(v1, 13) ^ v0;                                                                           \
		v3 = CT_ROTATE(v3, 16) ^ v2;                                                                           \
		v0 = CT_ROTATE(v0, 32) + v3;                                                                           \
		v2 += v1;                                                                                              \
		v1 = CT_ROTATE(v1, 17) ^ v2;                                                                           \
		v3 = CT_ROTATE(v3, 21) ^ v0;                                                                           \
		v2 = CT_ROTATE(v2, 32);                                                                                \
	} while (0)

/*
 * A number that stands for an object, so that no address is recorded: SipHash-2-4 of the object and of whose it is, under a key of
 * this capture. Who knows some addresses with their numbers learns nothing of others, nor of other processes' objects.
 */
static __noinline __u64 object_number(__u64 object, __u64 whose)
{
	__u64 k0 = cfg.object_key[0], k1 = cfg.object_key[1];
	__u64 v0 = k0 ^ 0x736f6d6570736575ULL, v1 = k1 ^ 0x646f72616e646f6dULL;
	__u64 v2 = k0 ^ 0x6c7967656e657261ULL, v3 = k1 ^ 0x7465646279746573ULL;
	__u64 length = 16ULL << 56;

	if (!object)
		return 0;
	v3 ^= object;
	CT_SIP_ROUND;
	CT_SIP_ROUND;
	v0 ^= object;
	v3 ^= whose;
	CT_SIP_ROUND;
	CT_SIP_ROUND;
	v0 ^= whose;
	v3 ^= length;
	CT_SIP_ROUND;
	CT_SIP_ROUND;
	v0 ^= length;
	v2 ^= 0xff;
	CT_SIP_ROUND;
	CT_SIP_ROUND;
	CT_SIP_ROUND;
	CT_SIP_ROUND;
	return v0 ^ v1 ^ v2 ^ v3;
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

/* What is mapped at an address. */
struct ct_mapping {
	__u64 file; /* as a number; 0: of no file */
	__u64 start;
	__u64 offset;
};

/* Where nothing is known. Here so that both builds have the type. */
const volatile struct ct_mapping no_mapping = {};

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

static long read_vma(struct task_struct *task, struct vm_area_struct *vma, struct ct_mapping *mapping)
{
	mapping->file = (__u64)READ(vma, vm_file);
	mapping->start = READ(vma, vm_start);
	mapping->offset = READ(vma, vm_pgoff) << (cfg.page_shift & 31);
	return 0;
}

/* Whether a file is mapped at an address. */
static __always_inline int mapping_at(struct task_struct *task, __u64 address, struct ct_mapping *mapping)
{
	return !bpf_find_vma(task, address, read_vma, mapping, 0) && mapping->file;
}

#else

static __always_inline __u64 mapped_inode(struct task_struct *task, __u64 address)
{
	return 0;
}

/* These kernels do not show it. */
static __always_inline int mapping_at(struct task_struct *task, __u64 address, struct ct_mapping *mapping)
{
	return 0;
}

#endif

/* Half of a number, so that nobody finds the address. An inode may be another file's later, which has another generation. */
static __always_inline __u32 file_number(__u64 inode)
{
	__u64 generation = inode ? READ((struct inode *)inode, i_generation) : 0;

	return inode ? object_number(inode, generation) >> 32 | 1 : 0;
}

/*
 * For user space, which runs the program itself: the inode that is mapped at `address` in the process that asks; or, with address 0,
 * of an inode that is held by a probe, whether anybody has it mapped, and how many names it has.
 */
struct ct_asked {
	__u64 address;
	__u64 inode;
	__u32 unmapped; /* 1: nobody has; 0 also where that cannot be determined */
	__u32 links;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_asked);
} asked SEC(".maps");

/* All mappings of a file, of whatever process, are in one tree (mm/interval_tree.c). */
static __always_inline void look_at_inode(struct ct_asked *question)
{
	struct inode *inode = (struct inode *)question->inode;
	struct address_space *mapping = NULL;
	struct rb_node *root = NULL;
	__u32 links = 0;

	question->unmapped = 0;
	if (bpf_core_read(&mapping, sizeof(mapping), &inode->i_mapping) || !mapping)
		return;
	if (bpf_core_read(&root, sizeof(root), &mapping->i_mmap.rb_root.rb_node) ||
	    bpf_core_read(&links, sizeof(links), &inode->i_nlink))
		return;
	question->links = links;
	question->unmapped = !root;
}

SEC("raw_tp")
int what_is_mapped(void *context)
{
	__u32 zero = 0;
	struct ct_asked *question = bpf_map_lookup_elem(&asked, &zero);

	if (!question)
		return 0;
	if (question->address)
		question->inode = mapped_inode(bpf_get_current_task_btf(), question->address);
	else if (question->inode)
		look_at_inode(question);
	return 0;
}

#endif
