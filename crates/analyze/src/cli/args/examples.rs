//! Examples at the end of each command's help.

pub(super) const EVENTS: &str = "\
Examples:
  crypto-trace-analyze events /var/log/crypto-trace --since -1h
  crypto-trace-analyze events rec -n nginx -F '*.pem' -f json-array -o events.json
  crypto-trace-analyze events rec -f summary
  crypto-trace-analyze events --follow /var/log/crypto-trace --type tls_handshake | jq -r .server_name
  crypto-trace-analyze events rec --replay-speed 10
  crypto-trace-capture record -o - -- ./deploy.sh | crypto-trace-analyze events -";

pub(super) const TLS: &str = "\
Examples:
  crypto-trace-analyze tls rec                          versions, suites, peers, failures, certificates
  crypto-trace-analyze tls rec --as-of 2031-01-01       as if rules of that day held
  crypto-trace-analyze tls -r captures --host web1 -f json";

pub(super) const ALGORITHMS: &str = "\
Examples:
  crypto-trace-analyze algorithms rec                   what was used, and which rules speak of it
  crypto-trace-analyze algorithms rec --rules ietf,nist  without those for US national security systems
  crypto-trace-analyze algorithms rec --as-of 2036-01-01 -f json";

pub(super) const COVERAGE: &str = "\
Examples:
  crypto-trace-analyze coverage rec                     what could be seen, what could not, and why
  crypto-trace-analyze coverage rec -n nginx";

pub(super) const INFO: &str = "\
Examples:
  crypto-trace-analyze info /var/log/crypto-trace       host, time, counts, loss, probes, cost
  crypto-trace-analyze info -r captures                 captures of many hosts, a directory each
  crypto-trace-analyze info rec -f json | jq .self_stats";

pub(super) const VERIFY: &str = "\
Examples:
  crypto-trace-analyze verify /var/log/crypto-trace     exit code 6 when a byte is wrong";

pub(super) const PROFILE: &str = "\
Examples:
  crypto-trace-analyze profile rec -p 1234              one process, as a JSON document
  crypto-trace-analyze profile rec -n nginx -f summary --since 10:00 --until 10:30
  crypto-trace-analyze profile rec -f json-stream       all processes that used crypto, one line each";

pub(super) const SNAPSHOT: &str = "\
Examples:
  crypto-trace-analyze snapshot rec                     at the end of the capture
  crypto-trace-analyze snapshot rec --at 2026-11-22T10:30:00Z -f summary
  crypto-trace-analyze snapshot inventory.ctseg         what crypto-trace-capture snapshot wrote";

pub(super) const FILES: &str = "\
Examples:
  crypto-trace-analyze files rec                        a table, the most used first
  crypto-trace-analyze files rec -F '/etc/ssl/**' --result failed
  crypto-trace-analyze files --follow /var/log/crypto-trace -f json-stream";

pub(super) const LIBS: &str = "\
Examples:
  crypto-trace-analyze libs rec                         which libraries and versions, by which programs
  crypto-trace-analyze libs rec -l libssl -f json
  crypto-trace-analyze libs --follow /var/log/crypto-trace";

pub(super) const SCHEMA: &str = "\
Examples:
  crypto-trace-analyze schema > event.schema.json
  crypto-trace-analyze schema profile";
