# SPDX-License-Identifier: MIT OR Apache-2.0
"""The cases of DTLS: which stacks connect, and how."""

EXPLAINED = []


def cases(peers):
    return []
