/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The protocols whose hellos are recorded. One more is a header, included here, with functions like those of TLS: `begins` looks for
 * its first hello in a packet, at d->p, and `judge` moves on by one element of the stream and says what of it is copied. What it
 * keeps of a stream is a struct of its own in `of` (net.h).
 */
#ifndef CRYPTO_TRACE_PROTOCOLS_H
#define CRYPTO_TRACE_PROTOCOLS_H

#include "tls_look.h"
#include "tls_follow.h"
#include "ssh_follow.h"

/* Whether a protocol is looked for, and may begin in this direction: the other one may have begun with another. */
static __always_inline int may_begin(const struct ct_stream *w, __u8 protocol)
{
	const struct ct_dir *other = &w->st->dir[w->packet->direction == CT_SENT ? CT_RECEIVED - 1 : CT_SENT - 1];

	return cfg.wire & 1 << protocol && (!other->role || other->protocol == protocol);
}

/* Whether a hello begins in this packet: of one protocol after the other. Those that look are not inlined: their room on the stack is free again after them. */
static __always_inline int begins(struct ct_stream *w)
{
	if (may_begin(w, CT_PROTOCOL_SSH)) {
		int begun = ssh_begins(w);

		if (begun > 0)
			w->d->protocol = CT_PROTOCOL_SSH;
		if (begun)
			return begun > 0;
	}
	if (!may_begin(w, CT_PROTOCOL_TLS) || !tls_begins(w))
		return 0;
	w->d->protocol = CT_PROTOCOL_TLS;
	return 1;
}

/* A packet begins, whose offsets are others than the last one's. */
static __always_inline void new_packet(struct ct_dir *d)
{
	if (d->protocol == CT_PROTOCOL_TLS)
		d->of.tls.record = 0;
}

/* Moves on by one element of the stream, and says what of it is copied. */
static __always_inline void judge(struct ct_stream *w)
{
	if (w->d->protocol == CT_PROTOCOL_SSH)
		ssh_judge(w);
	else
		tls_judge(w);
}

#endif
