"""Differences that are known: whose they are, in which version they were seen, and why. Everything else is a failure."""


def reason(witness, field, ours, theirs, told):
    """Why a difference is none of ours, or nothing."""
    if witness.startswith("PuTTY plink") and field == "host_key.key_bits" and (ours, theirs) == (256, 255):
        return "PuTTY 0.83 calls ed25519 keys 255 bits, as the field is; OpenSSH's ssh-keygen says 256"
    if witness == "ssh-audit" and field == "server_comments" and "tinyssh" in told["server_software"]:
        return "TinySSH 20250501 says another word at each connection; ssh-audit 3.9.0 tells the one of its first"
    if witness.startswith("Erlang ssh") and field.startswith("cipher_") and (ours, theirs) == ("aes256-gcm@openssh.com", "AEAD_AES_256_GCM"):
        return "Erlang's ssh 5.2.11.1 tells the name of RFC 5647 of a cipher that was agreed on as OpenSSH names it"
    if witness == "libreswan" and field == "encryption_key_bits" and (ours, theirs) == (None, 256) and told["encryption"] == "ENCR_CHACHA20_POLY1305":
        return "libreswan 5.2 tells the length of a key of ChaCha20, which has one length and is negotiated without"
    return None
