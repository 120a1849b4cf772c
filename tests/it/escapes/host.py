"""The neighbourhood of a sandbox: what a hostile script would like to reach, run as the user that starts the sandbox.

Prints one line of facts, then a line for each contact that it gets. Ends with its standard input.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys

ROOT, TAG = sys.argv[1], sys.argv[2]
SECRET = "secret-" + TAG
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.prctl(0x59616D61, -1, 0, 0, 0)  # PR_SET_PTRACER, anybody: where a host restricts tracing it must not be that alone.


def contact(what):
    print("contact " + what, flush=True)


def server(kind, address, family=socket.AF_INET):
    sock = socket.socket(family, kind)
    sock.bind(address)
    if kind == socket.SOCK_STREAM:
        sock.listen(50)
    return sock


for number in (signal.SIGWINCH, signal.SIGUSR1):
    signal.signal(number, lambda number, _: contact("signal %d" % number))
os.makedirs(ROOT + "/sockets", exist_ok=True)
os.umask(0)
sockets = {
    "tcp": server(socket.SOCK_STREAM, ("127.0.0.1", 0)),
    "udp": server(socket.SOCK_DGRAM, ("127.0.0.1", 0)),
    "abstract": server(socket.SOCK_STREAM, "\0rungate-" + TAG, socket.AF_UNIX),
    "abstract datagram": server(socket.SOCK_DGRAM, "\0rungate-log-" + TAG, socket.AF_UNIX),
    "docker.sock": server(socket.SOCK_STREAM, ROOT + "/sockets/docker.sock", socket.AF_UNIX),
    "daemon.sock": server(socket.SOCK_STREAM, ROOT + "/work" + "/daemon.sock", socket.AF_UNIX),
    "log.sock": server(socket.SOCK_DGRAM, ROOT + "/sockets/log.sock", socket.AF_UNIX),
}
memory = ctypes.create_string_buffer(("memory-" + SECRET).encode())
with open("/dev/shm/rungate-" + TAG, "w") as file:
    file.write(SECRET)
segment = libc.shmget(0, 4096, 0o1666)
address = libc.shmat(segment, None, 0)
ctypes.memmove(address, SECRET.encode(), len(SECRET))
queue = libc.msgget(0, 0o1666)
semaphores = libc.semget(0, 1, 0o1666)
mq = libc.mq_open(b"/rungate-" + TAG.encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
held = os.open(ROOT + "/outside/secret", os.O_RDONLY)
facts = {
    "pid": os.getpid(),
    "tcp": sockets["tcp"].getsockname()[1],
    "udp": sockets["udp"].getsockname()[1],
    "memory": ctypes.addressof(memory),
    "shm": segment,
    "msg": queue,
    "sem": semaphores,
    "mq": mq >= 0,
    "held": held,
    "hostname": socket.gethostname(),
}
print(json.dumps(facts), flush=True)
try:
    while True:
        ready, _, _ = select.select([sys.stdin, *sockets.values()], [], [])
        if sys.stdin in ready:
            break
        for name, sock in sockets.items():
            if sock in ready:
                contact(name)
                if sock.type == socket.SOCK_STREAM:
                    sock.accept()[0].close()
                else:
                    sock.recv(100)
finally:
    libc.shmctl(segment, 0, None)
    libc.msgctl(queue, 0, None)
    libc.semctl(semaphores, 0, 0)
    libc.mq_unlink(b"/rungate-" + TAG.encode())
    os.unlink("/dev/shm/rungate-" + TAG)
