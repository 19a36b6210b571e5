-- What the questions are asked of: ends of TLS handshakes, and what they show. In SQL that DuckDB, Spark and Trino take.
--
-- Stands on views that each engine makes its own way: tables by type of event, `tls_notes`, `tls_offered_group`,
-- `tls_certificate`, the seeds, and `asked`, one row: as_of and as_of_unix (of that day's beginning), before_from, before_to,
-- after_from, after_to (days, both included).
-- A connection that was recorded at both ends has two rows, and counts once: `handshakes` is a sum of 1 and 0, `ends` is not.

-- What clients offered, by handshake.
CREATE OR REPLACE VIEW tls_offer AS
SELECT o.capture, o.event_id,
       max(CASE WHEN s.post_quantum THEN 1 ELSE 0 END) AS post_quantum,
       max(CASE WHEN s.post_quantum AND o.has_share THEN 1 ELSE 0 END) AS post_quantum_share,
       max(CASE WHEN s.name IS NULL THEN 1 ELSE 0 END) AS without_name
FROM tls_offered_group o
LEFT JOIN seed_group s ON s.name = o.name
GROUP BY o.capture, o.event_id;

-- The ends of connections, one row for all between the same two: in datagrams one socket may have many, after one another too.
CREATE OR REPLACE VIEW tls_peer AS
SELECT capture, socket_cookie, local_port, remote_port, max(role) AS role, min(event_id) AS event_id
FROM tls_handshake
GROUP BY capture, socket_cookie, local_port, remote_port;

-- An end, with what it agreed on. `key_exchange` is the group, or else the method of the suite.
CREATE OR REPLACE VIEW tls_agreed AS
SELECT t.capture, t.event_id, t.host, t."timestamp" AS seen_at, t."date" AS day, coalesce(t.exe, t.process) AS program, t.container,
       t.role, t.server_name, t.outcome, t.version, t.cipher_suite, t.dh_bits, t."group" AS agreed_group, t.resumption,
       CASE t.role WHEN 'client' THEN t.remote_port WHEN 'server' THEN t.local_port END AS port,
       t.remote_address,
       CASE WHEN t.peer.socket_cookie IS NULL THEN 1
            WHEN t.role = 'client' THEN 1
            WHEN p.capture IS NULL THEN 1
            WHEN t.role = 'server' THEN CASE WHEN p.role = 'client' THEN 0 ELSE 1 END
            WHEN p.role IS NULL AND t.event_id < p.event_id THEN 1
            ELSE 0 END AS counted,
       t.offered.early_data IS NOT NULL AS offer_is_seen,
       t.outcome = 'server_hello' OR t.version IS NOT NULL OR t.cipher_suite IS NOT NULL AS is_answered,
       coalesce(t.resumption <> 'no', false) AS is_resumed,
       CASE WHEN t."group" IS NOT NULL THEN t."group"
            WHEN t.dh_bits IS NOT NULL THEN concat('DH, ', CAST(t.dh_bits AS VARCHAR(20)), ' bits')
            WHEN t.version IS NULL AND t.cipher_suite IS NULL THEN 'not seen'
            WHEN coalesce(t.resumption <> 'no', false) OR s.key_exchange = 'PSK' THEN 'none: an earlier session or key'
            WHEN t.version LIKE 'TLS 1.3%' OR s.key_exchange IS NULL THEN 'not seen'
            ELSE s.key_exchange END AS key_exchange,
       t.post_quantum
FROM tls_handshake t
LEFT JOIN tls_peer p ON p.capture = t.capture AND p.socket_cookie = t.peer.socket_cookie
      AND p.remote_port = t.local_port AND p.local_port = t.remote_port
LEFT JOIN seed_suite s ON s.cipher_suite = t.cipher_suite AND s.key_exchange IS NOT NULL;

-- The same, with what it counts as: `quantum`, and why it is not post-quantum.
CREATE OR REPLACE VIEW tls_end AS
SELECT a.*,
       CASE WHEN NOT a.is_answered THEN 'no_agreement'
            WHEN a.key_exchange = 'not seen' THEN 'not_seen'
            WHEN a.key_exchange = 'none: an earlier session or key' THEN 'resumed'
            WHEN a.post_quantum THEN 'post_quantum'
            WHEN a.agreed_group IS NOT NULL AND a.post_quantum IS NULL THEN 'unknown'
            ELSE 'classical' END AS quantum,
       CASE WHEN NOT a.is_answered OR a.post_quantum THEN NULL
            WHEN a.key_exchange = 'not seen' THEN 'not_seen'
            WHEN a.key_exchange = 'none: an earlier session or key' THEN 'resumed'
            WHEN a.agreed_group IS NOT NULL AND a.post_quantum IS NULL THEN 'group_not_known'
            WHEN a.version NOT LIKE 'TLS 1.3%' AND n.offers_tls13 THEN 'server_chose_old_version'
            WHEN a.version NOT LIKE 'TLS 1.3%' AND a.offer_is_seen AND NOT n.is_cut THEN 'client_offers_old_version'
            WHEN a.version NOT LIKE 'TLS 1.3%' THEN 'old_version'
            WHEN NOT a.offer_is_seen THEN 'offer_not_seen'
            WHEN coalesce(o.post_quantum, 0) = 0 AND n.is_cut THEN 'offer_not_seen'
            WHEN coalesce(o.post_quantum, 0) = 0 AND o.without_name = 1 THEN 'offer_not_known'
            WHEN coalesce(o.post_quantum, 0) = 0 THEN 'client_did_not_offer'
            WHEN n.is_retried OR o.post_quantum_share = 1 THEN 'server_chose_another'
            WHEN n.is_cut THEN 'offer_not_seen'
            ELSE 'retry_needed' END AS why_not
FROM tls_agreed a
JOIN tls_notes n ON n.capture = a.capture AND n.event_id = a.event_id
LEFT JOIN tls_offer o ON o.capture = a.capture AND o.event_id = a.event_id;

-- Algorithms that an end used, each once: what the columns are made of, by the catalog.
-- Not in a table are the scheme of the server's signature, and the kinds of keys that the seed has no row for.
CREATE OR REPLACE VIEW tls_algorithm AS
SELECT DISTINCT e.capture, e.event_id, e.host, e.program, e.version, e.counted, s.place, s.algorithm
FROM tls_end e
JOIN seed_algorithm s
  ON s.column_name = 'version' AND s.value = e.version
  OR s.column_name = 'cipher_suite' AND s.value = e.cipher_suite
     AND (NOT e.is_resumed OR s.place = 'cipher_suite')
  OR s.column_name = 'group' AND s.value = e.agreed_group
  OR s.column_name = 'dh_bits' AND e.dh_bits >= s.from_bits AND (s.below_bits IS NULL OR e.dh_bits < s.below_bits)
WHERE e.is_answered
UNION
SELECT DISTINCT e.capture, e.event_id, e.host, e.program, e.version, e.counted, s.place, s.algorithm
FROM tls_end e
JOIN tls_certificate c ON c.capture = e.capture AND c.event_id = e.event_id
JOIN seed_algorithm s
  ON s.column_name = 'key_type' AND s.value = c.key_type
     AND (s.from_bits IS NULL OR c.key_bits >= s.from_bits AND (s.below_bits IS NULL OR c.key_bits < s.below_bits))
  OR s.column_name = 'curve' AND s.value = c.curve AND c.key_type = 'EC'
  OR s.column_name = 'signature_algorithm' AND s.value = c.signature_algorithm AND NOT coalesce(c.self_issued, false)
WHERE e.version IS NOT NULL OR e.cipher_suite IS NOT NULL;
