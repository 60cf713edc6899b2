"""Prints the table of RESULTS.md from the JSON files that results.sh has written."""

import json
import pathlib
import sys

MIB = 1024 * 1024


def main(directory):
    figures = {file.stem: json.loads(file.read_text()) for file in directory.glob("*.json")}
    uniform, hot, one = figures["uniform"], figures["hot"], figures["one-client"]
    recover, memory = figures["recover"], figures["memory"]
    rows = [
        ("uniform, 4,096 in flight: against the in-memory journal", "0.8× / 0.95×", ratio(uniform["memory_journal_ratio"])),
        ("the same against the raw limit", "0.2× / 0.5×", ratio(uniform["limit_ratio"])),
        ("one hot aggregate, 4,096 in flight: against uniform", "1.5× / 2×", ratio(hot["commands_per_second"] / uniform["commands_per_second"])),
        ("one client: p50 against the raw limit's", "1.1× / 0.8×, at most", ratio(one["p50_limit_ratio"])),
        ("replay of one long stream, warm: dense", "1,000,000 events/s", whole(recover["dense"]["inside_warm"])),
        ("replay of one long stream, warm: interleaved", "300,000 events/s", whole(recover["interleaved"]["inside_warm"])),
        ("activation of 10-event aggregates, log inside the cache", "15,000/s / 50,000/s", f"{whole(recover['short']['inside_cold'])} cold, {whole(recover['short']['inside_warm'])} warm"),
        ("activation of 10-event aggregates, log 4 × the cache", "3,000/s / 10,000/s", f"{whole(recover['short']['beyond_cold'])} cold, {whole(recover['short']['beyond_warm'])} warm"),
        ("resident idle aggregate beyond its state", "8,192 / 7,168 bytes, at most", f"{whole(memory['bytes_per_resident'] - memory['state_bytes'])} bytes"),
        ("1,000,000 touched, 50,000 resident, 64 MiB cache", "700 MiB at most, nothing lost", f"{whole(memory['touched_rss_bytes'] / MIB)} MiB, {'nothing lost' if memory['verified'] else 'LOST'}"),
    ]
    print("| figure | at least / aim | measured |")
    print("|---|---|---|")
    for name, aim, measured in rows:
        print(f"| {name} | {aim} | {measured} |")
    print()
    print("| run | commands/s | p50 | p99 | p99.9 | fsyncs/s | commits per fsync | bytes/event on disk | RSS | verified |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in ["uniform", "zipf", "hot", "read-mostly", "cold", "one-client", "open-loop", "limit"]:
        run = figures[name]
        cells = [
            name,
            whole(run["commands_per_second"]),
            micros(run["p50_us"]),
            micros(run["p99_us"]),
            micros(run["p999_us"]),
            whole(run["fsyncs_per_second"]),
            whole(run["group_size_mean"]),
            whole(run["bytes_per_event_on_disk"]),
            f"{whole(run['rss_bytes'] / MIB)} MiB",
            {True: "yes", False: "NO", None: "–"}[run["verified"]],
        ]
        print("| " + " | ".join(cells) + " |")
    print()
    limit, machine = figures["limit"], uniform
    print(f"Raw limit: {whole(limit['commands_per_second'])}/s alone, {whole(uniform['limit_commands_per_second'])}/s in the rounds of the uniform run.")
    print(f"{machine['cores']} cores ({machine['processor']}), {machine['kernel']}, {machine['filesystem']}, {machine['workers']} worker threads.")


def whole(figure):
    return "–" if figure is None else f"{figure:,.0f}"


def ratio(figure):
    return "–" if figure is None else f"{figure:.2f}×"


def micros(figure):
    return f"{figure / 1000:.2f} ms" if figure >= 1000 else f"{figure:.0f} µs"


main(pathlib.Path(sys.argv[1]))
