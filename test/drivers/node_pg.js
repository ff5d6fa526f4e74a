// The claims of README.md through node-postgres.
'use strict';

const assert = require('node:assert');
const { Client } = require('pg');

const { DRIVERS_LABEL: label, DRIVERS_LISTEN_PORT: listenPort } = process.env;

// shown in doc/drivers.md: begin
// Gives the event's id. An error has code (the SQLSTATE), detail and hint.
async function append(db, stream, kind, data, expected = null) {
	const { rows } = await db.query('SELECT events.append_event($1, $2, $3, p_expected_version := $4) AS id', [stream, kind, data, expected]);
	return rows[0].id;
}

async function* replay(db, stream, size = 100) {
	await db.query('BEGIN');
	try {
		await db.query('DECLARE replay NO SCROLL CURSOR FOR SELECT stream_version, event_data FROM events.replay_stream($1)', [stream]);
		for (let rows; (rows = (await db.query(`FETCH ${size} FROM replay`)).rows).length > 0;) yield* rows;
	} finally {
		await db.query('COMMIT');
	}
}

async function listen(db, tell) {
	db.on('notification', ({ payload }) => tell(JSON.parse(payload)));
	await db.query('LISTEN mode_switch');
}

// One round: gives how many events were handled. Call it again at once if some were, else after a while.
async function work(db, subscription, worker, handle) {
	await db.query('BEGIN');
	try {
		const { rows } = await db.query('SELECT global_position, event_data FROM events.fetch($1, $2)', [subscription, worker]);
		for (const event of rows) await handle(event.event_data);
		if (rows.length > 0) await db.query('SELECT events.acknowledge($1, $2, $3)', [subscription, worker, rows[rows.length - 1].global_position]);
		await db.query('COMMIT');
		return rows.length;
	} catch (error) {
		await db.query('ROLLBACK');
		throw error;
	}
}
// shown in doc/drivers.md: end

async function everything(db, stream) {
	const events = [];
	for await (const event of replay(db, stream)) events.push([event.stream_version, event.event_data]);
	return events;
}

async function fails(code, detail, hint, promise) {
	const error = await promise.then(() => null, (raised) => raised);
	assert.ok(error, `nothing was raised, wanted ${code}`);
	assert.deepStrictEqual([error.code, error.detail, error.hint], [code, detail, hint]);
}

async function worked(db, worker, count) {
	const handled = [];
	while (handled.length < count) {
		if (await work(db, label, worker, (data) => handled.push(data.n)) === 0) await new Promise((done) => setTimeout(done, 20));
	}
	return handled;
}

// bigint comes as text
const claims = {
	'an append returns the id of its event': async (db) => {
		assert.match(await append(db, `${label}:a`, 'vitals_recorded', { n: 1 }), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
		await append(db, `${label}:a`, 'vitals_recorded', { n: 2 }, 1);
		await append(db, `${label}:a`, 'vitals_recorded', { n: 3 }, -1);
	},
	'a stream is replayed in order': async (db) => {
		assert.deepStrictEqual(await everything(db, `${label}:a`), [['1', { n: 1 }], ['2', { n: 2 }], ['3', { n: 3 }]]);
		assert.deepStrictEqual(await everything(db, `${label}:nothing`), []);
	},
	'the state of a stream is read': async (db) => {
		const { rows } = await db.query('SELECT events.get_stream_state($1) AS state', [`${label}:a`]);
		assert.deepStrictEqual(rows, [{ state: { vitals_recorded: { n: 3 } } }]);
	},
	'the data of a webhook is appended': async (db) => {
		await db.query("SELECT events.append_event('hook:' || $1, 'biometric_received', $2::jsonb, 'webhook_processor')", [label, '{"heart_rate": 72}']);
		assert.deepStrictEqual(await everything(db, `hook:${label}`), [['1', { heart_rate: 72 }]]);
	},
	'one statement appends many times': async (db) => {
		// A statement with a name is prepared; behind a pooler in transaction mode it must not have one.
		const name = process.env.DRIVERS_WAY === 'transaction' ? undefined : 'append';
		await db.query('BEGIN');
		for (let n = 0; n < 20; n++) {
			await db.query({ name, text: 'SELECT events.append_event($1, $2, $3)', values: [`${label}:many`, 'vitals_recorded', { n }] });
		}
		await db.query('COMMIT');
		assert.deepStrictEqual((await everything(db, `${label}:many`)).map(([version, data]) => [version, data.n]),
			Array.from({ length: 20 }, (_, n) => [String(n + 1), n]));
	},
	'a stale version is ZE001, with DETAIL and HINT': (db) => fails('ZE001', 'Expected version 1, actual version 3.',
		'Read the stream again, decide again, and append with the version read.', append(db, `${label}:a`, 'vitals_recorded', {}, 1)),
	'an id with other content is ZE002, with DETAIL and HINT': async (db) => {
		const used = await append(db, `${label}:id`, 'vitals_recorded', { n: 1 });
		await fails('ZE002', 'An event with this id exists; its stream, type, data, metadata, tags or created_by differs.',
			'Give a new event a new id; repeat an append with exactly what it was called with first.',
			db.query('SELECT events.append_event($1, $2, $3, p_event_id := $4)', [`${label}:id`, 'vitals_recorded', { n: 2 }, used]));
	},
	'an empty name is 22023, with DETAIL and HINT': (db) => fails('22023', 'The name given has no character.', 'Give a name of 1 to 100 characters.',
		append(db, `${label}:a`, '', {})),
	'a batch is there as a whole': async (db) => {
		const streams = [`${label}:b1`, `${label}:b2`, `${label}:b1`];
		const { rows } = await db.query('SELECT stream_id, stream_version FROM events.append_events($1, $2, $3)',
			[streams, Array(3).fill('reading_taken'), [{ n: 1 }, { n: 2 }, { n: '"é\\' }]]);
		assert.deepStrictEqual(rows.map((row) => [row.stream_id, row.stream_version]), [[streams[0], '1'], [streams[1], '1'], [streams[2], '2']]);
		assert.deepStrictEqual(await everything(db, `${label}:b1`), [['1', { n: 1 }], ['2', { n: '"é\\' }]]);
	},
	'a transaction that fails leaves nothing': async (db) => {
		await db.query('BEGIN');
		await append(db, `${label}:undone`, 'reading_taken', {});
		await assert.rejects(append(db, `${label}:undone`, '', {}), { code: '22023' });
		await db.query('ROLLBACK');
		assert.deepStrictEqual(await everything(db, `${label}:undone`), []);
	},
	'a cursor gives a stream in pieces': async (db) => {
		const sizes = [];
		await db.query('BEGIN');
		await db.query('DECLARE pieces CURSOR FOR SELECT stream_version FROM events.replay_stream($1)', [`${label}:many`]);
		for (let i = 0; i < 4; i++) sizes.push((await db.query('FETCH 8 FROM pieces')).rows.length);
		await db.query('COMMIT');
		assert.deepStrictEqual(sizes, [8, 8, 4, 0]);
	},
	'a listener is told of a mode switch': async (db) => {
		const listening = new Client({ port: listenPort });
		await listening.connect();
		try {
			let told;
			const first = new Promise((tell) => { told = tell; });
			await listen(listening, told);
			await db.query("INSERT INTO mode_history VALUES ($1, 'baseline', 'recovery', 0.87)", [label]);
			const { timestamp, ...data } = await first;
			assert.deepStrictEqual(data, { user_id: label, from_mode: 'baseline', to_mode: 'recovery', confidence: 0.87 });
		} finally {
			await listening.end();
		}
	},
	'a tenant named by SET LOCAL ends with its transaction': async (db) => {
		await db.query('BEGIN');
		await db.query("SET LOCAL app.tenant_id = 'acme'");
		await append(db, `${label}:a`, 'seen', {});
		const { rows } = await db.query('SELECT event_data FROM events.replay_stream($1)', [`${label}:a`]);
		await db.query('COMMIT');
		assert.deepStrictEqual(rows, [{ event_data: {} }]);
		assert.strictEqual((await everything(db, `${label}:a`)).length, 3);
	},
	'a worker is given each event once': async (db) => {
		for (const n of [1, 2, 3]) await append(db, `${label}:work`, 'task_given', { n });
		assert.deepStrictEqual(await worked(db, 'one', 3), [1, 2, 3]);
		assert.strictEqual(await work(db, label, 'one', assert.fail), 0);
	},
	'a second worker takes over when the first is gone': async (db) => {
		for (const n of [4, 5]) await append(db, `${label}:work`, 'task_given', { n });
		let rows = [];
		while (rows.length < 2) ({ rows } = await db.query("SELECT global_position FROM events.fetch($1, 'one')", [label]));
		assert.deepStrictEqual(await worked(db, 'two', 2), [4, 5]);
		await fails('ZE005', 'It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.',
			'Fetch again, and take what comes as not done before.',
			db.query("SELECT events.acknowledge($1, 'one', $2)", [label, rows[1].global_position]));
	},
};

async function main() {
	const db = new Client();
	await db.connect();
	for (const [name, claim] of Object.entries(claims)) {
		try {
			await claim(db);
			console.log(`ok - ${name}`);
		} catch (error) {
			console.log(`not ok - ${name}\n# ${String(error.stack).replaceAll('\n', '\n# ')}`);
			await db.query('ROLLBACK').catch(() => {});
		}
	}
	await db.end();
}

main().catch((error) => { console.error(error); process.exitCode = 1; });
