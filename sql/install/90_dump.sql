-- What a dump must hold, and what no role may do unless that is granted. Months are not members of the extension:
-- pg_dump holds them as tables of the database.

SELECT pg_catalog.pg_extension_config_dump('auren.global_position_seq', '');
SELECT pg_catalog.pg_extension_config_dump('events.event_store', '');
SELECT pg_catalog.pg_extension_config_dump('auren.event_tags', '');
SELECT pg_catalog.pg_extension_config_dump('auren.stream_rows', '');
SELECT pg_catalog.pg_extension_config_dump('auren.supplied_ids', '');
SELECT pg_catalog.pg_extension_config_dump('auren.month_records', '');
SELECT pg_catalog.pg_extension_config_dump('auren.opening_states', '');
SELECT pg_catalog.pg_extension_config_dump('auren.dropped_ids', '');
SELECT pg_catalog.pg_extension_config_dump('auren.dropped_tenants', '');
SELECT pg_catalog.pg_extension_config_dump('auren.carried_readings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.kept_events', '');
SELECT pg_catalog.pg_extension_config_dump('auren.settled_indexes', '');
SELECT pg_catalog.pg_extension_config_dump('events.tenant_bindings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_reducers', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_notification_rules', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_settings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_progress', '');
SELECT pg_catalog.pg_extension_config_dump('auren.subscription_held', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_tag_rules', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_span_rules', '');
SELECT pg_catalog.pg_extension_config_dump('auren.data_keys', '');
SELECT pg_catalog.pg_extension_config_dump('auren.key_uses', '');
SELECT pg_catalog.pg_extension_config_dump('auren.forgotten_people', '');
SELECT pg_catalog.pg_extension_config_dump('auren.declared_personal_rules', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.audit_log', '');
SELECT pg_catalog.pg_extension_config_dump('auren.seals', '');
SELECT pg_catalog.pg_extension_config_dump('auren.seal_leaves', '');
SELECT pg_catalog.pg_extension_config_dump('auren.registered_seal_keys', '');
SELECT pg_catalog.pg_extension_config_dump('auren.verifications', '');
SELECT pg_catalog.pg_extension_config_dump('auren.import_runs', '');
SELECT pg_catalog.pg_extension_config_dump('auren.import_changes', '');

-- No metrics are dumped: a restore copies readings in before the triggers are there, or after they are, and counts none of them twice.
-- Those of biometric.biometric_events are made anew as its rows come in, those of attached sources by the first refresh, from what the
-- events say and from what dropped months left.
SELECT pg_catalog.pg_extension_config_dump('biometric.biometric_events', '');
SELECT pg_catalog.pg_extension_config_dump('auren.source_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('analytics.sources', 'WHERE source_id OPERATOR(pg_catalog.>) 1');
SELECT pg_catalog.pg_extension_config_dump('auren.metric_settings', '');
SELECT pg_catalog.pg_extension_config_dump('auren.retention', '');

REVOKE ALL ON ALL ROUTINES IN SCHEMA events, biometric, analytics, encrypted, auren FROM PUBLIC;
-- What views call is checked against the reader of the view; nobody can name it, since nobody has USAGE on the schema. Said here, and not
-- left to the server's default, which whoever installs may have changed.
GRANT EXECUTE ON FUNCTION auren.current_tenant(), auren.view_tenant(), auren.reducers_version(), auren.stream_summary(text), auren.subscription_status(text),
	auren.filled_sources(), auren.unfilled_readings(), auren.delta_lots(bigint), auren.has_deltas(bytea, bigint), auren.unpack_deltas(bytea),
	auren.metric_values(bytea, bigint, timestamptz, integer), auren.master_key_id(), auren.require_restored(), auren.month_figures(), auren.view_all_tenants(),
	auren.counts(), auren.tenant_counts(), auren.store_shares(), auren.read_all(bigint, integer, text[], text, text, uuid, text[]), auren.work_phases() TO PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA events, biometric, analytics, encrypted, auren FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA auren FROM PUBLIC;
REVOKE ALL ON TYPE auren.metrics FROM PUBLIC;
