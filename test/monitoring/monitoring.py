#!/usr/bin/env python3
"""monitoring/ against a real server, exporter and Prometheus; test/monitoring/run starts the server and names it by PGHOST, PGPORT and PGUSER.

A store is made and neglected, looked after, broken in every way that a rule tells, and mended. The rules are those of monitoring/alerts.yaml but for
their patience: `for` is nothing, and a threshold that only time or gigabytes reach is a low one. A test waits for the state that it needs, never for
a time.
"""

import os
import pathlib
import re
import subprocess
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'python'))
from harness import Tap, explain  # noqa: E402
from watching import Exporter, Missing, Prometheus, as_user, end_with_signals, filled_in, panels, wait_for  # noqa: E402

MONITORING = HERE.parent.parent / 'monitoring'
DOCUMENTS = HERE.parent.parent / 'doc'
WORK = os.environ['AUREN_WORK']
USER = os.environ['AUREN_SERVER_USER']
PATIENCE = int(os.environ.get('AUREN_PATIENCE', '600'))
DATABASE = 'watched'
EXPORTERS_ROLE = 'prometheus'

# What a threshold is in the test. Nothing else of a rule's expression is changed.
THRESHOLDS = {
    'AurenEventsFeedHeld': [('> 60', '> 1')],
    'AurenEventsSubscriptionLate': [('> 300', '> 1')],
    'AurenEventsNotificationQueue': [('> 0.25', '> 0')],
    'AurenEventsConflicts': [('[5m]', '[12s]'), ('> 1\n', '> 0.1\n')],
    'AurenEventsLockHeld': [('> 300', '> 1')],
    'AurenEventsSlotKeepsWal': [('> 4 * 1024 * 1024 * 1024', '> 40 * 1024 * 1024')],
}


def psql(*statements, role='postgres', database=DATABASE):
    """What the statements answer, one line a row. Each is a transaction of its own; the first error is an AssertionError."""
    arguments = [part for statement in statements for part in ('-c', statement)]
    done = subprocess.run(['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-U', role, '-d', database, *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Session:
    """A psql that stays in a transaction until it is closed."""

    def __init__(self, *statements):
        self.process = subprocess.Popen(['psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', DATABASE], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.process.stdin.write(''.join(f'{statement};\n' for statement in statements) + '\\echo ready\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line == 'ready\n', line

    def close(self):
        self.process.communicate()


def read(name):
    return (MONITORING / name).read_text(encoding='utf-8')


def rules():
    return [rule for group in yaml.safe_load(read('alerts.yaml'))['groups'] for rule in group['rules']]


def promtool(*arguments, folder=MONITORING):
    done = subprocess.run(['promtool', *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# ---- what the files say --------------------------------------------------------------------------------------------------


def rules_are_right():
    promtool('check', 'rules', 'alerts.yaml')
    for rule in rules():
        assert set(rule['annotations']) == {'summary', 'description', 'runbook_url'}, rule['alert']
        assert rule['labels']['severity'] in ('critical', 'warning', 'info'), rule['alert']


def rules_pass_their_unit_tests():
    promtool('test', 'rules', HERE / 'alerts_test.yaml', folder=HERE)
    tested = yaml.safe_load((HERE / 'alerts_test.yaml').read_text(encoding='utf-8'))['tests']
    fired = {case['alertname'] for test in tested for case in test['alert_rule_test'] if case.get('exp_alerts')}
    quiet = {case['alertname'] for test in tested for case in test['alert_rule_test'] if not case.get('exp_alerts')}
    named = {rule['alert'] for rule in rules()}
    assert named == fired == quiet, f'without a case that fires: {named - fired}; without one that does not: {named - quiet}'


def readme_shows_what_runs():
    """The lines of configuration in README.md, and the exporter's options, which this test uses too."""
    text = read('README.md')
    block = re.search(r'```yaml\n(.*?)```', text, re.DOTALL)[1].replace('/etc/prometheus/auren_events_alerts.yaml', str(MONITORING / 'alerts.yaml'))
    path = pathlib.Path(WORK, 'readme.yml')
    path.write_text(block, encoding='utf-8')
    promtool('check', 'config', path)
    assert [job['job_name'] for job in yaml.safe_load(block)['scrape_configs']] == ['auren_events']
    options = re.search(r"^ARGS='(.*)'$", text, re.MULTILINE)[1].split()
    assert options == Exporter.options('/etc/prometheus/auren_events.yaml'), options


def metrics_of_queries():
    """The metrics that queries.yaml makes, each with the labels that it has."""
    found = {}
    for space, query in yaml.safe_load(read('queries.yaml')).items():
        columns = {name: column for entry in query['metrics'] for name, column in entry.items()}
        labels = {name for name, column in columns.items() if column['usage'] == 'LABEL'}
        found.update({f'{space}_{name}': labels for name in columns if name not in labels})
    return found


def queries_are_described():
    for space, query in yaml.safe_load(read('queries.yaml')).items():
        columns = {name: column for entry in query['metrics'] for name, column in entry.items()}
        assert columns['datname']['usage'] == 'LABEL', f'{space} does not say which database it is of'
        for name, column in columns.items():
            assert column['usage'] in ('LABEL', 'COUNTER', 'GAUGE') and column['description'], f'{space}: {name}'
            assert re.search(rf'\b{name}\b', query['query']), f'{space}: nothing is called {name}'


def dashboard_is_whole():
    """What Grafana needs of a dashboard that is imported. It says nothing where a key is wrong: the panel stays empty."""
    places, ids = set(), set()
    for panel in panels(MONITORING / 'dashboard.json'):
        assert panel['type'] in ('timeseries', 'stat', 'state-timeline') and panel['title'], panel['id']
        assert panel['id'] not in ids, panel['id']
        ids.add(panel['id'])
        grid = panel['gridPos']
        cells = {(x, y) for x in range(grid['x'], grid['x'] + grid['w']) for y in range(grid['y'], grid['y'] + grid['h'])}
        assert max(x for x, _ in cells) < 24 and not cells & places, f'{panel["title"]} lies on another panel'
        places |= cells
        assert panel['fieldConfig']['defaults']['thresholds']['steps'][0]['value'] is None, panel['title']
        for number, target in enumerate(panel['targets']):
            assert target['refId'] == chr(ord('A') + number), panel['title']
            assert target['datasource'] == {'type': 'prometheus', 'uid': '${datasource}'}, panel['title']
            assert target['legendFormat'], panel['title']


def what_is_asked_for_is_there():
    """A metric that a rule or a panel names is one of queries.yaml, or one that Prometheus or the exporter makes by themselves."""
    known = set(metrics_of_queries()) | {'up', 'pg_up', 'scrape_duration_seconds'}
    asked = [(rule['alert'], rule['expr']) for rule in rules()]
    asked += [(panel['title'], target['expr']) for panel in panels(MONITORING / 'dashboard.json') for target in panel['targets']]
    for name, expression in asked:
        bare = re.sub(r'\{[^}]*\}|\[[^]]*\]|"[^"]*"|\([a-z, ]*\)', '', expression)
        metrics = set(re.findall(r'\b(?:auren_events_\w+|pg_\w+|up|scrape_\w+)\b', bare))
        assert metrics and metrics <= known, f'{name} asks for {metrics - known or expression}'


def page_names_everything():
    """doc/monitoring.md has a row for each alert, with its severity, and for each query, and no others."""
    text = (DOCUMENTS / 'monitoring.md').read_text(encoding='utf-8')
    severities = dict(re.findall(r'^\| `(AurenEvents\w+)` \| (\w+) \|', text, re.MULTILINE))
    assert severities == {rule['alert']: rule['labels']['severity'] for rule in rules()}, severities
    spaces = set(yaml.safe_load(read('queries.yaml')))
    rows = re.findall(r'^\| `(auren_events_\w+\*?)` \|', text, re.MULTILINE)
    named = {row.removesuffix('_*') if row.endswith('*') else row.rsplit('_', 1)[0] for row in rows}
    assert named == spaces, named ^ spaces


def links_lead_to_sections():
    """Each rule's link, with the name of each check of its severity, is a heading of doc/troubleshooting.md."""
    text = (DOCUMENTS / 'troubleshooting.md').read_text(encoding='utf-8')
    headings = {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in re.findall(r'^#+ +(.*?) *$', text, re.MULTILINE)}
    checks = psql('SELECT "check" FROM events.verify_installation()').splitlines()
    for rule in rules():
        page, anchor = rule['annotations']['runbook_url'].split('#', 1)
        assert page == 'doc/troubleshooting.md', rule['alert']
        for found in [check.replace(' ', '-') for check in checks] if '{{' in anchor else [anchor]:
            assert found in headings, f'{rule["alert"]} leads to {found}'


# ---- the store and who watches it ----------------------------------------------------------------------------------------


def make_store():
    psql(f'CREATE DATABASE {DATABASE}', f'CREATE ROLE {EXPORTERS_ROLE} LOGIN', database='postgres')
    psql('SET client_min_messages = warning; CREATE EXTENSION auren_events')
    done = subprocess.run(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', f'role={EXPORTERS_ROLE}', '-d', DATABASE,
                           '-f', str(MONITORING / 'grants.sql')],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def exporters_role_may_only_look():
    for statement in ('SELECT * FROM events.event_store', "SELECT events.append_event('user:1', 'noted', '{}')", 'SELECT last_error FROM events.subscriptions',
                      'SELECT events.create_monthly_partitions(1)', "SELECT events.replay_stream('user:1')", 'SELECT * FROM encrypted.audit'):
        psql(f"DO $$ BEGIN EXECUTE $s${statement}$s$; RAISE 'this was done'; EXCEPTION WHEN insufficient_privilege THEN NULL; END $$", role=EXPORTERS_ROLE)


def write_impatient_rules():
    groups = yaml.safe_load(read('alerts.yaml'))
    left = dict(THRESHOLDS)
    for rule in (rule for group in groups['groups'] for rule in group['rules']):
        rule.pop('for', None)
        for before, after in left.pop(rule['alert'], []):
            assert before in rule['expr'], rule['alert']
            rule['expr'] = rule['expr'].replace(before, after)
    assert not left, left
    path = pathlib.Path(WORK, 'impatient.yaml')
    path.write_text(yaml.safe_dump(groups), encoding='utf-8')
    return path


SOURCE = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={EXPORTERS_ROLE} dbname={DATABASE} sslmode=disable"
exporter = Exporter(WORK, USER)
prometheus = Prometheus(WORK, USER)


def start_watching():
    exporter.watch(SOURCE, f'{WORK}/queries.yaml')
    prometheus.scrape(exporter.port, write_impatient_rules(), '3s')
    wait_for('a scrape', lambda: any(float(series['value'][1]) == 1 for series in prometheus.query('up{job="auren_events"}')), PATIENCE)


def fires(name, **labels):
    """Waits until this alert fires, and looks at what it says."""
    alert = wait_for(f'{name} {labels}', lambda: next((alert for alert in prometheus.firing() if alert['labels']['alertname'] == name
                                                      and labels.items() <= alert['labels'].items()), None), PATIENCE)
    for text in alert['annotations'].values():
        assert text and '{{' not in text and 'no value' not in text and 'error' not in text.lower().split(), text


def only_advice_is_left():
    """A store that is well: the one alert is the advice that the cluster has no checksums."""
    wait_for('the end of all alerts', lambda: {(alert['labels']['alertname'], alert['labels'].get('check')) for alert in prometheus.firing()}
             == {('AurenEventsAdvice', 'checksums')}, PATIENCE)


# ---- what happens to the store -------------------------------------------------------------------------------------------

DAYS_AGO = "date_trunc('day', now()) - interval '100 days'"
TAMPER = """
DO $$
DECLARE
	place regclass := (SELECT tableoid FROM events.event_store WHERE stream_id = 'user:old');
	name text;
BEGIN
	EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', place);
	EXECUTE format('UPDATE %s SET event_data = %L WHERE stream_id = %L', place, '{{"pulse": {}}}', 'user:old');
	FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = place LOOP
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', place, name);
	END LOOP;
END $$"""


def a_new_store_has_no_months():
    fires('AurenEventsMonthsAhead', datname=DATABASE)


def a_neglected_store():
    psql("SELECT count(events.append_event('user:' || n % 7, 'noted', '{\"pulse\": 60}')) FROM generate_series(1, 100) n",
         "INSERT INTO biometric.biometric_events (user_id, metric_type, value) VALUES ('ada', 'pulse', 60)", 'SELECT events.register_seal_key()',
         '\\i ' + str(HERE.parent / 'sql' / 'old_months.sql'))
    psql(f"SELECT t.old_month(date_trunc('month', {DAYS_AGO})::date)", f"SELECT t.old_event('user:old', 'noted', '{{\"pulse\": 60}}', {DAYS_AGO})",
         "SELECT pg_create_physical_replication_slot('standby', true)", "SELECT events.create_subscription('mailer', p_shares => 1, p_lease => '1 hour')")
    fires('AurenEventsUnsealed')
    fires('AurenEventsMetricsLate')
    fires('AurenEventsAdvice', check='checksums')


def a_store_that_is_looked_after():
    psql('SELECT events.create_monthly_partitions(3)', 'SELECT count(*) FROM events.seal()', 'SELECT count(*) FROM events.verify()', 'SELECT analytics.refresh_user_metrics()',
         "SELECT events.acknowledge('mailer', 'a', (SELECT max(global_position) FROM events.fetch('mailer', 'a', 1000)))")
    only_advice_is_left()


def every_metric_has_a_series():
    for name, labels in metrics_of_queries().items():
        for series in wait_for(name, lambda: prometheus.query(name), PATIENCE):
            assert labels <= set(series['metric']), f'{name}: {series["metric"]}'
            assert series['metric']['datname'] == DATABASE, name
            assert series['value'][1] != 'NaN', f'{name} is NULL'


def every_panel_has_data():
    for panel in panels(MONITORING / 'dashboard.json'):
        for target in panel['targets']:
            found = wait_for(f'data of "{panel["title"]}"', lambda: prometheus.query(filled_in(target['expr'], DATABASE, '30s')), PATIENCE)
            for label in re.findall(r'\{\{(\w+)\}\}', target['legendFormat']):
                assert all(label in series['metric'] for series in found), f'{panel["title"]}: the legend has {label}'


def the_annotations_of_the_dashboard_have_data():
    expression = yaml.safe_load(read('dashboard.json'))['annotations']['list'][0]['expr']
    assert prometheus.query(expression), expression


def a_store_in_trouble():
    """Every fault at once, and the alert of each. The sessions stay open until all have fired."""
    sleeper = Session('LISTEN news', 'BEGIN')
    locker = Session('BEGIN', 'LOCK TABLE auren.seals IN SHARE MODE')
    psql("SELECT events.append_event('user:1', 'noted', '{\"pulse\": 61}')", "SELECT events.create_subscription('unread', p_shares => 1)",
         # as if it had been made two minutes ago
         "UPDATE auren.subscription_settings SET created_at = created_at - interval '2 minutes' WHERE name = 'unread'",
         "SELECT count(*) FROM events.fetch('mailer', 'a', 10)", "SELECT events.park('mailer', 'a', (SELECT max(global_position) FROM events.event_store), 'no such address')",
         "BEGIN; SELECT events.append_event('user:1', 'noted', '{\"pulse\": 62}'); PREPARE TRANSACTION 'left'",
         """DO $$ BEGIN FOR n IN 1..20 LOOP
                BEGIN PERFORM events.append_event('user:2', 'noted', '{}', p_expected_version => 0); EXCEPTION WHEN SQLSTATE 'ZE001' THEN NULL; END;
            END LOOP; END $$""",
         TAMPER.format(61), 'SELECT count(*) FROM events.verify()',
         "SELECT count(pg_notify('news', repeat('x', 7000) || n)) FROM generate_series(1, 5) n",
         *["SELECT pg_logical_emit_message(false, 'test', 'x')", 'SELECT pg_switch_wal()'] * 4,
         """UPDATE pg_class SET relfrozenxid = ((txid_current() % 4294967296 - 1300000000 + 4294967296) % 4294967296)::text::xid
            WHERE oid = (SELECT tableoid FROM events.event_store WHERE stream_id = 'user:old')""",
         'ALTER SYSTEM SET fsync = off', 'SELECT pg_reload_conf()')
    fires('AurenEventsConflicts')
    fires('AurenEventsFeedHeld')
    fires('AurenEventsSubscriptionStands')
    fires('AurenEventsSubscriptionLate', subscription='unread')
    fires('AurenEventsParked')
    fires('AurenEventsNotificationQueue')
    fires('AurenEventsVerificationFindings')
    fires('AurenEventsTransactionAge')
    fires('AurenEventsCheckWarns', check='transaction ids')
    fires('AurenEventsCheckFailed', check='settings')
    fires('AurenEventsLockHeld')
    fires('AurenEventsSlotKeepsWal', slot='standby')
    sleeper.close()
    locker.close()


def a_store_that_is_mended():
    month = psql("SELECT tableoid::regclass FROM events.event_store WHERE stream_id = 'user:old'")
    psql('ALTER SYSTEM RESET fsync', 'SELECT pg_reload_conf()', "ROLLBACK PREPARED 'left'", f'VACUUM (FREEZE) {month}', TAMPER.format(60), 'SELECT count(*) FROM events.verify()',
         "SELECT events.unpark('mailer', (SELECT global_position FROM events.parked))", "SELECT events.drop_subscription('unread')",
         "SELECT events.acknowledge('mailer', 'a', (SELECT max(global_position) FROM events.fetch('mailer', 'a', 1000)))",
         "SELECT pg_replication_slot_advance('standby', pg_current_wal_lsn())", "SELECT pg_notify('news', '')")
    only_advice_is_left()


def no_queries():
    exporter.stop()
    exporter.watch(SOURCE)
    fires('AurenEventsNoFigures')


def no_server():
    subprocess.run(['pg_ctl', '-D', os.environ['AUREN_DATA'], '-s', '-w', '-m', 'fast', 'stop'], cwd='/', check=True, timeout=PATIENCE, **as_user(USER))
    fires('AurenEventsServerDown')


def no_exporter():
    exporter.stop()
    fires('AurenEventsExporterDown')


# ---- the tests -----------------------------------------------------------------------------------------------------------

TESTS = [
    ('the rules are right', rules_are_right),
    ('the rules pass their unit tests, and each has two', rules_pass_their_unit_tests),
    ('README.md shows lines that run', readme_shows_what_runs),
    ('each figure is described', queries_are_described),
    ('the dashboard is whole', dashboard_is_whole),
    ('rules and panels ask for figures that are there', what_is_asked_for_is_there),
    ('doc/monitoring.md names each alert and each query', page_names_everything),
    ('a store is made, and its exporter is given its rights', make_store),
    ('each link of a rule leads to a section', links_lead_to_sections),
    ('the exporter and Prometheus run', start_watching),
    ('alerts of a store without months', a_new_store_has_no_months),
    ('alerts of a store that nobody looks after', a_neglected_store),
    ('a store that is looked after has no alert', a_store_that_is_looked_after),
    ('the exporter may look, and may not do or read more', exporters_role_may_only_look),
    ('each figure has a series', every_metric_has_a_series),
    ('each panel of the dashboard has data', every_panel_has_data),
    ('the alerts show in the dashboard', the_annotations_of_the_dashboard_have_data),
    ('alerts of a store in trouble', a_store_in_trouble),
    ('a store that is mended has no alert', a_store_that_is_mended),
    ('an alert of an exporter without queries', no_queries),
    ('an alert of a server that is down', no_server),
    ('an alert of an exporter that is down', no_exporter),
]


def main():
    end_with_signals()
    tap = Tap()
    try:
        for name, test in TESTS:
            try:
                test()
                tap.passed(name)
            except (AssertionError, Missing, OSError, subprocess.SubprocessError) as error:
                tap.broken(name, explain(error))
    finally:
        prometheus.stop()
        exporter.stop()
    return tap.end()


if __name__ == '__main__':
    sys.exit(main())
