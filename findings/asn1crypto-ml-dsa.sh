#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# asn1crypto 1.5.1 (PyPI): of a certificate with ML-DSA (RFC 9881) it reads names and dates, but each attribute that names its cryptography
# raises instead of giving the OID: `algorithm` KeyError, `bit_size` UnboundLocalError, `signature_algo` and `hash_algo` ValueError. An
# inventory of certificates made with it loses just the post-quantum ones, unless it takes the OID from `public_key['algorithm']`.
#
# Seen: subject pq.test, algorithm KeyError, bit_size UnboundLocalError, signature_algo ValueError, hash_algo ValueError,
# OID 2.16.840.1.101.3.4.3.18
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check asn1crypto==1.5.1 cryptography==50.0.2
cat > drive.py <<'END_PY'
"""Makes a self-signed certificate of ML-DSA-65 and prints what asn1crypto says of it."""
import datetime

import asn1crypto.x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import mldsa
from cryptography.hazmat.primitives.serialization import Encoding

key = mldsa.MLDSA65PrivateKey.generate()
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pq.test")])
builder = x509.CertificateBuilder(name, name, key.public_key(), 1)
builder = builder.not_valid_before(datetime.datetime(2026, 1, 1)).not_valid_after(datetime.datetime(2027, 1, 1))
read = asn1crypto.x509.Certificate.load(builder.sign(key, None).public_bytes(Encoding.DER))
seen = [f"subject {read.subject.native['common_name']}"]
for owner, attribute in ((read.public_key, "algorithm"), (read.public_key, "bit_size"), (read, "signature_algo"), (read, "hash_algo")):
    try:
        value = getattr(owner, attribute)
    except Exception as error:  # What it raises is what is shown.
        value = type(error).__name__
    seen.append(f"{attribute} {value}")
seen.append(f"OID {read.public_key['algorithm']['algorithm'].dotted}")
print(", ".join(seen))
END_PY
seen=$(env/bin/python drive.py)
echo "$seen"
[ "$seen" = "subject pq.test, algorithm KeyError, bit_size UnboundLocalError, signature_algo ValueError, hash_algo ValueError, \
OID 2.16.840.1.101.3.4.3.18" ]
