#!/usr/bin/python3
"""
A feeder, written from docs/protocol.md alone.

    feed_client.py ENROLMENT RECEIPTS [--frame-bytes N] [--attempts N] < ENTROPY

Sends what stands on its standard input, each byte once. When the connection is lost it connects again, goes on with the bytes that
were not sent yet, and asks for the receipts it missed. RECEIPTS gets all receipts; an existing file is verified and continued. Prints a
summary in JSON. Exit codes: 0 all was receipted and every session ended, 2 usage, 9 a receipt does not verify, 10 the host takes no external
entropy, 11 connection, 12 not authenticated, 14 bytes were sent that no receipt names.
"""

import argparse
import hashlib
import json
import os
import struct
import sys
import time

import websocket
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

import feed_protocol as feed

NOT_AUTHENTICATED = 4401
TIMEOUT_SECONDS = 20


class Lost(Exception):
    """The connection ended before the work was done."""


class Client:
    def __init__(self, enrolment, entropy, frame_bytes, receipts):
        self.enrolment = enrolment
        self.entropy = entropy
        self.frame_bytes = frame_bytes
        self.receipts = receipts
        self.unsettled = {}  # sequence → SHA-256 of the frame, length of its payload
        self.lost_bytes = 0
        self.connections = 0
        self.asked = 0

    def run(self):
        """One connection: catches up on receipts, sends, and ends in order, or raises Lost."""
        self.connect()
        self.catch_up()
        while self.entropy:
            self.await_grant(min(self.frame_bytes, len(self.entropy)))
            payload, self.entropy = self.entropy[: self.frame_bytes], self.entropy[self.frame_bytes :]
            frame = self.sender.seal(feed.DATA, payload)
            self.unsettled[self.sender.sequence - 1] = (hashlib.sha256(frame).digest(), len(payload))
            self.used_bytes += len(payload)
            self.used_frames += 1
            self.transmit(frame)
        self.transmit(self.sender.seal(feed.PING))
        while self.receive()[0] != feed.PONG:
            pass
        self.transmit(self.sender.seal(feed.CLOSE))
        kind, payload = self.receive()
        while kind != feed.HOST_CLOSE:
            kind, payload = self.receive()
        if payload != b"end":
            raise Lost(payload.decode("ascii"))

    def connect(self):
        self.connections += 1
        try:
            self.socket = websocket.create_connection(
                self.enrolment["url"], subprotocols=["entropy-feed.v1"], timeout=TIMEOUT_SECONDS
            )
        except (OSError, websocket.WebSocketException) as error:
            raise Lost(str(error)) from error
        if self.socket.getsubprotocol() != "entropy-feed.v1":
            raise feed.ProtocolError("subprotocol")
        handshake = feed.Handshake(self.enrolment, X25519PrivateKey.generate(), os.urandom(32))
        hello, proof = handshake.answer(self.next_message().encode())
        if hello["external"] == "disabled":
            sys.exit(10)
        self.socket.send(proof)
        self.welcome, self.sender, self.receiver = handshake.finish(self.next_message())
        # What the host did not accept is gone: it is never sent again.
        for sequence in [n for n in self.unsettled if n >= self.welcome["nextSequence"]]:
            self.lost_bytes += self.unsettled.pop(sequence)[1]
        self.granted_bytes = self.granted_frames = self.used_bytes = self.used_frames = 0
        self.lapses = 0.0

    def catch_up(self):
        """Asks from the last record on until an answer brings nothing new."""
        held = self.receipts.records
        last = hashlib.sha256(held[-1]).digest().hex() if held else None
        if self.welcome["lastReceipt"] in (None, last):
            return
        seen = set(held)
        from_sequence = feed.parse_record(held[-1])["sequence"] if held else 1
        while True:
            self.transmit(self.sender.seal(feed.ASK, struct.pack(">QH", from_sequence, 200)))
            self.asked += 1
            kind, payload = self.receive()
            while kind != feed.ANSWER:
                kind, payload = self.receive()
            records = [payload[at : at + feed.RECORD_BYTES] for at in range(0, len(payload), feed.RECORD_BYTES)]
            new = [record for record in records if record not in seen]
            for record in new:
                seen.add(record)
                if not self.receipts.is_after_gap(record):
                    self.settle(record)
            if not new:
                return
            from_sequence = feed.parse_record(new[-1])["sequence"]

    def await_grant(self, wanted):
        while (
            self.used_bytes + wanted > self.granted_bytes
            or self.used_frames + 1 > self.granted_frames
            or time.monotonic() >= self.lapses
        ):
            self.receive()

    def receive(self):
        message = self.next_message()
        if not isinstance(message, bytes):
            raise feed.ProtocolError("text after the welcome")
        kind, payload = self.receiver.open(message)
        if kind == feed.GRANT:
            self.granted_bytes, self.granted_frames, lapse_ms = struct.unpack(">QQI", payload)
            self.lapses = time.monotonic() + lapse_ms / 1000
        if kind == feed.RECEIPT:
            self.settle(payload)
        return kind, payload

    def settle(self, record):
        fields = self.receipts.add(record)
        if fields["kind"] == 2:
            return
        expected, _ = self.unsettled.pop(fields["sequence"], (None, 0))
        if expected is not None and expected != fields["digest"]:
            raise feed.ReceiptInvalid("this is not the frame that was sent")

    def transmit(self, message):
        try:
            self.socket.send_binary(message)
        except (OSError, websocket.WebSocketException) as error:
            raise Lost(str(error)) from error

    def next_message(self):
        """The next text or binary message. A close tells why in its first two bytes."""
        try:
            opcode, data = self.socket.recv_data()
        except (OSError, websocket.WebSocketException) as error:
            raise Lost(str(error)) from error
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else 1005
            if code == NOT_AUTHENTICATED:
                raise feed.NotTheHost(data[2:].decode("utf-8"))
            raise Lost(f"{code} {data[2:].decode('utf-8')}")
        return data.decode("utf-8") if opcode == websocket.ABNF.OPCODE_TEXT else data


def receipts_of(path, enrolment):
    receipts = feed.Receipts(enrolment["receipt-key"], enrolment["host"])
    if os.path.exists(path):
        with open(path, "rb") as file:
            while record := file.read(feed.RECORD_BYTES):
                receipts.add(record)
    return receipts


def run(client, attempts):
    for attempt in range(1, attempts + 1):
        try:
            return client.run()
        except Lost:
            if attempt == attempts:
                raise
            time.sleep(0.01 * attempt)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("enrolment")
    parser.add_argument("receipts")
    parser.add_argument("--frame-bytes", type=int, default=4096)
    parser.add_argument("--attempts", type=int, default=5)
    arguments = parser.parse_args()
    enrolment = feed.read_enrolment(arguments.enrolment)
    try:
        receipts = receipts_of(arguments.receipts, enrolment)
        client = Client(enrolment, sys.stdin.buffer.read(), arguments.frame_bytes, receipts)
        run(client, arguments.attempts)
    except feed.ReceiptInvalid as error:
        print(f"receipt: {error}", file=sys.stderr)
        return 9
    except (Lost, feed.ProtocolError) as error:
        print(f"connection: {error}", file=sys.stderr)
        return 11
    except feed.NotTheHost as error:
        print(f"authentication: {error}", file=sys.stderr)
        return 12
    with open(arguments.receipts, "wb") as file:
        file.write(b"".join(receipts.records))
    summary = receipts.summary()
    more = {"connections": client.connections, "asked": client.asked, "unsettled": len(client.unsettled)}
    print(json.dumps({**summary, **more, "lostBytes": client.lost_bytes}))
    return 14 if client.unsettled or client.lost_bytes else 0


if __name__ == "__main__":
    sys.exit(main())
