-- SSH: what was agreed on, a row for each host, program, role and port, and each set of algorithms.
-- A connection that was recorded at both ends has two rows, and counts once: `handshakes` is a sum of 1 and 0, `ends` is not.
-- The sums over all rows are those of `crypto-trace-analyze ssh`.
SELECT e.host, e.program, e.container, e.role, e.port, e.outcome, e.kex, e.dh_bits, e.post_quantum, e.host_key_algorithm,
       e.cipher_client_to_server, e.cipher_server_to_client, e.mac_client_to_server, e.mac_server_to_client, e.strict_kex,
       count(*) AS ends,
       sum(e.counted) AS handshakes,
       count(DISTINCT e.remote_address) AS peers,
       count(DISTINCT e.fingerprint) AS host_keys,
       min(e.server_software) AS first_server_software, max(e.server_software) AS last_server_software,
       min(e.seen_at) AS first_seen, max(e.seen_at) AS last_seen
FROM (
  SELECT t.host, coalesce(t.exe, t.process) AS program, t.container, t.role, t.outcome, t.kex, t.dh_bits, t.post_quantum,
         t.host_key_algorithm, t.cipher_client_to_server, t.cipher_server_to_client, t.mac_client_to_server, t.mac_server_to_client,
         t.strict_kex, t.remote_address, t.host_key.fingerprint AS fingerprint, t.server_software, t."timestamp" AS seen_at,
         CASE t.role WHEN 'client' THEN t.remote_port WHEN 'server' THEN t.local_port END AS port,
         CASE WHEN p.capture IS NULL THEN 1
              WHEN t.role = 'client' THEN 1
              WHEN t.role = 'server' THEN CASE WHEN p.role = 'client' THEN 0 ELSE 1 END
              WHEN p.role IS NULL AND t.event_id < p.event_id THEN 1
              ELSE 0 END AS counted
  FROM ssh_handshake t
  LEFT JOIN (SELECT capture, socket_cookie, max(role) AS role, min(event_id) AS event_id
             FROM ssh_handshake GROUP BY capture, socket_cookie) p
    ON p.capture = t.capture AND p.socket_cookie = t.peer.socket_cookie
) e
GROUP BY e.host, e.program, e.container, e.role, e.port, e.outcome, e.kex, e.dh_bits, e.post_quantum, e.host_key_algorithm,
         e.cipher_client_to_server, e.cipher_server_to_client, e.mac_client_to_server, e.mac_server_to_client, e.strict_kex
ORDER BY ends DESC, e.host, e.program, e.role, e.port, e.kex, e.host_key_algorithm, e.cipher_client_to_server;
