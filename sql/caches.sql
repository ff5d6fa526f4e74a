-- One call of everything that keeps something of the catalogs, in sessions that know nothing yet. scripts/check-asserts runs this with
-- all caches thrown away at every chance (debug_discard_caches): no pointer into one is followed too long, and no call waits for a moment
-- without a change.
SET client_min_messages = warning;
SET app.tenant_id = 'caches';
SELECT events.set_reducer('counted', 'count', '{"into": "n"}');
SELECT events.add_notification_rule(p_event_type => 'counted', p_channel => 'caches');
SELECT analytics.attach_events('counted', '{"bpm": "bpm"}') > 1 AS attached;
SELECT events.add_tag_rule('counted', '/bpm', 'bpm'), events.add_span_rule('counted', '/from', '/to');
SELECT events.create_subscription('caches', p_stream_prefix => 'caches:', p_lease => '1 hour') >= 0 AS made;
\c -
SET app.tenant_id = 'caches';
SELECT events.append_event('caches:1', 'counted', '{"bpm": 61}') IS NOT NULL AS appended;
SELECT count(*) FROM events.append_events(ARRAY['caches:1', 'caches:2'], ARRAY['counted', 'counted'], ARRAY['{"bpm": 62}', '{"bpm": 63}']::jsonb[]);
\c -
SET app.tenant_id = 'caches';
SELECT stream_version, event_data FROM events.replay_stream('caches:1') ORDER BY stream_version DESC;
SELECT event_data FROM events.last_event('caches:1', 'counted');
SELECT events.get_stream_state('caches:1'), events.state_diff('caches:1', 1);
SELECT stream_id, state FROM events.get_category_states('caches');
SELECT count(*) FROM events.find_events('{"bpm": 62}');
SELECT count(*) FROM events.events_by_time('-infinity', 'infinity', 'counted');
SELECT count(*) FROM events.read_all(p_stream_prefix => 'caches:');
-- tags that a rule makes, of stored events too
SELECT stream_id, tags FROM events.read_all(p_tags => '{bpm:62}');
SELECT events.add_tag_rule('counted', '/bpm', 'again'), events.fill_tag_rules(10000000);
SELECT tags FROM events.last_event('caches:2');
SELECT t.state($$SELECT events.append_event('caches:1', 'counted', '{"bpm": {}}')$$), t.state($$SELECT events.append_event('caches:1', 'counted', '{"from": "?"}')$$);
SELECT events.drop_tag_rule('counted', '/bpm', 'again'), events.drop_span_rule('counted');
\c -
SET app.tenant_id = 'caches';
SELECT events.take_snapshot('caches:1');
SELECT events.get_stream_state('caches:1');
SELECT global_position, stream_id, stream_version FROM events.fetch('caches', 'c') ORDER BY global_position DESC LIMIT 1 \gset
SELECT :'stream_id' AS stream_id, :stream_version AS stream_version, events.acknowledge('caches', 'c', :global_position);
SELECT lag_events FROM auren.subscription_status('caches');
SELECT events.close_stream('caches:2', 'enough');
SELECT t.state($$SELECT events.append_event('caches:2', 'counted', '{}')$$) AS closed;
\c -
SET app.tenant_id = 'caches';
SELECT events.append_event('user:caches', 'counted', '{"bpm": 64}') IS NOT NULL AS appended;
SELECT analytics.refresh_user_metrics() >= 0 AS refreshed;
SELECT metric_type, reading_count, sum_value FROM analytics.user_metrics_daily WHERE user_id = 'caches';
SELECT sum(reading_count) FROM analytics.metric_series('caches', 'bpm', date_trunc('day', now()) - interval '1 day', date_trunc('day', now()) + interval '2 days', '1 day');
-- keys and rules; another one for the server's configuration, which is read after a signal
COPY (SELECT 'k1 ' || repeat('0123456789abcdef', 4)) TO PROGRAM 'umask 077; cat > auren_events_regress_caches';
LOAD 'auren_events';
ALTER SYSTEM SET auren_events.master_key_file = 'auren_events_regress_caches';
SELECT pg_reload_conf();
\c -
SET client_min_messages = warning;
SET app.tenant_id = 'caches';
SELECT encrypted.add_rule('secret', '{/note}', 'caches:*');
SELECT events.append_event('caches:3', 'secret', '{"note": "a secret"}') IS NOT NULL AS appended;
SELECT event_data ->> 'note' LIKE 'phi%' AS sealed FROM events.replay_stream('caches:3');
SELECT event_data FROM events.replay_stream_decrypted('caches:3');
SELECT encrypted.decrypt_phi_fields(encrypted.encrypt_phi_fields('{1,2}', '3'), '3');
SELECT encrypted.forget_user('3', 'asked') IS NOT NULL AS forgotten;
SELECT event_data ->> 'note' LIKE 'phi%' AS still FROM events.replay_stream_decrypted('caches:3');
SELECT encrypted.drop_rule('secret', 'caches:*');
-- an object that a DBA adds, and a role with a tenant of its own
CREATE INDEX caches_dba ON auren.stream_snapshots (stream_version);
CREATE ROLE regress_caches;
SELECT events.grant_access('regress_caches', 'reader'), events.bind_tenant('regress_caches', 'caches');
SET ROLE regress_caches;
SELECT events.current_tenant(), count(*) FROM events.replay_stream('caches:1');
RESET ROLE;
SELECT events.drop_reducer('counted'), events.drop_notification_rule(p_event_type => 'counted', p_channel => 'caches'), analytics.detach_events('counted'), events.drop_subscription('caches');
DROP INDEX auren.caches_dba;
DROP OWNED BY regress_caches;
SELECT events.unbind_tenant('regress_caches', 'caches');
DROP ROLE regress_caches;
ALTER SYSTEM RESET auren_events.master_key_file;
SELECT pg_reload_conf();
COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm auren_events_regress_caches';
