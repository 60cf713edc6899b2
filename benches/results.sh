#!/usr/bin/env bash
# Measures everything that RESULTS.md tells about onefold, one after the other, and writes its tables.
#
#   benches/results.sh [seconds per kind and run, default 15] [rounds, default 5]
#
# To try the script itself, with figures of no worth:
#
#   INTO= EVENTS=100000 TOUCHED=100000 RESIDENT=10000 benches/results.sh 1 2
#
# JSON files go to target/results. Let nothing else run meanwhile: it takes about ten minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-15}
rounds=${2:-5}
results=target/results
mkdir -p "$results"

cargo build --release --package onefold-benches --bin load
load=${CARGO_TARGET_DIR:-target}/release/load
timed=(--seconds "$seconds" --rounds "$rounds")

measure() {
    local name=$1
    shift
    echo "\$ cargo load $*" >&2
    "$load" "$@" --json "$results/$name.json" >&2
    echo >&2
}

measure uniform run --workload uniform --with-limit --with-memory "${timed[@]}" --html "$results/uniform.html"
measure hot run --workload hot --with-memory "${timed[@]}"
measure zipf run --workload zipf --with-memory "${timed[@]}"
measure read-mostly run --workload read-mostly --with-memory "${timed[@]}"
measure cold run --workload cold --with-memory "${timed[@]}"
measure one-client run --workload hot --in-flight 1 --with-limit "${timed[@]}" --html "$results/one-client.html"
measure open-loop run --workload uniform --rate 50000 "${timed[@]}"
measure limit limit "${timed[@]}"
measure recover recover --events "${EVENTS:-1000000}"
measure memory memory --resident "${RESIDENT:-100000}" --touched "${TOUCHED:-1000000}"

into=${INTO-benches/RESULTS.md}
"$load" table "$results" ${into:+--into "$into"}
