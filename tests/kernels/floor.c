/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * floor TIER COMMAND...: runs a command with an empty program attached where that attach tier has its programs for opens,
 * which is what entering a program costs there, whatever it does; or, where TIER is `packets`, with one on the packets of each
 * direction. For tests/kernels/costs; static, and of no library.
 *
 * Layouts: linux/bpf.h, linux/btf.h, linux/perf_event.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTION "do_sys_openat2"
/* Newer than the headers of some distributions. */
#define KIND_ENUM64 19

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static char *slurp(const char *path)
{
	size_t size = 64 << 20, len = 0;
	char *data = calloc(1, size);
	int fd = check(open(path, O_RDONLY), path);
	ssize_t n;

	while ((n = read(fd, data + len, size - len - 1)) > 0)
		len += n;
	close(fd);
	return data;
}

/* Number of the kernel's type of that kind and name. */
static uint32_t btf_id(uint32_t kind, const char *name)
{
	char *data = slurp("/sys/kernel/btf/vmlinux");
	struct btf_header *h = (struct btf_header *)data;
	char *types = data + h->hdr_len + h->type_off, *names = data + h->hdr_len + h->str_off;
	uint32_t id = 1, at = 0;

	for (; at < h->type_len; id++) {
		struct btf_type *type = (struct btf_type *)(types + at);
		uint32_t vlen = BTF_INFO_VLEN(type->info);

		if (BTF_INFO_KIND(type->info) == kind && !strcmp(names + type->name_off, name)) {
			free(data);
			return id;
		}
		at += sizeof(*type);
		switch (BTF_INFO_KIND(type->info)) {
		case BTF_KIND_INT:
		case BTF_KIND_VAR:
		case BTF_KIND_DECL_TAG:
			at += 4;
			break;
		case BTF_KIND_ARRAY:
			at += sizeof(struct btf_array);
			break;
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_DATASEC:
		case KIND_ENUM64:
			at += vlen * 12;
			break;
		case BTF_KIND_ENUM:
		case BTF_KIND_FUNC_PROTO:
			at += vlen * 8;
			break;
		}
	}
	fprintf(stderr, "floor: this kernel has no %s\n", name);
	exit(1);
}

static int load(uint32_t type, uint32_t attach_type, uint32_t id)
{
	struct bpf_insn empty[] = {
		/* Packets pass by 1; nobody asks the others. */
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {};

	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.attach_btf_id = id;
	attr.insns = (uintptr_t)empty;
	attr.insn_cnt = 2;
	attr.license = (uintptr_t)"Dual MIT/GPL";
	return check(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)), "load");
}

static void attach_tracing(uint32_t attach_type, uint32_t id)
{
	union bpf_attr attr = {};

	attr.raw_tracepoint.prog_fd = load(BPF_PROG_TYPE_TRACING, attach_type, id);
	check(syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr)), "attach");
}

static void attach_packets(uint32_t attach_type)
{
	union bpf_attr attr = {};

	attr.link_create.prog_fd = load(BPF_PROG_TYPE_CGROUP_SKB, attach_type, 0);
	attr.link_create.target_fd = check(open("/sys/fs/cgroup", O_RDONLY), "/sys/fs/cgroup");
	attr.link_create.attach_type = attach_type;
	check(syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)), "attach");
}

static void attach_kretprobe(void)
{
	struct perf_event_attr attr = { .size = sizeof(attr), .config = 1 /* retprobe */ };
	char *type = slurp("/sys/bus/event_source/devices/kprobe/type");
	int fd;

	attr.type = atoi(type);
	attr.kprobe_func = (uintptr_t)FUNCTION;
	fd = check(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC), "perf_event_open");
	check(ioctl(fd, PERF_EVENT_IOC_SET_BPF, load(BPF_PROG_TYPE_KPROBE, 0, 0)), "set program");
	check(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), "enable");
}

int main(int argc, char **argv)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	int status;

	if (argc < 3)
		return 2;
	/* Before Linux 5.11 programs are locked memory. */
	check(setrlimit(RLIMIT_MEMLOCK, &unlimited), "setrlimit");
	if (!strcmp(argv[1], "fentry"))
		attach_tracing(BPF_TRACE_FEXIT, btf_id(BTF_KIND_FUNC, FUNCTION));
	else if (!strcmp(argv[1], "kprobe"))
		attach_kretprobe();
	else if (!strcmp(argv[1], "packets")) {
		attach_packets(BPF_CGROUP_INET_EGRESS);
		attach_packets(BPF_CGROUP_INET_INGRESS);
	}
	else
		attach_tracing(BPF_TRACE_RAW_TP, btf_id(BTF_KIND_TYPEDEF, "btf_trace_sys_exit"));
	if (!fork()) {
		execv(argv[2], argv + 2);
		_exit(127);
	}
	wait(&status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
