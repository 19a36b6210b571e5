/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The kernel's own crypto as programs ask for it, by system calls: AF_ALG sockets (what algorithm), kTLS (version and
 * cipher), key rings (type of key). Attempts that the kernel refuses are recorded like those that it grants.
 *
 * What is read of a caller's memory is what names an algorithm, and nothing behind it: of setsockopt(SOL_TLS) the four
 * bytes before the keys, of add_key(2) the type, not the payload, nor its length.
 *
 * Global functions, which the verifier sees once, by themselves: the program on sys_exit pays for the call, and other system
 * calls for nothing.
 *
 * Not seen: the same asked for through io_uring.
 */
#ifndef CRYPTO_TRACE_KERNEL_CRYPTO_H
#define CRYPTO_TRACE_KERNEL_CRYPTO_H

/* include/linux/socket.h, include/uapi/linux/{tcp,tls,net}.h */
#define AF_ALG 38
#define SOL_TLS 282
#define TCP_ULP 31
#define TLS_TX 1
#define TLS_RX 2
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

/* Attempts to get an AF_ALG socket are of interest when they fail; otherwise its bind(2) shows more. */
static __always_inline int wanted_socket(struct ct_kernel_call *call, struct ct_args *args)
{
	call->meaning = CT_MEANING_KERNEL_ALGORITHM;
	return (__u32)args->a[0] == AF_ALG && call->result < 0;
}

static __always_inline int wanted_bind(struct ct_kernel_call *call, struct ct_args *args)
{
	__u32 len = (__u32)args->a[2];
	struct ct_sockaddr_alg address;

	if (len <= sizeof(address) || bpf_probe_read_user(&address, sizeof(address), (void *)args->a[1]))
		return 0;
	if (address.family != AF_ALG)
		return 0;
	call->meaning = CT_MEANING_KERNEL_ALGORITHM;
	call->fd = (__s32)args->a[0];
	/* As the kernel does: the last byte is its end. */
	address.type[13] = 0;
	bpf_probe_read_kernel_str(call->text, sizeof(address.type), address.type);
	call->user_text = args->a[1] + sizeof(address);
	call->user_len = len - sizeof(address);
	return 1;
}

static __always_inline int wanted_setsockopt(struct ct_kernel_call *call, struct ct_args *args,
					     struct task_struct *task)
{
	__u32 level = (__u32)args->a[1], option = (__u32)args->a[2];
	struct ct_tls_crypto_info info;
	__u32 cipher;

	call->meaning = CT_MEANING_KERNEL_TLS;
	call->fd = (__s32)args->a[0];
	if (level == IPPROTO_TCP && option == TCP_ULP && call->result < 0) {
		/* Refused before there is a cipher. */
		char name[4];

		if (bpf_probe_read_user_str(name, sizeof(name), (void *)args->a[3]) != 4)
			return 0;
		if (name[0] != 't' || name[1] != 'l' || name[2] != 's')
			return 0;
		call->cookie = cookie_of_fd(task, call->fd);
		return 1;
	}
	if (level != SOL_TLS || (option != TLS_TX && option != TLS_RX))
		return 0;
	call->number = option;
	call->cookie = cookie_of_fd(task, call->fd);
	if ((__u32)args->a[4] < sizeof(info) || bpf_probe_read_user(&info, sizeof(info), (void *)args->a[3])) {
		call->state |= CT_API_UNREADABLE;
		return 1;
	}
	call->version = info.version;
	cipher = info.cipher_type - CT_FIRST_TLS_CIPHER;
	if (cipher < CT_TLS_CIPHERS)
		__builtin_memcpy(call->text, tls_ciphers[cipher], sizeof(call->text));
	else
#ifndef CT_OLD_KERNEL
		BPF_SNPRINTF(call->text, sizeof(call->text), "%u", info.cipher_type);
#else
		__builtin_memcpy(call->text, "unknown", sizeof("unknown"));
#endif
	return 1;
}

static __always_inline int wanted_key(struct ct_kernel_call *call, struct ct_args *args, __u32 sys)
{
	call->meaning = CT_MEANING_KERNEL_KEY;
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
	if (at > CT_RECORD_MASK || !in_range(max, 1, CT_KERNEL_TEXT_MAX))
		return len;
	n = bpf_probe_read_user_str(&s->record[at], max, (void *)call->user_text);
	if (n <= 0 || n > CT_KERNEL_TEXT_MAX) {
		*flags |= CT_F_UNREADABLE;
		call->state |= CT_API_UNREADABLE;
		return len;
	}
	if (n == CT_KERNEL_TEXT_MAX)
		*flags |= CT_F_TRUNCATED;
	*pos = at + n - 1;
	return len + n - 1;
}

/* Records the call in scratch->call, and gives the slot back. A global function: verified once. */
__noinline int tell_kernel_call(__u32 slot)
{
	struct ct_scratch *s = scratch_of(slot);
	struct ct_kernel_call *call;
	struct ct_api_call *api;
	struct ct_header *h;
	__u32 pos = sizeof(*h) + sizeof(*api);
	__u16 flags = 0;
	__u32 len;
	long n;

	if (!s)
		return 0;
	if (s->call.name >= CT_KERNEL_CALLS) {
		scratch_give(s);
		return 0;
	}
	call = &s->call;
	h = (struct ct_header *)s->record;
	api = (struct ct_api_call *)(s->record + sizeof(*h));
	header_init(h, current_task(), CT_API_CALL, sizeof(*api));
	if (call->compat)
		flags |= CT_F_COMPAT;
	__builtin_memset(api, 0, sizeof(*api));
	api->cookie = call->cookie;
	api->result = call->result;
	api->count = 1;
	api->number = call->number;
	api->fd = call->fd;
	api->version = call->version;
	api->meaning = call->meaning;
	api->level = CT_LEVEL_KERNEL;
	n = bpf_probe_read_kernel_str(&s->record[pos], sizeof(kernel_calls[0]), kernel_calls[call->name]);
	len = n > 1 && n <= sizeof(kernel_calls[0]) ? n - 1 : 0;
	api->function_len = (__u16)len;
	pos += len;
	api->text_len = (__u16)append_kernel_text(s, &pos, call, &flags);
	api->state = call->state;
	h->flags = flags;
	emit_event(slot, pos);
	scratch_give(s);
	return 0;
}

/* The arguments of one of the calls that socketcall(2) stands for, which it takes from memory; its number. */
static __always_inline __u32 socketcall_args(struct ct_args *args)
{
	__u32 words[5] = {}, sys, i;

	switch (args->a[0]) {
	case SYS_SOCKET:
		sys = CT_SYS_SOCKET;
		break;
	case SYS_BIND:
		sys = CT_SYS_BIND;
		break;
	case SYS_SETSOCKOPT:
		sys = CT_SYS_SETSOCKOPT;
		break;
	default:
		return CT_SYS_OTHER;
	}
	if (bpf_probe_read_user(words, sys == CT_SYS_SETSOCKOPT ? 20 : 12, (void *)args->a[1]))
		return CT_SYS_OTHER;
	for (i = 0; i < 5; i++)
		args->a[i] = words[i];
	return sys;
}

/*
 * A system call from CT_SYS_SOCKET on, but for getrandom(2), has ended in the current thread: what is to be recorded of it is in
 * scratch->call. Returns one more than the slot, which whoever called has to hand to tell_kernel_call(), for the stack's sake; 0: nothing.
 */
__noinline int kernel_call(__u32 sys, __u32 compat, __s64 ret)
{
	struct task_struct *task = current_task();
	struct ct_kernel_call call = { .fd = -1, .state = CT_API_RESULT, .result = ret, .compat = compat };
	struct ct_scratch *s;
	struct ct_args args;
	__u32 slot = 0;
	int wanted;

	syscall_args(saved_registers(task), compat, &args);
	if (sys == CT_SYS_SOCKETCALL)
		sys = socketcall_args(&args);
	switch (sys) {
	case CT_SYS_SOCKET:
		wanted = wanted_socket(&call, &args);
		break;
	case CT_SYS_BIND:
		wanted = wanted_bind(&call, &args);
		break;
	case CT_SYS_SETSOCKOPT:
		wanted = wanted_setsockopt(&call, &args, task);
		break;
	case CT_SYS_ADD_KEY:
	case CT_SYS_REQUEST_KEY:
	case CT_SYS_KEYCTL:
		wanted = wanted_key(&call, &args, sys);
		break;
	default:
		return 0;
	}
	if (!wanted || !process_wanted())
		return 0;
	s = scratch_take(&slot);
	if (!s) {
		count_lost(CT_API_CALL);
		return 0;
	}
	s->call = call;
	s->call.name = sys - CT_SYS_SOCKET;
	return (int)slot + 1;
}

#endif
