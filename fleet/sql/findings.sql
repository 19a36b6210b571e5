-- Which rules speak of what was used, as of the day `as_of`: `findings` of `crypto-trace-analyze tls`, without library calls and
-- without the scheme of the server's signature, which no column has. The words of a rule: `crypto-trace-analyze tls -f json`.
SELECT f.algorithm, f.status, f.in_force, f.effective, f.authority, f.document, f.section, f.url,
       count(DISTINCT f.host) AS hosts,
       count(DISTINCT f.program) AS programs,
       sum(f.counted) AS handshakes
FROM (
  SELECT DISTINCT a.capture, a.event_id, a.host, a.program, a.counted, r.rule, r.algorithm, r.status,
         r.effective <= q.as_of AS in_force, r.effective, r.authority, r.document, r.section, r.url
  FROM tls_algorithm a
  CROSS JOIN asked q
  JOIN seed_rule r ON r.algorithm = a.algorithm
  -- A rule that speaks of one version is held against an algorithm that was used with it.
  LEFT JOIN (SELECT DISTINCT algorithm, version FROM tls_algorithm) v ON v.algorithm = r.algorithm AND v.version = r.version
  LEFT JOIN (SELECT DISTINCT algorithm FROM tls_algorithm WHERE place <> 'certificate_signature') h ON h.algorithm = r.algorithm
  WHERE (r.version IS NULL OR v.version IS NOT NULL)
    AND (NOT r.handshake_only OR h.algorithm IS NOT NULL)
    AND r.published <= q.as_of
    AND (r.until IS NULL OR q.as_of < r.until)
) f
GROUP BY f.rule, f.algorithm, f.status, f.in_force, f.effective, f.authority, f.document, f.section, f.url
ORDER BY f.in_force DESC, f.status, f.effective, handshakes DESC, f.algorithm, f.document, f.section;
