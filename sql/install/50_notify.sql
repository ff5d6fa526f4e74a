-- Live notifications from the tables of the application.

CREATE FUNCTION events.notify_mode_switch() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_notify_mode_switch';
COMMENT ON FUNCTION events.notify_mode_switch() IS 'trigger: tells channel mode_switch of a new history row (from_mode, to_mode) or a changed current_mode; arguments ''key=column'' rename columns';

CREATE FUNCTION events.notify_memory_tier_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_notify_memory_tier_change';
COMMENT ON FUNCTION events.notify_memory_tier_change() IS 'trigger: tells channel memory_tier_change of a new history row (from_tier, to_tier) or a changed tier; arguments ''key=column'' rename columns';
