/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * All programs of crypto-trace in one object, because they share their maps. Each topic has a header of its own:
 *
 *   abi.h           records and configuration, shared with Rust
 *   kernel.h        the kernel's types, as far as used
 *   current.h       the current task, and what older kernels do in other ways
 *   maps.h          maps, counters, scratch
 *   budget.h        fair share of the ring
 *   record.h        header, append, emit
 *   path.h          absolute paths
 *   filter.h        which processes, names, libraries
 *   directory.h     which directories
 *   random.h        counts of random bytes
 *   process.h       exec, fork, exit
 *   real.h          which file is really mapped
 *   files.h         file_open and lib_load, whatever the attach tier
 *   syscall.h       what the registers of a system call hold
 *   changes.h       file_change
 *   library.h       calls into crypto libraries
 *   kernel_crypto.h AF_ALG, kTLS, key rings
 *   tls.h           TLS on the wire: numbers, and what is kept of it
 *   net.h           sockets and packets
 *   hello.h         hellos on the wire: their records
 *   tls_look.h      where TLS begins
 *   tls_follow.h    what of TLS is copied
 *   ssh.h           SSH on the wire: numbers, and what is kept of it
 *   ssh_follow.h    where SSH begins, and what of it is copied
 *   protocols.h     the protocols whose hellos are recorded
 *   datagram.h      datagrams that open a handshake: QUIC, DTLS, IKE, WireGuard
 *   stream.h        following a stream; the programs on packets
 *   calls.h         system calls that end, in three attach tiers
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>

#include "abi.h"
#include "abi_check.h"
#include "current.h"
#include "maps.h"
#include "budget.h"
#include "record.h"
#include "path.h"
#include "filter.h"
#include "directory.h"
#include "random.h"
#include "process.h"
#include "real.h"
#include "files.h"
#include "syscall.h"
#include "changes.h"
#include "library.h"
#include "kernel_crypto.h"
#include "calls.h"
#include "tls.h"
#include "ssh.h"
#include "net.h"
#include "hello.h"
#include "protocols.h"
#include "datagram.h"
#include "stream.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
