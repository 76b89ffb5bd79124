<?php
// php-memcached's whole surface: `session.php text|binary HOST PORT [USER PASSWORD]`.
// PORT 0: HOST is the path of a unix socket.

require __DIR__ . '/../facts.php';
require __DIR__ . '/options.php';

[, $protocol, $host, $port] = $argv;
define('BINARY', $protocol === 'binary');
define('SERVER', [$host, (int) $port]);
define('LOGIN', array_slice($argv, 4));

function connect(array $options = []): Memcached
{
    $client = new Memcached();
    $client->setOption(Memcached::OPT_BINARY_PROTOCOL, BINARY);
    foreach ([Memcached::OPT_CONNECT_TIMEOUT, Memcached::OPT_POLL_TIMEOUT] as $timeout) {
        $client->setOption($timeout, 20_000);
    }
    foreach ($options as $option => $value) $client->setOption($option, $value);
    if (LOGIN !== []) $client->setSaslAuthData(...LOGIN);
    $client->addServer(...SERVER);
    return $client;
}

/** States what a call answers and the result code that goes with it. */
function result(string $name, Memcached $client, mixed $got, mixed $wanted, int $code): void
{
    fact($name, [$got, $client->getResultCode()], [$wanted, $code]);
}

function store(string $title, Memcached $client): void
{
    result('set', $client, $client->set('a', 'one'), true, Memcached::RES_SUCCESS);
    result('get', $client, $client->get('a'), 'one', Memcached::RES_SUCCESS);
    result('get of a miss', $client, $client->get('none'), false, Memcached::RES_NOTFOUND);
    fact('get of a miss with a call back', $client->get('made', function ($client, $key, &$value) {
        $value = "made for $key";
        return true;
    }), 'made for made');
    fact('which stores it', $client->get('made'), 'made for made');
    result('add of what is there', $client, $client->add('a', 'two'), false, missCode('add'));
    result('add', $client, $client->add('new', 'two', 100), true, Memcached::RES_SUCCESS);
    result('replace', $client, $client->replace('a', 'three'), true, Memcached::RES_SUCCESS);
    result('replace of a miss', $client, $client->replace('none', 'x'), false, missCode('replace'));
    $client->setOption(Memcached::OPT_COMPRESSION, false);
    result('append', $client, $client->append('a', '>'), true, Memcached::RES_SUCCESS);
    result('prepend', $client, $client->prepend('a', '<'), true, Memcached::RES_SUCCESS);
    fact('both were joined on', $client->get('a'), '<three>');
    result('append to a miss', $client, $client->append('none', '>'), false, Memcached::RES_NOTSTORED);
    result('prepend to a miss', $client, $client->prepend('none', '>'), false, Memcached::RES_NOTSTORED);
    $client->setOption(Memcached::OPT_COMPRESSION, true);
    result('delete', $client, $client->delete('new'), true, Memcached::RES_SUCCESS);
    result('delete of a miss', $client, $client->delete('new'), false, Memcached::RES_NOTFOUND);
    fact('set with an expiration', $client->set('stays', 'x', 1000));
    fact('get of what expires later', $client->get('stays'), 'x');
    fact('set with a long past expiration', $client->set('gone', 'x', 1_000_000_000));
    fact('get of what has expired', $client->get('gone'), false);
    result('touch', $client, $client->touch('stays', 2000), true, Memcached::RES_SUCCESS);
    result('touch of a miss', $client, $client->touch('none', 2000), false, Memcached::RES_NOTFOUND);
    $client->touch('stays', 1_000_000_000);
    fact('touch with a long past expiration removes', $client->get('stays'), false);
}

/** What libmemcached says of a condition that was not met: its two protocols differ. */
function missCode(string $command): int
{
    if (!BINARY) return Memcached::RES_NOTSTORED;
    return $command === 'add' ? Memcached::RES_DATA_EXISTS : Memcached::RES_NOTFOUND;
}

function kinds(string $title, Memcached $client): void
{
    $values = [
        'text' => 'größe 日本語', 'lines' => "END\r\nget a\r\n", 'int' => -42, 'float' => 2.5,
        'true' => true, 'null' => null, 'nothing' => '', 'array' => ['list' => [1, 2.5, null]],
        'bytes' => implode('', array_map('chr', range(0, 255))), 'compressed' => str_repeat('again ', 50_000),
        'large' => random_bytes(1_048_000),
    ];
    foreach ($values as $name => $value) {
        fact("set of $name", $client->set("kind-$name", $value));
        fact("get of $name", $client->get("kind-$name") === $value);
    }
    fact('false is no miss', [$client->set('false', false), $client->get('false'), $client->getResultCode()], [true, false, 0]);
    fact('set of 2 MiB', $client->set('big', random_bytes(2_097_152)), false);
    fact('what did not fit is not there', $client->get('big'), false);
    fact('a key of 250 bytes', [$client->set(str_repeat('k', 250), 1), $client->get(str_repeat('k', 250))], [true, 1]);
    result('a key of 251 bytes', $client, $client->set(str_repeat('k', 251), 1), false, Memcached::RES_BAD_KEY_PROVIDED);
    fact('the connection goes on', $client->get('kind-int'), -42);
}

function swap(string $title, Memcached $client): void
{
    $client->set('c', 'one');
    ['value' => $value, 'cas' => $cas] = $client->get('c', null, Memcached::GET_EXTENDED);
    fact('get gives the value', $value, 'one');
    fact('get gives the cas', $cas > 0);
    result('cas that is right', $client, $client->cas($cas, 'c', 'two'), true, Memcached::RES_SUCCESS);
    result('cas that is stale', $client, $client->cas($cas, 'c', 'three'), false, Memcached::RES_DATA_EXISTS);
    result('cas of a miss', $client, $client->cas($cas, 'none', 'three'), false, Memcached::RES_NOTFOUND);
    fact('the right one stored', $client->get('c'), 'two');
    $before = $client->getMulti(['c', 'none'], Memcached::GET_EXTENDED)['c']['cas'];
    $client->set('c', 'two');
    fact('each store gives a new cas', $client->get('c', null, Memcached::GET_EXTENDED)['cas'] !== $before);
}

function count_up(string $title, Memcached $client): void
{
    $client->set('n', 10);
    fact('increment by one', $client->increment('n'), 11);
    fact('increment', $client->increment('n', 4), 15);
    fact('decrement', $client->decrement('n', 6), 9);
    fact('decrement stops at 0', $client->decrement('n', 100), 0);
    result('increment of a miss', $client, $client->increment('none'), false, Memcached::RES_NOTFOUND);
    result('decrement of a miss', $client, $client->decrement('none'), false, Memcached::RES_NOTFOUND);
    $client->set('word', 'word');
    fact('increment of a word', $client->increment('word'), false);
    fact('the connection goes on', $client->get('word'), 'word');
    if (!BINARY) return; // initial values are the binary protocol's
    fact('increment of a miss with an initial value', $client->increment('up', 5, 7, 100), 7);
    fact('decrement of a miss with an initial value', $client->decrement('down', 5, 7, 100), 7);
    fact('increment goes on from it', $client->increment('up', 5, 7, 100), 12);
    fact('decrement goes on from it', $client->decrement('down', 5, 7, 100), 2);
    fact('incrementByKey with an initial value', $client->incrementByKey('k', 'by', 5, 7, 100), 7);
}

function many(string $title, Memcached $client): void
{
    $values = [];
    for ($i = 0; $i < 1000; $i++) $values["many$i"] = str_repeat("$i", 50);
    fact('setMulti of 1000', $client->setMulti($values, 1000));
    fact('getMulti of 1001', $client->getMulti([...array_keys($values), 'none'], Memcached::GET_PRESERVE_ORDER), [...$values, 'none' => null]);
    fact('getDelayed', $client->getDelayed(array_keys($values), true));
    $fetched = 0;
    while ($one = $client->fetch()) $fetched += $values[$one['key']] === $one['value'] && $one['cas'] > 0 ? 1 : 0;
    fact('fetch one by one', $fetched, 1000);
    $client->getDelayed(array_keys($values));
    fact('fetchAll', count($client->fetchAll()), 1000);
    $called = 0;
    $client->getDelayed(array_keys($values), false, function () use (&$called) { $called++; });
    fact('getDelayed with a call back', $called, 1000);
    $deleted = $client->deleteMulti([...array_keys($values), 'none']);
    fact('deleteMulti of 1000', count(array_filter($deleted, fn ($one) => $one === true)), 1000);
    fact('deleteMulti tells of a miss', $deleted['none'], Memcached::RES_NOTFOUND);
    fact('they are gone', $client->getMulti(array_keys($values)), []);
    $large = [];
    for ($i = 0; $i < 20; $i++) $large["large$i"] = random_bytes(1_000_000);
    fact('setMulti of 20 MB', $client->setMulti($large));
    fact('getMulti of 20 MB', $client->getMulti(array_keys($large)) === $large);
    $client->deleteMulti(array_keys($large));
}

/** Each command again, with a key that picks the server. */
function by_key(string $title, Memcached $client): void
{
    fact('setByKey', $client->setByKey('k', 'by', 'one'));
    fact('getByKey', $client->getByKey('k', 'by'), 'one');
    fact('addByKey', $client->addByKey('k', 'by', 'two'), false);
    fact('replaceByKey', $client->replaceByKey('k', 'by', 'two'));
    $client->setOption(Memcached::OPT_COMPRESSION, false);
    fact('appendByKey', $client->appendByKey('k', 'by', '>'));
    fact('prependByKey', $client->prependByKey('k', 'by', '<'));
    $client->setOption(Memcached::OPT_COMPRESSION, true);
    ['value' => $value, 'cas' => $cas] = $client->getByKey('k', 'by', null, Memcached::GET_EXTENDED);
    fact('casByKey', [$value, $client->casByKey($cas, 'k', 'by', 5)], ['<two>', true]);
    fact('incrementByKey', $client->incrementByKey('k', 'by', 5), 10);
    fact('decrementByKey', $client->decrementByKey('k', 'by', 3), 7);
    fact('touchByKey', $client->touchByKey('k', 'by', 1000));
    fact('setMultiByKey', $client->setMultiByKey('k', ['x' => 1, 'y' => 2]));
    fact('getMultiByKey', $client->getMultiByKey('k', ['x', 'y', 'z']), ['x' => 1, 'y' => 2]);
    $client->getDelayedByKey('k', ['x', 'y']);
    fact('getDelayedByKey', count($client->fetchAll()), 2);
    fact('deleteMultiByKey', $client->deleteMultiByKey('k', ['x', 'y']), ['x' => true, 'y' => true]);
    fact('deleteByKey', $client->deleteByKey('k', 'by'));
    fact('getServerByKey', $client->getServerByKey('k')['host'], SERVER[0]);
}

function control(string $title, Memcached $client): void
{
    $stats = current($client->getStats());
    foreach (['pid', 'curr_items', 'cmd_get', 'limit_maxbytes', 'threads'] as $name) {
        fact("getStats: $name", (int) $stats[$name] > 0);
    }
    fact('getStats: version', preg_match('/^\d+\.\d+\.\d+/', $stats['version']), 1);
    fact('getStats of settings', current($client->getStats('settings'))['evictions'], 'on');
    fact('getStats of items', array_key_exists('items:1:number', current($client->getStats('items'))));
    fact('getStats of slabs', (int) current($client->getStats('slabs'))['active_slabs'] > 0);
    fact('getVersion', preg_match('/^\d+\.\d+\.\d+/', current($client->getVersion())), 1);
    $client->set('listed', 1);
    if (!BINARY) fact('getAllKeys', is_array($client->getAllKeys()));
    fact('getServerList', $client->getServerList()[0]['host'], SERVER[0]);
    fact('flush in a while', $client->flush(1000));
    fact('which does not empty yet', $client->get('listed'), 1);
    fact('flush', $client->flush());
    fact('which empties', $client->get('listed'), false);
    $client->set('listed', 1);
    fact('quit', $client->quit());
    fact('a client comes back after quit', $client->set('again', 1));
    fact('resetServerList', [$client->resetServerList(), $client->getServerList()], [true, []]);
}

/** PHP keeps its sessions here, with locks made of `add`. */
function sessions(string $title): void
{
    if (LOGIN !== []) {
        ini_set('memcached.sess_sasl_username', LOGIN[0]);
        ini_set('memcached.sess_sasl_password', LOGIN[1]);
    }
    ini_set('session.use_cookies', '0');
    ini_set('session.cache_limiter', '');
    ini_set('session.save_handler', 'memcached');
    ini_set('session.save_path', SERVER[1] === 0 ? SERVER[0] : implode(':', SERVER));
    ini_set('memcached.sess_binary_protocol', BINARY ? '1' : '0');
    ini_set('memcached.sess_connect_timeout', '20000');
    session_id('session-of-a-test');
    fact('session_start', session_start());
    $_SESSION['user'] = ['name' => 'größe'];
    fact('session_write_close', session_write_close());
    $_SESSION = [];
    session_start();
    fact('a session comes back', $_SESSION['user'] ?? null, ['name' => 'größe']);
    fact('session_regenerate_id', session_regenerate_id(true));
    fact('session_destroy', session_destroy());
}

function refused(string $title): void
{
    $stranger = connect();
    $stranger->setSaslAuthData(LOGIN[0], 'wrong');
    fact('a wrong password', [$stranger->get('a'), $stranger->getResultCode()], [false, Memcached::RES_AUTH_FAILURE]);
}

$client = connect();
$client->flush();
foreach (['store', 'kinds', 'swap', 'count_up', 'many', 'by_key', 'control'] as $name) part($name, $name, $client);
part('options', 'options');
part('sessions', 'sessions');
if (LOGIN !== []) part('refused', 'refused');
done();
