#!/bin/sh
exec /usr/lib/memslab/node /usr/lib/memslab/dist/lib/main.js "$@"
