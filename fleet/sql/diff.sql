-- What appeared or vanished between two spans of days: what programs negotiated, certificates, and servers that were asked for.
-- A thing that did not happen need not be gone: it may only not have been used.
SELECT d.what, d.host, d.program, d.name,
       CASE WHEN d.before_ends = 0 THEN 'appeared' ELSE 'vanished' END AS change,
       d.before_ends, d.after_ends
FROM (
  SELECT x.what, x.host, x.program, x.name,
         sum(CASE WHEN x.day BETWEEN q.before_from AND q.before_to THEN 1 ELSE 0 END) AS before_ends,
         sum(CASE WHEN x.day BETWEEN q.after_from AND q.after_to THEN 1 ELSE 0 END) AS after_ends
  FROM (
    SELECT 'version' AS what, host, program, version AS name, day FROM tls_end
    UNION ALL SELECT 'cipher_suite', host, program, cipher_suite, day FROM tls_end
    UNION ALL SELECT 'key_exchange', host, program, key_exchange, day FROM tls_end WHERE is_answered
    UNION ALL SELECT 'server_name', host, program, server_name, day FROM tls_end
    UNION ALL SELECT 'certificate', e.host, e.program, c.sha256, e.day
              FROM tls_end e JOIN tls_certificate c ON c.capture = e.capture AND c.event_id = e.event_id
  ) x
  CROSS JOIN asked q
  WHERE x.name IS NOT NULL
  GROUP BY x.what, x.host, x.program, x.name
) d
WHERE d.before_ends = 0 AND d.after_ends > 0 OR d.before_ends > 0 AND d.after_ends = 0
ORDER BY d.what, d.host, d.program, d.name;
