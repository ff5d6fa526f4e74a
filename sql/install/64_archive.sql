-- Archives: a month written to a file, read again from it, and taken away again.

CREATE FUNCTION events.archive_lines(p_month date) RETURNS SETOF text
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100000 SUPPORT auren.stream_support AS 'MODULE_PATHNAME', 'auren_archive_lines';
COMMENT ON FUNCTION events.archive_lines(date) IS 'lines of the archive of a closed month: a manifest, a line for each event in order of position, a trailer with their SHA-256; for \copy, which scripts/archive_month does';
INSERT INTO auren.rights VALUES ('events.archive_lines', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.archive_month(p_month date, p_file text, p_compression text DEFAULT 'gzip')
	RETURNS TABLE (events bigint, bytes bigint, sha256 text, written boolean)
	LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'auren_archive_month';
COMMENT ON FUNCTION events.archive_month(date, text, text) IS 'writes a closed month to a file of the server (''gzip'' or ''none''), whole or not at all; a file that holds the same stays; for roles that may write files of the server, as with COPY TO';
INSERT INTO auren.rights VALUES ('events.archive_month', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.record_archive(p_month date, p_archive text, p_sha256 text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_record_archive';
COMMENT ON FUNCTION events.record_archive(date, text, text) IS 'notes that a client wrote the archive of a month: where it is, and the sha256 of its last line; events.months shows it';
INSERT INTO auren.rights VALUES ('events.record_archive', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.attach_archive(p_file text) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_archive';
COMMENT ON FUNCTION events.attach_archive(text) IS 'brings a dropped month back from its archive, to be read, once each line was held against the month''s seals; returns how many events there are; for roles that may read files of the server';
INSERT INTO auren.rights VALUES ('events.attach_archive', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.attach_archive_lines(p_lines regclass) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_attach_archive_lines';
COMMENT ON FUNCTION events.attach_archive_lines(regclass) IS 'events.attach_archive from a table with the columns line_number and line, into which a client copied the archive';
INSERT INTO auren.rights VALUES ('events.attach_archive_lines', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION events.detach_archive(p_month date) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'auren_detach_archive';
COMMENT ON FUNCTION events.detach_archive(date) IS 'takes a month away again that events.attach_archive brought back';
INSERT INTO auren.rights VALUES ('events.detach_archive', 'EXECUTE', '{admin}', '0.2.0');

CREATE FUNCTION auren.refuse_archive_insert() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'auren_refuse_archive_insert';
COMMENT ON FUNCTION auren.refuse_archive_insert() IS 'trigger of a month that was attached of its archive: refuses INSERT';
REVOKE ALL ON FUNCTION auren.refuse_archive_insert() FROM PUBLIC;
