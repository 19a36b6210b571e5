"""Which daemons of IKE set up an IKE_SA with which, and with what: data for ike_inside.py."""

import dataclasses


@dataclasses.dataclass
class Exchange:
    initiator: str
    responder: str
    # As each of them writes it; nothing for its defaults.
    proposals: str = ""
    responders_proposals: str = ""
    options: tuple = ()
    responders_options: tuple = ()
    label: str = ""
    # Whether somebody else has begun and does not go on.
    half_open: bool = False

    @property
    def name(self):
        return f"{self.initiator} to {self.responder}: {self.label or self.proposals or 'defaults'}"


L, S = "libreswan", "strongSwan"
# A cookie is wanted of everybody.
BUSY = {L: ("ddos-mode=busy",), S: ("cookie_threshold = 1", "cookie_threshold_ip = 1")}

EXCHANGES = [
    Exchange(L, L),
    Exchange(S, S),
    Exchange(L, S),
    Exchange(S, L),
    Exchange(L, L, "aes_gcm256-sha2_512-dh19", "aes_gcm256-sha2_512-dh19"),
    Exchange(L, L, "chacha20_poly1305-sha2_512-dh31", "chacha20_poly1305-sha2_512-dh31"),
    Exchange(L, L, "aes256-sha1;modp2048", "aes256-sha1;modp2048"),
    Exchange(L, L, "aes128-sha2_256;dh20,aes_gcm128-sha2_256;dh21", "aes128-sha2_256;dh20"),
    Exchange(L, S, "aes256-sha2_256;modp3072", "aes256-sha256-modp3072"),
    Exchange(L, S, "aes_gcm128-sha2_384;dh20", "aes128gcm16-prfsha384-ecp384"),
    Exchange(S, L, "aes128-sha384-modp4096", "aes128-sha2_384;modp4096"),
    Exchange(S, L, "chacha20poly1305-prfsha512-x25519", "chacha20_poly1305-sha2_512;dh31"),
    Exchange(S, S, "aes192ctr-sha512-ecp521", "aes192ctr-sha512-ecp521"),
    Exchange(L, L, responders_options=BUSY[L], label="a cookie is wanted"),
    Exchange(S, L, responders_options=BUSY[L], label="a cookie is wanted"),
    Exchange(L, S, responders_options=BUSY[S], label="a cookie is wanted", half_open=True),
    Exchange(S, S, responders_options=BUSY[S], label="a cookie is wanted", half_open=True),
    Exchange(L, L, "aes256-sha2_256;modp2048+dh19", "aes256-sha2_256;dh19", label="INVALID_KE_PAYLOAD"),
    Exchange(L, S, "aes256-sha2_256;modp2048+dh31", "aes256-sha256-x25519", label="INVALID_KE_PAYLOAD"),
    Exchange(S, L, "aes256-sha256-ecp256-modp4096", "aes256-sha2_256;modp4096", label="INVALID_KE_PAYLOAD"),
    Exchange(L, L, "aes256-sha2_256;modp2048+dh19", "aes256-sha2_256;dh19", responders_options=BUSY[L], label="a cookie, and INVALID_KE_PAYLOAD"),
    Exchange(L, L, "aes256-sha2_256;modp2048", "aes_gcm256-sha2_512;dh19", label="NO_PROPOSAL_CHOSEN"),
    Exchange(S, L, "aes256-sha256-modp2048", "aes_gcm256-sha2_512;dh19", label="NO_PROPOSAL_CHOSEN"),
    Exchange(L, S, "aes256-sha2_256;modp2048", "aes256gcm16-prfsha512-ecp256", label="NO_PROPOSAL_CHOSEN"),
]
