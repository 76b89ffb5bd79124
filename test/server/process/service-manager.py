"""A service manager for one process: service-manager.py KIND,... COMMAND ARGUMENT...

Listens for the process (LISTEN_FDS) on sockets of these kinds: tcp, unix, abstract, udp, udp6,
seqpacket or pipe. Prints the port or path of each, then each line that the process or its
successor sends to NOTIFY_SOCKET.
"""

import fcntl
import os
import socket
import sys
import tempfile

folder = tempfile.mkdtemp()


def listen(kind):
    """A descriptor, and where it is reached."""
    if kind == "tcp":
        listener = socket.create_server(("127.0.0.1", 0))
        return listener.detach(), 0
    if kind in ("unix", "abstract", "seqpacket"):
        type = socket.SOCK_SEQPACKET if kind == "seqpacket" else socket.SOCK_STREAM
        listener = socket.socket(socket.AF_UNIX, type)
        path = os.path.join(folder, kind)
        listener.bind("\0" + path if kind == "abstract" else path)
        listener.listen()
        return listener.detach(), path
    if kind == "pipe":
        return os.pipe()[0], 0
    family, host = (socket.AF_INET6, "::1") if kind == "udp6" else (socket.AF_INET, "127.0.0.1")
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.bind((host, 0))
    return listener.detach(), 0


def port_of(descriptor):
    return socket.socket(fileno=os.dup(descriptor)).getsockname()[1]


kinds = sys.argv[1].split(",")
descriptors = []
for kind in kinds:
    descriptor, place = listen(kind)
    print(kind, place or (0 if kind == "pipe" else port_of(descriptor)), flush=True)
    descriptors.append(descriptor)
path = os.path.join(folder, "notify")
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(path)
pid = os.fork()
if pid == 0:
    # The descriptors from 3 on may be in use by now.
    spare = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 20) for descriptor in descriptors]
    for i, descriptor in enumerate(spare):
        os.dup2(descriptor, 3 + i, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(spare)), NOTIFY_SOCKET=path)
    os.execv(sys.argv[2], sys.argv[2:])
for descriptor in descriptors:
    os.close(descriptor)
print("pid", pid, flush=True)


def clean_up():
    for name in os.listdir(folder):
        print("left", name, flush=True)
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


notify.settimeout(0.2)
is_replaced = False
while True:
    try:
        lines = notify.recv(4096).decode().split("\n")
    except socket.timeout:
        lines = []
    for line in lines:
        print(line, flush=True)
        is_replaced = is_replaced or line.startswith("MAINPID=")
        if line == "STOPPING=1":
            clean_up()
            sys.exit(0)
    if not is_replaced and os.waitpid(pid, os.WNOHANG)[0] == pid:
        clean_up()
        sys.exit(0)
