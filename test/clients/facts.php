<?php
// Named facts, printed as TAP. What a part throws is a fact that fails: the parts after it still run.

$factCount = 0;

function fact(string $name, mixed $got, mixed $wanted = true): void
{
    global $factCount;
    $factCount++;
    $holds = $wanted instanceof Closure ? $wanted($got) : $got === $wanted;
    $said = $holds ? '' : ' (got ' . shown($got) . ', wanted ' . shown($wanted) . ')';
    // Not by echo: after that PHP would start no session any more.
    fwrite(STDOUT, ($holds ? 'ok' : 'not ok') . " $factCount - $name$said\n");
}

function shown(mixed $value): string
{
    if ($value instanceof Closure) return 'something else';
    $flags = JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR;
    return substr(json_encode($value, $flags), 0, 200);
}

function part(string $title, callable $function, mixed ...$args): void
{
    try {
        $function($title, ...$args);
    } catch (Throwable $error) {
        fact("$title runs to its end: " . strtr("$error", "\n", '|'), false);
    }
}

function done(): void
{
    global $factCount;
    fwrite(STDOUT, "1..$factCount\n");
}
