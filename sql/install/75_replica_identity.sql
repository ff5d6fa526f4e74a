-- Tools that capture changes publish all tables, and the server then refuses UPDATE and DELETE of one without a key. Most of these have none, so that nobody waits for
-- another's row; readings have none, since an index more would cost every insert. The whole row is the key: it is written to the WAL when a row goes, at wal_level = logical only.
ALTER TABLE auren.stream_snapshots REPLICA IDENTITY FULL;
ALTER TABLE auren.feed_horizons REPLICA IDENTITY FULL;
ALTER TABLE auren.subscription_progress REPLICA IDENTITY FULL;
ALTER TABLE auren.subscription_consumers REPLICA IDENTITY FULL;
ALTER TABLE biometric.biometric_events REPLICA IDENTITY FULL;
ALTER TABLE auren.series REPLICA IDENTITY FULL;
ALTER TABLE auren.series_secret REPLICA IDENTITY FULL;
ALTER TABLE auren.deltas REPLICA IDENTITY FULL;
ALTER TABLE auren.delta_packs REPLICA IDENTITY FULL;
ALTER TABLE auren.metric_settings REPLICA IDENTITY FULL;
ALTER TABLE auren.refresh_runs REPLICA IDENTITY FULL;
ALTER TABLE auren.refusals REPLICA IDENTITY FULL;
ALTER TABLE auren.carried_readings REPLICA IDENTITY FULL;
ALTER TABLE auren.key_uses REPLICA IDENTITY FULL;
ALTER TABLE encrypted.audit_log REPLICA IDENTITY FULL;
ALTER TABLE auren.verifications REPLICA IDENTITY FULL;
