"""A pseudo-terminal is a character device: passes commands from it to the socket of a software TPM, and the responses back, each in one piece."""

import os
import socket
import sys
import tty


def whole(read):
    message = b""
    while len(message) < 10 or len(message) < int.from_bytes(message[2:6], "big"):
        part = read(4096)
        if not part:
            sys.exit()
        message += part
    return message


controller, device = os.openpty()
tty.setraw(device)
tpm = socket.socket(socket.AF_UNIX)
tpm.connect(sys.argv[1])
print(os.ttyname(device), flush=True)
while True:
    tpm.sendall(whole(lambda size: os.read(controller, size)))
    os.write(controller, whole(tpm.recv))
