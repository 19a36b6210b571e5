/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The protocols whose hellos are recorded, and what each keeps of a stream. One more is a header like tls.h with its `begins`, which
 * looks for its first hello, and its `judge`, which says what of the stream is copied; members here; and a call of each in stream.h.
 */
#ifndef CRYPTO_TRACE_PROTOCOLS_H
#define CRYPTO_TRACE_PROTOCOLS_H

struct ct_reading {
	struct ct_tls_dir tls;
};

struct ct_reading_both {
	struct ct_tls_both tls;
};

#endif
