#!/usr/bin/env python3
"""Holds answers of fleet/sql to those of the analyzer: answers.py ANALYZER TABLES ASK AS_OF SEGMENT…

ASK is the command that asks a question of the tables, up to the name of the question, as one text. Prints what differs, and fails
then; prints what was compared.
"""

import json
import shlex
import subprocess
import sys
from collections import Counter

analyzer, tables, ask, as_of, *segments = sys.argv[1:]
differs = []
compared = Counter()


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()


def report(name, *options):
    return json.loads(run([analyzer, name, "-q", "-f", "json", *options, *segments]))


def rows(question):
    command = [*shlex.split(ask), question, "--as-of", as_of, "-f", "json"]
    return [json.loads(line) for line in run(command).splitlines()]


def same(what, expected, found):
    compared[what.split(":")[0]] += 1
    if expected != found:
        differs.append(f"{what}: the analyzer says {expected!r}, SQL says {found!r}")


def handshakes():
    tls, found = report("tls", "--as-of", as_of), rows("handshakes")
    total = Counter()
    by = {name: Counter() for name in ("version", "cipher_suite", "key_exchange")}
    programs = {}
    for row in found:
        total["handshakes"] += row["handshakes"]
        total["ends"] += row["ends"]
        total[row["quantum"]] += row["handshakes"]
        for name, counts in by.items():
            if row[name] is not None:
                counts[row[name]] += row["handshakes"]
        program = programs.setdefault(row["program"], Counter())
        program["as_" + (row["role"] or "")] += row["ends"]
        program[row["quantum"]] += row["ends"]
        program["failed"] += row["failed_ends"]
    for name in ("handshakes", "ends", "post_quantum", "classical"):
        same(f"tls: {name}", tls[name], total[name])
    same("tls: quantum_unknown", tls["quantum_unknown"], total["unknown"])
    for name, listed in (("version", "versions"), ("cipher_suite", "cipher_suites"), ("key_exchange", "key_exchanges")):
        expected = {row["name"]: row["handshakes"] for row in tls[listed]}
        same(f"tls: {listed}", expected, {name: count for name, count in by[name].items() if count})
    for row in tls["programs"]:
        program = programs.pop(row["program"], Counter())
        for name in ("as_client", "as_server", "post_quantum", "classical", "failed"):
            same(f"tls: {row['program']}: {name}", row[name], program[name])
    same("tls: programs beyond", [], list(programs))


def readiness():
    expected, found = {}, {}
    reasons = ["client_did_not_offer", "client_offers_old_version", "server_chose_old_version", "old_version",
               "server_chose_another", "retry_needed", "offer_not_seen", "offer_not_known"]
    sums = ["handshakes", "post_quantum", "classical", "resumed", "not_seen", "no_agreement"]
    key = ("host", "program", "container", "role", "port", "server_name")
    # The tables are asked about TLS.
    for row in (row for row in report("readiness")["rows"] if row["protocol"] == "tls"):
        counts = expected.setdefault(tuple(row[name] for name in key), Counter())
        counts.update({name: row[name] for name in sums})
        counts["unknown_group"] += row["unknown"]
        for why in row["why_not"]:
            reason = {"server_declined": "server_chose_another"}.get(why["reason"], why["reason"])
            if reason in reasons:
                counts[reason] += why["handshakes"]
    for row in rows("readiness"):
        found[tuple(row[name] for name in key)] = {name: row[name] for name in [*sums, "unknown_group", *reasons]}
    same("readiness: rows", sorted(map(str, expected)), sorted(map(str, found)))
    for row, counts in expected.items():
        for name in [*sums, "unknown_group", *reasons]:
            same(f"readiness: {row}: {name}", counts[name], found.get(row, {}).get(name))


def certificates():
    expected = {row["sha256"]: row for row in report("certs", "--as-of", as_of)["rows"]}
    found = {row["sha256"]: row for row in rows("certificates")}
    same("certs: rows", sorted(expected), sorted(found))
    names = ["subject", "issuer", "not_before", "not_after", "days_left", "handshakes", "key_type"]
    for sha256, row in expected.items():
        for name in names:
            same(f"certs: {sha256}: {name}", row[name], found.get(sha256, {}).get(name))


def findings():
    """What SQL does not see is what only library calls or the scheme of a signature use; nothing else may be missing."""
    def key(row):
        return tuple(row[name] for name in ("algorithm", "document", "section", "status", "effective", "in_force"))

    unseen = {"authentication", "library_call", "kernel_call"}
    expected, found, at_most = Counter(), Counter(), set()
    for row in report("tls", "--as-of", as_of)["findings"]:
        if not set(row["seen_in"]) <= unseen:
            expected[key(row)] += row["handshakes"]
        if "authentication" in row["seen_in"]:
            at_most.add(key(row))
    for row in rows("findings"):
        found[key(row)] += row["handshakes"]
    for row in sorted(expected):
        is_part = row in at_most and 0 < found[row] <= expected[row]
        same(f"findings: {row}", expected[row], expected[row] if is_part else found.get(row))
    beyond = [row for row in found if row not in expected and row not in at_most]
    same("findings: beyond", [], beyond)


def ssh():
    expected, found = report("ssh", "--as-of", as_of), rows("ssh")
    total, methods, ciphers = Counter(), Counter(), Counter()
    for row in found:
        total["ends"] += row["ends"]
        total["handshakes"] += row["handshakes"]
        if row["kex"] is None:
            continue
        methods[row["kex"]] += row["handshakes"]
        total["post_quantum" if row["post_quantum"] else "classical"] += row["handshakes"] * (row["post_quantum"] is not None)
        total["strict_kex" if row["strict_kex"] else "without_strict_kex"] += row["handshakes"]
        for cipher in {row["cipher_client_to_server"], row["cipher_server_to_client"]} - {None}:
            ciphers[cipher] += row["handshakes"]
    for name in ("handshakes", "ends", "post_quantum", "classical", "strict_kex", "without_strict_kex"):
        same(f"ssh: {name}", expected[name], total[name])
    counted = lambda counts: {name: count for name, count in counts.items() if count}
    same("ssh: key_exchanges", {row["name"]: row["handshakes"] for row in expected["key_exchanges"]}, counted(methods))
    same("ssh: ciphers", {row["name"]: row["handshakes"] for row in expected["ciphers"]}, counted(ciphers))
    ends = Counter()
    for row in rows("ssh_readiness"):
        for name in ("ends", "post_quantum", "classical", "no_agreement"):
            ends[row["program"], name] += row[name]
    for row in expected["programs"]:
        for name, theirs in (("post_quantum", "post_quantum"), ("classical", "classical"), ("no_key_exchange", "no_agreement")):
            same(f"ssh: {row['program']}: {name}", row[name], ends[row["program"], theirs])
        same(f"ssh: {row['program']}: ends", row["as_client"] + row["as_server"] + row["role_unknown"], ends[row["program"], "ends"])


def ike():
    expected = Counter(row["role"] for row in events("ike_handshake"))
    found = Counter()
    exchanges = Counter()
    for row in rows("ike"):
        found[row["role"]] += row["ends"]
        exchanges["all"] += row["handshakes"]
        exchanges[row["key_exchange"]] += row["handshakes"]
    same("ike: ends", expected, found)
    once = {(row["net_ns"] if row["peer"] is None else 0, row["initiator_spi"]): row for row in events("ike_handshake")}
    same("ike: handshakes", len(once), exchanges.pop("all"))
    same("ike: key_exchange", Counter(row["key_exchange"] for row in once.values()), exchanges)


def events(kind):
    return [json.loads(line) for line in run([analyzer, "events", "-q", "--type", kind, *segments]).splitlines()]


handshakes()
readiness()
ssh()
ike()
certificates()
findings()
print(", ".join(f"{name} {count}" for name, count in sorted(compared.items())))
for one in differs[:40]:
    print(one)
sys.exit(bool(differs))
