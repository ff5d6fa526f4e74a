// The claims of README.md through the JDBC driver. JSON is text here: choose a library for it.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.util.PSQLException;

public class Jdbc {
	static final String LABEL = System.getenv("DRIVERS_LABEL");
	static final String WAY = System.getenv("DRIVERS_WAY");

	// shown in doc/drivers.md: begin
	/** Gives the event's id. A PSQLException has getSQLState(), and getServerErrorMessage() with getDetail() and getHint(). */
	static UUID append(Connection db, String stream, String type, String data, Long expected) throws SQLException {
		try (PreparedStatement call = db.prepareStatement("SELECT events.append_event(?, ?, ?::jsonb, p_expected_version := ?)")) {
			call.setString(1, stream);
			call.setString(2, type);
			call.setString(3, data);
			call.setObject(4, expected, java.sql.Types.BIGINT);
			ResultSet row = call.executeQuery();
			row.next();
			return row.getObject(1, UUID.class);
		}
	}

	/** Within a transaction (setAutoCommit(false)): else the driver reads the whole stream at once. */
	static void replay(Connection db, String stream, BiConsumer<Long, String> apply) throws SQLException {
		try (PreparedStatement query = db.prepareStatement("SELECT stream_version, event_data FROM events.replay_stream(?)")) {
			query.setFetchSize(100);
			query.setString(1, stream);
			for (ResultSet event = query.executeQuery(); event.next();)
				apply.accept(event.getLong(1), event.getString(2));
		}
	}

	/** After LISTEN mode_switch: waits for what is told, at most so many milliseconds (0: without an end). */
	static void listen(Connection db, int milliseconds, Consumer<String> tell) throws SQLException {
		PGNotification[] all = db.unwrap(PGConnection.class).getNotifications(milliseconds);
		for (PGNotification told : all == null ? new PGNotification[0] : all)
			tell.accept(told.getParameter());
	}

	/** One round, within a transaction: gives how many events were handled. Call it again at once if some were, else after a while. */
	static int work(Connection db, String subscription, String worker, Consumer<String> handle) throws SQLException {
		int count = 0;
		long last = 0;
		try (PreparedStatement fetch = db.prepareStatement("SELECT global_position, event_data FROM events.fetch(?, ?)");
			 PreparedStatement acknowledge = db.prepareStatement("SELECT events.acknowledge(?, ?, ?)")) {
			fetch.setString(1, subscription);
			fetch.setString(2, worker);
			for (ResultSet event = fetch.executeQuery(); event.next(); count++) {
				handle.accept(event.getString(2));
				last = event.getLong(1);
			}
			acknowledge.setString(1, subscription);
			acknowledge.setString(2, worker);
			acknowledge.setLong(3, last);
			if (count > 0)
				acknowledge.execute();
		}
		db.commit();
		return count;
	}
	// shown in doc/drivers.md: end

	interface Claim {
		void hold(Connection db) throws Exception;
	}

	static void same(Object got, Object wanted) {
		if (!Objects.equals(got, wanted))
			throw new AssertionError("got " + got + ", wanted " + wanted);
	}

	static void fails(Connection db, String state, String detail, String hint, Claim call) throws Exception {
		try {
			call.hold(db);
		} catch (PSQLException error) {
			same(List.of(error.getSQLState(), error.getServerErrorMessage().getDetail(), error.getServerErrorMessage().getHint()),
				List.of(state, detail, hint));
			return;
		}
		throw new AssertionError("nothing was raised, wanted " + state);
	}

	static Connection connect(String port, boolean commits) throws SQLException {
		Properties options = new Properties();
		options.setProperty("user", System.getenv("PGUSER"));
		options.setProperty("password", System.getenv("PGPASSWORD"));
		// Behind a pooler in transaction mode a statement that was prepared may be on another connection of the server.
		options.setProperty("prepareThreshold", WAY.equals("transaction") ? "0" : "2");
		Connection db = DriverManager.getConnection("jdbc:postgresql://127.0.0.1:" + port + "/" + System.getenv("PGDATABASE"), options);
		db.setAutoCommit(commits);
		return db;
	}

	static UUID append(Connection db, String stream, String type, String data) throws SQLException {
		return append(db, stream, type, data, null);
	}

	static List<String> everything(Connection db, String stream) throws SQLException {
		boolean commits = db.getAutoCommit();
		if (commits)
			db.setAutoCommit(false);
		List<String> events = new ArrayList<>();
		replay(db, stream, (version, data) -> events.add(version + " " + data));
		if (commits)
			db.setAutoCommit(true);
		return events;
	}

	static PreparedStatement statement(Connection db, String sql, Object... values) throws SQLException {
		PreparedStatement made = db.prepareStatement(sql);
		for (int i = 0; i < values.length; i++)
			made.setObject(i + 1, values[i]);
		return made;
	}

	static List<String> column(Connection db, String sql, Object... values) throws SQLException {
		List<String> found = new ArrayList<>();
		try (PreparedStatement query = statement(db, sql, values)) {
			for (ResultSet row = query.executeQuery(); row.next();)
				found.add(row.getString(1));
		}
		return found;
	}

	static List<String> worked(Connection db, String worker, int count) throws Exception {
		List<String> handled = new ArrayList<>();
		db.setAutoCommit(false);
		while (handled.size() < count)
			if (work(db, LABEL, worker, handled::add) == 0)
				Thread.sleep(20);
		db.setAutoCommit(true);
		return handled;
	}

	static void listener(Connection db) throws SQLException {
		List<String> told = new ArrayList<>();
		try (Connection listening = connect(System.getenv("DRIVERS_LISTEN_PORT"), true); Statement listen = listening.createStatement()) {
			listen.execute("LISTEN mode_switch");
			column(db, "INSERT INTO mode_history VALUES (?, 'baseline', 'recovery', 0.87) RETURNING user_id", LABEL);
			while (told.isEmpty())
				listen(listening, 0, told::add);
		}
		same(told.get(0).startsWith("{\"user_id\": \"" + LABEL + "\", \"from_mode\": \"baseline\", \"to_mode\": \"recovery\", \"confidence\": 0.870,"), true);
	}

	static void takeOver(Connection db) throws Exception {
		for (int n = 4; n <= 5; n++)
			append(db, LABEL + ":work", "task_given", "{\"n\": " + n + "}");
		List<String> positions = List.of();
		while (positions.size() < 2)
			positions = column(db, "SELECT global_position FROM events.fetch(?, 'one')", LABEL);
		same(worked(db, "two", 2), List.of("{\"n\": 4}", "{\"n\": 5}"));
		long last = Long.parseLong(positions.get(1));
		fails(db, "ZE005", "It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.",
			"Fetch again, and take what comes as not done before.", d -> column(d, "SELECT events.acknowledge(?, 'one', ?)", LABEL, last));
	}

	static Map<String, Claim> claims() {
		Map<String, Claim> claims = new LinkedHashMap<>();
		claims.put("an append returns the id of its event", db -> {
			same(append(db, LABEL + ":a", "vitals_recorded", "{\"n\": 1}").version(), 7);
			append(db, LABEL + ":a", "vitals_recorded", "{\"n\": 2}", 1L);
			append(db, LABEL + ":a", "vitals_recorded", "{\"n\": 3}", -1L);
		});
		claims.put("a stream is replayed in order", db -> {
			same(everything(db, LABEL + ":a"), List.of("1 {\"n\": 1}", "2 {\"n\": 2}", "3 {\"n\": 3}"));
			same(everything(db, LABEL + ":nothing"), List.of());
		});
		claims.put("the state of a stream is read", db ->
			same(column(db, "SELECT events.get_stream_state(?)", LABEL + ":a"), List.of("{\"vitals_recorded\": {\"n\": 3}}")));
		claims.put("the data of a webhook is appended", db -> {
			column(db, "SELECT events.append_event('hook:' || ?, 'biometric_received', ?::jsonb, 'webhook_processor')", LABEL, "{\"heart_rate\": 72}");
			same(everything(db, "hook:" + LABEL), List.of("1 {\"heart_rate\": 72}"));
		});
		claims.put("one statement appends many times", db -> {
			List<String> wanted = new ArrayList<>();
			db.setAutoCommit(false);
			try (PreparedStatement call = statement(db, "SELECT events.append_event(?, ?, ?::jsonb)", LABEL + ":many", "vitals_recorded")) {
				for (int n = 0; n < 20; n++) {
					call.setString(3, "{\"n\": " + n + "}");
					call.execute();
					wanted.add((n + 1) + " {\"n\": " + n + "}");
				}
			}
			db.setAutoCommit(true);
			same(everything(db, LABEL + ":many"), wanted);
		});
		claims.put("a stale version is ZE001, with DETAIL and HINT", db ->
			fails(db, "ZE001", "Expected version 1, actual version 3.", "Read the stream again, decide again, and append with the version read.",
				d -> append(d, LABEL + ":a", "vitals_recorded", "{}", 1L)));
		claims.put("an id with other content is ZE002, with DETAIL and HINT", db -> {
			UUID used = append(db, LABEL + ":id", "vitals_recorded", "{\"n\": 1}");
			fails(db, "ZE002", "An event with this id exists; its stream, type, data, metadata, tags or created_by differs.",
				"Give a new event a new id; repeat an append with exactly what it was called with first.",
				d -> column(d, "SELECT events.append_event(?, 'vitals_recorded', '{}', p_event_id := ?)", LABEL + ":id", used));
		});
		claims.put("an empty name is 22023, with DETAIL and HINT", db ->
			fails(db, "22023", "The name given has no character.", "Give a name of 1 to 100 characters.", d -> append(d, LABEL + ":a", "", "{}")));
		claims.put("a batch is there as a whole", db -> {
			String[] streams = {LABEL + ":b1", LABEL + ":b2", LABEL + ":b1"}, types = {"reading_taken", "reading_taken", "reading_taken"};
			String[] data = {"{\"n\": 1}", "{\"n\": 2}", "{\"n\": \"\\\"é\\\\\"}"};
			same(column(db, "SELECT stream_id || ' ' || stream_version FROM events.append_events(?, ?, ?::jsonb[])", db.createArrayOf("text", streams),
					 db.createArrayOf("text", types), db.createArrayOf("text", data)),
				List.of(streams[0] + " 1", streams[1] + " 1", streams[2] + " 2"));
			same(everything(db, streams[0]), List.of("1 " + data[0], "2 " + data[2]));
		});
		claims.put("a transaction that fails leaves nothing", db -> {
			db.setAutoCommit(false);
			append(db, LABEL + ":undone", "reading_taken", "{}");
			fails(db, "22023", "The name given has no character.", "Give a name of 1 to 100 characters.", d -> append(d, LABEL + ":undone", "", "{}"));
			db.rollback();
			db.setAutoCommit(true);
			same(everything(db, LABEL + ":undone"), List.of());
		});
		claims.put("a cursor gives a stream in pieces", db -> {
			List<Integer> sizes = new ArrayList<>();
			db.setAutoCommit(false);
			column(db, "SELECT 1");
			try (Statement declare = db.createStatement()) {
				declare.execute("DECLARE pieces CURSOR FOR SELECT stream_version FROM events.replay_stream('" + LABEL + ":many')");
			}
			for (int i = 0; i < 4; i++)
				sizes.add(column(db, "FETCH 8 FROM pieces").size());
			db.setAutoCommit(true);
			same(sizes, List.of(8, 8, 4, 0));
		});
		claims.put("a listener is told of a mode switch", Jdbc::listener);
		claims.put("a tenant named by SET LOCAL ends with its transaction", db -> {
			db.setAutoCommit(false);
			column(db, "SELECT set_config('app.tenant_id', 'acme', true)");
			append(db, LABEL + ":a", "seen", "{}");
			same(everything(db, LABEL + ":a"), List.of("1 {}"));
			db.setAutoCommit(true);
			same(everything(db, LABEL + ":a").size(), 3);
		});
		claims.put("a worker is given each event once", db -> {
			for (int n = 1; n <= 3; n++)
				append(db, LABEL + ":work", "task_given", "{\"n\": " + n + "}");
			same(worked(db, "one", 3), List.of("{\"n\": 1}", "{\"n\": 2}", "{\"n\": 3}"));
			db.setAutoCommit(false);
			same(work(db, LABEL, "one", System.out::println), 0);
			db.setAutoCommit(true);
		});
		claims.put("a second worker takes over when the first is gone", Jdbc::takeOver);
		return claims;
	}

	public static void main(String[] arguments) throws Exception {
		try (Connection db = connect(System.getenv("PGPORT"), true)) {
			for (Map.Entry<String, Claim> claim : claims().entrySet()) {
				try {
					claim.getValue().hold(db);
					System.out.println("ok - " + claim.getKey());
				} catch (Exception | AssertionError error) {
					System.out.println("not ok - " + claim.getKey() + "\n# " + error.toString().replace("\n", "\n# "));
					if (!db.getAutoCommit())
						db.rollback();
					db.setAutoCommit(true);
				}
			}
		}
	}
}
