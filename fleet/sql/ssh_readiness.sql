-- SSH: which servers and clients never agreed on a post-quantum key exchange, and which did at times; those that never did come first.
-- Each end counts: a connection that was recorded at both ends is one of the client's and one of the server's.
SELECT e.host, e.program, e.container, e.role, e.port,
       count(*) AS ends,
       sum(CASE WHEN e.post_quantum THEN 1 ELSE 0 END) AS post_quantum,
       sum(CASE WHEN NOT e.post_quantum THEN 1 ELSE 0 END) AS classical,
       sum(CASE WHEN e.kex IS NOT NULL AND e.post_quantum IS NULL THEN 1 ELSE 0 END) AS unknown_method,
       sum(CASE WHEN e.kex IS NULL THEN 1 ELSE 0 END) AS no_agreement,
       sum(CASE WHEN e.kex IS NOT NULL AND NOT e.strict_kex THEN 1 ELSE 0 END) AS without_strict_kex,
       -- The only one, where both are the same.
       min(e.kex) AS first_method, max(e.kex) AS last_method,
       count(DISTINCT e.remote_address) AS peers,
       min(e.seen_at) AS first_seen, max(e.seen_at) AS last_seen
FROM (
  SELECT t.host, coalesce(t.exe, t.process) AS program, t.container, t.role, t.kex, t.post_quantum, t.strict_kex, t.remote_address,
         t."timestamp" AS seen_at,
         CASE t.role WHEN 'client' THEN t.remote_port WHEN 'server' THEN t.local_port END AS port
  FROM ssh_handshake t
) e
GROUP BY e.host, e.program, e.container, e.role, e.port
ORDER BY CASE WHEN sum(CASE WHEN e.post_quantum THEN 1 ELSE 0 END) = 0 THEN 0 ELSE 1 END, classical DESC, e.host, e.program, e.role, e.port;
