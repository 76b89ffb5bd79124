<?php
// php-memcached writes values for the pool, or says what it reads of the pool's:
// `php foreign.php write|read HOST PORT`.
[, $mode, $host, $port] = $argv;
$cache = new Memcached();
$cache->addServer($host, (int) $port);

if ($mode === 'read') {
    foreach (explode(' ', $argv[4]) as $key) {
        $value = $cache->get($key);
        if ($cache->getResultCode() !== Memcached::RES_SUCCESS) $value = $cache->getResultMessage();
        if (is_string($value) && strlen($value) > 1000) $value = md5($value);
        if (is_string($value) && !preg_match('//u', $value)) $value = bin2hex($value);
        if (is_float($value)) $value = sprintf('%.17g', $value);
        echo json_encode([$key, get_debug_type($value), $value]), "\n";
    }
    exit(0);
}
$values = [
    'text' => 'größe', 'empty' => '', 'int' => 42, 'negative' => -7, 'largest' => PHP_INT_MAX,
    'float' => 0.1, 'whole-float' => 1.0, 'minus-zero' => -0.0, 'huge' => 1.5e300, 'inf' => INF,
    'minus-inf' => -INF, 'nan' => NAN, 'true' => true, 'false' => false, 'null' => null,
    'list' => [1, 'zwei', null, [true, 2.5]], 'map' => ['a' => 1, 'é' => ['b' => 'c']],
    'gaps' => [1 => 'a', 3 => 'b'], 'object' => (object) ['a' => 1], 'none' => [],
    'dated' => new DateTime('@0'),
];
foreach ($values as $key => $value) $cache->set("php:$key", $value);
$long = str_repeat('abcdefghij', 500);
$mixed = '';
for ($i = 0; $i < 40000; $i++) $mixed .= md5((string) ($i % 9000), true)[0] . ($i % 7 ? 'ab' : $i);
$far = random_bytes(20000);
$cache->set('php:fastlz', $long);
$cache->set('php:fastlz-mixed', $mixed);
$cache->set('php:fastlz-far', $far . str_repeat('x', 50000) . $far);
$cache->set('php:fastlz-list', array_fill(0, 1000, 'abc'));
$cache->setOption(Memcached::OPT_COMPRESSION_TYPE, Memcached::COMPRESSION_ZLIB);
$cache->set('php:zlib', $long);
$cache->setOption(Memcached::OPT_SERIALIZER, Memcached::SERIALIZER_JSON);
$cache->set('php:json', ['a' => [1, 2.5, null]]);
$cache->set('php:json-long', array_fill(0, 1000, 'abc'));
$cache->setOption(Memcached::OPT_SERIALIZER, Memcached::SERIALIZER_IGBINARY);
$cache->set('php:igbinary', [1, 2]);
$cache->setOption(Memcached::OPT_USER_FLAGS, 5);
$cache->set('php:flagged', 'text');
$cache->setOption(Memcached::OPT_USER_FLAGS, 0);
$cache->set('php:counter', 100);
$cache->decrement('php:counter');
echo md5($mixed), ' ', md5($far . str_repeat('x', 50000) . $far), "\n";
