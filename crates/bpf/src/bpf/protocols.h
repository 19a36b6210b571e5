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

/* Whether a hello begins in this packet: of one protocol after the other. */
static __always_inline int begins(struct ct_stream *w)
{
	if (!tls_begins(w))
		return 0;
	w->d->protocol = CT_PROTOCOL_TLS;
	return 1;
}

/* A packet begins, whose offsets are others than the last one's. */
static __always_inline void new_packet(struct ct_dir *d)
{
	d->of.tls.record = 0;
}

/* Moves on by one element of the stream, and says what of it is copied. */
static __always_inline void judge(struct ct_stream *w)
{
	tls_judge(w);
}

#endif
