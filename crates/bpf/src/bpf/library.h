/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * api_call: calls into crypto libraries, from uprobes that user space attaches to the functions of its probe table.
 *
 * A probe's cookie says which row of the table (`functions`) and which library (`probed`) it is for. What a row does is
 * data; nothing here knows a library. Only the arguments that the table names are read.
 *
 * `library_enter` runs where a function begins, `library_return` when it has returned. Where a return cannot be seen, the
 * entry alone is recorded, without a result.
 */
#ifndef CRYPTO_TRACE_LIBRARY_H
#define CRYPTO_TRACE_LIBRARY_H

/*
 * Cookie of a probe: row, library, whether the return is probed as well, of those that count its place in `hits`, whether the
 * function ends in a jump into another that counts and whether others so end in it, and how far the stack pointer has moved since the entry.
 */
#define CT_COOKIE_FUNCTION(cookie) ((__u32)(cookie)&0xffff)
#define CT_COOKIE_LIBRARY(cookie) ((__u32)((cookie) >> CT_COOKIE_LIBRARY_SHIFT) & 0xffff)
#define CT_COOKIE_RETURNS(cookie) ((cookie) >> CT_COOKIE_RETURNS_SHIFT & 1)
#define CT_COOKIE_HITS(cookie) ((__u32)((cookie) >> CT_COOKIE_HITS_SHIFT) & (CT_MAX_HITS - 1))
#define CT_COOKIE_JUMPS(cookie) ((cookie) >> CT_COOKIE_JUMPS_SHIFT & 1)
#define CT_COOKIE_JUMPED_TO(cookie) ((cookie) >> CT_COOKIE_JUMPED_TO_SHIFT & 1)
#define CT_COOKIE_STACK(cookie) ((cookie) >> CT_COOKIE_STACK_SHIFT)

/* Reads what an accessor leads to; 0: it leads nowhere. */
__noinline int follow_accessor(__u64 object, const struct ct_accessor *accessor, __u64 *value)
{
	__u64 at = object;
	__u64 n = 0;
	int i;

	if (!accessor || !value)
		return 0;
	*value = 0;
	if (!object || !accessor->steps)
		return 0;
	if (accessor->guard_size) {
		if (accessor->guard_size == 1)
			bpf_probe_read_user(&n, 1, (void *)(object + accessor->guard_offset));
		else if (bpf_probe_read_user(&n, 4, (void *)(object + accessor->guard_offset)))
			return 0;
		if (n != accessor->guard_value)
			return 0;
	}
	for (i = 0; i < CT_ACCESSOR_STEPS; i++) {
		at += accessor->offsets[i];
		if (i + 1 >= accessor->steps)
			break;
		if (bpf_probe_read_user(&at, sizeof(at), (void *)at) || !at)
			return 0;
	}
	n = 0;
	if (accessor->size == 2) {
		if (bpf_probe_read_user(&n, 2, (void *)at))
			return 0;
	} else if (accessor->size == 8) {
		if (bpf_probe_read_user(&n, 8, (void *)at))
			return 0;
	} else if (bpf_probe_read_user(&n, 4, (void *)at)) {
		return 0;
	}
	*value = n;
	return 1;
}

static __always_inline __u64 cookie_of_fd(struct task_struct *task, __s32 fd)
{
	struct fdtable *fdt = READ(task, files, fdt);
	struct file *file = NULL;
	struct socket *socket;

	if (fd < 0 || (__u32)fd >= READ(fdt, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), READ(fdt, fd) + fd);
	if (!file || (READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = READ(file, private_data);
	return READ(socket, sk, __sk_common.skc_cookie.counter);
}

/* A hello leaves from within a call: its socket is the connection's. */
static __always_inline void note_hello(__u64 cookie)
{
	/* Not by bpf_get_current_pid_tgid, which programs on packets may not call before Linux 6.10. */
	__u32 tid = bpf_get_current_task_btf()->pid;
	struct ct_thread *thread = bpf_map_lookup_elem(&threads, &tid);

	if (thread && thread->depth)
		thread->cookie = cookie;
}

/* What is known of a call that is to be recorded. */
struct ct_told {
	const struct ct_function *f;
	const struct ct_library *library;
	const struct ct_call *call;
	__u64 cookie;
	__u64 since_ns;
	__s64 result;
	__s32 fd; /* plus one */
	__u32 calls;
	__u16 state;
};

static __always_inline void tell_call(struct task_struct *task, const struct ct_told *told)
{
	const struct ct_library *library = told->library;
	const struct ct_function *f = told->f;
	struct ct_api_call *call;
	struct ct_scratch *s;
	struct ct_header *h;
	__u32 pos = sizeof(*h) + sizeof(*call);
	__u32 n = f->name_len;
	__u32 slot = 0;
	__u64 value = 0;

	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_API_CALL);
		return;
	}
	h = (struct ct_header *)s->record;
	call = (struct ct_api_call *)(s->record + sizeof(*h));
	header_init(h, task, CT_API_CALL, sizeof(*call));
	__builtin_memset(call, 0, sizeof(*call));
	call->dev = library->dev;
	call->ino = library->ino;
	call->object = object_number(told->call->object, GET(task, tgid));
	call->cookie = told->cookie;
	call->duration_ns = told->since_ns ? h->time_ns - told->since_ns : 0;
	call->result = told->result;
	call->count = 1;
	call->number = told->call->number;
	call->fd = told->fd - 1;
	call->calls = told->calls;
	call->meaning = f->meaning;
	call->state = told->state;
	call->level = CT_LEVEL_HANDSHAKE;
	if (f->does == CT_DOES_HANDSHAKE) {
		if (follow_accessor(told->call->object, &library->version, &value) &&
		    !(library->version_limit && value >= library->version_limit))
			call->version = (__u16)(value + library->version_base);
		if (follow_accessor(told->call->object, &library->suite, &value))
			call->suite = (__u16)value;
	}
	if (n > CT_FUNCTION_MAX)
		n = CT_FUNCTION_MAX;
	call->function_len = (__u16)append(s, &pos, f->name, n);
	if (f->text_arg >= 0 && told->call->text) {
		__u64 len = told->call->length;
		__u32 at = pos;
		long got;

		asm volatile("" : "+r"(at));
		if (at > CT_RECORD_MASK) {
			scratch_give(s);
			return;
		}
		if (f->length_arg >= 0) {
			if (len > CT_TEXT_MAX) {
				len = CT_TEXT_MAX;
				h->flags |= CT_F_TRUNCATED;
			}
			asm volatile("" : "+r"(len));
			len &= 2 * CT_TEXT_MAX - 1;
			got = len && !bpf_probe_read_user(&s->record[at], len, (void *)told->call->text) ? len : -1;
		} else {
			got = bpf_probe_read_user_str(&s->record[at], CT_TEXT_MAX, (void *)told->call->text);
			if (got == CT_TEXT_MAX)
				h->flags |= CT_F_TRUNCATED;
			got = got > 0 ? got - 1 : -1;
		}
		if (got < 0 || got > CT_TEXT_MAX) {
			call->state |= CT_API_UNREADABLE;
			got = 0;
		}
		call->text_len = (__u16)got;
		pos = at + (__u32)got;
	}
	emit_event(slot, pos);
	scratch_give(s);
}

static __always_inline void begin_handshake(__u32 tgid, __u64 object)
{
	struct ct_object_key key = { .object = object, .tgid = tgid };
	struct ct_object fresh = { .first_ns = bpf_ktime_get_boot_ns() };
	struct ct_object *known = bpf_map_lookup_elem(&objects, &key);

	if (!known)
		bpf_map_update_elem(&objects, &key, &fresh, BPF_ANY);
	else if (!known->first_ns)
		known->first_ns = fresh.first_ns;
}

static __always_inline void remember_descriptor(__u32 tgid, const struct ct_call *call)
{
	struct ct_object_key key = { .object = call->object, .tgid = tgid };
	struct ct_object fresh = { .fd = (__s32)call->number + 1 };
	struct ct_object *known;

	if ((__s32)call->number < 0)
		return;
	known = bpf_map_lookup_elem(&objects, &key);
	if (known)
		known->fd = fresh.fd;
	else
		bpf_map_update_elem(&objects, &key, &fresh, BPF_ANY);
}

/* A call of a handshake returned: is recorded when the handshake is over with it. */
static __always_inline void end_handshake(struct task_struct *task, struct ct_told *told, __u64 hello_cookie)
{
	struct ct_object_key key = { .object = told->call->object, .tgid = GET(task, tgid) };
	const struct ct_library *library = told->library;
	const struct ct_function *f = told->f;
	struct ct_object *known;
	__u64 waiting = 0;

	known = bpf_map_lookup_elem(&objects, &key);
	if (known) {
		if (hello_cookie)
			known->cookie = hello_cookie;
		known->calls++;
		known->result = (__s32)told->result;
		known->function = told->call->function;
		told->fd = known->fd;
		told->calls = known->calls;
		told->cookie = known->cookie;
		told->since_ns = known->first_ns;
	}
	if (told->state & CT_API_RESULT) {
		if (told->result == f->success) {
			/* Called once more on a connection that is ready: nothing was negotiated. */
			if (known && known->done && !hello_cookie)
				return;
		} else if ((f->again_count > 0 && told->result == f->again[0]) ||
			   (f->again_count > 1 && told->result == f->again[1])) {
			return;
		} else if (library->waiting.steps) {
			if (follow_accessor(told->call->object, &library->waiting, &waiting) &&
			    waiting != library->not_waiting)
				return;
		} else if (!f->again_count) {
			told->state |= CT_API_PENDING;
		}
	}
	if (!told->cookie)
		told->cookie = cookie_of_fd(task, told->fd - 1);
	tell_call(task, told);
	if (known && !(told->state & CT_API_PENDING)) {
		known->done = told->result == f->success;
		known->first_ns = 0;
		known->cookie = 0;
		known->calls = 0;
	}
}

/* A connection is gone. A handshake that was begun and did not end has failed, whatever it waited for. */
static __always_inline void forget_object(struct task_struct *task, const struct ct_call *call, __u32 library)
{
	struct ct_object_key key = { .object = call->object, .tgid = GET(task, tgid) };
	struct ct_object *known = bpf_map_lookup_elem(&objects, &key);
	struct ct_told told = { .call = call };
	__u32 function;

	if (!known)
		return;
	function = known->function;
	told.f = bpf_map_lookup_elem(&functions, &function);
	told.library = bpf_map_lookup_elem(&probed, &library);
	if (known->first_ns && known->calls && told.f && told.library) {
		told.result = known->result;
		told.state = CT_API_RESULT;
		told.fd = known->fd;
		told.calls = known->calls;
		told.since_ns = known->first_ns;
		told.cookie = known->cookie ? known->cookie : cookie_of_fd(task, known->fd - 1);
		tell_call(task, &told);
	}
	bpf_map_delete_elem(&objects, &key);
}

static __always_inline void tell(struct task_struct *task, struct ct_told *told, __u64 hello_cookie)
{
	struct ct_object_key key = { .object = told->call->object, .tgid = GET(task, tgid) };
	struct ct_object *known;

	if (told->f->does == CT_DOES_HANDSHAKE) {
		end_handshake(task, told, hello_cookie);
		return;
	}
	if (told->f->object_arg >= 0) {
		known = bpf_map_lookup_elem(&objects, &key);
		if (known) {
			told->fd = known->fd;
			told->cookie = known->cookie;
		}
	}
	told->since_ns = told->state & CT_API_RESULT ? told->call->enter_ns : 0;
	tell_call(task, told);
}

SEC("uprobe.multi")
int library_enter(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cookie = bpf_get_attach_cookie(regs);
	__u32 function = CT_COOKIE_FUNCTION(cookie);
	__u32 library = CT_COOKIE_LIBRARY(cookie);
	const struct ct_function *f = bpf_map_lookup_elem(&functions, &function);
	struct ct_call_args args = {};
	struct ct_call call = {};
	struct ct_thread *thread;
	__u32 tid = GET(task, pid);
	__u32 depth;

	if (!f || !process_wanted())
		return 0;
	call_arguments(regs, &args);
	if (f->only_arg >= 0 && (__u32)call_argument(&args, f->only_arg) != f->only_value)
		return 0;
	call.function = function;
	call.object = call_argument(&args, f->object_arg);
	call.number = (__u32)call_argument(&args, f->number_arg);
	switch (f->does) {
	case CT_DOES_DESCRIPTOR:
		remember_descriptor(GET(task, tgid), &call);
		return 0;
	case CT_DOES_FORGET:
		forget_object(task, &call, library);
		return 0;
	case CT_DOES_HANDSHAKE:
		begin_handshake(GET(task, tgid), call.object);
		break;
	}
	call.text = call_argument(&args, f->text_arg);
	call.length = call_argument(&args, f->length_arg);
	if (!CT_COOKIE_RETURNS(cookie)) {
		struct ct_told told = {
			.f = f,
			.library = bpf_map_lookup_elem(&probed, &library),
			.call = &call,
		};

		if (told.library)
			tell(task, &told, 0);
		return 0;
	}
	call.enter_ns = bpf_ktime_get_boot_ns();
	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread) {
		bpf_map_update_elem(&threads, &tid, (const void *)&no_thread, BPF_ANY);
		thread = bpf_map_lookup_elem(&threads, &tid);
	}
	if (!thread) {
		count(CT_COUNTER_USES_FULL);
		return 0;
	}
	depth = thread->depth;
	asm volatile("" : "+r"(depth));
	if (depth >= CT_CALL_DEPTH) {
		/* Threads that left calls by longjmp come here: start anew. */
		count_lost(CT_API_CALL);
		thread->depth = 0;
		return 0;
	}
	/* What a library calls of itself is not what the program asked for. */
	if (depth && thread->calls[(depth - 1) & (CT_CALL_DEPTH - 1)].library == library)
		call.state = CT_API_INTERNAL;
	if (!depth)
		thread->cookie = 0;
	call.library = (__u16)library;
	thread->calls[depth] = call;
	thread->depth = depth + 1;
	return 0;
}

/* Fills in the algorithm's name or number by one of two accessors; 0: neither leads anywhere. */
__noinline int name_algorithm(__u64 object, struct ct_use_key *key, __u32 first, __u32 second)
{
	const struct ct_library *library;
	__u32 slot;
	int i;

	if (!key || !object)
		return 0;
	slot = key->library;
	library = bpf_map_lookup_elem(&probed, &slot);
	if (!library)
		return 0;
	for (i = 0; i < CT_BY; i++) {
		__u32 n = i ? second : first;
		__u64 value = 0;

		if (n >= CT_ACCESSORS)
			continue;
		if (!follow_accessor(object, &library->accessors[n], &value) || !value)
			continue;
		if (library->accessors[n].size != 8) {
			key->number = value;
			return 1;
		}
		if (bpf_probe_read_user_str(key->text, CT_USE_TEXT, (void *)value) > 1)
			return 1;
		key->text[0] = 0;
	}
	return 0;
}

/*
 * Whether this call is the end of another, which jumped here instead of calling and returning: it has the other's place on the stack, and
 * returns to the other's caller. That one was counted.
 */
static __always_inline int was_jumped_to(struct pt_regs *regs, __u64 cookie)
{
	struct ct_jump here = {
		.stack = stack_pointer(regs) + CT_COOKIE_STACK(cookie),
		.site = call_site(regs, CT_COOKIE_STACK(cookie)),
	};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct ct_jump *last = NULL;
	int is_end = 0;

	if (CT_COOKIE_JUMPED_TO(cookie))
		last = bpf_map_lookup_elem(&jumps, &tid);
	if (last) {
		is_end = last->stack == here.stack && last->site == here.site;
		/* Unless it jumps on. */
		if (!CT_COOKIE_JUMPS(cookie))
			bpf_map_delete_elem(&jumps, &tid);
	}
	if (CT_COOKIE_JUMPS(cookie) && !is_end)
		bpf_map_update_elem(&jumps, &tid, &here, BPF_ANY);
	return is_end;
}

struct ct_caller {
	const struct ct_library *library;
	__u32 internal;
};

static long is_of_library(struct task_struct *task, struct vm_area_struct *vma, struct ct_caller *caller)
{
	__u64 number = inode_of_vma(vma);
	struct inode *inode = (struct inode *)number;

	if (caller->library->inode)
		caller->internal = number == caller->library->inode;
	else
		caller->internal = number && READ(inode, i_ino) == caller->library->ino &&
				   READ(inode, i_sb, s_dev) == caller->library->dev;
	return 0;
}

SEC("uprobe.multi")
int library_count(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cookie = bpf_get_attach_cookie(regs);
	__u32 function = CT_COOKIE_FUNCTION(cookie);
	__u32 library = CT_COOKIE_LIBRARY(cookie);
	__u32 hit = CT_COOKIE_HITS(cookie);
	const struct ct_function *f;
	struct ct_call_args args = {};
	struct ct_caller caller = {};
	struct ct_use_key key = {};
	struct ct_use *use;
	__u64 *times, value;

	times = bpf_map_lookup_elem(&hits, &hit);
	if (times)
		*times += 1;
	f = bpf_map_lookup_elem(&functions, &function);
	caller.library = bpf_map_lookup_elem(&probed, &library);
	if (!f || !caller.library || !process_wanted())
		return 0;
	call_arguments(regs, &args);
	if (f->only_arg >= 0 && (__u32)call_argument(&args, f->only_arg) != f->only_value)
		return 0;
	if ((CT_COOKIE_JUMPS(cookie) || CT_COOKIE_JUMPED_TO(cookie)) && was_jumped_to(regs, cookie))
		return 0;
	key.tgid = GET(task, tgid);
	key.start_ns = READ(task, group_leader, start_boottime);
	key.function = (__u16)function;
	key.library = (__u16)library;
	value = call_argument(&args, f->algorithm_arg);
	switch (f->algorithm) {
	case CT_ALGORITHM_TEXT:
		if (bpf_probe_read_user_str(key.text, CT_USE_TEXT, (void *)value) < 0)
			key.text[0] = 0;
		break;
	case CT_ALGORITHM_NUMBER:
		key.number = (__u32)value;
		break;
	case CT_ALGORITHM_POINTER:
		bpf_probe_read_user(&key.number, 4, (void *)value);
		break;
	case CT_ALGORITHM_OBJECT:
		if (value)
			name_algorithm(value, &key, f->by[0], f->by[1]);
		else if (f->context_arg >= 0)
			/* It goes on with the algorithm it has. */
			name_algorithm(call_argument(&args, f->context_arg), &key, f->context_by[0], f->context_by[1]);
		break;
	}
	if (!bpf_find_vma(task, call_site(regs, CT_COOKIE_STACK(cookie)), is_of_library, &caller, 0))
		key.internal = caller.internal;

	use = bpf_map_lookup_elem(&uses, &key);
	if (!use) {
		struct ct_use fresh = { .first_ns = bpf_ktime_get_boot_ns() };

		if (!use_allowed()) {
			count(CT_COUNTER_USES_FULL);
			return 0;
		}
		fresh.uid = READ(task, real_cred, uid.val);
		fresh.gid = READ(task, real_cred, gid.val);
		read_comm((__u64 *)fresh.comm, GET(task, group_leader));
		bpf_map_update_elem(&uses, &key, &fresh, BPF_NOEXIST);
		use = bpf_map_lookup_elem(&uses, &key);
		if (!use) {
			count(CT_COUNTER_USES_FULL);
			return 0;
		}
	}
	__sync_fetch_and_add(&use->count, 1);
	use->last_ns = bpf_ktime_get_boot_ns();
	return 0;
}

SEC("uprobe.multi")
int library_return(struct pt_regs *regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cookie = bpf_get_attach_cookie(regs);
	__u32 function = CT_COOKIE_FUNCTION(cookie);
	__u32 library = CT_COOKIE_LIBRARY(cookie);
	struct ct_told told = {};
	struct ct_thread *thread;
	__u32 tid = GET(task, pid);
	struct ct_call call;
	__u64 hello;
	int i;

	thread = bpf_map_lookup_elem(&threads, &tid);
	if (!thread)
		return 0;
	/* The innermost call of this function; what was called after it, and never returned, is forgotten. */
#pragma unroll
	for (i = CT_CALL_DEPTH - 1; i >= 0; i--) {
		if (i < thread->depth && thread->calls[i].function == function)
			goto found;
	}
	return 0;
found:
	call = thread->calls[i & (CT_CALL_DEPTH - 1)];
	hello = thread->cookie;
	/* The thread's entry stays: it will make more calls. */
	thread->depth = i;
	told.f = bpf_map_lookup_elem(&functions, &function);
	told.library = bpf_map_lookup_elem(&probed, &library);
	if (!told.f || !told.library)
		return 0;
	told.call = &call;
	told.state = CT_API_RESULT | call.state;
	told.result = call_result(regs);
	if (told.f->returns == CT_RETURNS_INT)
		told.result = (__s32)told.result;
	else if (told.f->returns == CT_RETURNS_POINTER)
		told.result = told.result != 0;
	else
		told.result = 0, told.state &= ~CT_API_RESULT;
	tell(task, &told, hello);
	return 0;
}

#endif
