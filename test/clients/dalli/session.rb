# dalli's whole surface over the binary protocol: `session.rb SERVER [USER PASSWORD]`.
# SERVER is HOST:PORT, or the path of a unix socket.

require_relative '../facts'
require 'dalli'

Dalli.logger.level = Logger::FATAL

SERVER, USER, PASSWORD = ARGV
LOGIN = USER ? { username: USER, password: PASSWORD } : {}.freeze
PATIENCE = { socket_timeout: 20 }.freeze
ANY_CAS = ->(cas) { cas.is_a?(Integer) && cas.positive? }
MISS = [nil, false].method(:include?)

def connect(**options)
  Dalli::Client.new([SERVER], { **LOGIN, **PATIENCE, **options })
end

def store(client)
  fact('set answers the cas', client.set('a', 'one'), ANY_CAS)
  fact('get', client.get('a'), 'one')
  fact('get of a miss', client.get('none'), nil)
  fact('add of what is there', client.add('a', 'two'), MISS)
  fact('add', client.add('new', 'two'), ANY_CAS)
  fact('replace', client.replace('a', 'three'), ANY_CAS)
  fact('replace of a miss', client.replace('none', 'three'), 0)
  client.set('raw', 'b', 0, raw: true)
  fact('append', client.append('raw', 'c'))
  fact('prepend', client.prepend('raw', 'a'))
  fact('both were joined on', client.get('raw', raw: true), 'abc')
  fact('append to a miss', client.append('none', 'c'), MISS)
  fact('prepend to a miss', client.prepend('none', 'c'), MISS)
  fact('delete', client.delete('new'))
  fact('delete of a miss', client.delete('new'), MISS)
  fact('fetch of what is there', client.fetch('a') { 'made' }, 'three')
  fact('fetch of a miss makes it', client.fetch('fetched', 100) { 'made' }, 'made')
  fact('and stores it', client.get('fetched'), 'made')
end

def kinds(client)
  {
    'text' => 'größe 日本語', 'bytes' => (0..255).to_a.pack('C*'), 'lines' => "END\r\nget a\r\n",
    'a marshalled value' => { list: [1, 2.5, nil], text: 'größe' }, 'nothing' => '', 'true' => true,
    'a compressed value' => 'again ' * 5000, 'nearly 1 MiB' => Random.new(1).bytes(1_048_000)
  }.each do |name, value|
    key = "kind-#{name.tr(' ', '-')}"
    fact("set of #{name}", client.set(key, value), ANY_CAS)
    fact("get of #{name}", client.get(key) == value)
  end
  raises('set of 2 MiB', Dalli::ValueOverMaxSize) { client.set('big', Random.new(2).bytes(2_097_152)) }
  fact('what did not fit is not there', client.get('big'), nil)
  fact('a key of 250 bytes', [client.set('k' * 250, 'v'), client.get('k' * 250)].last, 'v')
  fact('a longer key is hashed', [client.set('k' * 500, 'w'), client.get('k' * 500)].last, 'w')
  fact('a key that is not ASCII', [client.set('schlüssel', 'x'), client.get('schlüssel')].last, 'x')
end

def expire(client)
  client.set('stays', 'x', 1000)
  fact('get of what expires later', client.get('stays'), 'x')
  client.set('soon', 'x', 1)
  client.set('touched', 'x', 3)
  client.set('gat', 'x', 3)
  fact('touch', client.touch('touched', 1000))
  fact('touch of a miss', client.touch('none', 1000), nil)
  fact('gat', client.gat('gat', 1000), 'x')
  fact('gat of a miss', client.gat('none', 1000), nil)
  sleep 4.1
  fact('get of what has expired', client.get('soon'), nil)
  fact('what was touched lives on', client.get('touched'), 'x')
  fact('what was got and touched lives on', client.get('gat'), 'x')
end

def swap(client)
  client.set('c', 'one')
  value, cas = client.get_cas('c')
  fact('get_cas gives the value', value, 'one')
  fact('get_cas gives the cas', cas, ANY_CAS)
  fact('set_cas that is right', client.set_cas('c', 'two', cas), ANY_CAS)
  fact('set_cas that is stale', client.set_cas('c', 'three', cas), false)
  fact('set_cas of a miss', client.set_cas('none', 'three', cas), 0)
  _, cas = client.get_cas('c')
  fact('replace_cas that is right', client.replace_cas('c', 'four', cas), ANY_CAS)
  fact('replace_cas that is stale', client.replace_cas('c', 'five', cas), false)
  fact('delete_cas that is stale', client.delete_cas('c', cas), false)
  fact('the right ones stored', client.get('c'), 'four')
  _, cas = client.get_cas('c')
  fact('delete_cas that is right', client.delete_cas('c', cas))
  fact('which removes', client.get('c'), nil)
  fact('get_cas of a miss', client.get_cas('none').first, nil)
  client.set('c', 1)
  fact('cas', client.cas('c') { |value| value + 1 }, ANY_CAS)
  fact('a cas that another was faster than', client.cas('c') { |value| client.set('c', 10) && value + 1 }, false)
  fact('cas of a miss', client.cas('none') { 1 }, nil)
  fact('cas! of a miss', client.cas!('made') { 1 }, ANY_CAS)
  fact('the faster one stored', client.get_multi('c', 'made'), { 'c' => 10, 'made' => 1 })
  both = client.get_multi_cas('c', 'made', 'none')
  fact('get_multi_cas', both.transform_values(&:first), { 'c' => 10, 'made' => 1 })
  client.set('c', 10)
  fact('each store gives a new cas', client.get_cas('c').last != both['c'].last)
end

def count(client)
  client.set('n', '10', 0, raw: true)
  fact('incr by one', client.incr('n'), 11)
  fact('incr', client.incr('n', 4), 15)
  fact('decr', client.decr('n', 6), 9)
  fact('decr stops at 0', client.decr('n', 100), 0)
  fact('incr of a miss', client.incr('none'), nil)
  fact('decr of a miss', client.decr('none'), nil)
  fact('incr of a miss with an initial value', client.incr('up', 5, 100, 7), 7)
  fact('decr of a miss with an initial value', client.decr('down', 5, 100, 7), 7)
  fact('incr goes on from it', client.incr('up', 5, 100, 7), 12)
  fact('decr goes on from it', client.decr('down', 5, 100, 7), 2)
  fact('incr to the last number', client.incr('n', 2**64 - 1), 2**64 - 1)
  fact('incr beyond it begins again', client.incr('n'), 0)
  client.set('word', 'word', 0, raw: true)
  raises('incr of a word', Dalli::DalliError) { client.incr('word') }
  fact('the connection goes on', client.get('word', raw: true), 'word')
end

def many(client)
  values = (0...1000).to_h { |i| ["many#{i}", i.to_s * 50] }
  client.multi { values.each { |key, value| client.set(key, value) } }
  fact('1000 quiet sets', client.get_multi(*values.keys, 'none'), values)
  got = {}
  client.get_multi(*values.keys) { |key, value| got[key] = value }
  fact('get_multi with a block', got, values)
  some = values.keys.first(100) # each failure is answered, and dalli reads nothing before the end
  client.multi do
    some.each { |key| client.replace(key, 'replaced') }
    some.each { |key| client.add(key, 'not added') }
    client.add('quietly', 'added')
    client.replace('none', 'not replaced')
  end
  fact('quiet replaces, and adds of what is there', client.get_multi(*some).values.uniq, ['replaced'])
  fact('a quiet add', client.get('quietly'), 'added')
  client.multi { values.each_key { |key| client.delete(key) } }
  fact('1000 quiet deletes', client.get_multi(*values.keys), {})
  fact('get_multi of nothing', client.get_multi, {})
  large = (0...20).to_h { |i| ["large#{i}", Random.new(i).bytes(1_000_000)] }
  large.each { |key, value| client.set(key, value, 100) }
  fact('get_multi of 20 MB', client.get_multi(*large.keys) == large)
end

def variants
  space = connect(namespace: 'space', compress: false, expires_in: 1000)
  space.set('a', 'in a namespace')
  fact('a namespace', space.get_multi('a'), { 'a' => 'in a namespace' })
  fact('is part of the key', connect.get('space:a'), 'in a namespace')
  nils = connect(cache_nils: true)
  nils.set('nil', nil)
  fact('a cached nil is no miss', nils.fetch('nil') { 'made' }, nil)
  count = connect(threadsafe: true)
  count.set('shared', '0', 0, raw: true)
  8.times.map { Thread.new { 100.times { count.incr('shared') } } }.each(&:join)
  fact('8 threads count to 800', count.get('shared', raw: true).to_i, 800)
  fact('with yields the client', count.with { |client| client.get('shared', raw: true).to_i }, 800)
  pid = fork { exit!(connect.get('shared', raw: true).to_i == 800 ? 0 : 1) }
  fact('another process sees the same', Process.wait2(pid).last.exitstatus, 0)
end

def control(client)
  fact('alive!', client.alive!, ->(server) { !server.nil? })
  fact('version', client.version.values, ->(versions) { versions.all? { |version| version =~ /\A\d+\.\d+/ } })
  stats = client.stats.values.first
  %w[pid curr_items cmd_get threads].each { |name| fact("stats: #{name}", stats[name], ->(value) { value =~ /\A\d+\z/ }) }
  fact('stats settings', client.stats(:settings).values.first['evictions'], 'on')
  fact('stats items', client.stats(:items).values.first.keys, ->(names) { names.any? { |name| name =~ /:number\z/ } })
  fact('stats slabs', client.stats(:slabs).values.first['active_slabs'].to_i, :positive?.to_proc)
  client.reset_stats
  fact('reset_stats', client.stats.values.first['cmd_set'], '0')
  client.set('soon', 'gone')
  fact('flush in a while', client.flush(1000), [true])
  fact('flush', client.flush_all, [true])
  fact('which empties', client.get('soon'), nil)
  client.close
  fact('a client comes back after close', client.set('again', 1), ANY_CAS)
  client.close
end

client = connect
client.flush
%i[store kinds expire swap count many control].each { |name| part(name) { method(name).call(client) } }
part('variants') { variants }
raises('a wrong password', Dalli::DalliError) { connect(password: 'wrong').get('a') } if USER
done
