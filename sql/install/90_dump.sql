-- What a dump must hold, and what nobody may do unless granted. Months are no members of the extension:
-- pg_dump holds them as tables of the database.

SELECT pg_catalog.pg_extension_config_dump('events.global_position_seq', '');
SELECT pg_catalog.pg_extension_config_dump('events.event_store', '');
SELECT pg_catalog.pg_extension_config_dump('events.stream_rows', '');
SELECT pg_catalog.pg_extension_config_dump('events.supplied_ids', '');
SELECT pg_catalog.pg_extension_config_dump('events.tenant_bindings', '');
SELECT pg_catalog.pg_extension_config_dump('events.declared_reducers', '');
SELECT pg_catalog.pg_extension_config_dump('events.declared_notification_rules', '');
SELECT pg_catalog.pg_extension_config_dump('events.subscription_settings', '');
SELECT pg_catalog.pg_extension_config_dump('events.subscription_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('events.subscription_progress', '');
SELECT pg_catalog.pg_extension_config_dump('events.subscription_troubles', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.data_keys', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.key_uses', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.forgotten_people', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.declared_rules', '');
SELECT pg_catalog.pg_extension_config_dump('encrypted.audit_log', '');

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA events, encrypted FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA events, encrypted FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA events, encrypted FROM PUBLIC;
