-- IKE: what was chosen, a row for each host, program, role and remote address, and each set of algorithms.
-- An exchange that was recorded at both ends has two rows, and counts once: `handshakes` is a sum of 1 and 0, `ends` is not.
SELECT e.host, e.program, e.container, e.role, e.remote_address, e.outcome, e.error, e.encryption, e.encryption_key_bits, e.prf,
       e.integrity, e.key_exchange, e.post_quantum,
       count(*) AS ends,
       sum(e.counted) AS handshakes,
       sum(CASE WHEN e.cookie THEN 1 ELSE 0 END) AS with_cookie,
       sum(CASE WHEN e.retried THEN 1 ELSE 0 END) AS retried,
       min(e.seen_at) AS first_seen, max(e.seen_at) AS last_seen
FROM (
  SELECT t.host, coalesce(t.exe, t.process) AS program, t.container, t.role, t.remote_address, t.outcome, t.error, t.encryption,
         t.encryption_key_bits, t.prf, t.integrity, t.key_exchange, t.post_quantum, t.cookie, t.retried, t."timestamp" AS seen_at,
         CASE WHEN t.role = 'server' AND c.capture IS NOT NULL THEN 0 ELSE 1 END AS counted
  FROM ike_handshake t
  LEFT JOIN (SELECT DISTINCT capture, socket_cookie, initiator_spi FROM ike_handshake WHERE role = 'client') c
    ON c.capture = t.capture AND c.initiator_spi = t.initiator_spi AND c.socket_cookie = t.peer.socket_cookie
) e
GROUP BY e.host, e.program, e.container, e.role, e.remote_address, e.outcome, e.error, e.encryption, e.encryption_key_bits, e.prf,
         e.integrity, e.key_exchange, e.post_quantum
ORDER BY ends DESC, e.host, e.program, e.role, e.remote_address, e.outcome, e.key_exchange, e.encryption;
