"""Encrypted fields: a statement over many values against the EVP calls alone and pgcrypto, and appends with personal fields."""

import os
import subprocess

import contenders
from cluster import BenchError
from report import Section, median, ratio

VALUES = 100000
BYTES = 20
# What auren_events binds an envelope to: tenant 'default', user 'person:1', field '/heart_rate'.
ASSOCIATED = 4 + 1 + 8 + 3 * 4 + len("default") + len("person:1") + len("/heart_rate")
PGP_VALUES = 2000
RUNS = 8 # of a statement at a time: the server's clock of CPU time goes by ticks of some milliseconds
KEY_FILE = "bench_master_keys"

STATEMENTS = {
    "scan": f"count(length(t)) FROM plain",
    "encrypt": f"count(encrypted.encrypt_phi_field(t, 'person:1', '/heart_rate')) FROM plain",
    "decrypt": f"count(encrypted.decrypt_phi_field(t, 'person:1', '/heart_rate')) FROM sealed",
    "encrypt_many": "cardinality(encrypted.encrypt_phi_fields(t, 'person:1', '/heart_rate')) FROM plain_array",
    "decrypt_many": "cardinality(encrypted.decrypt_phi_fields(t, 'person:1', '/heart_rate')) FROM sealed_array",
    "pgp_encrypt": f"count(pgp_sym_encrypt(t, 'a password', 'cipher-algo=aes256')) FROM plain WHERE n <= {PGP_VALUES}",
}

APPEND = {
    "plain": "SELECT events.append_event('user:' || :s::text, 'reading', jsonb_build_object('user_id', :s::int, 'heart_rate', :v::bigint % 180, "
             "'note', 'after a walk', 'device', 'watch', 'at', '2025-01-29T10:00:00Z'), 'bench');",
}
APPEND["personal"] = APPEND["plain"].replace("'reading'", "'vitals'")


def phi(bench):
    """encrypt_phi_field, decrypt_phi_field, append_event with a rule."""
    section = Section("phi", "Encrypted fields")
    section.text(
        bench.settings_line(payload=False, clients=1, rounds=max(bench.rounds, 5), values=f"{VALUES:,} of {BYTES} bytes") + "\n\n"
        "`bench/evp_loop.cpp` makes the same EVP calls for as many values, with the key set and everything else ready. Times are CPU times of "
        f"the process, of {RUNS} runs after one that was not counted; *net* is less that of the same scan with length() in place of the function. "
        "The array of all values is read from the one row of a table (out of line, not compressed).")
    prepare(bench)
    values(bench, section)
    appends(bench, section)
    return section


def prepare(bench):
    cluster = bench.cluster
    bench.create("phi")
    # a key of this run: the cluster is gone after it
    cluster.psql(f"COPY (SELECT 'bench ' || encode(sha256(random()::text::bytea), 'hex')) TO PROGRAM 'umask 077; cat > {KEY_FILE}';")
    cluster.configure({"auren_events.master_key_file": KEY_FILE})
    cluster.stop()
    cluster.start()
    cluster.psql(
        "CREATE EXTENSION pgcrypto;"
        f"CREATE TABLE plain AS SELECT n, lpad(n::text, {BYTES}, 'v') AS t FROM generate_series(1, {VALUES}) n;"
        "CREATE TABLE sealed AS SELECT encrypted.encrypt_phi_field(t, 'person:1', '/heart_rate') AS t FROM plain;"
        "CREATE TABLE plain_array (t text[]); CREATE TABLE sealed_array (t text[]);"
        "ALTER TABLE plain_array ALTER t SET STORAGE EXTERNAL; ALTER TABLE sealed_array ALTER t SET STORAGE EXTERNAL;"
        "INSERT INTO plain_array SELECT array_agg(t) FROM plain; INSERT INTO sealed_array SELECT array_agg(t) FROM sealed;"
        "VACUUM ANALYZE plain, sealed, plain_array, sealed_array;"
        "SELECT encrypted.add_rule('vitals', '{/heart_rate,/note}', 'user:*');"
        "CREATE FUNCTION took(statement text, runs int) RETURNS double precision LANGUAGE plpgsql AS $$"
        # the first field: nanoseconds that this process was on a CPU
        " DECLARE begun numeric; BEGIN EXECUTE statement; begun := split_part(pg_read_file('/proc/self/schedstat'), ' ', 1);"
        " FOR run IN 1..runs LOOP EXECUTE statement; END LOOP;"
        " RETURN (split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::numeric - begun) / runs; END $$;", "phi")


def compiled_loop(bench):
    program = os.path.join(bench.cluster.home, "evp_loop")
    source = os.path.join(contenders.HERE, "evp_loop.cpp")
    done = subprocess.run(["g++", "-std=c++17", "-O2", source, "-o", program, "-lcrypto"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"evp_loop: {done.stderr}")
    return program


def values(bench, section):
    program = compiled_loop(bench)
    rounds = {name: [] for name in [*STATEMENTS, "loop_encrypt", "loop_decrypt"]}
    for _ in range(max(bench.rounds, 5)):
        done = subprocess.run([program, str(VALUES), str(BYTES), str(ASSOCIATED)], capture_output=True, text=True, check=True)
        for name, text in zip(("loop_encrypt", "loop_decrypt"), done.stdout.split()):
            rounds[name].append(float(text))
        for name, statement in STATEMENTS.items():
            runs = 1 if name == "pgp_encrypt" else RUNS
            nanoseconds = float(bench.cluster.psql(f"SELECT took('SELECT {statement.replace(chr(39), chr(39) * 2)}', {runs});", "phi"))
            rounds[name].append(nanoseconds / (PGP_VALUES if name == "pgp_encrypt" else VALUES))
    net = {name: [a - b for a, b in zip(rounds[name], rounds["scan"])] for name in ("encrypt", "decrypt")}
    share = lambda base, other: median([a / b for a, b in zip(base, other)])
    section.table(
        f"{VALUES:,} values in a statement, nanoseconds a value",
        ["", "encrypting", "decrypting"],
        [["EVP calls in a loop", median(rounds["loop_encrypt"]), median(rounds["loop_decrypt"])],
         ["encrypt_phi_fields, decrypt_phi_fields over an array", median(rounds["encrypt_many"]), median(rounds["decrypt_many"])],
         ["rate / loop's", share(rounds["loop_encrypt"], rounds["encrypt_many"]), share(rounds["loop_decrypt"], rounds["decrypt_many"])],
         ["encrypt_phi_field, decrypt_phi_field over rows", median(rounds["encrypt"]), median(rounds["decrypt"])],
         ["its scan with length()", median(rounds["scan"]), median(rounds["scan"])],
         ["rate / loop's", share(rounds["loop_encrypt"], rounds["encrypt"]), share(rounds["loop_decrypt"], rounds["decrypt"])],
         ["rate / loop's, net", share(rounds["loop_encrypt"], net["encrypt"]), share(rounds["loop_decrypt"], net["decrypt"])],
         ["pgcrypto's pgp_sym_encrypt, AES-256", median(rounds["pgp_encrypt"]), None],
         ["rate / pgcrypto's", share(rounds["pgp_encrypt"], rounds["encrypt"]), None]])


def appends(bench, section):
    scripts = {name: bench.cluster.write_script("\\set s random(1, :streams)\n\\set n :n + 1\n\\set v :base + :n\n" + call + "\n")
               for name, call in APPEND.items()}
    runs = bench.interleaved({
        name: lambda name=name: bench.cluster.pgbench(scripts[name], "phi", 1, seconds=bench.seconds, defines=bench.defines(1, 1000),
                                                      settings={"synchronous_commit": "off"})
        for name in APPEND})
    bench.check_versions("phi")
    section.table(
        "append_event with two personal fields among five, 1,000 people",
        ["", "per second", "x without", "CPU us", "CPU without / CPU"],
        [[label, median([run.rate for run in runs[name]]), ratio(runs[name], runs["plain"]), median([run.cpu_us for run in runs[name]]),
          ratio(runs["plain"], runs[name], lambda run: run.cpu_us)]
         for name, label in (("plain", "no rule for the type"), ("personal", "two fields encrypted"))])
