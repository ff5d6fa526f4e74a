-- Gives the months GIN indexes with the same keys, whose insertion the store leaves to the server: it makes the entries itself where the keys are
-- compared by btint4cmp, and here a function of another number does the same.
CREATE FUNCTION bench.compare(integer, integer) RETURNS integer LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE OPERATOR CLASS bench.path_ops FOR TYPE jsonb USING gin AS
	OPERATOR 7 @>, OPERATOR 15 @?(jsonb, jsonpath), OPERATOR 16 @@(jsonb, jsonpath),
	FUNCTION 1 bench.compare(integer, integer),
	FUNCTION 2 gin_extract_jsonb_path(jsonb, internal, internal),
	FUNCTION 3 gin_extract_jsonb_query_path(jsonb, internal, smallint, internal, internal, internal, internal),
	FUNCTION 4 gin_consistent_jsonb_path(internal, smallint, jsonb, integer, internal, internal, internal, internal),
	FUNCTION 6 gin_triconsistent_jsonb_path(internal, smallint, jsonb, integer, internal, internal, internal),
	STORAGE integer;
SELECT format('DROP INDEX %s; CREATE INDEX %I ON %s USING gin (%s bench.path_ops)', i.indexrelid::regclass, c.relname, i.indrelid::regclass,
              pg_get_indexdef(i.indexrelid, 1, false))
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
	WHERE i.indrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'events.event_store'::regclass) AND a.amname = 'gin' \gexec
