-- What the exporter's role needs, beside a login: it may look, and it may change nothing. For a superuser or the owner of the store, in each database
-- that is watched; to be run again after ALTER EXTENSION auren_events UPDATE.
--
--   psql -X -v ON_ERROR_STOP=1 -v role=prometheus -d shop -f grants.sql
--
-- The figures are of all tenants, so the role must not be bound to one. It sees no event, no text of an error and no person's data.

GRANT pg_monitor TO :"role";
GRANT USAGE ON SCHEMA events, analytics TO :"role";
GRANT EXECUTE ON FUNCTION events.verify_installation(), events.feed_horizon() TO :"role";
GRANT SELECT ON events.stats, events.stats_by_tenant, events.store_size, events.feed_blockers, events.lock_holders, events.notification_queue,
	events.months, events.seals, events.verifications, events.progress, analytics.refresh_status TO :"role";
GRANT SELECT (tenant_id, name, head, checkpoint, lag_events, lag_seconds, consumers, parked, retrying) ON events.subscriptions TO :"role";
