# The claims of README.md through Ruby's pg.

require 'json'
require 'pg'

LABEL = ENV.fetch('DRIVERS_LABEL')

# shown in doc/drivers.md: begin
# Gives the event's id. A PG::Error has result, whose error_field gives PG::PG_DIAG_SQLSTATE, PG_DIAG_MESSAGE_DETAIL and PG_DIAG_MESSAGE_HINT.
def append(db, stream, type, data, expected = nil)
  db.exec_params('SELECT events.append_event($1, $2, $3, p_expected_version := $4)', [stream, type, data.to_json, expected]).getvalue(0, 0)
end

def replay(db, stream, size = 100)
  db.transaction do
    db.exec_params('DECLARE replay NO SCROLL CURSOR FOR SELECT stream_version, event_data FROM events.replay_stream($1)', [stream])
    until (rows = db.exec("FETCH #{size} FROM replay")).ntuples.zero?
      rows.each_row { |version, data| yield version.to_i, JSON.parse(data) }
    end
  end
end

# After LISTEN mode_switch: waits for what is told, at most so many seconds (nil: without an end).
def listen(db, seconds = nil)
  db.wait_for_notify(seconds) { |_channel, _pid, payload| yield JSON.parse(payload) }
end

# One round: gives how many events were handled. Call it again at once if some were, else after a while.
def work(db, subscription, worker)
  db.transaction do
    rows = db.exec_params('SELECT global_position, event_data FROM events.fetch($1, $2)', [subscription, worker]).values
    rows.each { |_position, data| yield JSON.parse(data) }
    db.exec_params('SELECT events.acknowledge($1, $2, $3)', [subscription, worker, rows.last[0]]) if rows.any?
    rows.size
  end
end
# shown in doc/drivers.md: end

def same(got, wanted)
  raise "got #{got.inspect}, wanted #{wanted.inspect}" unless got == wanted
end

def fails(state, detail, hint)
  yield
rescue PG::Error => error
  fields = [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_DETAIL, PG::PG_DIAG_MESSAGE_HINT]
  same(fields.map { |field| error.result.error_field(field) }, [state, detail, hint])
else
  raise "nothing was raised, wanted #{state}"
end

def everything(db, stream)
  events = []
  replay(db, stream) { |version, data| events << [version, data] }
  events
end

def array(values)
  PG::TextEncoder::Array.new.encode(values)
end

def worked(db, worker, count)
  handled = []
  sleep 0.02 if work(db, LABEL, worker) { |data| handled << data['n'] }.zero? while handled.size < count
  handled
end

def listener(db)
  listening = PG.connect(port: ENV.fetch('DRIVERS_LISTEN_PORT'))
  listening.exec('LISTEN mode_switch')
  db.exec_params("INSERT INTO mode_history VALUES ($1, 'baseline', 'recovery', 0.87)", [LABEL])
  told = nil
  listen(listening) { |data| told = data } until told
  same(told.except('timestamp'), 'user_id' => LABEL, 'from_mode' => 'baseline', 'to_mode' => 'recovery', 'confidence' => 0.87)
ensure
  listening&.close
end

def many(db)
  db.transaction do
    # A statement with a name lasts as long as the connection; one without a name is good behind a pooler in transaction mode too.
    name = ENV['DRIVERS_WAY'] == 'transaction' ? '' : 'append'
    db.prepare(name, 'SELECT events.append_event($1, $2, $3)')
    20.times { |n| db.exec_prepared(name, ["#{LABEL}:many", 'vitals_recorded', { n: n }.to_json]) }
  end
  same(everything(db, "#{LABEL}:many"), Array.new(20) { |n| [n + 1, { 'n' => n }] })
end

def take_over(db)
  [4, 5].each { |n| append(db, "#{LABEL}:work", 'task_given', { n: n }) }
  positions = []
  positions = db.exec_params("SELECT global_position FROM events.fetch($1, 'one')", [LABEL]).column_values(0) while positions.size < 2
  same(worked(db, 'two', 2), [4, 5])
  fails('ZE005', 'It fetched nothing yet, or its lease ended before it came back, and others may have been given its events.',
        'Fetch again, and take what comes as not done before.') do
    db.exec_params("SELECT events.acknowledge($1, 'one', $2)", [LABEL, positions[1]])
  end
end

CLAIMS = {
  'an append returns the id of its event' => lambda do |db|
    same(append(db, "#{LABEL}:a", 'vitals_recorded', { n: 1 }).size, 36)
    append(db, "#{LABEL}:a", 'vitals_recorded', { n: 2 }, 1)
    append(db, "#{LABEL}:a", 'vitals_recorded', { n: 3 }, -1)
  end,
  'a stream is replayed in order' => lambda do |db|
    same(everything(db, "#{LABEL}:a"), [[1, { 'n' => 1 }], [2, { 'n' => 2 }], [3, { 'n' => 3 }]])
    same(everything(db, "#{LABEL}:nothing"), [])
  end,
  'the state of a stream is read' => lambda do |db|
    state = db.exec_params('SELECT events.get_stream_state($1)', ["#{LABEL}:a"]).getvalue(0, 0)
    same(JSON.parse(state), 'vitals_recorded' => { 'n' => 3 })
  end,
  'the data of a webhook is appended' => lambda do |db|
    db.exec_params("SELECT events.append_event('hook:' || $1, 'biometric_received', $2::jsonb, 'webhook_processor')", [LABEL, '{"heart_rate": 72}'])
    same(everything(db, "hook:#{LABEL}"), [[1, { 'heart_rate' => 72 }]])
  end,
  'one statement appends many times' => method(:many),
  'a stale version is ZE001, with DETAIL and HINT' => lambda do |db|
    fails('ZE001', 'Expected version 1, actual version 3.', 'Read the stream again, decide again, and append with the version read.') do
      append(db, "#{LABEL}:a", 'vitals_recorded', {}, 1)
    end
  end,
  'an id with other content is ZE002, with DETAIL and HINT' => lambda do |db|
    used = append(db, "#{LABEL}:id", 'vitals_recorded', { n: 1 })
    fails('ZE002', 'An event with this id exists; its stream, type, data, metadata, tags or created_by differs.',
          'Give a new event a new id; repeat an append with exactly what it was called with first.') do
      db.exec_params("SELECT events.append_event($1, 'vitals_recorded', '{}', p_event_id := $2)", ["#{LABEL}:id", used])
    end
  end,
  'an empty name is 22023, with DETAIL and HINT' => lambda do |db|
    fails('22023', 'The name given has no character.', 'Give a name of 1 to 100 characters.') { append(db, "#{LABEL}:a", '', {}) }
  end,
  'a batch is there as a whole' => lambda do |db|
    streams = ["#{LABEL}:b1", "#{LABEL}:b2", "#{LABEL}:b1"]
    data = [{ 'n' => 1 }, { 'n' => 2 }, { 'n' => '"é\\' }]
    rows = db.exec_params('SELECT stream_id, stream_version FROM events.append_events($1, $2, $3)',
                          [array(streams), array(['reading_taken'] * 3), array(data.map(&:to_json))])
    same(rows.values, [[streams[0], '1'], [streams[1], '1'], [streams[2], '2']])
    same(everything(db, streams[0]), [[1, data[0]], [2, data[2]]])
  end,
  'a transaction that fails leaves nothing' => lambda do |db|
    fails('22023', 'The name given has no character.', 'Give a name of 1 to 100 characters.') do
      db.transaction do
        append(db, "#{LABEL}:undone", 'reading_taken', {})
        append(db, "#{LABEL}:undone", '', {})
      end
    end
    same(everything(db, "#{LABEL}:undone"), [])
  end,
  'a cursor gives a stream in pieces' => lambda do |db|
    sizes = db.transaction do
      db.exec_params('DECLARE pieces CURSOR FOR SELECT stream_version FROM events.replay_stream($1)', ["#{LABEL}:many"])
      Array.new(4) { db.exec('FETCH 8 FROM pieces').ntuples }
    end
    same(sizes, [8, 8, 4, 0])
  end,
  'a listener is told of a mode switch' => method(:listener),
  'a tenant named by SET LOCAL ends with its transaction' => lambda do |db|
    db.transaction do
      db.exec("SET LOCAL app.tenant_id = 'acme'")
      append(db, "#{LABEL}:a", 'seen', {})
      same(db.exec_params('SELECT event_data FROM events.replay_stream($1)', ["#{LABEL}:a"]).values, [['{}']])
    end
    same(everything(db, "#{LABEL}:a").size, 3)
  end,
  'a worker is given each event once' => lambda do |db|
    [1, 2, 3].each { |n| append(db, "#{LABEL}:work", 'task_given', { n: n }) }
    same(worked(db, 'one', 3), [1, 2, 3])
    same(work(db, LABEL, 'one') { raise 'an event came once more' }, 0)
  end,
  'a second worker takes over when the first is gone' => method(:take_over)
}.freeze

$stdout.sync = true
db = PG.connect
CLAIMS.each do |name, claim|
  claim.call(db)
  puts "ok - #{name}"
rescue StandardError => error
  puts "not ok - #{name}", "# #{error.message.gsub("\n", "\n# ")}"
end
db.close
