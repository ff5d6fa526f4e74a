-- What callers rely on: names, parameters, columns, indexes, flags.
\pset format unaligned
SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') -> ' || coalesce(pg_get_function_result(p.oid), 'procedure') AS function,
       provolatile AS volatile, proparallel AS parallel, proisstrict AS strict
FROM pg_proc p WHERE pronamespace = 'events'::regnamespace ORDER BY proname COLLATE "C";
SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') -> ' || coalesce(pg_get_function_result(p.oid), 'procedure') AS function,
       provolatile AS volatile, proparallel AS parallel, proisstrict AS strict
FROM pg_proc p WHERE pronamespace = 'analytics'::regnamespace ORDER BY proname COLLATE "C";
SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') -> ' || coalesce(pg_get_function_result(p.oid), 'procedure') AS function,
       provolatile AS volatile, proparallel AS parallel, proisstrict AS strict
FROM pg_proc p WHERE pronamespace = 'encrypted'::regnamespace ORDER BY proname COLLATE "C";
-- what else is there to be seen: what callers and administrators use, nothing of the machinery
SELECT relnamespace::regnamespace AS schema, relname, relkind FROM pg_class
WHERE relnamespace IN ('events'::regnamespace, 'biometric'::regnamespace, 'analytics'::regnamespace, 'encrypted'::regnamespace)
  AND relkind NOT IN ('i', 'I', 't') AND relname !~ '^event_store_\d{4}_\d\d$' ORDER BY 1, relname COLLATE "C";
SELECT typnamespace::regnamespace AS schema, typname FROM pg_type t
WHERE typnamespace IN ('events'::regnamespace, 'biometric'::regnamespace, 'analytics'::regnamespace, 'encrypted'::regnamespace)
  AND typelem = 0 AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND c.relkind <> 'c');
SELECT pronamespace::regnamespace AS schema, proname FROM pg_proc WHERE pronamespace = 'biometric'::regnamespace;
-- each of them has a line in auren.rights, and each line is about one of them
SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events')
  AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass)
  AND NOT EXISTS (SELECT FROM pg_proc p WHERE d.classid = 'pg_proc'::regclass AND p.oid = d.objid AND p.pronamespace = 'auren'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relnamespace = 'auren'::regnamespace)
  AND NOT (d.classid = 'pg_namespace'::regclass AND d.objid = 'auren'::regnamespace)
  AND NOT EXISTS (SELECT FROM auren.granted_objects o WHERE o.oid = d.objid AND (o.kind IN ('FUNCTION', 'PROCEDURE')) = (d.classid = 'pg_proc'::regclass)
                  AND (o.kind = 'SCHEMA') = (d.classid = 'pg_namespace'::regclass));
SELECT object, privilege FROM auren.rights WHERE (SELECT count(*) FROM auren.granted_objects) <> (SELECT count(*) FROM auren.rights)
UNION ALL
SELECT object, privilege FROM auren.rights, unnest(access) a WHERE a NOT IN ('reader', 'writer', 'admin', 'encrypt', 'decrypt', 'key_admin');
-- no function has two forms
SELECT proname FROM pg_proc WHERE pronamespace = 'events'::regnamespace GROUP BY 1 HAVING count(*) > 1;
-- all are C++
SELECT proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE pronamespace = 'events'::regnamespace AND lanname <> 'c';
SELECT attname, format_type(atttypid, atttypmod), attnotnull,
       (SELECT collname FROM pg_collation c WHERE c.oid = attcollation AND collname = 'C') AS collation
FROM pg_attribute WHERE attrelid = 'events.event_store'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_partkeydef('events.event_store'::regclass);
SELECT count(*) AS indexes_on_parent FROM pg_index WHERE indrelid = 'events.event_store'::regclass;
SELECT events.create_monthly_partitions(1) BETWEEN 0 AND 2 AS made;
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM') AS month \gset
SELECT replace(replace(indexdef, :'month', 'YYYY_MM'), 'INDEX ', '') FROM pg_indexes
WHERE schemaname = 'events' AND tablename = 'event_store_' || :'month' ORDER BY indexname COLLATE "C";
SELECT replace(tgname, :'month', 'YYYY_MM'), tgenabled, tgtype FROM pg_trigger
WHERE tgrelid = ('events.event_store_' || :'month')::regclass ORDER BY 1;
-- months are no members of the extension, so that dumps hold them
SELECT count(*) FROM pg_depend WHERE objid = ('events.event_store_' || :'month')::regclass AND deptype = 'e';
-- everything that is a member says what it is
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
  AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events')
  AND coalesce(obj_description(objid, classid::regclass::name), '') = ''
  AND classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_namespace'::regclass, 'pg_event_trigger'::regclass);
SELECT attrelid::regclass, attname FROM pg_attribute
WHERE attrelid IN ('events.event_store'::regclass, 'auren.stream_rows'::regclass, 'auren.supplied_ids'::regclass,
                   'events.tenant_bindings'::regclass)
  AND attnum > 0 AND col_description(attrelid, attnum) IS NULL;
-- what a dump holds
SELECT c::regclass FROM pg_extension, unnest(extconfig) c WHERE extname = 'auren_events' ORDER BY 1;
-- no right is left to the server's default, which whoever installs may have changed: what views call is for PUBLIC by a grant of its own
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'auren_events') AND p.proacl IS NULL;
SELECT p.oid::regprocedure AS for_public FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = 'auren'::regnamespace AND a.grantee = 0 ORDER BY p.proname COLLATE "C";
