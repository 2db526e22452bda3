#!/bin/sh
# A build server's key that may start the tests and nothing else, on an agent of its own that is put away at the end.
set -eu

folder=$(mktemp -d)
export HOLDFAST_STATE_DIR="$folder/state" XDG_CONFIG_HOME="$folder/admin"
trap 'holdfast agent stop --jobs; rm -rf "$folder"' EXIT

# The same program with the build server's key.
as_ci() { XDG_CONFIG_HOME="$folder/ci" holdfast "$@"; }

mkdir -p -m 700 "$folder/admin/holdfast"
cat > "$folder/admin/holdfast/policy.toml" <<'END'
[principals."ci@build"]
profiles = ["tests"]

[profiles.tests]
program   = "/bin/echo"          # stands for the program that runs the tests
arguments = ["running", { one_of = ["unit", "e2e"] }]
max_time  = "10m"
END

holdfast agent start --listen tls://127.0.0.1:0
holdfast agent invite --role runner | as_ci host add here - --as ci@build

as_ci run here -- /bin/echo running unit
as_ci run here -- /bin/echo running away || echo "refused, code $?"
as_ci run here --sh 'cat /etc/shadow' || echo "refused, code $?"

echo "what the agent has on record:"
holdfast agent audit --json | python3 -c '
import json, sys
for record in json.load(sys.stdin):
    if record["action"] == "run":
        print(record["decision"], record["principal"], record["rule"])
'
holdfast agent revoke ci@build
as_ci run here -- /bin/echo running unit || echo "refused, code $?"
