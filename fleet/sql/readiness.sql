-- Who agrees on post-quantum key exchange, and why others do not: the rows of `crypto-trace-analyze readiness`, without units,
-- which are in no column. One column for each reason. `server_chose_another` is the sum of that report's `server_chose_another`
-- and `server_declined`: whether a server took the group from another client is not asked here.
SELECT host, program, container, role, port, server_name,
       count(*) AS handshakes,
       sum(CASE WHEN quantum = 'post_quantum' THEN 1 ELSE 0 END) AS post_quantum,
       sum(CASE WHEN quantum = 'classical' THEN 1 ELSE 0 END) AS classical,
       sum(CASE WHEN quantum = 'unknown' THEN 1 ELSE 0 END) AS unknown_group,
       sum(CASE WHEN quantum = 'resumed' THEN 1 ELSE 0 END) AS resumed,
       sum(CASE WHEN quantum = 'not_seen' THEN 1 ELSE 0 END) AS not_seen,
       sum(CASE WHEN quantum = 'no_agreement' THEN 1 ELSE 0 END) AS no_agreement,
       sum(CASE WHEN why_not = 'client_did_not_offer' THEN 1 ELSE 0 END) AS client_did_not_offer,
       sum(CASE WHEN why_not = 'client_offers_old_version' THEN 1 ELSE 0 END) AS client_offers_old_version,
       sum(CASE WHEN why_not = 'server_chose_old_version' THEN 1 ELSE 0 END) AS server_chose_old_version,
       sum(CASE WHEN why_not = 'old_version' THEN 1 ELSE 0 END) AS old_version,
       sum(CASE WHEN why_not = 'server_chose_another' THEN 1 ELSE 0 END) AS server_chose_another,
       sum(CASE WHEN why_not = 'retry_needed' THEN 1 ELSE 0 END) AS retry_needed,
       sum(CASE WHEN why_not = 'offer_not_seen' THEN 1 ELSE 0 END) AS offer_not_seen,
       sum(CASE WHEN why_not = 'offer_not_known' THEN 1 ELSE 0 END) AS offer_not_known,
       count(DISTINCT remote_address) AS peers,
       min(seen_at) AS first_seen, max(seen_at) AS last_seen
FROM tls_end
GROUP BY host, program, container, role, port, server_name
ORDER BY classical DESC, handshakes DESC, host, program, container, role, port, server_name;
