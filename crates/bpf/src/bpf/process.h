/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * process_exec, process_fork, process_exit: the life of processes, from three scheduler tracepoints.
 */
#ifndef CRYPTO_TRACE_PROCESS_H
#define CRYPTO_TRACE_PROCESS_H

static __always_inline __u32 ns_pid(struct task_struct *leader)
{
	struct pid *pid = READ(leader, thread_pid);
	unsigned int level;

	if (!pid)
		return 0;
	level = READ(pid, level);
	if (level > 32) /* MAX_PID_NS_LEVEL */
		return 0;
	return BPF_CORE_READ(pid, numbers[level].nr);
}

static __always_inline __u32 pid_ns(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	unsigned int level;

	if (!pid)
		return 0;
	level = READ(pid, level);
	if (level > 32)
		return 0;
	return BPF_CORE_READ(pid, numbers[level].ns, ns.inum);
}

static __always_inline void append_argv(struct ct_scratch *s, __u32 *pos, struct ct_process_exec *exec, __u16 *flags,
					struct mm_struct *mm)
{
	__u64 start = READ(mm, arg_start);
	__u64 full = READ(mm, arg_end) - start;
	__u32 at = *pos;
	__u32 len = full > CT_ARGV_MAX ? CT_ARGV_MAX : (__u32)full;

	exec->argv_full_len = full > 0xffffffff ? 0xffffffff : (__u32)full;
	if (cfg.argv == CT_ARGV_NONE)
		return;
	if (cfg.argv == CT_ARGV_EXE) {
		long n;

		asm volatile("" : "+r"(at));
		if (!full || at > CT_RECORD_MASK)
			return;
		n = bpf_probe_read_user_str(&s->record[at], CT_ARGV_EXE_MAX, (void *)start);
		if (n <= 0 || n > CT_ARGV_EXE_MAX) {
			*flags |= CT_F_UNREADABLE;
			return;
		}
		exec->argv_len = (__u16)n;
		*pos = at + n;
		return;
	}
	if (full > CT_ARGV_MAX)
		*flags |= CT_F_TRUNCATED;
	asm volatile("" : "+r"(at), "+r"(len));
	if (at > CT_RECORD_MASK || !in_range(len, 1, CT_ARGV_MAX))
		return;
	if (bpf_probe_read_user(&s->record[at], len, (void *)start)) {
		*flags |= CT_F_UNREADABLE;
		return;
	}
	exec->argv_len = (__u16)len;
	*pos = at + len;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct ct_process_exec *exec;
	struct ct_scratch *s;
	struct ct_header *h;
	struct file *exe;
	struct path pwd;
	int walk;
	__u32 pos = sizeof(*h) + sizeof(*exec);
	__u32 slot = 0;
	__u16 flags = 0;

	if (!process_wanted())
		return 0;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_PROCESS_EXEC);
		return 0;
	}
	h = (struct ct_header *)s->record;
	exec = (struct ct_process_exec *)(s->record + sizeof(*h));
	header_init(h, task, CT_PROCESS_EXEC, sizeof(*exec));
	__builtin_memset(exec, 0, sizeof(*exec));
	exec->ppid = READ(task, real_parent, tgid);
	exec->parent_start_ns = READ(task, real_parent, group_leader, start_boottime);
	exec->ns_pid = ns_pid(task);
	exec->pid_ns = pid_ns(task);
	exec->mnt_ns = READ(task, nsproxy, mnt_ns, ns.inum);
	exec->net_ns = READ(task, nsproxy, net_ns, ns.inum);
	exec->user_ns = READ(task, real_cred, user_ns, ns.inum);
	exec->cgroup_id = bpf_get_current_cgroup_id();

	exe = READ(task, mm, exe_file);
	if (exe) {
		struct path path;

		exec->exe_dev = READ(exe, f_inode, i_sb, s_dev);
		exec->exe_ino = READ(exe, f_inode, i_ino);
		path = path_of(exe);
		exec->exe_len = append_path(s, &pos, slot, &path, &flags);
		/* A memfd never had a name in a directory. */
		if (!READ(path.dentry, d_hash.pprev))
			flags |= CT_F_UNLINKED;
	}
	append_argv(s, &pos, exec, &flags, READ(task, mm));
	pwd = working_directory(task);
	exec->cwd_len = append_path(s, &pos, slot, &pwd, &flags);
	walk = walk_cgroup(plain(s, READ(task, cgroups, dfl_cgrp, kn)), slot);
	exec->cgroup_len = append_walk(s, &pos, walk, &flags);
	h->flags = flags;
	emit_lifecycle(s, pos);
	scratch_give(s);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	struct ct_process_fork *fork;
	struct ct_scratch *s;
	struct ct_header *h;
	__u32 slot = 0;

	if (GET(child, pid) != GET(child, tgid) || GET(parent, tgid) == cfg.self_tgid || !tree_wanted(parent, GET(parent, tgid)))
		return 0;
	/* Also when its user or cgroup is not wanted (yet): a descendant may become another user. */
	if (cfg.follow_children && (cfg.filter_tgid || cfg.comm_count))
		add_target(GET(child, tgid));
	else if (cfg.filter_tgid)
		return 0; /* not selected itself */
	if (!process_wanted())
		return 0;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_PROCESS_FORK);
		return 0;
	}
	h = (struct ct_header *)s->record;
	fork = (struct ct_process_fork *)(s->record + sizeof(*h));
	header_init(h, child, CT_PROCESS_FORK, sizeof(*fork));
	fork->ppid = READ(child, real_parent, tgid);
	fork->parent_start_ns = READ(child, real_parent, group_leader, start_boottime);
	fork->ns_pid = ns_pid(child);
	emit_lifecycle(s, sizeof(*h) + sizeof(*fork));
	scratch_give(s);
	return 0;
}

/* Wait status of the process: the group's when exit_group or a fatal signal ended it, else its leader's. */
static __always_inline __u32 wait_status(struct task_struct *task)
{
	if (READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return READ(task, signal, group_exit_code);
	return READ(task, group_leader, exit_code);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	struct ct_process_key key = {};
	struct ct_process_exit *exit;
	struct ct_scratch *s;
	struct ct_header *h;
	__u32 tgid = GET(task, tgid);
	__u32 slot = 0;
	__u8 one = 1;
	int wanted;

	forget_thread(GET(task, pid));
	/* Every thread comes by here; the process ends with its last one. */
	if (READ(task, signal, live.counter) > 0)
		return 0;
	wanted = process_wanted();
	key.tgid = tgid;
	key.start_ns = READ(task, group_leader, start_boottime);
	random_ended(&key);
	if (wanted && READ(task, signal, nr_threads) > 1 && bpf_map_update_elem(&exited, &key, &one, BPF_NOEXIST))
		return 0;
	if (wanted) {
		s = scratch_take(&slot);
		if (s) {
			h = (struct ct_header *)s->record;
			exit = (struct ct_process_exit *)(s->record + sizeof(*h));
			header_init(h, task, CT_PROCESS_EXIT, sizeof(*exit));
			exit->status = wait_status(task);
			exit->reserved = 0;
			exit->duration_ns = h->time_ns - h->start_ns;
			emit_lifecycle(s, sizeof(*h) + sizeof(*exit));
			scratch_give(s);
		} else {
			count_lost(CT_PROCESS_EXIT);
		}
	}
	/* The id may be reused. */
	if (cfg.filter_tgid || cfg.follow_children)
		bpf_map_delete_elem(&targets, &tgid);
	return 0;
}

#endif
