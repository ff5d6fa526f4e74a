-- What an operator asks first.

CREATE FUNCTION events.verify_installation()
	RETURNS TABLE ("check" text, ok boolean, severity text, message text, hint text)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 25 AS 'MODULE_PATHNAME', 'auren_verify_installation';
COMMENT ON FUNCTION events.verify_installation() IS
'whether the store is well: a row for each thing that is looked at, how grave it is when it is not so (error, warning, notice), what was found and what to do. Reads a bounded number of rows and no table of events; 42501 for a role that is bound to tenants';
INSERT INTO auren.rights VALUES ('events.verify_installation', 'EXECUTE', '{admin}', '0.2.0');
