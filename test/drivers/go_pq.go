// The claims of README.md through Go's lib/pq.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/lib/pq"
)

var label = os.Getenv("DRIVERS_LABEL")

// shown in doc/drivers.md: begin

// Query is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type Query interface {
	Query(query string, values ...interface{}) (*sql.Rows, error)
	QueryRow(query string, values ...interface{}) *sql.Row
	Exec(query string, values ...interface{}) (sql.Result, error)
}

// Append gives the event's id. A *pq.Error has Code (the SQLSTATE), Detail and Hint. expected is a number, or nil for any version.
func Append(db Query, stream, kind, data string, expected interface{}) (id string, err error) {
	err = db.QueryRow("SELECT events.append_event($1, $2, $3, p_expected_version := $4)", stream, kind, data, expected).Scan(&id)
	return
}

// Replay reads as it goes: the driver does not collect the rows. A cursor, which lets other statements run between, takes DECLARE and FETCH.
func Replay(db Query, stream string, apply func(version int64, data string)) error {
	rows, err := db.Query("SELECT stream_version, event_data FROM events.replay_stream($1)", stream)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		var data string
		if err := rows.Scan(&version, &data); err != nil {
			return err
		}
		apply(version, data)
	}
	return rows.Err()
}

// Listen has a connection of its own. Notify is nil after the connection was lost and is there again.
func Listen(source string) (*pq.Listener, error) {
	listener := pq.NewListener(source, time.Second, time.Minute, nil)
	return listener, listener.Listen("mode_switch")
}

// Work is one round: it gives how many events were handled. Call it again at once if some were, else after a while.
func Work(db *sql.DB, subscription, worker string, handle func(data string)) (count int, err error) {
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	rows, err := tx.Query("SELECT global_position, event_data FROM events.fetch($1, $2)", subscription, worker)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var position int64
	for ; rows.Next(); count++ {
		var data string
		if err := rows.Scan(&position, &data); err != nil {
			return 0, err
		}
		handle(data)
	}
	if err = rows.Err(); err == nil && count > 0 {
		_, err = tx.Exec("SELECT events.acknowledge($1, $2, $3)", subscription, worker, position)
	}
	if err != nil {
		return 0, err
	}
	return count, tx.Commit()
}

// shown in doc/drivers.md: end

// A claim that does not hold panics.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same(got, wanted interface{}) {
	if !reflect.DeepEqual(got, wanted) {
		panic(fmt.Errorf("got %v, wanted %v", got, wanted))
	}
}

func fails(err error, state, detail, hint string) {
	if failure, ok := err.(*pq.Error); ok {
		same([]string{string(failure.Code), failure.Detail, failure.Hint}, []string{state, detail, hint})
	} else {
		panic(fmt.Errorf("got %v, wanted %s", err, state))
	}
}

func put(db Query, stream, kind, data string, expected interface{}) string {
	id, err := Append(db, stream, kind, data, expected)
	must(err)
	return id
}

func everything(db Query, stream string) []string {
	events := []string{}
	must(Replay(db, stream, func(version int64, data string) { events = append(events, fmt.Sprint(version, " ", data)) }))
	return events
}

func column(db Query, query string, values ...interface{}) []string {
	rows, err := db.Query(query, values...)
	must(err)
	defer rows.Close()
	found := []string{}
	for rows.Next() {
		var value string
		must(rows.Scan(&value))
		found = append(found, value)
	}
	must(rows.Err())
	return found
}

func worked(db *sql.DB, worker string, count int) []string {
	handled := []string{}
	for len(handled) < count {
		done, err := Work(db, label, worker, func(data string) { handled = append(handled, data) })
		must(err)
		if done == 0 {
			time.Sleep(20 * time.Millisecond)
		}
	}
	return handled
}

func begin(db *sql.DB) *sql.Tx {
	tx, err := db.Begin()
	must(err)
	return tx
}

func many(db *sql.DB) {
	wanted := []string{}
	tx := begin(db)
	// Prepare is of the transaction, so that it is good behind a pooler in transaction mode too.
	statement, err := tx.Prepare("SELECT events.append_event($1, $2, $3)")
	must(err)
	for n := 0; n < 20; n++ {
		_, err = statement.Exec(label+":many", "vitals_recorded", fmt.Sprintf(`{"n": %d}`, n))
		must(err)
		wanted = append(wanted, fmt.Sprintf(`%d {"n": %d}`, n+1, n))
	}
	must(statement.Close())
	must(tx.Commit())
	same(everything(db, label+":many"), wanted)
}

func listener(db *sql.DB) {
	listening, err := Listen("port=" + os.Getenv("DRIVERS_LISTEN_PORT"))
	must(err)
	defer listening.Close()
	_, err = db.Exec("INSERT INTO mode_history VALUES ($1, 'baseline', 'recovery', 0.87)", label)
	must(err)
	told := <-listening.Notify
	var data map[string]interface{}
	must(json.Unmarshal([]byte(told.Extra), &data))
	delete(data, "timestamp")
	same(data, map[string]interface{}{"user_id": label, "from_mode": "baseline", "to_mode": "recovery", "confidence": 0.87})
}

func takeOver(db *sql.DB) {
	put(db, label+":work", "task_given", `{"n": 4}`, nil)
	put(db, label+":work", "task_given", `{"n": 5}`, nil)
	positions := []string{}
	for len(positions) < 2 {
		positions = column(db, "SELECT global_position FROM events.fetch($1, 'one')", label)
	}
	same(worked(db, "two", 2), []string{`{"n": 4}`, `{"n": 5}`})
	_, err := db.Exec("SELECT events.acknowledge($1, 'one', $2)", label, positions[1])
	fails(err, "ZE005", "It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.",
		"Fetch again, and take what comes as not done before.")
}

var claims = []struct {
	name string
	hold func(db *sql.DB)
}{
	{"an append returns the id of its event", func(db *sql.DB) {
		same(len(put(db, label+":a", "vitals_recorded", `{"n": 1}`, nil)), 36)
		put(db, label+":a", "vitals_recorded", `{"n": 2}`, 1)
		put(db, label+":a", "vitals_recorded", `{"n": 3}`, -1)
	}},
	{"a stream is replayed in order", func(db *sql.DB) {
		same(everything(db, label+":a"), []string{`1 {"n": 1}`, `2 {"n": 2}`, `3 {"n": 3}`})
		same(everything(db, label+":nothing"), []string{})
	}},
	{"the state of a stream is read", func(db *sql.DB) {
		same(column(db, "SELECT events.get_stream_state($1)", label+":a"), []string{`{"vitals_recorded": {"n": 3}}`})
	}},
	{"the data of a webhook is appended", func(db *sql.DB) {
		column(db, "SELECT events.append_event('hook:' || $1, 'biometric_received', $2::jsonb, 'webhook_processor')", label, `{"heart_rate": 72}`)
		same(everything(db, "hook:"+label), []string{`1 {"heart_rate": 72}`})
	}},
	{"one statement appends many times", many},
	{"a stale version is ZE001, with DETAIL and HINT", func(db *sql.DB) {
		_, err := Append(db, label+":a", "vitals_recorded", `{}`, 1)
		fails(err, "ZE001", "Expected version 1, actual version 3.", "Read the stream again, decide again, and append with the version read.")
	}},
	{"an id with other content is ZE002, with DETAIL and HINT", func(db *sql.DB) {
		used := put(db, label+":id", "vitals_recorded", `{"n": 1}`, nil)
		_, err := db.Exec("SELECT events.append_event($1, 'vitals_recorded', '{}', p_event_id := $2)", label+":id", used)
		fails(err, "ZE002", "An event with this id exists; its stream, type, data, metadata, tags or created_by differs.",
			"Give a new event a new id; repeat an append with exactly what it was called with first.")
	}},
	{"an empty name is 22023, with DETAIL and HINT", func(db *sql.DB) {
		_, err := Append(db, label+":a", "", `{}`, nil)
		fails(err, "22023", "The name given has no character.", "Give a name of 1 to 100 characters.")
	}},
	{"a batch is there as a whole", func(db *sql.DB) {
		streams := []string{label + ":b1", label + ":b2", label + ":b1"}
		data := []string{`{"n": 1}`, `{"n": 2}`, `{"n": "\"é\\"}`}
		same(column(db, "SELECT stream_id || ' ' || stream_version FROM events.append_events($1, $2, $3)", pq.Array(streams),
			pq.Array([]string{"reading_taken", "reading_taken", "reading_taken"}), pq.Array(data)),
			[]string{streams[0] + " 1", streams[1] + " 1", streams[2] + " 2"})
		same(everything(db, streams[0]), []string{"1 " + data[0], "2 " + data[2]})
	}},
	{"a transaction that fails leaves nothing", func(db *sql.DB) {
		tx := begin(db)
		put(tx, label+":undone", "reading_taken", `{}`, nil)
		_, err := Append(tx, label+":undone", "", `{}`, nil)
		fails(err, "22023", "The name given has no character.", "Give a name of 1 to 100 characters.")
		must(tx.Rollback())
		same(everything(db, label+":undone"), []string{})
	}},
	{"a cursor gives a stream in pieces", func(db *sql.DB) {
		tx, sizes := begin(db), []int{}
		_, err := tx.Exec("DECLARE pieces CURSOR FOR SELECT stream_version FROM events.replay_stream($1)", label+":many")
		must(err)
		for i := 0; i < 4; i++ {
			sizes = append(sizes, len(column(tx, "FETCH 8 FROM pieces")))
		}
		must(tx.Commit())
		same(sizes, []int{8, 8, 4, 0})
	}},
	{"a listener is told of a mode switch", listener},
	{"a tenant named by SET LOCAL ends with its transaction", func(db *sql.DB) {
		tx := begin(db)
		_, err := tx.Exec("SET LOCAL app.tenant_id = 'acme'")
		must(err)
		put(tx, label+":a", "seen", `{}`, nil)
		same(everything(tx, label+":a"), []string{"1 {}"})
		must(tx.Commit())
		same(len(everything(db, label+":a")), 3)
	}},
	{"a worker is given each event once", func(db *sql.DB) {
		for n := 1; n <= 3; n++ {
			put(db, label+":work", "task_given", fmt.Sprintf(`{"n": %d}`, n), nil)
		}
		same(worked(db, "one", 3), []string{`{"n": 1}`, `{"n": 2}`, `{"n": 3}`})
		count, err := Work(db, label, "one", func(data string) { panic(fmt.Errorf("got %s once more", data)) })
		must(err)
		same(count, 0)
	}},
	{"a second worker takes over when the first is gone", takeOver},
}

func run(db *sql.DB, name string, hold func(db *sql.DB)) {
	defer func() {
		if failure := recover(); failure != nil {
			fmt.Printf("not ok - %s\n# %s\n", name, strings.ReplaceAll(fmt.Sprint(failure), "\n", "\n# "))
		} else {
			fmt.Println("ok - " + name)
		}
	}()
	hold(db)
}

func main() {
	source := ""
	if os.Getenv("DRIVERS_WAY") == "transaction" {
		// The driver else sends a statement and its values in two steps, between which the pooler may change the connection of the server.
		source = "binary_parameters=yes"
	}
	db, err := sql.Open("postgres", source)
	must(err)
	defer db.Close()
	for _, claim := range claims {
		run(db, claim.name, claim.hold)
	}
}
