-- Tables of an export as views of DuckDB. Before it: SET VARIABLE tables = 'DIRECTORY'; SET VARIABLE seeds = 'fleet/sql/seeds';
-- ask.py does that, and makes the view `asked`.
--
-- One statement for each type of event, and a few that take lists apart: only here does a name of DuckDB's own stand.
-- A type of which the export has no event has no files: its statement fails, and those after it go on without it.

CREATE OR REPLACE VIEW tls_handshake AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=tls_handshake/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW ssh_handshake AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=ssh_handshake/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW ike_handshake AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=ike_handshake/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW file_open AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=file_open/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW file_change AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=file_change/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW lib_load AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=lib_load/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW api_call AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=api_call/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW process_exec AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=process_exec/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW process_fork AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=process_fork/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW process_exit AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=process_exit/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW process_info AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=process_info/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW library_info AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=library_info/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW certificate_file AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=certificate_file/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW inventory AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=inventory/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW suppressed AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=suppressed/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW loss AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=loss/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW clock AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=clock/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW probe_status AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=probe_status/*/*.parquet', hive_partitioning = true);

CREATE OR REPLACE VIEW self_stats AS
SELECT * FROM read_parquet(getvariable('tables') || '/event_type=self_stats/*/*.parquet', hive_partitioning = true);

-- What lists of words of a handshake say.
CREATE OR REPLACE VIEW tls_notes AS
SELECT t.capture, t.event_id,
       coalesce(list_contains(t.hello_notes, 'retried'), false) AS is_retried,
       coalesce(list_contains(t.hello_notes, 'client_hello_incomplete'), false) AS is_cut,
       list_contains([offer.id for offer in t.offered.versions], 772) AS offers_tls13
FROM tls_handshake t;

-- Groups that clients offered, a row each.
CREATE OR REPLACE VIEW tls_offered_group AS
SELECT t.capture, t.event_id, g.offered.id, g.offered.name,
       coalesce(list_contains([share.id for share in t.offered.key_shares], g.offered.id), false) AS has_share
FROM tls_handshake t, UNNEST(t.offered."groups") AS g(offered);

-- Certificates that handshakes showed, a row each; position 0 is the one whose chain it is.
CREATE OR REPLACE VIEW tls_certificate AS
SELECT t.capture, t.event_id, s.shown_by, CAST(n.position AS INTEGER) AS position,
       c.subject, c.issuer, c.serial, c.not_before, c.not_after, c.key_type, c.key_bits, c.curve, c.signature_algorithm,
       c.sha256, c.self_issued, c.is_ca, CAST(epoch(try_cast(c.not_after AS TIMESTAMPTZ)) AS BIGINT) AS not_after_unix
FROM tls_handshake t,
     LATERAL (SELECT 'server' AS shown_by, t.certificates AS chain
              UNION ALL SELECT 'client', t.client_certificates) s,
     LATERAL (SELECT UNNEST(range(len(s.chain))) AS position) n,
     LATERAL (SELECT UNNEST(s.chain[n.position + 1])) c;

-- What the catalog says, see fleet/sql/seeds.
CREATE OR REPLACE VIEW seed_suite AS
SELECT * FROM read_csv(getvariable('seeds') || '/suites.csv', header = true,
  columns = {'cipher_suite': 'VARCHAR', 'key_exchange': 'VARCHAR'});

CREATE OR REPLACE VIEW seed_group AS
SELECT * FROM read_csv(getvariable('seeds') || '/groups.csv', header = true,
  columns = {'name': 'VARCHAR', 'post_quantum': 'BOOLEAN'});

CREATE OR REPLACE VIEW seed_algorithm AS
SELECT * FROM read_csv(getvariable('seeds') || '/algorithms.csv', header = true,
  columns = {'column_name': 'VARCHAR', 'value': 'VARCHAR', 'from_bits': 'BIGINT', 'below_bits': 'BIGINT', 'place': 'VARCHAR',
             'algorithm': 'VARCHAR'});

CREATE OR REPLACE VIEW seed_rule AS
SELECT * FROM read_csv(getvariable('seeds') || '/rules.csv', header = true,
  columns = {'rule': 'INTEGER', 'algorithm': 'VARCHAR', 'version': 'VARCHAR', 'handshake_only': 'BOOLEAN', 'status': 'VARCHAR',
             'effective': 'DATE', 'until': 'DATE', 'published': 'DATE', 'authority': 'VARCHAR', 'document': 'VARCHAR',
             'section': 'VARCHAR', 'url': 'VARCHAR'});
