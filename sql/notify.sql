-- The trigger functions that tell listeners: what they refuse. What they tell is in test/t/060_notify.pl.
SET client_min_messages = warning;
CREATE TABLE t.switches (user_id text, from_mode text, to_mode text, confidence_score numeric, switch_timestamp timestamptz);
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON t.switches FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
INSERT INTO t.switches VALUES ('u1', 'rest', 'run', 0.90, now()), ('u1', NULL, 'rest', NULL, NULL);
UPDATE t.switches SET from_mode = 'x';
SELECT * FROM t.try($$INSERT INTO t.switches VALUES (NULL, 'rest', 'run', 1, now())$$);
SELECT * FROM t.try($$INSERT INTO t.switches VALUES ('u1', 'rest', NULL, 1, now())$$);
-- a payload over the limit is cut, the row is stored
INSERT INTO t.switches VALUES ('u2', repeat('a', 9000), 'run', 1, now()), (repeat('ü', 9000), 'a', 'b', 1, now());
SELECT count(*) FROM t.switches;
-- current-state rows
CREATE TABLE t.users (user_id integer, current_mode text, updated_at timestamptz DEFAULT now());
CREATE TRIGGER tell AFTER INSERT OR UPDATE ON t.users FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
INSERT INTO t.users VALUES (1, NULL), (2, 'rest');
UPDATE t.users SET current_mode = 'run';
SELECT * FROM t.try($$UPDATE t.users SET current_mode = NULL$$);
-- renamed columns
CREATE TABLE t.tiers (person text, key text, old text, new text);
CREATE TRIGGER tell AFTER INSERT ON t.tiers FOR EACH ROW
	EXECUTE FUNCTION events.notify_memory_tier_change('user_id=person', 'memory_key=key', 'from_tier=old', 'to_tier=new');
INSERT INTO t.tiers VALUES ('u1', 'k', 'hot', 'cold');
-- missing columns, at the first firing
CREATE TABLE t.nothing (user_id text);
CREATE TRIGGER tell AFTER INSERT ON t.nothing FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
SELECT * FROM t.try($$INSERT INTO t.nothing VALUES ('u')$$);
CREATE TABLE t.nobody (current_mode text);
CREATE TRIGGER tell AFTER UPDATE ON t.nobody FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
INSERT INTO t.nobody VALUES ('a');
SELECT * FROM t.try($$UPDATE t.nobody SET current_mode = 'b'$$);
CREATE TABLE t.keyless (user_id text, from_tier text, to_tier text);
CREATE TRIGGER tell AFTER INSERT ON t.keyless FOR EACH ROW EXECUTE FUNCTION events.notify_memory_tier_change();
SELECT * FROM t.try($$INSERT INTO t.keyless VALUES ('u', 'a', 'b')$$);
CREATE TABLE t.renamed (user_id text, current_mode text);
CREATE TRIGGER tell AFTER UPDATE ON t.renamed FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch('user_id=gone');
INSERT INTO t.renamed VALUES ('u', 'a');
SELECT * FROM t.try($$UPDATE t.renamed SET current_mode = 'b'$$);
DROP TRIGGER tell ON t.renamed;
CREATE TRIGGER tell AFTER UPDATE ON t.renamed FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch('who=user_id');
SELECT * FROM t.try($$UPDATE t.renamed SET current_mode = 'b'$$);
-- triggers of other kinds
DROP TRIGGER tell ON t.renamed;
CREATE TRIGGER tell BEFORE UPDATE ON t.renamed FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
SELECT * FROM t.try($$UPDATE t.renamed SET current_mode = 'b'$$);
DROP TRIGGER tell ON t.renamed;
CREATE TRIGGER tell AFTER UPDATE ON t.renamed FOR EACH STATEMENT EXECUTE FUNCTION events.notify_mode_switch();
SELECT t.state($$UPDATE t.renamed SET current_mode = 'b'$$);
DROP TRIGGER tell ON t.renamed;
CREATE TRIGGER tell AFTER DELETE ON t.renamed FOR EACH ROW EXECUTE FUNCTION events.notify_mode_switch();
SELECT t.state($$DELETE FROM t.renamed$$);
DROP TABLE t.switches, t.users, t.tiers, t.nothing, t.nobody, t.keyless, t.renamed;
