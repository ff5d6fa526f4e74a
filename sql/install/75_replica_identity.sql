-- Tools that capture changes publish all tables, and the server then refuses UPDATE and DELETE of one without a key. Most of these have none, so that nobody waits for
-- another's row; readings have none, since an index more would cost every insert. The whole row is the key: it is written to the WAL when a row goes, at wal_level = logical only.
ALTER TABLE events.stream_snapshots REPLICA IDENTITY FULL;
ALTER TABLE events.feed_horizons REPLICA IDENTITY FULL;
ALTER TABLE events.subscription_progress REPLICA IDENTITY FULL;
ALTER TABLE events.subscription_consumers REPLICA IDENTITY FULL;
ALTER TABLE biometric.biometric_events REPLICA IDENTITY FULL;
ALTER TABLE analytics.series REPLICA IDENTITY FULL;
ALTER TABLE analytics.series_secret REPLICA IDENTITY FULL;
ALTER TABLE analytics.deltas REPLICA IDENTITY FULL;
ALTER TABLE analytics.delta_packs REPLICA IDENTITY FULL;
ALTER TABLE analytics.metric_settings REPLICA IDENTITY FULL;
ALTER TABLE analytics.refresh_runs REPLICA IDENTITY FULL;
ALTER TABLE analytics.refusals REPLICA IDENTITY FULL;
ALTER TABLE encrypted.key_uses REPLICA IDENTITY FULL;
ALTER TABLE encrypted.audit_log REPLICA IDENTITY FULL;
