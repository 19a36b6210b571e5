-- SSH: what appeared or vanished between two spans of days: algorithms that were agreed on, software of servers, host keys.
-- A thing that did not happen need not be gone: it may only not have been used.
SELECT d.what, d.host, d.program, d.name,
       CASE WHEN d.before_ends = 0 THEN 'appeared' ELSE 'vanished' END AS change,
       d.before_ends, d.after_ends
FROM (
  SELECT x.what, x.host, x.program, x.name,
         sum(CASE WHEN x.day BETWEEN q.before_from AND q.before_to THEN 1 ELSE 0 END) AS before_ends,
         sum(CASE WHEN x.day BETWEEN q.after_from AND q.after_to THEN 1 ELSE 0 END) AS after_ends
  FROM (
    SELECT 'kex' AS what, host, coalesce(exe, process) AS program, kex AS name, "date" AS day FROM ssh_handshake
    UNION ALL SELECT 'host_key_algorithm', host, coalesce(exe, process), host_key_algorithm, "date" FROM ssh_handshake
    UNION ALL SELECT 'cipher', host, coalesce(exe, process), cipher_client_to_server, "date" FROM ssh_handshake
    UNION ALL SELECT 'cipher', host, coalesce(exe, process), cipher_server_to_client, "date" FROM ssh_handshake
              WHERE cipher_server_to_client <> cipher_client_to_server
    UNION ALL SELECT 'mac', host, coalesce(exe, process), mac_client_to_server, "date" FROM ssh_handshake
    UNION ALL SELECT 'mac', host, coalesce(exe, process), mac_server_to_client, "date" FROM ssh_handshake
              WHERE mac_client_to_server IS NULL OR mac_server_to_client <> mac_client_to_server
    UNION ALL SELECT 'server_software', host, coalesce(exe, process), server_software, "date" FROM ssh_handshake
    UNION ALL SELECT 'host_key', host, coalesce(exe, process), ssh_handshake.host_key.fingerprint, "date" FROM ssh_handshake
  ) x
  CROSS JOIN asked q
  WHERE x.name IS NOT NULL
  GROUP BY x.what, x.host, x.program, x.name
) d
WHERE d.before_ends = 0 AND d.after_ends > 0 OR d.before_ends > 0 AND d.after_ends = 0
ORDER BY d.what, d.host, d.program, d.name;
