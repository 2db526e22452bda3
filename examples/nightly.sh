#!/bin/sh
# For cron: one run a day, however often cron (or a person) starts this script; a time limit; an honest exit code.
set -eu

day=$(date +%Y-%m-%d)
report=$(mktemp)
trap 'rm -f "$report"' EXIT

code=0
holdfast run --once "nightly-$day" --timeout 1h --grace 30s --sh 'echo backing up; sleep 0.1; echo backed up' \
    > "$report" 2>&1 || code=$?

case $code in
    0) echo "nightly $day: done" ;;
    124) echo "nightly $day: took longer than an hour and was ended" ;;
    255) echo "nightly $day: outcome unknown, look before you repeat it" ;;
    *) echo "nightly $day: failed with $code" ;;
esac
cat "$report"
exit $code
