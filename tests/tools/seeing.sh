# SPDX-License-Identifier: GPL-2.0-only
# seeing.sh - for tests/tools/run: stats by tier and volume, metrics (as promtool sees them), top in a pipe and on a
# terminal, maps of volumes. Uses run's functions and its server.
# shellcheck shell=bash disable=SC2154

# promtool lies in Debian's package prometheus, whose installation would start a server: so the package is fetched and
# only unpacked. Sets $promtool; empty when it is not to be had.
find_promtool() {
	local at=$build/../promtool
	promtool=$(command -v promtool) && return
	promtool=$at/usr/bin/promtool
	if [ ! -x "$promtool" ]; then
		mkdir -p "$at"
		(cd "$at" && timeout 120 apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb .) \
			>"$dir/out" 2>"$dir/err"
		rm -f "$at"/*.deb "$at/usr/bin/prometheus"
	fi
	[ -x "$promtool" ] || promtool=
}

# metrics_ok FILE - promtool has nothing to say about it.
metrics_ok() {
	[ -n "$promtool" ] || return 0
	if "$promtool" check metrics <"$1" >"$dir/promtool" 2>&1 && [ ! -s "$dir/promtool" ]; then
		ok
	else
		cp "$dir/promtool" "$dir/err"
		fail "promtool check metrics"
	fi
}
# has PATTERN - a line of the last output is this.
has() { if grep -qE "^$1\$" "$dir/out"; then ok; else fail "no line like: $1"; fi; }

# What each histogram must keep to, and that no sample stands twice.
metrics_consistent() {
	if python3 - "$dir/out" 2>>"$dir/err" <<-'END'; then ok; else fail "metrics: not consistent"; fi
		import re, sys
		seen, hist = set(), {}
		for line in open(sys.argv[1]):
		    if line.startswith("#"):
		        continue
		    key, value = line.rsplit(" ", 1)
		    assert key not in seen, key
		    seen.add(key)
		    m = re.match(r'(\w+)_(bucket|sum|count)\{(.*?),?(?:le="(.*)")?\}$', key)
		    if m and "request_seconds" in key:
		        hist.setdefault((m[1], m[3]), {}).setdefault(m[2], []).append((m[4], float(value)))
		assert hist
		for h in hist.values():
		    counts = [n for _, n in h["bucket"]]
		    assert counts == sorted(counts) and h["bucket"][-1][0] == "+Inf", h
		    assert counts[-1] == h["count"][0][1] and len(h["sum"]) == 1, h
		    bounds = [float(le) for le, _ in h["bucket"]]
		    assert bounds == sorted(bounds) and len(set(bounds)) == len(bounds), h
	END
}

# The pool must be closed.
seeing_closed() {
	expect 0 stats -o json
	json '[t["tier"] for t in j["tiers"]] == ["ram", "ssd", "capacity"] and j["volumes"] == [] and "next" not in j'
	expect 0 metrics
	has 'hybrid_pool_up\{pool="main"\} 0'
	if [ "$(wc -l <"$dir/out")" -eq 3 ]; then ok; else fail "more than one sample of a closed pool"; fi
	metrics_ok "$dir/out"
	expect 0 top -b -n 1 -d 0.1
	says "not in use"
	expect 0 top -n 1 -d 0.1 -o json
	json 'len(j["pools"]) == 1 and j["pools"][0]["state"] == "not in use" and "nobody serves" in j["pools"][0]["why"]'
	expect 3 metrics nosuch
	says nosuch
	expect 3 top -b nosuch
	expect 3 --pool nosuch metrics
	expect 2 metrics --output json
	says "name of a file"
	expect 2 metrics --output table
	expect 2 metrics --bytes
	expect 2 metrics --delay 1
	expect 3 metrics --output "$dir/nosuch/file"
	says "nosuch/file"
	for delay in 0 -1 x 1x '' nan inf 3601 1e9; do expect 2 top -b -d "$delay"; done
	for count in 0 -1 x 1x '' 99999999999999999999; do expect 2 top -b -n "$count"; done
	expect 2 top -b --sort size
	says "expected name, iops"
	expect 2 top
	says "--batch"
	expect 2 stats --batch
	expect 3 heat nosuch
	expect 2 heat
	expect 2 heat a b
	expect 2 heat $'\xff'
}

# While it is in use, with the volume of that name open and COUNT blocks of it written.
seeing_served() { # seeing_served VOLUME COUNT
	local rows
	expect 0 stats -o json
	json "[(v['name'], v['requests']['write']['count']) for v in j['volumes'] if v['opens']] == [('$1', $2)]"
	json "j['endurance']['initiator_written_bytes'] == $2 * 4096 and j['endurance']['per_initiator_byte'] >= 1"
	json "j['write_back']['dirty_bytes'] >= $2 * 4096 and j['write_back']['lag_ns'] > 0"
	json "sum(b['count'] for b in j['latency']['write']['buckets']) == j['latency']['write']['count'] == $2"
	json "all(d[op]['mean_ns'] >= 0 for d in j['devices'] for op in ('read', 'write', 'flush', 'discard'))"
	expect 0 stats
	says "VOLUME"
	says "write_back.lag_ns"
	expect 0 metrics
	has 'hybrid_pool_up\{pool="main"\} 1'
	has "hybrid_volume_requests_total\\{pool=\"main\",volume=\"$1\",op=\"write\"\\} $2"
	has "hybrid_initiator_written_bytes_total\\{pool=\"main\"\\} $(($2 * 4096))"
	metrics_ok "$dir/out"
	metrics_consistent
	cp "$dir/out" "$dir/metrics"
	# A file is replaced as a whole; nothing else is left behind, and what fails leaves the old one.
	mkdir -p "$dir/textfile"
	echo old >"$dir/textfile/hybrid.prom"
	expect 0 metrics main --output "$dir/textfile/hybrid.prom"
	if [ -s "$dir/out" ]; then fail "words beside the file"; else ok; fi
	rows=$(grep -c '^hybrid_' "$dir/textfile/hybrid.prom")
	if [ "$rows" -eq "$(grep -c '^hybrid_' "$dir/metrics")" ]; then ok; else fail "the file has $rows samples"; fi
	if [ "$(ls "$dir/textfile")" = hybrid.prom ]; then ok; else fail "a file was left behind"; fi
	if [ "$(stat -c %a "$dir/textfile/hybrid.prom")" = 644 ]; then ok; else fail "the file's mode"; fi
	expect 0 top -b -n 2 -d 0.1
	if [ "$(grep -c '^VOLUME' "$dir/out")" -eq 2 ]; then ok; else fail "two views"; fi
	if grep -q $'\033' "$dir/out"; then fail "escape sequences in a pipe"; else ok; fi
	for key in name iops read write hit latency; do
		expect 0 top main -b -n 1 -d 0.1 --sort $key
		says "volumes by $key"
	done
	expect 0 top -n 1 -d 0.1 -o json
	json "[v['name'] for v in j['pools'][0]['volumes']] == ['$1'] and j['seconds'] >= 0.1"
	json "[t['tier'] for t in j['pools'][0]['tiers']] == ['ram', 'ssd', 'capacity']"
	seeing_heat "$1" "$2"
	seeing_terminal
}

seeing_heat() {
	expect 0 heat "$1"
	says "volume $1"
	says "unmapped"
	if LC_ALL=C grep -qP '[\x80-\xff]|\x1b' "$dir/out"; then fail "not ASCII in a pipe"; else ok; fi
	expect 0 heat "$1" -o json
	json "sum(b['blocks'] for b in j['buckets']) * 4096 == j['size_bytes'] and j['sampled_one_in'] == 1"
	json "sum(b['blocks'] - b['unmapped'] for b in j['buckets']) == $2"
	json "[b['offset_bytes'] for b in j['buckets']] == [i * j['bucket_bytes'] for i in range(len(j['buckets']))]"
}

# On a terminal: keys, another size, and every way to end it. In the end it must be as it was.
seeing_terminal() {
	if timeout 60 python3 - "$tool" >"$dir/out" 2>"$dir/err" <<-'END'; then ok; else fail "top on a terminal"; fi
		import fcntl, os, pty, re, select, signal, struct, sys, termios, time
		tool = sys.argv[1]
		def size(fd, rows, columns):
		    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
		def read_until(fd, word, seconds=20):
		    got, end = b"", time.monotonic() + seconds
		    while word not in got and time.monotonic() < end:
		        if select.select([fd], [], [], 0.2)[0]:
		            try:
		                got += os.read(fd, 65536)
		            except OSError:
		                break
		    assert word in got, (word, got[-2000:])
		    return got
		def session(end):
		    master, slave = pty.openpty()
		    size(slave, 24, 100)
		    before = termios.tcgetattr(slave)
		    pid = os.fork()
		    if pid == 0:
		        os.setsid()
		        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
		        for fd in 0, 1, 2:
		            os.dup2(slave, fd)
		        os.environ["TERM"] = "xterm"
		        os.execv(tool, [tool, "top", "-d", "5"])
		    first = read_until(master, b"\033[J")
		    assert b"\033[?1049h" in first and b"VOLUME" in first
		    assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO)
		    os.write(master, b"n")
		    read_until(master, b"volumes by name")
		    read_until(master, b"\033[J")
		    size(slave, 6, 30)
		    small = read_until(master, b"\033[J")
		    lines = re.sub(rb"\033\[[0-9]*[a-zA-Z]|\r", b"", small.split(b"\033[H")[-1]).split(b"\n")
		    assert len(lines) == 6 and all(len(l) <= 30 for l in lines), lines
		    end(pid, master)
		    read_until(master, b"\033[?1049l")
		    status = os.waitpid(pid, 0)[1]
		    assert termios.tcgetattr(slave) == before
		    os.close(slave)
		    os.close(master)
		    return status
		def stopped(pid, master):
		    os.kill(pid, signal.SIGTSTP)
		    read_until(master, b"\033[?1049l")
		    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
		    os.kill(pid, signal.SIGCONT)
		    read_until(master, b"\033[J")
		    os.write(master, b"q")
		assert session(lambda pid, m: os.write(m, b"q")) == 0
		assert session(lambda pid, m: os.write(m, b"\x03")) == signal.SIGINT
		for sig in signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT:
		    assert session(lambda pid, m: os.kill(pid, sig)) & 127 == sig
		assert session(stopped) == 0
	END
}
