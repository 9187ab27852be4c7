# SPDX-License-Identifier: GPL-2.0-only
"""flood.py PID PLAIN TLS SOCKET - does to a hybridd what nobody should: PLAIN and TLS are ports of its on the loopback.

Meanwhile somebody from another address asks it by each of them, and by the Unix SOCKET, every second, and has to be
answered; its memory and its descriptors stay below what they may grow to. Prints a line for each thing it did."""
import collections
import contextlib
import os
import random
import selectors
import socket
import ssl
import sys
import threading
import time

PID, PLAIN, TLS = (int(a) for a in sys.argv[1:4])
UNIX = sys.argv[4]
GROWTH_KIB = 256 << 10  # bodies may be 64 MiB a listener, and each connection has its headers' room
ANSWER_S = 10  # on a machine that others use as well
MANY = 10000
RANDOM = random.Random(int(os.environ.get("SEED", time.time())))
failed = 0


def result(good, what):
    global failed
    failed += not good
    print("ok     " if good else "FAILED ", what, flush=True)


def of_process(name):
    with open(f"/proc/{PID}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith(name)).split()[1])


def descriptors():
    return len(os.listdir(f"/proc/{PID}/fd"))


# ---------------------------------------------------------------- somebody who only wants to ask
def ask(where):
    """The status that an ordinary request gets, as a text."""
    request = b"GET /?Action=DescribeRegions HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n"
    with contextlib.ExitStack() as stack:
        if where == "socket":
            s = stack.enter_context(socket.socket(socket.AF_UNIX))
            s.settimeout(ANSWER_S)
            s.connect(UNIX)
        else:
            s = stack.enter_context(socket.socket())
            s.settimeout(ANSWER_S)
            s.bind(("127.0.1.1", 0))
            s.connect(("127.0.0.1", TLS if where == "TLS" else PLAIN))
        if where == "TLS":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            s = stack.enter_context(context.wrap_socket(s))
        s.sendall(request)
        return s.recv(12).decode().split()[-1]


# The Unix socket knows who root is; others are asked for a signature, which is an answer as well.
EXPECTED = {"socket": "200", "plain": "403", "TLS": "403"}


class Other(threading.Thread):
    """Asks every second, by each way."""

    def __init__(self):
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.asked = collections.Counter()
        self.wrong = []
        self.most_kib = self.most_descriptors = 0

    def run(self):
        while not self.done.wait(1):
            for where, wanted in EXPECTED.items():
                began = time.monotonic()
                try:
                    got = ask(where)
                except OSError as e:
                    got = repr(e)
                self.asked[where] += 1
                if got != wanted:
                    self.wrong.append(f"{where}: {got} after {time.monotonic() - began:.1f} s")
            self.most_kib = max(self.most_kib, of_process("VmRSS"))
            self.most_descriptors = max(self.most_descriptors, descriptors())


@contextlib.contextmanager
def others_are_answered(what):
    other = Other()
    other.start()
    yield
    time.sleep(1.2)  # once more at least, while all of it is still there
    other.done.set()
    other.join()
    result(not other.wrong and min(other.asked.get(w, 0) for w in EXPECTED),
           f"{what}; others were answered {sum(other.asked.values())} times {other.wrong[:3] or ''}")
    result(other.most_kib < BEFORE_KIB + GROWTH_KIB,
           f"... with {other.most_kib >> 10} MiB, {other.most_descriptors} descriptors")


# ---------------------------------------------------------------- those who do not
def dial(source, port):
    """A connection from one of the loopback's addresses, under way; None: refused at once."""
    s = socket.socket()
    s.setblocking(False)
    s.bind((source, 0))
    try:
        s.connect(("127.0.0.1", port))
    except BlockingIOError:
        pass
    except OSError:
        s.close()
        return None
    return s


def send(s, data):
    """What goes without waiting; False: the other end has gone."""
    try:
        s.send(data)
    except BlockingIOError:
        pass
    except OSError:
        return False
    return True


def close_all(sockets):
    for s in sockets:
        s.close()


def address(i):
    return f"127.0.{2 + i // 250}.{1 + i % 250}"


def hold(count, addresses, port, first=b""):
    """So many connections, each begun with these bytes."""
    held = []
    for i in range(count):
        s = dial(address(i % addresses), port)
        if not s:
            continue
        held.append(s)
        if first and i % 50 == 49:  # they are there by now, most of them
            for late in held[-50:]:
                send(late, first)
    return held


def drip(sockets, piece, seconds):
    """A little of each, again and again."""
    end = time.monotonic() + seconds
    alive = list(sockets)
    while time.monotonic() < end:
        alive = [s for s in alive if send(s, piece)]
        time.sleep(0.2)


def many(addresses):
    with others_are_answered(f"{MANY} connections from {addresses} addresses, silent"):
        held = hold(MANY, addresses, PLAIN)
        time.sleep(2)
    close_all(held)


def ever_more():
    """Nobody stays, and nobody asks."""
    with others_are_answered("connections from 100 addresses, as fast as they go"):
        held, end = collections.deque(), time.monotonic() + 4
        while time.monotonic() < end:
            s = dial(address(RANDOM.randrange(100)), PLAIN)
            if s:
                held.append(s)
            if len(held) > MANY:
                held.popleft().close()
    close_all(held)


def many_tls():
    with others_are_answered("1000 that begin a handshake and say no more"):
        held = hold(1000, 20, TLS, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        time.sleep(1)
    close_all(held)


def slow_heads():
    with others_are_answered("600 that send their headers by the byte"):
        held = hold(600, 6, PLAIN, b"POST / HTTP/1.1\r\nHost: box\r\nX-Long: ")
        drip(held, b"a", 3)
    close_all(held)


def slow_bodies():
    with others_are_answered("600 that announce a body of 1 MiB and send it by the byte"):
        held = hold(600, 6, PLAIN, b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 1048576\r\n\r\n")
        drip(held, b"a", 3)
    close_all(held)


def pour(sockets, data, seconds):
    """As much as they take; what comes back is read by nobody."""
    end = time.monotonic() + seconds
    selector = selectors.DefaultSelector()
    for s in sockets:
        selector.register(s, selectors.EVENT_WRITE)
    while time.monotonic() < end and selector.get_map():
        for key, _ in selector.select(0.1):
            if not send(key.fileobj, data):
                selector.unregister(key.fileobj)


def huge_bodies():
    with others_are_answered("300 bodies of a MiB less a byte, which never end"):
        held = hold(300, 3, PLAIN, b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 1048576\r\n\r\n")
        pour(held[:300], b"A=" + b"a" * 65534, 1)
        time.sleep(0.5)
    close_all(held)
    with others_are_answered("100 bodies of 8 GiB, and 100 without an end"):
        held = hold(100, 2, PLAIN, b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 8589934592\r\n\r\n")
        held += hold(100, 2, PLAIN, b"POST / HTTP/1.1\r\nHost: box\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n")
        pour(held, b"a" * 65536, 2)
    close_all(held)


def pipelines():
    one = b"GET /?Action=DescribeRegions HTTP/1.1\r\nHost: box\r\n\r\n"
    with others_are_answered("100 that ask without end, and read no answer"):
        held = hold(100, 2, PLAIN)
        pour(held, one * 100, 3)
    close_all(held)
    with others_are_answered("200 that send what is no HTTP behind a request"):
        held = hold(200, 4, PLAIN, one)
        for s in held:
            send(s, RANDOM.randbytes(4096))
        pour(held, RANDOM.randbytes(16384), 1)
    close_all(held)


def half_closed():
    with others_are_answered("2000 that stop to send in the middle, and stay"):
        held = hold(2000, 40, PLAIN, b"POST / HTTP/1.1\r\nHost: box\r\nContent-Length: 100\r\n\r\nAction=")
        for s in held:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_WR)
        time.sleep(1)
    close_all(held)


def tls_garbage():
    with others_are_answered("500 that send noise where TLS is spoken, 500 that send TLS where it is not"):
        held = hold(500, 10, TLS)
        for s in held:
            send(s, b"\x16\x03\x03" + RANDOM.randbytes(2000))
        held += hold(500, 10, PLAIN, b"\x16\x03\x01\x02\x00" + RANDOM.randbytes(512))
        pour(held, RANDOM.randbytes(4096), 1)
    close_all(held)


BEFORE_KIB, BEFORE_FDS = of_process("VmRSS"), descriptors()
many(1)
many(100)
ever_more()
many_tls()
slow_heads()
slow_bodies()
huge_bodies()
pipelines()
half_closed()
tls_garbage()

# ---------------------------------------------------------------- and then all is as it was
end_by = time.monotonic() + 40
while descriptors() > BEFORE_FDS + 3 and time.monotonic() < end_by:
    time.sleep(0.1)
result(descriptors() <= BEFORE_FDS + 3, f"nothing of it is left: {descriptors()} descriptors, {BEFORE_FDS} before")
result(of_process("VmHWM") < BEFORE_KIB + GROWTH_KIB, f"never more than {of_process('VmHWM') >> 10} MiB of memory")
for way, wanted_status in EXPECTED.items():
    result(ask(way) == wanted_status, f"{way}: all is well")
print(f"memory: {BEFORE_KIB >> 10} MiB before, {of_process('VmRSS') >> 10} after")
sys.exit(failed != 0)
