#!/usr/bin/env python3
"""Makes the certificates of this directory that no server of make.py has. Needs the Python package cryptography (50, for ML-DSA)."""
import datetime
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.x509.oid import NameOID


def write(file, key, algorithm, name, not_after):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(0x80F1).not_valid_before(datetime.datetime(1999, 1, 2, 3, 4, 5)).not_valid_after(not_after)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    with open(file, "wb") as out:
        out.write(builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER))


write("never_expires.der", ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), 'f\u00f6\u00f6 \u0007 "bar"',
      datetime.datetime(9999, 12, 31, 23, 59, 59))
write("ml_dsa_65.der", mldsa.MLDSA65PrivateKey.generate(), None, "ml-dsa", datetime.datetime(2030, 1, 1))
