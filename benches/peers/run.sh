#!/bin/sh
# Runs onefold and its peers in turn, round by round, and writes the medians
# into RESULTS.md between its markers. Settings, with their defaults:
#
#   ROUNDS=3 SECONDS_EACH=5 AGGREGATES=100000 IN_FLIGHT=4096 EVENT_BYTES=80
#   WORKLOADS="uniform hot single"
#   CONTENDERS="onefold onefold-limit kameo-fjall datum-rocksdb evento-fjall cqrs-sqlite"
#   RESULTS=../RESULTS.md       the file with the markers, or - for none
#   WORK=(target)/runs          stores and reports; must be on a disk
#
# The first contender is the one the others are compared with. A contender
# that fails is reported on stderr and leaves a gap in the table.
set -eu

cd "$(dirname "$0")"
here=$(pwd)
target=${CARGO_TARGET_DIR:-$here/target}

ROUNDS=${ROUNDS:-3}
SECONDS_EACH=${SECONDS_EACH:-5}
AGGREGATES=${AGGREGATES:-100000}
IN_FLIGHT=${IN_FLIGHT:-4096}
EVENT_BYTES=${EVENT_BYTES:-80}
WORKLOADS=${WORKLOADS:-uniform hot single}
CONTENDERS=${CONTENDERS:-onefold onefold-limit kameo-fjall datum-rocksdb evento-fjall cqrs-sqlite}
RESULTS=${RESULTS:-$here/../RESULTS.md}
WORK=${WORK:-$target/runs}
# onefold puts load on every aggregate for so many seconds before it measures.
ONEFOLD_WARMUP=3

mkdir -p "$WORK"
work=$(cd "$WORK" && pwd)
reports=$work/reports
store=$work/store
rm -rf "$reports" "$store"
mkdir -p "$reports"

# onefold's own harness, from the root of the repository. It calls one client
# on one aggregate `hot` with one command in flight. (A subshell: neither the
# directory nor the variables are the caller's.)
onefold() ( # command workload report
    workload=$2
    in_flight=$IN_FLIGHT
    if [ "$workload" = single ]; then
        workload=hot
        in_flight=1
    fi
    cd "$here/../.."
    cargo load "$1" --workload "$workload" --aggregates "$AGGREGATES" \
        --in-flight "$in_flight" --seconds "$SECONDS_EACH" --warmup "$ONEFOLD_WARMUP" \
        --event-bytes "$EVENT_BYTES" --data "$store" --json "$3"
)

peer() { # name workload report
    "$target/release/$1" --workload "$2" --aggregates "$AGGREGATES" --in-flight "$IN_FLIGHT" \
        --seconds "$SECONDS_EACH" --event-bytes "$EVENT_BYTES" --data "$store" --json "$3"
}

contender() { # name workload report
    case $1 in
    onefold) onefold run "$2" "$3" ;;
    onefold-limit) onefold limit "$2" "$3" ;;
    *) peer "$1" "$2" "$3" ;;
    esac
}

# All at once: cargo would build RocksDB once more for a package on its own.
cargo build --release --locked

round=1
while [ "$round" -le "$ROUNDS" ]; do
    for workload in $WORKLOADS; do
        for name in $CONTENDERS; do
            contender "$name" "$workload" "$reports/$name.$workload.$round.json" ||
                echo "run.sh: $name failed in round $round of $workload" >&2
            rm -rf "$store"
            # What one contender left unwritten is not the next one's to write.
            sync
        done
    done
    round=$((round + 1))
done

# The list is split into words on purpose.
# shellcheck disable=SC2086
"$target/release/table" "$reports" "$RESULTS" $CONTENDERS
