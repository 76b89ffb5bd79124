"""A service manager for one process: service-manager.py COMMAND ARGUMENT...

Listens on a TCP port of 127.0.0.1 for the process (LISTEN_FDS), and prints the port, then each
line that the process or its successor sends to NOTIFY_SOCKET.
"""

import os
import socket
import sys
import tempfile

listener = socket.create_server(("127.0.0.1", 0))
folder = tempfile.mkdtemp()
path = os.path.join(folder, "notify")
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(path)
print("port", listener.getsockname()[1], flush=True)
pid = os.fork()
if pid == 0:
    # The third descriptor may be in use by now.
    spare = os.dup(listener.fileno())
    os.dup2(spare, 3, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=path)
    os.execv(sys.argv[1], sys.argv[1:])
listener.close()
print("pid", pid, flush=True)
while True:
    for line in notify.recv(4096).decode().split("\n"):
        print(line, flush=True)
        if line == "STOPPING=1":
            os.unlink(path)
            os.rmdir(folder)
            sys.exit(0)
