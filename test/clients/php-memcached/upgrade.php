<?php
// Uses HOST PORT until stdin ends: upgrade.php HOST PORT NAME. Prints what went wrong, as JSON.
// A call that finds its connection closed is repeated once, on a new one.

[, $host, $port, $name] = $argv;
$said = ['calls' => 0, 'closed' => 0, 'failed' => 0, 'wrong' => 0, 'lost' => 0];

function open($host, $port) {
    $client = new Memcached();
    $client->setOption(Memcached::OPT_TCP_NODELAY, true);
    $client->addServer($host, (int) $port);
    return $client;
}

$client = open($host, $port);

function call($method, ...$args) {
    global $client, $said, $host, $port;
    $said['calls']++;
    foreach (['closed', 'failed'] as $outcome) {
        $result = $client->$method(...$args);
        if ($client->getResultCode() === Memcached::RES_SUCCESS) return $result;
        $said[$outcome]++;
        $client = open($host, $port);
    }
    return null;
}

$model = [];
stream_set_blocking(STDIN, false);
for ($serial = 1; !feof(STDIN); $serial++) {
    fread(STDIN, 1);
    $key = $name . '-' . $serial % 300;
    $value = str_pad("$serial ", $serial % 3000, 'x');
    if (call('set', $key, $value)) $model[$key] = $value;
    if (call('get', $key) !== $model[$key]) $said['wrong']++;
}
foreach ($model as $key => $value) if (call('get', $key) !== $value) $said['lost']++;
echo json_encode($said), "\n";
