/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel's own crypto as programs ask for it, by system calls: AF_ALG sockets (what algorithm), kTLS (version and
 * cipher), key rings (type of key). Attempts that the kernel refuses are recorded like those that it grants.
 *
 * What is read of a caller's memory is what names an algorithm, and nothing behind it: of setsockopt(SOL_TLS) the four
 * bytes before the keys, of add_key(2) the type, not the payload, nor its length.
 *
 * One global function, which the verifier sees once by itself and only when it is called: the program on sys_exit pays for
 * no more than the call, and other system calls for nothing.
 *
 * Not seen: the same asked for through io_uring.
 */
#ifndef CRYPTO_TRACE_KERNEL_CRYPTO_H
#define CRYPTO_TRACE_KERNEL_CRYPTO_H

/* include/linux/socket.h, include/uapi/linux/{tcp,tls,stat,net}.h */
#define AF_ALG 38
#define SOL_TLS 282
#define TCP_ULP 31
#define TLS_TX 1
#define TLS_RX 2
#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define SYS_SOCKET 1
#define SYS_BIND 2
#define SYS_SETSOCKOPT 14

#define CT_KERNEL_TEXT_MAX 128 /* CRYPTO_MAX_ALG_NAME, include/linux/crypto.h; types of keys are shorter */

/* The part of struct sockaddr_alg before the name, include/uapi/linux/if_alg.h. */
struct ct_sockaddr_alg {
	__u16 family;
	char type[14];
	__u32 feat;
	__u32 mask;
};

/* struct tls_crypto_info, include/uapi/linux/tls.h: what comes before salt and key. */
struct ct_tls_crypto_info {
	__u16 version;
	__u16 cipher_type;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ct_atomic64___cookie {
	__s64 counter;
};

struct sock_common___cookie {
	struct ct_atomic64___cookie skc_cookie;
};

struct sock___cookie {
	struct sock_common___cookie __sk_common;
};

struct socket___cookie {
	struct sock___cookie *sk;
};

struct file___socket {
	void *private_data;
};
#pragma clang attribute pop

/* TLS_CIPHER_* without the prefix, include/uapi/linux/tls.h, from 51 on. */
#define CT_FIRST_TLS_CIPHER 51
#define CT_TLS_CIPHERS 8
static const char tls_ciphers[CT_TLS_CIPHERS][24] = {
	"AES_GCM_128", "AES_GCM_256", "AES_CCM_128", "CHACHA20_POLY1305",
	"SM4_GCM",     "SM4_CCM",     "ARIA_GCM_128", "ARIA_GCM_256",
};

/* From CT_SYS_SOCKET on. */
#define CT_KERNEL_CALLS 6
static const char kernel_calls[CT_KERNEL_CALLS][16] = {
	"socket", "bind", "setsockopt", "add_key", "request_key", "keyctl",
};

/* What is to be recorded of a call. */
struct ct_kernel_call {
	__u64 user_text; /* appended to `text` */
	__u64 cookie;
	__u64 number;
	__u32 user_len; /* at most, with its NUL */
	__s32 fd;
	__u16 version;
	__u16 meaning;
	__u16 state;
	__u16 reserved;
	char text[24];
};

/* The cookie of a socket, when it has one already; 0 when not, or when it is none. */
static __always_inline __u64 socket_cookie(struct task_struct *task, __u32 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct socket___cookie *socket;
	struct file *file = NULL;

	if (fd >= BPF_CORE_READ(fdt, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), BPF_CORE_READ(fdt, fd) + fd);
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ((struct file___socket *)file, private_data);
	return BPF_CORE_READ(socket, sk, __sk_common.skc_cookie.counter);
}

/* Attempts to get an AF_ALG socket are of interest when they fail; else its bind(2) tells more. */
static __always_inline int wanted_socket(struct ct_kernel_call *call, struct ct_args *args, __s64 ret)
{
	call->meaning = CT_KERNEL_ALGORITHM;
	return (__u32)args->a[0] == AF_ALG && ret < 0;
}

static __always_inline int wanted_bind(struct ct_kernel_call *call, struct ct_args *args)
{
	__u32 len = (__u32)args->a[2];
	struct ct_sockaddr_alg address;

	if (len <= sizeof(address) || bpf_probe_read_user(&address, sizeof(address), (void *)args->a[1]))
		return 0;
	if (address.family != AF_ALG)
		return 0;
	call->meaning = CT_KERNEL_ALGORITHM;
	call->fd = (__s32)args->a[0];
	/* As the kernel does: the last byte is its end. */
	address.type[13] = 0;
	bpf_probe_read_kernel_str(call->text, sizeof(address.type), address.type);
	call->user_text = args->a[1] + sizeof(address);
	call->user_len = len - sizeof(address);
	return 1;
}

static __always_inline int wanted_setsockopt(struct ct_kernel_call *call, struct ct_args *args, __s64 ret,
					     struct task_struct *task)
{
	__u32 level = (__u32)args->a[1], option = (__u32)args->a[2];
	struct ct_tls_crypto_info info;
	__u32 cipher;

	call->meaning = CT_KERNEL_TLS;
	call->fd = (__s32)args->a[0];
	if (level == IPPROTO_TCP && option == TCP_ULP && ret < 0) {
		/* Refused before there is a cipher. */
		char name[4];

		if (bpf_probe_read_user_str(name, sizeof(name), (void *)args->a[3]) != 4)
			return 0;
		if (name[0] != 't' || name[1] != 'l' || name[2] != 's')
			return 0;
		call->cookie = socket_cookie(task, call->fd);
		return 1;
	}
	if (level != SOL_TLS || (option != TLS_TX && option != TLS_RX))
		return 0;
	call->number = option;
	call->cookie = socket_cookie(task, call->fd);
	if ((__u32)args->a[4] < sizeof(info) || bpf_probe_read_user(&info, sizeof(info), (void *)args->a[3])) {
		call->state |= CT_KERNEL_UNREADABLE;
		return 1;
	}
	call->version = info.version;
	cipher = info.cipher_type - CT_FIRST_TLS_CIPHER;
	if (cipher < CT_TLS_CIPHERS)
		__builtin_memcpy(call->text, tls_ciphers[cipher], sizeof(call->text));
	else
		BPF_SNPRINTF(call->text, sizeof(call->text), "%u", info.cipher_type);
	return 1;
}

static __always_inline int wanted_key(struct ct_kernel_call *call, struct ct_args *args, __u32 sys)
{
	call->meaning = CT_KERNEL_KEY;
	if (sys == CT_SYS_KEYCTL) {
		call->number = (__u32)args->a[0];
	} else {
		call->user_text = args->a[0];
		call->user_len = CT_KERNEL_TEXT_MAX;
	}
	return 1;
}

/* Appends the text; returns its length. */
static __always_inline __u32 append_kernel_text(struct ct_scratch *s, __u32 *pos, struct ct_kernel_call *call,
						__u16 *flags)
{
	__u32 max = call->user_len > CT_KERNEL_TEXT_MAX ? CT_KERNEL_TEXT_MAX : call->user_len;
	__u32 at = *pos, len = 0;
	long n;

	asm volatile("" : "+r"(at));
	if (at > CT_RECORD_MASK)
		return 0;
	n = bpf_probe_read_kernel_str(&s->record[at], sizeof(call->text), call->text);
	if (n > 1 && n <= sizeof(call->text)) {
		*pos = at + n - 1;
		len = n - 1;
		if (call->user_text) {
			char space = ' ';

			len += append(s, pos, &space, 1);
		}
	}
	if (!call->user_text)
		return len;
	at = *pos;
	asm volatile("" : "+r"(at), "+r"(max));
	if (at > CT_RECORD_MASK || !max || max > CT_KERNEL_TEXT_MAX)
		return len;
	n = bpf_probe_read_user_str(&s->record[at], max, (void *)call->user_text);
	if (n <= 0 || n > CT_KERNEL_TEXT_MAX) {
		*flags |= CT_F_UNREADABLE;
		call->state |= CT_KERNEL_UNREADABLE;
		return len;
	}
	if (n == CT_KERNEL_TEXT_MAX)
		*flags |= CT_F_TRUNCATED;
	*pos = at + n - 1;
	return len + n - 1;
}

/* A system call from CT_SYS_SOCKET on has ended in the current thread. */
__noinline int kernel_call(__u32 sys, __u32 compat, __s64 ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct ct_kernel_call call = { .fd = -1, .state = CT_KERNEL_RESULT };
	__u16 flags = compat ? CT_F_COMPAT : 0;
	struct ct_api_call *api;
	struct ct_scratch *s;
	struct ct_header *h;
	struct ct_args args;
	__u32 pos = sizeof(*h) + sizeof(*api);
	__u32 slot = 0, index;
	int wanted = 0;

	if (sys == CT_SYS_GETRANDOM) {
		count_random(ret < 0 ? CT_RANDOM_REFUSED : CT_RANDOM_GETRANDOM, ret < 0 ? 0 : ret, ret < 0 ? ret : 0);
		return 0;
	}
	syscall_args((struct pt_regs *)bpf_task_pt_regs(task), compat, &args);
	if (sys == CT_SYS_SOCKETCALL) {
		__u32 words[5] = {};

		sys = args.a[0] == SYS_SOCKET ? CT_SYS_SOCKET :
		      args.a[0] == SYS_BIND ? CT_SYS_BIND :
		      args.a[0] == SYS_SETSOCKOPT ? CT_SYS_SETSOCKOPT :
						    CT_SYS_OTHER;
		if (sys == CT_SYS_OTHER)
			return 0;
		/* It takes its arguments from memory: three, three, and five of them. */
		if (bpf_probe_read_user(words, sys == CT_SYS_SETSOCKOPT ? 20 : 12, (void *)args.a[1]))
			return 0;
		args.a[0] = words[0];
		args.a[1] = words[1];
		args.a[2] = words[2];
		args.a[3] = words[3];
		args.a[4] = words[4];
	}
	if (sys == CT_SYS_SOCKET)
		wanted = wanted_socket(&call, &args, ret);
	else if (sys == CT_SYS_BIND)
		wanted = wanted_bind(&call, &args);
	else if (sys == CT_SYS_SETSOCKOPT)
		wanted = wanted_setsockopt(&call, &args, ret, task);
	else
		wanted = wanted_key(&call, &args, sys);
	index = sys - CT_SYS_SOCKET;
	if (!wanted || index >= CT_KERNEL_CALLS || !process_wanted(task))
		return 0;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_API_CALL);
		return 0;
	}
	h = (struct ct_header *)s->record;
	api = (struct ct_api_call *)(s->record + sizeof(*h));
	header_init(h, task, CT_API_CALL, sizeof(*api));
	__builtin_memset(api, 0, sizeof(*api));
	api->cookie = call.cookie;
	api->result = ret;
	api->count = 1;
	api->number = call.number;
	api->fd = call.fd;
	api->version = call.version;
	api->meaning = call.meaning;
	api->level = CT_KERNEL_LEVEL;
	asm volatile("" : "+r"(pos));
	if (pos <= CT_RECORD_MASK) {
		long n = bpf_probe_read_kernel_str(&s->record[pos], sizeof(kernel_calls[0]), kernel_calls[index]);

		if (n > 1 && n <= sizeof(kernel_calls[0])) {
			api->function_len = (__u16)(n - 1);
			pos += n - 1;
		}
	}
	api->text_len = (__u16)append_kernel_text(s, &pos, &call, &flags);
	api->state = call.state;
	h->flags = flags;
	emit_event(s, pos);
	scratch_give(s);
	return 0;
}

#endif
