-- What takes lists apart in Spark; the tables themselves are views that crypto_trace_fleet.py makes.

-- What lists of words of a handshake say.
CREATE OR REPLACE VIEW tls_notes AS
SELECT t.capture, t.event_id,
       coalesce(array_contains(t.hello_notes, 'retried'), false) AS is_retried,
       coalesce(array_contains(t.hello_notes, 'client_hello_incomplete'), false) AS is_cut,
       array_contains(t.offered.versions.id, 772) AS offers_tls13
FROM tls_handshake t;

-- Groups that clients offered, a row each.
CREATE OR REPLACE VIEW tls_offered_group AS
SELECT t.capture, t.event_id, g.offered.id, g.offered.name,
       coalesce(array_contains(t.offered.key_shares.id, g.offered.id), false) AS has_share
FROM tls_handshake t LATERAL VIEW explode(t.offered.groups) g AS offered;

-- Certificates that handshakes showed, a row each; position 0 is the one whose chain it is.
CREATE OR REPLACE VIEW tls_certificate AS
SELECT s.capture, s.event_id, s.shown_by, s.position, s.c.subject, s.c.issuer, s.c.serial, s.c.not_before, s.c.not_after,
       s.c.key_type, s.c.key_bits, s.c.curve, s.c.signature_algorithm, s.c.sha256, s.c.self_issued, s.c.is_ca,
       unix_seconds(try_cast(s.c.not_after AS TIMESTAMP)) AS not_after_unix
FROM (
  SELECT t.capture, t.event_id, 'server' AS shown_by, u.position, u.c
  FROM tls_handshake t LATERAL VIEW posexplode(t.certificates) u AS position, c
  UNION ALL
  SELECT t.capture, t.event_id, 'client' AS shown_by, u.position, u.c
  FROM tls_handshake t LATERAL VIEW posexplode(t.client_certificates) u AS position, c
) s;
