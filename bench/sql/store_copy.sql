-- Helpers of the bench, in a schema of their own.

CREATE SCHEMA bench;

-- Makes schema p_schema with a copy of the store's table: columns, defaults, checks, storage, months and each month's
-- indexes as the catalog has them now, so that what is compared is the way in and never the table.
-- created_at gets a default: the floor then takes the time of its transaction for the least that a time can cost.
CREATE FUNCTION bench.copy_store(p_schema text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	month record;
	def   text;
BEGIN
	EXECUTE format('CREATE SCHEMA %I', p_schema);
	EXECUTE format('CREATE TABLE %I.event_store (LIKE events.event_store INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
	               'INCLUDING STORAGE INCLUDING COMPRESSION) PARTITION BY %s',
	               p_schema, pg_get_partkeydef('events.event_store'::regclass));
	EXECUTE format('ALTER TABLE %I.event_store ALTER created_at SET DEFAULT now()', p_schema);
	FOR month IN
		SELECT c.oid, c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound, c.reloptions
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'events.event_store'::regclass ORDER BY c.relname
	LOOP
		EXECUTE format('CREATE TABLE %I.%I PARTITION OF %I.event_store %s %s', p_schema, month.relname, p_schema,
		               month.bound, 'WITH (' || array_to_string(month.reloptions, ', ') || ')');
		FOR def IN
			SELECT format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', p_schema, month.relname, conname,
			              pg_get_constraintdef(oid))
			FROM pg_constraint WHERE conrelid = month.oid AND contype = 'c' AND coninhcount = 0
		LOOP
			EXECUTE def;
		END LOOP;
		FOR def IN
			SELECT replace(pg_get_indexdef(indexrelid), ' ON events.', format(' ON %I.', p_schema))
			FROM pg_index WHERE indrelid = month.oid ORDER BY indexrelid
		LOOP
			EXECUTE def;
		END LOOP;
	END LOOP;
END
$$;

-- Empties the pending lists of all GIN indexes on events, so that each run begins at the same point between two flushes.
CREATE FUNCTION bench.clean_pending() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	index regclass;
BEGIN
	FOR index IN
		SELECT i.oid FROM pg_class i JOIN pg_am a ON a.oid = i.relam
		WHERE a.amname = 'gin' AND i.relname LIKE 'idx_event_store%' AND i.relkind = 'i'
	LOOP
		PERFORM gin_clean_pending_list(index);
	END LOOP;
END
$$;

-- CPU time of this backend so far, in nanoseconds.
CREATE FUNCTION bench.cpu() RETURNS bigint LANGUAGE sql AS
$$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint $$;

-- What two copies of the store differ in: empty when their indexes and columns are the same.
CREATE FUNCTION bench.differences(p_schema text) RETURNS TABLE (what text) LANGUAGE sql AS $$
	WITH shape AS (
		SELECT n.nspname AS schema,
		       replace(pg_get_indexdef(i.indexrelid), ' ON ' || n.nspname || '.', ' ON ') AS what
		FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE t.relname LIKE 'event\_store%'
		UNION ALL
		SELECT n.nspname, concat_ws(' ', t.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod),
		                            a.attnotnull, a.attcollation, a.attstorage, t.reloptions::text)
		FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE t.relname LIKE 'event\_store%' AND t.relkind IN ('r', 'p') AND a.attnum > 0
	)
	(SELECT shape.what FROM shape WHERE schema = 'events' EXCEPT SELECT shape.what FROM shape WHERE schema = p_schema)
	UNION ALL
	(SELECT shape.what FROM shape WHERE schema = p_schema EXCEPT SELECT shape.what FROM shape WHERE schema = 'events')
$$;
