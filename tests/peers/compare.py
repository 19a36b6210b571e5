"""Compares events with what tshark and the programs tell, field by field; and tells it as a table."""

import collections
import json
import re
import subprocess

import explained
import logs

# Members of an event that are what they are in any connection, by their path.
PLAIN = ["client_software", "client_comments", "server_software", "server_comments", "kex", "host_key_algorithm", "cipher_client_to_server",
    "cipher_server_to_client", "mac_client_to_server", "mac_server_to_client", "compression_client_to_server", "compression_server_to_client",
    "strict_kex", "dh_bits", "hassh", "hassh_server", "host_key.key_type", "host_key.key_bits", "host_key.fingerprint",
    "host_key.certificate.serial", "host_key.certificate.key_id", "host_key.certificate.ca_key_type", "host_key.certificate.ca_fingerprint"]


def member(event, path):
    for part in path.split("."):
        event = event.get(part) if isinstance(event, dict) else None
    return event


def events(analyze, recording, kind):
    done = subprocess.run([analyze, "events", "--type", kind, recording], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Report:
    """Fields that were compared, by the pair of stacks, who tells, and whether they agree."""

    def __init__(self):
        self.compared = collections.Counter()
        self.agreed = collections.Counter()
        self.connections = collections.Counter()
        self.versions = {}
        self.wrong = []
        self.explained = collections.Counter()
        self.by_witness = collections.Counter()

    def add(self, pair, witness, field, ours, theirs, told=None):
        row = (pair, witness.split(" ")[0])
        self.compared[row] += 1
        self.by_witness[plain(witness)] += 1
        if ours == theirs:
            self.agreed[row] += 1
            return
        reason = explained.reason(witness, field, ours, theirs, told or {})
        if reason:
            self.explained[reason] += 1
        else:
            self.wrong.append(f"{pair}: {field}: ours {ours!r}, {witness} {theirs!r}")

    def enough(self, wanted):
        """Whether there is as much as there was: a comparison of nothing finds no difference."""
        for what, least, found in wanted:
            if found < least:
                self.wrong.append(f"{found} {what} were compared; {least} at least are expected")

    def missing(self, pair, what):
        self.wrong.append(f"{pair}: {what}")

    def print(self):
        pairs = sorted(self.connections, key=lambda pair: pair.lower())
        rows = [("client and server", "versions, as they say", "connections", "fields: tshark", "programs", "agreed")]
        for pair in pairs:
            tsharks = sum(count for (of, who), count in self.compared.items() if of == pair and who == "tshark")
            programs = sum(count for (of, who), count in self.compared.items() if of == pair and who != "tshark")
            agreed = sum(count for (of, _), count in self.agreed.items() if of == pair)
            rows.append((pair, self.versions.get(pair, ""), self.connections[pair], tsharks, programs, agreed))
        widths = [max(len(str(row[at])) for row in rows) for at in range(len(rows[0]))]
        for row in rows:
            print("  ".join(f"{cell:>{width}}" if isinstance(cell, int) else f"{cell:<{width}}" for cell, width in zip(row, widths)).rstrip())
        total, agreed = sum(self.compared.values()), sum(self.agreed.values())
        print(f"\n{sum(self.connections.values())} connections, {total} fields compared, {agreed} agree, "
            f"{sum(self.explained.values())} differ for a known reason, {len(self.wrong)} differ")
        for witness, count in sorted(self.by_witness.items()):
            print(f"  {witness}: {count}")
        for reason, count in self.explained.most_common():
            print(f"known: {count}: {reason}")
        for line in self.wrong:
            print(f"DIFFERS: {line}")


def fields(report, pair, witness, event, told):
    for name, theirs in told.items():
        if name in ("guess", "signature", "fingerprints"):
            continue
        report.add(pair, witness, name, member(event, name), theirs, told)


def connection(report, pair, row, dissected, found, work):
    """Both ends of one connection; `dissected` is what each tshark made of it, by its version."""
    flow = next(iter(dissected.values()))
    sides = {}
    for side in ("client", "server"):
        log = (work / f"{row['port']}.{side}.log").read_text("utf-8", "replace")
        sides[side] = logs.PARSERS[row[side][1]](log, side)
    audited = logs.audit((work / f"{row['port']}.client.log").read_text()) if row["client"][1] == "audit" else None
    for role in ("client", "server"):
        event = found.pop(role, None)
        if event is None:
            report.missing(pair, f"no event of the {role}")
            continue
        local, remote = (flow.client, flow.server) if role == "client" else (flow.server, flow.client)
        for tshark, of in dissected.items():
            for name, theirs in (("local_port", local), ("remote_port", remote), ("local_address", "127.0.0.1"), ("remote_address", "127.0.0.1")):
                report.add(pair, tshark, name, event[name], theirs)
            got = {name: theirs for name, theirs in of.told.items() if name not in of.late[role] or member(event, name) == theirs}
            fields(report, pair, tshark, event, got)
            report.explained["the end had closed before it came, and did not get it"] += len(of.told) - len(got)
            if "signature" in of.told:
                signs = (event["host_key_algorithm"] or "").removesuffix("-cert-v01@openssh.com")
                report.add(pair, tshark, "host_key_algorithm", signs, of.told["signature"])
            guess = next((one for one in event.get("hello_notes") or [] if one.startswith("guessed")), None)
            report.add(pair, tshark, "hello_notes: guess", guess, of.told.get("guess"))
        for side in ("client", "server"):
            # A tool that looks at a server makes many connections; what it tells is of all.
            if row["client"][1] != "audit":
                fields(report, pair, row[side][0], event, sides[side])
        if audited is not None:
            audit(report, pair, event, audited)
        elif event.get("host_key"):
            kept = {name: value for name, value in row["key"].items() if name != "host_key.key_type" or not event["host_key"].get("certificate")}
            fields(report, pair, "ssh-keygen", event, kept)


def audit(report, pair, event, audited):
    if event.get("server_offered"):
        fields(report, pair, "ssh-audit", event, audited)
    print_of_key = member(event, "host_key.fingerprint")
    if print_of_key and audited.get("fingerprints"):
        report.add(pair, "ssh-audit", "host_key.fingerprint", print_of_key in audited["fingerprints"], True)


def plain(stack):
    """A stack without its options."""
    return re.sub(r" \(.*\)", "", stack)


def ssh(work, recording, analyze, dissections):
    """All pairs, by what each tshark made of the packets; gives the report."""
    report = Report()
    rows = json.loads((work / "pairs.json").read_text())
    ends, before = collections.defaultdict(dict), collections.Counter()
    # In order of time: a port is used again.
    for event in events(analyze, recording, "ssh_handshake"):
        client, server = max(event["local_port"], event["remote_port"]), min(event["local_port"], event["remote_port"])
        by_socket = "server" if event["local_port"] == server else "client"
        key = (client, server, before[client, server, by_socket])
        before[client, server, by_socket] += 1
        ends[key][by_socket] = event
        # null where neither side said which it is.
        if event["role"] not in (by_socket, None):
            report.missing(f"port {server}", f"role {event['role']} of the {by_socket}")
    for row in rows:
        pair = f"{plain(row['client'][0])} to {plain(row['server'][0])}"
        own = sorted({ends_of for flows, _ in dissections for ends_of in flows if ends_of[1] == row["port"]})
        if row["wrong"] or not own:
            report.missing(pair, row["wrong"] or f"no connection on port {row['port']}")
        for ends_of in own:
            report.connections[pair] += 1
            dissected = {f"tshark {version}": flows[ends_of] for flows, version in dissections if ends_of in flows}
            flow = next(iter(dissected.values()))
            connection(report, pair, row, dissected, ends.get(ends_of, {}), work)
            said = [flow.told.get(f"{side}_software", "?") for side in ("client", "server")]
            report.versions.setdefault(pair, " / ".join(said))
    for ends_of, left in ends.items():
        for role, event in left.items():
            report.missing(f"port {ends_of[1]}", f"an event of the {role} that tshark has no connection for: {event['outcome']}")
    return report
