-- Certificates in handshakes, each once, and how long they last from the day `as_of` on: the rows of `crypto-trace-analyze certs`.
-- TLS 1.3 hides certificates: no row says that none is in use.
SELECT c.sha256, c.subject, c.issuer, c.serial, c.not_before, c.not_after, c.key_type, c.key_bits, c.curve, c.signature_algorithm,
       CAST(floor((c.not_after_unix - q.as_of_unix) / 86400.0) AS INTEGER) AS days_left,
       sum(e.counted) AS handshakes,
       count(DISTINCT e.host) AS hosts,
       min(e.host) AS first_host,
       min(CASE WHEN c.shown_by = e.role THEN e.program END) AS presented_by,
       min(e.seen_at) AS first_seen, max(e.seen_at) AS last_seen
FROM tls_certificate c
JOIN tls_end e ON e.capture = c.capture AND e.event_id = c.event_id
CROSS JOIN asked q
WHERE c.sha256 IS NOT NULL
GROUP BY c.sha256, c.subject, c.issuer, c.serial, c.not_before, c.not_after, c.key_type, c.key_bits, c.curve,
         c.signature_algorithm, c.not_after_unix, q.as_of_unix
ORDER BY days_left, c.sha256;
