# SPDX-License-Identifier: GPL-2.0-only
"""table.py RESULTS COSTS CACHE STATS... - medians of the lines and of each round's ratios, beside the goals."""
import json
import statistics
import sys

STORES = ("null", "rdwr", "aio", "hybrid", "hybrid-ssd")
# what it is called, case, our column, theirs, at least
ROWS = (
    ("4 KiB read, RAM hit, depth 1", "read-1", "hybrid", "null", 0.85),
    ("4 KiB read, RAM hit, depth 32", "read-32", "hybrid", "null", 0.85),
    ("  the same by iscsi-perf", "iscsi-perf-32", "hybrid", "null", 0.85),
    ("4 KiB read, SSD hit, depth 1", "read-1", "hybrid-ssd", "aio", 1.0),
    ("4 KiB read, SSD hit, depth 32", "read-32", "hybrid-ssd", "aio", 1.0),
    ("4 KiB write, depth 1", "write-1", "hybrid", "rdwr", 1.5),
    ("4 KiB write, depth 32", "write-32", "hybrid", "rdwr", 1.5),
    ("4 KiB write + flush, depth 1", "pair-1", "hybrid", "rdwr", 1.0),
    ("4 KiB write + flush, depth 32", "pair-32", "hybrid", "rdwr", 1.0),
    ("4 KiB 70/30, depth 32", "mixed-32", "hybrid", "rdwr", None),
    ("64 KiB sequential read", "seq-read", "hybrid", "rdwr", 1.0),
    ("64 KiB sequential write", "seq-write", "hybrid", "rdwr", 1.0),
)


def read_samples(path):
    """By (store, case): one list of numbers per round."""
    samples = {}
    with open(path, encoding="ascii") as f:
        for line in f:
            store, case, *numbers = line.split()
            samples.setdefault((store, case), []).append([float(n) for n in numbers])
    return samples


def medians(samples):
    return {key: [statistics.median(column) for column in zip(*rows)] for key, rows in samples.items()}


def ratio_of(samples, ours, theirs):
    """The machine's own speed changes from round to round: the ratio is taken within each."""
    pairs = zip(samples.get(ours, []), samples.get(theirs, []))
    ratios = [a[0] / b[0] for a, b in pairs if b[0]]
    return statistics.median(ratios) if ratios else 0.0


def speeds(samples, found):
    reached = goals = 0
    print(f"{'IOPS, median':32}" + "".join(f"{s:>12}" for s in STORES) + f"{'ratio':>15}{'goal':>7}")
    for title, case, ours, theirs, goal in ROWS:
        cells = "".join(f"{found[s, case][0]:12.0f}" if (s, case) in found else f"{'-':>12}" for s in STORES)
        ratio = ratio_of(samples, (ours, case), (theirs, case))
        verdict = ""
        if goal is not None:
            goals += 1
            reached += ratio >= goal
            verdict = f"{goal:7.2f}  {'reached' if ratio >= goal else 'missed'}"
            ceiling = ratio_of(samples, ("null", case), (theirs, case))
            if ratio < goal and ceiling and theirs != "null":
                verdict += f" (the host's own ceiling, null: {ceiling:.2f})"
        print(f"{title:32}{cells}{ratio:8.2f} {theirs:>6}{verdict}")
    return reached, goals


def processor(found):
    print(f"\n{'CPU of tgtd, us per I/O':32}" + "".join(f"{s:>12}" for s in STORES))
    for title, case, *_ in ROWS:
        if case.startswith("iscsi-perf") or "SSD" in title:
            continue
        cells = "".join(f"{found[s, case][3]:12.1f}" if (s, case) in found else f"{'-':>12}" for s in STORES)
        print(f"{title.replace(', RAM hit', ''):32}{cells}")


# what it is called, our figure, the one it is compared with, at most
COSTS = (
    ("snapshot, 1 TiB against 1 GiB", "snapshot-1TiB", "snapshot-1GiB", 1.2),
    ("random write, after against before a snapshot", "write-after", "write-before", 1 / 0.95),
    ("  each the first one to its part of the map", "spread-after", "spread-before", None),
    ("read, generation 10 against 0", "read-gen-10", "read-gen-0", 1 / 0.9),
    ("read, generation 1,000 against 0", "read-gen-1000", "read-gen-0", 1 / 0.9),
    ("100 clones read one image: device reads per block", "storm", None, 1.0),
    ("deleting one of 1,000 generations", "delete", None, None),
    ("10,000 against 1,000 snapshots: memory of each", "many-10000-memory", "many-1000-memory", 1.2),
    ("  opening the pool, of each", "many-10000-open", "many-1000-open", 1.2),
    ("  listing, of each", "many-10000-list", "many-1000-list", 1.5),
    ("  deleting each, until its space is back", "many-10000-delete", "many-1000-delete", None),
)


def figures(path):
    """By name: the value and its unit."""
    with open(path, encoding="ascii") as f:
        return {name: (float(value), " ".join(unit)) for name, value, *unit in (line.split() for line in f)}


def lineage(path):
    """The engine alone: CPU of this process."""
    found = figures(path)
    reached = goals = 0
    print(f"\n{'Snapshots and clones, the engine alone':52}{'theirs':>10}{'ours':>10}{'ratio':>8}{'at most':>9}")
    for title, ours, theirs, most in COSTS:
        value, unit = found[ours]
        base = found[theirs][0] if theirs else 1
        verdict = ""
        if most is not None:
            goals += 1
            reached += value / base <= most
            verdict = f"{most:9.2f}  {'reached' if value / base <= most else 'missed'}"
        ratio = f"{value / base:8.2f}" if theirs or most is not None else f"{'':8}"
        print(f"{title:52}{found[theirs][0] if theirs else '':>10}{value:10.2f}{ratio}{verdict}  "
              f"{unit if theirs or most is None else ''}")
    return reached, goals


# what it is called, our figure, theirs (Open-CAS: docs say where from), at most, or at least where it is negative
CACHE = (
    ("memory of a cached block, write tier, 1 TB: bytes", "memory-tier-1TB", 42, 16.0),
    ("  the index of it alone", "memory-tier-index", None, None),
    ("memory of a cached block, cache level, 1 TB: bytes", "memory-level-1TB", 42, 16.0),
    ("  the index of it alone", "memory-level-level-index", None, None),
    ("  by what the process has more of", "memory-level-process", None, None),
    ("RAM tier: of each frame, ghosts included", "memory-frame", None, None),
    ("random read, hit in RAM: CPU", "hit-read", 930, 0.5 * 930),
    ("random rewrite of a dirty block: CPU", "hit-rewrite", 1180, 0.5 * 1180),
    ("hits before a crash, a tenth being dirty", "crash-before", None, None),
    ("hits after it, of those before", "crash-kept", None, -0.95),
    ("100 GB, closed: first request after", "load-100-clean-open", None, 1000.0),
    ("  all known after", "load-100-clean-loaded", None, None),
    ("  CPU of each block", "load-100-clean-cpu", 5500, 0.5 * 5500),
    ("100 GB, crashed, a tenth of the segments dirty: first", "load-100-crash-open", None, 1000.0),
    ("  CPU of each block", "load-100-crash-cpu", 5500, 0.5 * 5500),
    ("100 GB, crashed, something dirty everywhere: first", "load-100-spread-open", None, 1000.0),
    ("  CPU of each block", "load-100-spread-cpu", 5500, 0.5 * 5500),
    ("100 GB cache level: first request after", "load-100-level-open", None, 1000.0),
    ("  CPU of each block", "load-100-level-cpu", 5500, 0.5 * 5500),
    ("1 TB, crashed, a tenth of the segments dirty: first", "load-1000-crash-open", None, None),
    ("  all known after", "load-1000-crash-loaded", None, None),
)


def cache(path):
    """The engine alone, beside what Open-CAS/OCF was measured to take."""
    found = figures(path)
    found["crash-kept"] = (found["crash-after"][0] / found["crash-before"][0], "")
    reached = goals = 0
    print(f"\n{'The cache, the engine alone':56}{'Open-CAS':>10}{'ours':>10}{'goal':>10}")
    for title, ours, theirs, most in CACHE:
        value, unit = found[ours]
        verdict = f"{'':10}"
        if most is not None:
            met = value <= most if most > 0 else value >= -most
            goals += 1
            reached += met
            verdict = f"{abs(most):10.2f}  {'reached' if met else 'missed'}"
        print(f"{title:56}{theirs or '':>10}{value:10.2f}{verdict}  {unit}")
    return reached, goals


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def pools(paths):
    print("\nMemory of the pools (aim: 16 bytes of index per cached 4 KiB block), and where their reads came from")
    for path in paths:
        stats, before = load(path), load(path + ".before")
        space, used = stats["space"], stats["memory"]
        reads = {k: v - before["reads_blocks"][k] for k, v in stats["reads_blocks"].items()}
        places, frames = space["log_bytes"] / 4096, space["ram_bytes"] / 4096
        print(f"  {path.rsplit('.', 1)[-1]}: index {used['mem_index'] / places:.1f} bytes per block of the SSD, "
              f"RAM tier {used['mem_ram_meta'] / frames:.1f} per frame, "
              f"map {used['mem_map'] / 1024:.0f} KiB, other {used['mem_other'] / 1024:.0f} KiB; reads: " +
              ", ".join(f"{k.removeprefix('read_')} {v * 100 / max(sum(reads.values()), 1):.1f} %"
                        for k, v in reads.items() if v))


def main():
    samples = read_samples(sys.argv[1])
    found = medians(samples)
    reached, goals = speeds(samples, found)
    processor(found)
    more = lineage(sys.argv[2])
    cached = cache(sys.argv[3])
    pools(sys.argv[4:])
    print(f"\n{reached + more[0] + cached[0]} of {goals + more[1] + cached[1]} goals reached")


main()
