-- What was negotiated: a row for each host, program, role, server name and port, and what they agreed on.
-- The sums over all rows are those of `crypto-trace-analyze tls`.
SELECT host, program, role, server_name, port, version, cipher_suite,
       CASE WHEN is_answered THEN key_exchange END AS key_exchange,
       quantum,
       count(*) AS ends,
       sum(counted) AS handshakes,
       sum(CASE WHEN outcome = 'alert' THEN 1 ELSE 0 END) AS failed_ends,
       sum(CASE WHEN is_resumed THEN 1 ELSE 0 END) AS resumed_ends,
       count(DISTINCT remote_address) AS peers,
       min(seen_at) AS first_seen, max(seen_at) AS last_seen
FROM tls_end
GROUP BY host, program, role, server_name, port, version, cipher_suite, CASE WHEN is_answered THEN key_exchange END, quantum
ORDER BY ends DESC, host, program, role, server_name, port, version, cipher_suite, key_exchange;
