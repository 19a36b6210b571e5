#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# CPython 3.11.2 (Debian 12): `import hashlib` alone initialises an OpenSSL digest of each guaranteed algorithm but BLAKE2, MD5 and
# SHA-1 among them, with nothing hashed. A trace of library calls shows MD5 and SHA-1 of each program that imports hashlib, itself or
# through another module such as urllib.request. Such a call differs from a use in that no EVP_DigestUpdate follows it.
#
# Seen: digests initialised: nothing 0, hashlib 12 (MD5 1, SHA1 1, updates 0), urllib.request 12, an md5 13 (MD5 2, updates 1)
set -eu
version=3.11.2-6+deb12u9
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
for package in python3.11-minimal libpython3.11-minimal libpython3.11-stdlib; do apt-get download -qq "$package=$version" >/dev/null 2>&1; done
apt-get download -qq libssl3=3.0.22-1~deb12u2 >/dev/null 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" tree; done
cat > shim.c <<'END_C'
/* Prints what digest each EVP_DigestInit_ex is of, and each EVP_DigestUpdate; then calls OpenSSL's own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

const char *EVP_MD_get0_name(const void *md);

int EVP_DigestInit_ex(void *ctx, const void *md, void *engine)
{
	int (*next)(void *, const void *, void *) = dlsym(RTLD_NEXT, "EVP_DigestInit_ex");
	fprintf(stderr, "init %s\n", EVP_MD_get0_name(md));
	return next(ctx, md, engine);
}

int EVP_DigestUpdate(void *ctx, const void *data, size_t length)
{
	int (*next)(void *, const void *, size_t) = dlsym(RTLD_NEXT, "EVP_DigestUpdate");
	fprintf(stderr, "update\n");
	return next(ctx, data, length);
}
END_C
lib=$dir/tree/usr/lib/$(uname -m)-linux-gnu
cc -shared -fPIC -o shim.so shim.c -L"$lib" -l:libcrypto.so.3
run() {
	LD_LIBRARY_PATH=$lib LD_PRELOAD=$dir/shim.so PYTHONHOME=$dir/tree/usr tree/usr/bin/python3.11 -S -c "$2" 2> "$1"
}
count() { grep -c "$2" "$1" || true; }
run nothing pass
run import 'import hashlib'
run urllib 'import urllib.request'
run used 'import hashlib; hashlib.md5(b"x").hexdigest()'
seen="digests initialised: nothing $(count nothing init), hashlib $(count import init) (MD5 $(count import 'init MD5$'), SHA1 $(count import 'init SHA1$'),"
seen="$seen updates $(count import update)), urllib.request $(count urllib init), an md5 $(count used init) (MD5 $(count used 'init MD5$'),"
seen="$seen updates $(count used update))"
echo "$seen"
[ "$seen" = "digests initialised: nothing 0, hashlib 12 (MD5 1, SHA1 1, updates 0), urllib.request 12, an md5 13 (MD5 2, updates 1)" ]
