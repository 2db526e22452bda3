#!/bin/sh
# Lose a client on purpose, and take its job over with another one: the same bytes, the true exit code.
set -eu

label="supervise-$$"
holdfast run --on-disconnect kill-after=5m --label "$label" \
    --sh 'for i in 1 2 3 4 5 6; do echo tick $i; sleep 0.3; done; exit 4' > /dev/null &
client=$!

job=
while [ -z "$job" ]; do
    sleep 0.1
    job=$(holdfast ps -q --filter "label=$label")
done
kill -9 "$client"
wait "$client" 2> /dev/null || true
echo "the client is dead, the job is not"

code=0
holdfast attach --from-start "$job" || code=$?
echo "exit code $code"
holdfast verify "$job" > /dev/null && echo verified
