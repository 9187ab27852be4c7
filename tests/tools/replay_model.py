#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""replay_model.py - for the test of hybrid-replay: makes one list of requests in every format, and computes the results
anew, slowly and plainly.

    replay_model.py make DIR            traces of the same requests, in DIR
    replay_model.py check DIR JSON      JSON, of hybrid-replay on one of them, against the models
    replay_model.py lis FILE BLOCK...   a list of 4 KiB pages
"""
import json
import random
import struct
import sys
from collections import OrderedDict

BLOCK, SECTOR = 4096, 512
SEED, REQUESTS = 20, 4000
SIZES = (1, 7, 40, 150, 400)


def requests():
    """(write, offset, bytes): hot places, scans and noise, also not aligned to blocks."""
    rng, made, scan = random.Random(SEED), [], 0
    while len(made) < REQUESTS:
        write = rng.random() < 0.4
        kind = rng.random()
        if kind < 0.5:
            at = int(rng.paretovariate(1.2) * 40) % 3000
        elif kind < 0.8:
            at, scan = scan * 16 % 6000, scan + 1
        else:
            at = rng.randrange(6000)
        made.append((write, at * SECTOR, rng.choice((1, 3, 8, 8, 8, 16, 16, 64)) * SECTOR))
    return made


# ------------------------------------------------------------------ formats
def vscsi1(made):
    ops = (0x28, 0x88, 0xA8), (0x2A, 0x8A, 0x2E)
    out = [struct.pack("<IIIHHQQ", 0, 0, 0, 0x00, 0x100, 0, 0)]  # TEST UNIT READY is nothing
    for i, (w, at, n) in enumerate(made):
        out.append(struct.pack("<IIIHHQQ", i, n, 1, ops[w][i % 3], 0x100, at // SECTOR, i))
    return b"".join(out)


def vscsi2(made):
    return b"".join(struct.pack("<HHIIIQQQ", 0x2A if w else 0x28, 0x200, i, n, 1, at // SECTOR, i, 5)
                    for i, (w, at, n) in enumerate(made))


def blktrace(made, event):
    def record(action, category, sector, n, pdu=b""):
        return struct.pack("=IIQQIIIIIHH", 0x65617407, 0, 0, sector, n, action | category << 16, 1, 0x800010, 0, 0,
                           len(pdu)) + pdu
    out = [record(1, 1 << 10, 0, 0, b"a message")]
    for w, at, n in made:
        way = 2 if w else 1
        for action, category in (1, 1 << 4), (7, 1 << 6), (8, 1 << 7):
            if action not in (1, 7) or action == event:
                out.append(record(action, way | category, at // SECTOR, n, b"x" * (action * 3 % 5)))
        out.append(record(event, 2 | 1 << 13, at // SECTOR, n))  # a discard
        out.append(record(event, 2 | 1 << 2, 0, 0))  # a flush
    return b"".join(out)


def blktrace_both(made):
    """Each request is issued in another order than it was queued: who took both events would see."""
    queued, issued = blktrace(made, 1), blktrace(sorted(made), 7)
    return queued + issued


def fio(made, version):
    lines = [f"fio version {version} iolog", "/dev/sdx add", "/dev/sdx open"]
    lines += [f"/dev/sdx {'write' if w else 'read'} {at} {n}" for w, at, n in made]
    lines += ["/dev/sdx sync 0 0", "/dev/sdx close"]
    if version == 3:
        lines[1:] = [f"{i} {line}" for i, line in enumerate(lines[1:])]
    return "\n".join(lines) + "\n"


def table(made, row, head=None, sep=",", end="\n"):
    lines = [sep.join(head)] if head else []
    lines += [sep.join(str(x) for x in row(i, w, at, n)) for i, (w, at, n) in enumerate(made)]
    return end.join(lines) + end


RW, WORD = "RW", ("Read", "Write")
CSVS = {
    "msr.csv": (lambda i, w, at, n: (128166372003061629 + i, "hm", 1, WORD[w], at, n, 413), {}),
    "systor.csv": (lambda i, w, at, n: (f"{i}.5", 0.001, RW[w], 0, at, n),
                   {"head": ("Timestamp", "Response", "IOType", "LUN", "Offset", "Size")}),
    "alibaba.csv": (lambda i, w, at, n: (419, RW[w], at, n, i), {}),
    "tencent.csv": (lambda i, w, at, n: (i, at // SECTOR, n // SECTOR, int(w), 77), {}),
    "spc.csv": (lambda i, w, at, n: (0, at // SECTOR, n, "rw"[w], f"{i}.0"), {}),
    "named.csv": (lambda i, w, at, n: (f'"{WORD[w]}"', f" {n // SECTOR} ", at), {"head": ("What", "Len", "At")}),
    "tabs.txt": (lambda i, w, at, n: (at, n, RW[w]), {"sep": "\t", "end": "\r\n"}),
}


def lis(made, unit):
    return "".join(f"{at // unit} {n // unit} 0 {i}\n" for i, (_, at, n) in enumerate(made))


def side_by_side():
    """Sixteen clients, each reading files of its own from end to end, 16 KiB at a time, in any order of the clients."""
    rng, made = random.Random(SEED), []
    clients = [[0, 0] for _ in range(16)]  # where, blocks left
    while len(made) < 20000:
        client = rng.choice(clients)
        if not client[1]:
            client[:] = [rng.randrange(1 << 22), rng.randrange(64, 1024) * 4]
        made.append((False, client[0] * BLOCK, 4 * BLOCK))
        client[:] = [client[0] + 4, client[1] - 4]
    return made


def anywhere():
    """Single blocks, uniformly: half of them come back, and no neighbour says when."""
    rng = random.Random(SEED)
    return [(False, rng.randrange(20000) * BLOCK, BLOCK) for _ in range(60000)]


def make(folder):
    made = requests()
    reads = [r for r in made if not r[0]]
    pages = [(w, at // BLOCK * BLOCK, (at + n - 1) // BLOCK * BLOCK + BLOCK - at // BLOCK * BLOCK)
             for w, at, n in reads]
    files = {"v1.vscsi": vscsi1(made), "v2.vscsi": vscsi2(made), "q.bin": blktrace(made, 1),
             "d.bin": blktrace(made, 7), "both.bin": blktrace_both(made), "fio2.log": fio(made, 2),
             "fio3.log": fio(made, 3), "reads.vscsi": vscsi1(reads), "reads.lis": lis(reads, SECTOR),
             "pages.lis": lis(pages, BLOCK)}
    for name, reads in ("streams.csv", side_by_side()), ("random.csv", anywhere()):
        files[name] = table(reads, lambda i, w, at, n: ("RW"[w], at, n), head=("op", "offset", "size"))
    files.update((name, table(made, row, **how)) for name, (row, how) in CSVS.items())
    for name, data in files.items():
        with open(f"{folder}/{name}", "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())


# ------------------------------------------------------------------ models
def blocks(made):
    """(write, block numbers) of each request."""
    return [(w, list(range(at // BLOCK, (at + n - 1) // BLOCK + 1))) for w, at, n in made]


class Lru:
    def __init__(self, size, _future):
        self.size, self.rows = size, OrderedDict()

    def ask(self, key, _at):
        hit = key in self.rows
        if hit:
            self.rows.move_to_end(key)
        else:
            if len(self.rows) == self.size:
                self.rows.popitem(last=False)
            self.rows[key] = 1
        return hit


class Belady:
    def __init__(self, size, future):
        self.size, self.next, self.rows = size, future, {}

    def ask(self, key, at):
        hit = key in self.rows
        if not hit and len(self.rows) == self.size:
            del self.rows[max(self.rows, key=self.rows.get)]
        self.rows[key] = self.next[at]
        return hit


class Arc:
    """Figure 4 of the paper, with ordered dictionaries as lists: the oldest first."""

    def __init__(self, size, _future):
        self.c, self.p = size, 0.0
        self.t1, self.t2, self.b1, self.b2 = (OrderedDict() for _ in range(4))

    def replace(self, in_b2):
        if self.t1 and (len(self.t1) > self.p or (in_b2 and len(self.t1) == self.p) or not self.t2):
            self.b1[self.t1.popitem(last=False)[0]] = 1
        else:
            self.b2[self.t2.popitem(last=False)[0]] = 1

    def ask(self, key, _at):
        for cached in self.t1, self.t2:
            if key in cached:
                del cached[key]
                self.t2[key] = 1
                return True
        in_b2 = key in self.b2
        if key in self.b1 or in_b2:
            if in_b2:
                self.p = max(self.p - max(len(self.b1) / len(self.b2), 1), 0)
                del self.b2[key]
            else:
                self.p = min(self.p + max(len(self.b2) / len(self.b1), 1), self.c)
                del self.b1[key]
            self.replace(in_b2)
            self.t2[key] = 1
            return False
        l1, l2 = len(self.t1) + len(self.b1), len(self.t2) + len(self.b2)
        if l1 == self.c:
            if len(self.t1) < self.c:
                self.b1.popitem(last=False)
                self.replace(False)
            else:
                self.t1.popitem(last=False)
        elif l1 + l2 >= self.c:
            if l1 + l2 == 2 * self.c:
                self.b2.popitem(last=False)
            self.replace(False)
        self.t1[key] = 1
        return False


class TwoQ:
    def __init__(self, size, _future):
        self.size, self.kin, self.kout = size, max(size // 4, 1), max(size // 2, 1)
        self.a1in, self.a1out, self.am = OrderedDict(), OrderedDict(), OrderedDict()

    def ask(self, key, _at):
        if key in self.am:
            self.am.move_to_end(key)
            return True
        if key in self.a1in:
            return True
        again = self.a1out.pop(key, None)
        if len(self.a1in) + len(self.am) == self.size:
            if len(self.a1in) > self.kin or not self.am:
                if len(self.a1out) == self.kout:
                    self.a1out.popitem(last=False)
                self.a1out[self.a1in.popitem(last=False)[0]] = 1
            else:
                self.am.popitem(last=False)
        (self.am if again else self.a1in)[key] = 1
        return False


class S3Exact:
    def __init__(self, size, _future):
        self.size, self.target, self.ghosts = size, max(size // 10, 1), size - size // 10
        self.small, self.main, self.ghost = OrderedDict(), OrderedDict(), OrderedDict()

    def leave(self):
        while True:
            if len(self.small) >= self.target or not self.main:
                key, freq = self.small.popitem(last=False)
                if freq < 2:
                    if len(self.ghost) == self.ghosts:
                        self.ghost.popitem(last=False)
                    self.ghost[key] = 1
                    return
                self.main[key] = 0
            else:
                key, freq = self.main.popitem(last=False)
                if not freq:
                    return
                self.main[key] = freq - 1

    def ask(self, key, _at):
        for queue in self.small, self.main:
            if key in queue:
                queue[key] = min(queue[key] + 1, 3)
                return True
        again = self.ghost.pop(key, None)
        if len(self.small) + len(self.main) == self.size:
            self.leave()
        (self.main if again else self.small)[key] = 0
        return False


MODELS = {"lru": Lru, "belady": Belady, "arc": Arc, "2q": TwoQ, "s3exact": S3Exact}


def future(made):
    """For each access, the place of the block's next one."""
    sequence = [b for _, row in made for b in row]
    seen, result = {}, [0] * len(sequence)
    for i in range(len(sequence) - 1, -1, -1):
        result[i] = seen.get(sequence[i], len(sequence))
        seen[sequence[i]] = i
    return result


def run(model, size, made, following):
    """misses, read misses, HDD operations."""
    cache, at, misses, read_misses, ops = model(size, following), 0, 0, 0, 0
    for write, row in made:
        before = True
        for block in row:
            hit = cache.ask(block, at)
            at += 1
            misses += not hit
            if not write:
                read_misses += not hit
                ops += before and not hit
                before = hit
    return misses, read_misses, ops


def check(folder, path):
    del folder
    made = blocks(requests())
    following, bad, seen = future(made), 0, 0
    with open(path, encoding="utf-8") as f:
        trace = json.load(f)["traces"][0]
    facts = (len(made), sum(len(row) for _, row in made), len({b for _, row in made for b in row}))
    if facts != (trace["requests"], trace["accesses"], trace["unique_blocks"]):
        print(f"facts: {trace['requests']} {trace['accesses']} {trace['unique_blocks']}, expected {facts}")
        bad += 1
    for r in trace["results"]:
        if r["policy"] not in MODELS:
            continue
        seen += 1
        want = run(MODELS[r["policy"]], r["size_bytes"] // BLOCK, made, following)
        got = r["misses"], r["read_misses"], r["hdd_reads"]
        if got != want or r["hdd_read_bytes"] != want[1] * BLOCK:
            print(f"{r['policy']} {r['size']}: {got}, expected {want}")
            bad += 1
    if seen != len(MODELS) * len(SIZES):
        print(f"{seen} results with a model, expected {len(MODELS) * len(SIZES)}")
        bad += 1
    return 1 if bad else 0


def main():
    what, *rest = sys.argv[1:]
    if what == "make":
        make(rest[0])
    elif what == "lis":
        with open(rest[0], "w", encoding="ascii") as f:
            f.writelines(f"{block} 1 0 {i}\n" for i, block in enumerate(rest[1:]))
    elif what == "sizes":
        print(",".join(f"{n * BLOCK}B" for n in SIZES))
    else:
        sys.exit(check(*rest))


main()
