"""What is compared: one append of the same row, written in different ways."""

import os
import re

from cluster import BenchError

HERE = os.path.dirname(os.path.abspath(__file__))

# Every script draws the same values, the empty call too, so that the driver does the same work for all. :v is a number
# that no other call uses and that grows with time: the floor's version, its position and the tail of its id.
DRAW = """\\set n :n + 1
\\set v :base + :n * :clients + :client_id
\\set s {stream}
\\set hr random(40, 180)
\\set hrv random(20, 120)
"""

RANDOM_STREAM = "random(1, :streams)"
# Each client its own share of the streams: max()+1 would end a client that loses a race.
OWN_STREAM = "random(0, :streams / :clients - 1) * :clients + :client_id + 1"

STREAM = "'user:' || :s::text"
TYPE = "'biometric_received'"
# A parameter in text form costs the server what an id costs it that a client sends, and grows as a UUIDv7 does.
EVENT_ID = "('0000000000004000a000' || :v::text)::uuid"
PAYLOAD = """('{"user_id": "' || :s::text || '", "device_type": "oura_ring", "metric_type": "heart_rate", "value": ' ||
\t:hr::text || ', "unit": "bpm", "hrv": ' || :hrv::text || ', "quality": "good", "reading": ' || :v::text ||
\t', "source": {"app": "webhook", "firmware": "2.4.1"}, "reason": "exercise_detected", "confidence": 0.97}')::jsonb"""

FLOOR_INSERT = (f"INSERT INTO bench_floor.event_store (event_id, stream_id, stream_version, event_type, event_data, "
                f"created_at, created_by, global_position)\n\tVALUES ({EVENT_ID}, {STREAM}, :v, {TYPE}, {PAYLOAD},\n"
                f"\tnow(), 'bench', :v)")

# A stream for each client and run, whose version is :n; and a tag that no other call uses.
OWN = "'own:' || :base::text || ':' || :client_id::text"
FORM = "'form:' || :v::text"
OWN_BATCH = f"ARRAY[{OWN}], ARRAY[{TYPE}], ARRAY[{PAYLOAD}], 'bench'"
FORM_TAGGED = f"p_tags => ARRAY[('[\"' || {FORM} || '\"]')::jsonb]"
FORM_QUERY = f"('{{\"types\": [\"biometric_received\"], \"tags\": [\"' || {FORM} || '\"]}}')::jsonb"

CALLS = {
    "floor": FLOOR_INSERT,
    "returning": FLOOR_INSERT + " RETURNING event_id",
    "max": f"SELECT bench_max.append_event({STREAM}, {TYPE}, {PAYLOAD}, 'bench')",
    "max_try": f"SELECT bench_max.try_append_event({STREAM}, {TYPE}, {PAYLOAD}, 'bench')",
    "head": f"SELECT bench_head.append_event({STREAM}, {TYPE}, {PAYLOAD}, 'bench')",
    "empty": "SELECT pg_backend_pid()",
    "ours": f"SELECT events.append_event({STREAM}, {TYPE}, {PAYLOAD}, 'bench')",
    "ours_id": f"SELECT events.append_event({STREAM}, {TYPE}, {PAYLOAD}, 'bench', p_event_id => {EVENT_ID})",
    "ours_tags": (f"SELECT events.append_event({STREAM}, {TYPE}, {PAYLOAD}, 'bench', p_tags => "
                  "ARRAY['room:' || (:v::bigint % 1000)::text, 'student:' || (:v::bigint % 100000)::text, 'course:' || :s::text])"),
    "version": f"SELECT events.stream_version({STREAM})",
    "expected": f"SELECT events.append_event({OWN}, {TYPE}, {PAYLOAD}, 'bench', p_expected_version => :n - 1)",
    "batch_expected": f"SELECT * FROM events.append_events({OWN_BATCH}, p_expected_versions => ARRAY[:n - 1]::bigint[])",
    # :start is a position that was final before the run
    "if_after": f"SELECT * FROM events.append_if({FORM_QUERY}, :start, {OWN_BATCH}, {FORM_TAGGED})",
    "if_none": f"SELECT * FROM events.append_if({FORM_QUERY}, NULL, {OWN_BATCH}, {FORM_TAGGED})",
}

NAMES = {
    "floor": "bare INSERT",
    "returning": "bare INSERT ... RETURNING event_id",
    "max": "PL/pgSQL max()+1",
    "max_try": "PL/pgSQL max()+1",
    "head": "PL/pgSQL head row",
    "empty": "empty call, SELECT pg_backend_pid()",
    "ours": "append_event",
    "ours_id": "append_event, caller's id",
    "ours_tags": "append_event, three tags",
    "version": "stream_version",
    "expected": "append_event, expected version",
    "batch_expected": "append_events of one, expected version",
    "if_after": "append_if, one tag and type, after a position",
    "if_none": "append_if, one tag and type, no match at all",
}

OURS = {"ours", "ours_id", "ours_tags", "version", "expected", "batch_expected", "if_after", "if_none"}

# The indexes of a month where the extension is not there to be asked; the suite `indexes` changes one at a time.
INDEXES = {
    "stream": "UNIQUE (tenant_id, stream_id, stream_version)",
    "event_id": "UNIQUE (event_id, tenant_id)",
    "position": "UNIQUE (global_position)",
    "created_at": "(created_at)",
    "type_time": "(tenant_id, event_type, created_at)",
    "event_data_gin": "USING gin (event_data jsonb_path_ops)",
    "metadata_gin": "USING gin (metadata jsonb_path_ops)",
}


def script(call):
    """The pgbench script of a call."""
    return DRAW.format(stream=OWN_STREAM if call == "max" else RANDOM_STREAM) + CALLS[call] + ";\n"


def month_indexes(table, suffix, indexes):
    """CREATE INDEX statements for one month."""
    schema, _ = table.split(".")
    statements = []
    for name, definition in indexes.items():
        unique = "UNIQUE " if definition.startswith("UNIQUE ") else ""
        definition = definition.removeprefix("UNIQUE ")
        statements.append(f"CREATE {unique}INDEX idx_event_store_{name}_{suffix} ON {table} {definition};")
    return "\n".join(statements)


def store_table(schema="events"):
    """The store's table without the extension: its CREATE TABLE is read from the install script."""
    path = os.path.join(HERE, "..", "sql", "install", "10_store.sql")
    with open(path, encoding="utf-8") as file:
        found = re.search(r"^CREATE TABLE events\.event_store \(.*?;$", file.read(), re.S | re.M)
    if not found:
        raise BenchError(f"no CREATE TABLE events.event_store in {path}")
    return found[0].replace("events.event_store", f"{schema}.event_store")


def read_sql(name):
    with open(os.path.join(HERE, "sql", name), encoding="utf-8") as file:
        return file.read()


def months(count, ahead=True):
    """First days of this month and the ones after (or before) it, with the first day after each."""
    year, month = map(int, _utc_month().split("-"))
    result = []
    for step in range(count):
        index = year * 12 + month - 1 + (step if ahead else -step)
        after = index + 1
        result.append((f"{index // 12:04}-{index % 12 + 1:02}-01", f"{after // 12:04}-{after % 12 + 1:02}-01"))
    return result


def _utc_month():
    import time
    return time.strftime("%Y-%m", time.gmtime())
