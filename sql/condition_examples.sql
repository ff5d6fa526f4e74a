-- Rules that hold across streams, told as given, when and then: courses and students, usernames, confirmations by token, invoice numbers, prices,
-- forms sent twice, rooms. Each decision is a function that does what a program does: it takes the horizon, reads up to it, decides, and appends with
-- its query as the condition.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET app.tenant_id = 'condition_examples';
CREATE SCHEMA ce;
-- One event with its tags, whatever there is: what a story begins with.
CREATE PROCEDURE ce.given(p_stream text, p_type text, p_data jsonb, VARIADIC p_tags text[] DEFAULT '{}') LANGUAGE sql AS $$
	SELECT FROM events.append_event(p_stream, p_type, p_data, p_tags := p_tags)
$$;
-- One event on condition.
CREATE FUNCTION ce.append(p_query jsonb, p_after bigint, p_stream text, p_type text, p_data jsonb, VARIADIC p_tags text[] DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	SELECT FROM events.append_if(p_query, p_after, ARRAY[p_stream], ARRAY[p_type], ARRAY[p_data], p_tags := ARRAY[to_jsonb(p_tags)])
$$;
-- What became of a decision: 'done', or why not. The position that DETAIL names is one of the whole test run, so it is not shown.
CREATE FUNCTION ce.outcome(p_call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_detail text;
BEGIN
	EXECUTE 'SELECT ce.' || p_call;
	RETURN 'done';
EXCEPTION
	WHEN SQLSTATE 'ZE008' THEN
		GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
		RETURN 'overtaken: ' || coalesce(substring(v_detail FROM '\(.*\)'), v_detail);
	WHEN raise_exception THEN
		RETURN SQLERRM;
END $$;
-- Decisions one after another, each in a transaction of its own: what a transaction has appended itself is not final before it ends.
CREATE PROCEDURE ce."when"(VARIADIC p_calls text[]) LANGUAGE plpgsql AS $$
DECLARE
	v_call text;
	v_outcome text;
BEGIN
	FOREACH v_call IN ARRAY p_calls LOOP
		v_outcome := ce.outcome(v_call);
		COMMIT;
		RAISE INFO '% %', rpad(v_call, 60), v_outcome;
	END LOOP;
END $$;
-- Where somebody has read up to, under a name.
CREATE TABLE ce.boundaries (name text PRIMARY KEY, position bigint);
CREATE PROCEDURE ce.reads(p_name text) LANGUAGE sql AS $$
	INSERT INTO ce.boundaries VALUES (p_name, events.feed_horizon())
$$;
CREATE FUNCTION ce.at(p_name text) RETURNS bigint LANGUAGE sql AS $$ SELECT position FROM ce.boundaries WHERE name = p_name $$;
-- What the store has for a query.
CREATE FUNCTION ce."then"(p_query jsonb) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', stream_id, event_type, event_data, tags) FROM events.read_by_query(p_query) ORDER BY global_position
$$;

-- 1. Courses and students. A course has so many places, a student takes two courses at most, and nobody takes a course twice. The decision looks at
--    what happened to the course and at what happened to the student: two items, joined by OR.
CREATE FUNCTION ce.about(p_course text, p_student text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_array(
		jsonb_build_object('types', '["course_offered", "places_changed", "student_enrolled", "student_left"]'::jsonb, 'tags', jsonb_build_array('course:' || p_course)),
		jsonb_build_object('types', '["student_enrolled", "student_left"]'::jsonb, 'tags', jsonb_build_array('student:' || p_student)))
$$;
CREATE FUNCTION ce.enrol(p_course text, p_student text, p_read_at bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_boundary bigint := coalesce(p_read_at, events.feed_horizon());
	v_query jsonb := ce.about(p_course, p_student);
	v_places int := 0;
	v_course int := 0;
	v_student int := 0;
	v_twice boolean := false;
	e record;
BEGIN
	FOR e IN SELECT event_type, event_data, tags FROM events.read_by_query(v_query, p_up_to := v_boundary) ORDER BY global_position LOOP
		IF e.event_type IN ('course_offered', 'places_changed') THEN
			v_places := e.event_data ->> 'places';
			CONTINUE;
		END IF;
		IF 'course:' || p_course = ANY (e.tags) THEN
			v_course := v_course + CASE e.event_type WHEN 'student_enrolled' THEN 1 ELSE -1 END;
		END IF;
		IF 'student:' || p_student = ANY (e.tags) THEN
			v_student := v_student + CASE e.event_type WHEN 'student_enrolled' THEN 1 ELSE -1 END;
		END IF;
		IF e.tags @> ARRAY['course:' || p_course, 'student:' || p_student] THEN
			v_twice := e.event_type = 'student_enrolled';
		END IF;
	END LOOP;
	IF v_places = 0 THEN
		RAISE 'refused: there is no such course';
	ELSIF v_twice THEN
		RAISE 'refused: % takes this course already', p_student;
	ELSIF v_course >= v_places THEN
		RAISE 'refused: all % places are taken', v_places;
	ELSIF v_student >= 2 THEN
		RAISE 'refused: % takes two courses already', p_student;
	END IF;
	PERFORM ce.append(v_query, v_boundary, 'course:' || p_course, 'student_enrolled', '{}', 'course:' || p_course, 'student:' || p_student);
END $$;
\echo 'given a course with two places'
CALL ce.given('course:maths', 'course_offered', '{"places": 2}', 'course:maths');
\echo 'when three students want in, and one of them twice, then two come in, each once'
CALL ce."when"($$enrol('maths', 'ada')$$, $$enrol('maths', 'ada')$$, $$enrol('maths', 'bob')$$, $$enrol('maths', 'cyd')$$, $$enrol('magic', 'cyd')$$);
SELECT * FROM ce."then"('{"tags": ["course:maths"]}');
\echo 'given a third place, when two decide by what both have read, then the second is overtaken, and refused when it has read again'
CALL ce.given('course:maths', 'places_changed', '{"places": 3}', 'course:maths');
CALL ce.reads('places');
CALL ce."when"($$enrol('maths', 'cyd', ce.at('places'))$$, $$enrol('maths', 'dan', ce.at('places'))$$, $$enrol('maths', 'dan')$$);
\echo 'given two more courses, when ada takes one and then, by what she read before, the other, then her second decision is overtaken'
CALL ce.given('course:art', 'course_offered', '{"places": 30}', 'course:art');
CALL ce.given('course:biology', 'course_offered', '{"places": 30}', 'course:biology');
CALL ce.reads('courses');
CALL ce."when"($$enrol('art', 'ada', ce.at('courses'))$$, $$enrol('biology', 'ada', ce.at('courses'))$$, $$enrol('biology', 'ada')$$);
\echo 'given that, when others decide about other courses and students by what they read long ago, then nothing keeps them'
CALL ce."when"($$enrol('biology', 'eve', ce.at('courses'))$$);
\echo 'given that ada leaves maths, when dan tries again, then there is a place'
CALL ce.given('course:maths', 'student_left', '{}', 'course:maths', 'student:ada');
CALL ce."when"($$enrol('maths', 'dan')$$, $$enrol('biology', 'ada')$$);

-- 2. Usernames. A name belongs to one account at a time; a name that was given up is free again after three days. Days stand in the data.
CREATE FUNCTION ce.register(p_account text, p_name text, p_day int, p_read_at bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_boundary bigint := coalesce(p_read_at, events.feed_horizon());
	v_query jsonb := jsonb_build_object('types', '["account_opened", "account_closed", "name_changed"]'::jsonb, 'tags', jsonb_build_array('username:' || p_name));
	e record;
BEGIN
	-- the last that happened to the name decides
	SELECT event_type, event_data INTO e FROM events.read_by_query(v_query, p_up_to := v_boundary, p_limit := 1, p_backwards := true);
	IF FOUND AND (e.event_type = 'account_opened' OR e.event_data ->> 'to' = p_name) THEN
		RAISE 'refused: "%" is taken', p_name;
	ELSIF FOUND AND p_day - (e.event_data ->> 'day')::int < 3 THEN
		RAISE 'refused: "%" was given up on day %', p_name, e.event_data ->> 'day';
	END IF;
	PERFORM ce.append(v_query, v_boundary, 'account:' || p_account, 'account_opened', jsonb_build_object('name', p_name, 'day', p_day), 'username:' || p_name);
END $$;
\echo 'given no account, when two register one name by what both have read, then the first has it'
CALL ce.reads('names');
CALL ce."when"($$register('1', 'ada', 1, ce.at('names'))$$, $$register('2', 'ada', 1, ce.at('names'))$$, $$register('2', 'ada', 1)$$, $$register('2', 'bob', 1)$$);
\echo 'given that account 1 is closed and account 2 has another name, when somebody wants the old names, then they wait for three days'
CALL ce.given('account:1', 'account_closed', '{"day": 10}', 'username:ada');
CALL ce.given('account:2', 'name_changed', '{"from": "bob", "to": "rob", "day": 11}', 'username:bob', 'username:rob');
CALL ce."when"($$register('3', 'ada', 12)$$, $$register('3', 'ada', 13)$$, $$register('4', 'bob', 12)$$, $$register('4', 'bob', 14)$$, $$register('5', 'rob', 99)$$);
\echo 'given a rule that a name is for ever, when it is claimed twice, then no position is needed at all'
CREATE FUNCTION ce.claim(p_account text, p_handle text) RETURNS void LANGUAGE sql AS $$
	SELECT ce.append(jsonb_build_object('tags', jsonb_build_array('handle:' || p_handle)), NULL, 'account:' || p_account, 'handle_claimed', '{}', 'handle:' || p_handle)
$$;
CALL ce."when"($$claim('6', 'grace')$$, $$claim('7', 'grace')$$);

-- 3. A sign-up that is confirmed by a token: the token counts once, for the address that it was sent to, and for so many minutes.
CREATE FUNCTION ce.confirm(p_address text, p_token text, p_minute int, p_read_at bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_boundary bigint := coalesce(p_read_at, events.feed_horizon());
	v_query jsonb := jsonb_build_object('types', '["sign_up_begun", "sign_up_confirmed"]'::jsonb, 'tags', jsonb_build_array('address:' || p_address, 'token:' || p_token));
	v_begun int;
	v_used boolean;
BEGIN
	SELECT max((event_data ->> 'minute')::int) FILTER (WHERE event_type = 'sign_up_begun'), coalesce(bool_or(event_type = 'sign_up_confirmed'), false) INTO v_begun, v_used
		FROM events.read_by_query(v_query, p_up_to := v_boundary);
	IF v_begun IS NULL THEN
		RAISE 'refused: this token was not sent to this address';
	ELSIF v_used THEN
		RAISE 'refused: the token was used';
	ELSIF p_minute - v_begun > 60 THEN
		RAISE 'refused: the token is older than an hour';
	END IF;
	PERFORM ce.append(v_query, v_boundary, 'sign_up:' || p_address, 'sign_up_confirmed', '{}', 'address:' || p_address, 'token:' || p_token);
END $$;
\echo 'given a token, when it is used with another address, too late, twice by what both have read, and once more, then it counts once'
CALL ce.given('sign_up:ada@x', 'sign_up_begun', '{"minute": 5}', 'address:ada@x', 'token:1234');
CALL ce.given('sign_up:bob@x', 'sign_up_begun', '{"minute": 5}', 'address:bob@x', 'token:9876');
CALL ce.reads('token');
CALL ce."when"($$confirm('bob@x', '1234', 6)$$, $$confirm('bob@x', '9876', 66)$$, $$confirm('ada@x', '1234', 6, ce.at('token'))$$, $$confirm('ada@x', '1234', 6, ce.at('token'))$$,
	$$confirm('ada@x', '1234', 7)$$);

-- 4. Invoice numbers without a hole, from 101 on. The boundary is a type: of two invoices that are made at once one is overtaken and takes the next number.
CREATE FUNCTION ce.invoice(p_customer text, p_read_at bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_boundary bigint := coalesce(p_read_at, events.feed_horizon());
	v_query jsonb := '{"types": ["invoice_made"]}';
	v_number int;
BEGIN
	SELECT (event_data ->> 'number')::int INTO v_number FROM events.read_by_query(v_query, p_up_to := v_boundary, p_limit := 1, p_backwards := true);
	v_number := coalesce(v_number + 1, 101);
	PERFORM ce.append(v_query, v_boundary, 'invoice:' || v_number, 'invoice_made', jsonb_build_object('number', v_number, 'customer', p_customer));
END $$;
\echo 'given no invoice, when some are made, two of them by what both have read, then the numbers have no hole'
CALL ce.reads('invoices');
CALL ce."when"($$invoice('ada', ce.at('invoices'))$$, $$invoice('bob', ce.at('invoices'))$$, $$invoice('bob')$$, $$invoice('cyd')$$);
SELECT * FROM ce."then"('{"types": ["invoice_made"]}');

-- 5. Prices. An order is taken at the price that was shown, when it is the product's price, or was until ten minutes ago. Several products are so many items.
CREATE FUNCTION ce.order_at(p_prices jsonb, p_minute int, p_read_at bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_boundary bigint := coalesce(p_read_at, events.feed_horizon());
	v_query jsonb := (SELECT jsonb_agg(jsonb_build_object('types', '["product_listed", "price_changed"]'::jsonb, 'tags', jsonb_build_array('product:' || key)) ORDER BY key)
	                  FROM jsonb_each(p_prices));
	v_wrong text;
BEGIN
	WITH priced AS (
		SELECT p.key, r.event_data ->> 'price' AS price, lead((r.event_data ->> 'minute')::int) OVER (PARTITION BY p.key ORDER BY r.global_position) AS until
		FROM jsonb_each(p_prices) p LEFT JOIN events.read_by_query(v_query, p_up_to := v_boundary) r ON 'product:' || p.key = ANY (r.tags))
	SELECT key INTO v_wrong FROM priced JOIN jsonb_each_text(p_prices) shown USING (key)
		GROUP BY key, value HAVING NOT coalesce(bool_or(price = value AND p_minute - coalesce(until, p_minute) <= 10), false) ORDER BY key LIMIT 1;
	IF FOUND THEN
		RAISE 'refused: "%" has another price', v_wrong;
	END IF;
	PERFORM ce.append(v_query, v_boundary, 'order:' || p_minute, 'order_placed', p_prices, VARIADIC (SELECT array_agg('ordered:' || key) FROM jsonb_each(p_prices)));
END $$;
\echo 'given two products, one of which became dearer in minute 50, when orders come with old and new prices, then ten minutes are granted'
CALL ce.given('product:tea', 'product_listed', '{"price": 3, "minute": 0}', 'product:tea');
CALL ce.given('product:pot', 'product_listed', '{"price": 20, "minute": 0}', 'product:pot');
CALL ce.given('product:tea', 'price_changed', '{"price": 4, "minute": 50}', 'product:tea');
CALL ce."when"($$order_at('{"tea": 3, "pot": 20}', 60)$$, $$order_at('{"tea": 3, "pot": 20}', 61)$$, $$order_at('{"tea": 4}', 62)$$, $$order_at('{"tea": 5}', 63)$$,
	$$order_at('{"cup": 5}', 64)$$);
\echo 'given an order that is being decided, when the price of its product changes meanwhile, then it is overtaken; a change of another product does not matter'
CALL ce.reads('prices');
CALL ce.given('product:tea', 'price_changed', '{"price": 5, "minute": 70}', 'product:tea');
CALL ce."when"($$order_at('{"tea": 4}', 71, ce.at('prices'))$$, $$order_at('{"pot": 20}', 72, ce.at('prices'))$$);

-- 6. A form that is sent twice. Either the program gives the form's number as the event's id, and has the first result again; or it makes a tag of it, and
--    is told that somebody was there.
\echo 'given an empty form, when it is sent twice with its number as the id, then it counts once and both have the same answer'
SELECT events.feed_horizon() AS read_at \gset
SELECT a.global_position = b.global_position AS same_answer, a.stream_version FROM
	events.append_if('{"tags": ["comment:1"]}', :read_at, '{post:1}', '{commented}', '{"{}"}', p_event_ids := '{00000000-0000-0000-0000-0000000c0001}', p_tags := ARRAY['["comment:1"]']::jsonb[]) a,
	events.append_if('{"tags": ["comment:1"]}', :read_at, '{post:1}', '{commented}', '{"{}"}', p_event_ids := '{00000000-0000-0000-0000-0000000c0001}', p_tags := ARRAY['["comment:1"]']::jsonb[]) b;
\echo 'when it is sent twice with its number as a tag, then the second is told'
CREATE FUNCTION ce.comment(p_form text) RETURNS void LANGUAGE sql AS $$
	SELECT ce.append(jsonb_build_object('tags', jsonb_build_array('form:' || p_form)), NULL, 'post:1', 'commented', '{}', 'form:' || p_form)
$$;
CALL ce."when"($$comment('77')$$, $$comment('77')$$);

-- 7. Rooms. Bookings are events with a span, tagged by a rule: two that overlap cannot both be, and one that begins when the other ends can.
SELECT events.add_tag_rule('room_booked', '/room', 'room') AS complete;
SELECT events.add_span_rule('room_booked', '/from', '/to');
CREATE FUNCTION ce.book(p_room int, p_from text, p_to text) RETURNS void LANGUAGE sql AS $$
	SELECT FROM ce.append(jsonb_build_object('types', '["room_booked"]'::jsonb, 'tags', jsonb_build_array('room:' || p_room), 'during', jsonb_build_array(p_from, p_to)), NULL,
		'room:' || p_room, 'room_booked', jsonb_build_object('room', p_room, 'from', p_from, 'to', p_to))
$$;
\echo 'given a free room, when it is booked from ten to eleven, then nothing else fits in between, in this room'
CALL ce."when"($$book(12, '2026-12-01 10:00Z', '2026-12-01 11:00Z')$$, $$book(12, '2026-12-01 10:30Z', '2026-12-01 11:30Z')$$, $$book(12, '2026-12-01 09:00Z', '2026-12-01 12:00Z')$$,
	$$book(12, '2026-12-01 11:00Z', '2026-12-01 12:00Z')$$, $$book(12, '2026-12-01 12:00+02', '2026-12-01 12:30+02')$$, $$book(13, '2026-12-01 10:30Z', '2026-12-01 11:30Z')$$);
SELECT * FROM ce."then"('{"tags": ["room:12"]}');

-- 8. A stream that is read and not written: an order is paid only while the customer's account is as it was read.
\echo 'given an account at version 1, when it changes before the payment, then the payment is refused with the version'
CALL ce.given('customer:1', 'customer_checked', '{}');
CREATE FUNCTION ce.pay(p_customer text, p_version bigint) RETURNS void LANGUAGE sql AS $$
	SELECT ce.append(jsonb_build_object('stream', 'customer:' || p_customer, 'version', p_version), NULL, 'payments', 'paid', '{}')
$$;
CALL ce."when"($$pay('1', 1)$$);
CALL ce.given('customer:1', 'customer_blocked', '{}');
CALL ce."when"($$pay('1', 1)$$, $$pay('1', 2)$$);

RESET app.tenant_id;
SET client_min_messages = warning;
DROP SCHEMA ce CASCADE;
