<?php
// The options that change what libmemcached sends; each has to lead to the same.

const OPTION_ROWS = [
    ['OPT_NO_BLOCK' => true],
    ['OPT_TCP_NODELAY' => true],
    ['OPT_NO_BLOCK' => true, 'OPT_TCP_NODELAY' => true, 'OPT_BUFFER_WRITES' => true],
    ['OPT_BUFFER_WRITES' => true],
    ['OPT_NOREPLY' => true],
    ['OPT_NOREPLY' => true, 'OPT_NO_BLOCK' => true],
    ['OPT_TCP_KEEPALIVE' => true, 'OPT_CACHE_LOOKUPS' => true],
    ['OPT_SOCKET_SEND_SIZE' => 4096, 'OPT_SOCKET_RECV_SIZE' => 4096],
    ['OPT_SEND_TIMEOUT' => 20_000_000, 'OPT_RECV_TIMEOUT' => 20_000_000],
    ['OPT_LIBKETAMA_COMPATIBLE' => true, 'OPT_REMOVE_FAILED_SERVERS' => true],
    ['OPT_DISTRIBUTION' => Memcached::DISTRIBUTION_CONSISTENT, 'OPT_HASH' => Memcached::HASH_MURMUR],
    ['OPT_DISTRIBUTION' => Memcached::DISTRIBUTION_MODULA, 'OPT_HASH' => Memcached::HASH_CRC],
    ['OPT_SERVER_FAILURE_LIMIT' => 2, 'OPT_RETRY_TIMEOUT' => 1, 'OPT_DEAD_TIMEOUT' => 1],
    ['OPT_STORE_RETRY_COUNT' => 2, 'OPT_SORT_HOSTS' => true],
    ['OPT_PREFIX_KEY' => 'pre:', 'OPT_HASH_WITH_PREFIX_KEY' => true],
    ['OPT_COMPRESSION' => false],
    ['OPT_COMPRESSION_TYPE' => Memcached::COMPRESSION_FASTLZ],
    ['OPT_COMPRESSION_TYPE' => Memcached::COMPRESSION_ZLIB],
    ['OPT_SERIALIZER' => Memcached::SERIALIZER_PHP],
    ['OPT_SERIALIZER' => Memcached::SERIALIZER_IGBINARY],
    ['OPT_SERIALIZER' => Memcached::SERIALIZER_JSON_ARRAY],
    ['OPT_SERIALIZER' => Memcached::SERIALIZER_MSGPACK],
    ['OPT_USER_FLAGS' => 65535],
];
// Options that one of libmemcached's protocols alone has.
const TEXT_ROWS = [['OPT_VERIFY_KEY' => true]];
const BINARY_ROWS = [['OPT_NUMBER_OF_REPLICAS' => 1, 'OPT_RANDOMIZE_REPLICA_READ' => true]];

function options(): void
{
    foreach ([...OPTION_ROWS, ...(BINARY ? BINARY_ROWS : TEXT_ROWS)] as $row) {
        $title = urldecode(http_build_query($row, '', ', '));
        part($title, 'option_row', $row);
    }
    $encoded = connect();
    if (!BINARY && $encoded->setEncodingKey('a key')) {
        fact('setEncodingKey', [$encoded->set('encoded', 'secret'), $encoded->get('encoded')], [true, 'secret']);
        fact('others read it encoded', connect()->get('encoded') === 'secret', false);
    }
    $persistent = new Memcached('persistent');
    fact('a persistent client', [$persistent->isPersistent(), $persistent->isPristine()], [true, true]);
}

function option_row(string $title, array $row): void
{
    $options = [];
    foreach ($row as $name => $value) $options[constant("Memcached::$name")] = $value;
    $client = connect($options);
    $values = [];
    // libmemcached itself breaks down where much is buffered.
    $step = isset($row['OPT_BUFFER_WRITES']) ? 1 : 20;
    for ($i = 0; $i < 200; $i++) $values["option$i"] = ['number' => $i, 'text' => str_repeat('v', $i * $step)];
    $client->setMulti($values, 1000);
    fact("$title: setMulti and getMulti", $client->getMulti(array_keys($values)), $values);
    $client->set('option', 10);
    fact("$title: set and get", $client->get('option'), 10);
    $client->increment('option', 5);
    fact("$title: increment", $client->get('option'), 15);
    $client->delete('option');
    fact("$title: delete", $client->get('option'), false);
    fact("$title: the result code", $client->getResultCode(), Memcached::RES_NOTFOUND);
    if (isset($row['OPT_PREFIX_KEY'])) fact('the prefix is part of the key', connect()->get('pre:option1'), $values['option1']);
    $client->quit();
}
