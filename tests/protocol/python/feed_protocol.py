"""The feed protocol in Python, written from docs/protocol.md alone: an oracle for the host's own code, and half of a client."""

import hashlib
import hmac
import json
import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DATA, PING, CLOSE, ASK = 1, 2, 3, 4
GRANT, RECEIPT, LEVEL, PONG, HOST_CLOSE, ANSWER = 17, 18, 19, 20, 21, 22
VERDICTS = ["accepted", "uncredited", "test-failed", "duplicate", "no-room", "not-stored"]
RECORD_BYTES = 264
NOTHING = bytes(32)


class ProtocolError(Exception):
    """The other end sent what the protocol does not have."""


class NotTheHost(Exception):
    """Another host, another receipt key, or a host without the feeder's key."""


class ReceiptInvalid(Exception):
    """A receipt does not verify."""


def read_enrolment(path):
    with open(path, encoding="ascii", newline="") as file:
        lines = file.read().split("\n")
    if lines[0] != "entropy-feed enrolment v1" or lines[6:] != [""]:
        raise ValueError("this is no enrolment file")
    names = ["url", "host", "feeder", "receipt-key", "key"]
    pairs = [line.split(" ", 1) for line in lines[1:6]]
    if [pair[0] for pair in pairs] != names:
        raise ValueError("this is no enrolment file")
    values = dict(pairs)
    return {
        "url": values["url"],
        "feeder": values["feeder"],
        "host": bytes.fromhex(values["host"]),
        "receipt-key": bytes.fromhex(values["receipt-key"]),
        "key": bytes.fromhex(values["key"]),
    }


def public_bytes(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def counted(data):
    return struct.pack(">I", len(data)) + data


def transcript_of(hello_text, feeder, nonce, ephemeral):
    said = b"entropy-feed.v1 transcript\0" + counted(hello_text) + counted(feeder.encode("ascii"))
    return hashlib.sha256(said + nonce + ephemeral).digest()


def welcome_bytes(welcome):
    last = NOTHING if welcome["lastReceipt"] is None else bytes.fromhex(welcome["lastReceipt"])
    return (
        bytes.fromhex(welcome["session"])
        + struct.pack(">Q", welcome["nextSequence"])
        + last
        + struct.pack(">I", welcome["rateUnits"])
        + counted(welcome["feederClass"].encode("ascii"))
    )


def derive(shared, key, transcript, label):
    info = b"entropy-feed.v1 " + label.encode("ascii")
    return HKDF(algorithm=SHA256(), length=32, salt=transcript, info=info).derive(shared + key)


def mac(key, data):
    return hmac.digest(key, data, "sha256")


class Handshake:
    """The feeder's end, from the hello to the keys."""

    def __init__(self, enrolment, private, nonce):
        self.enrolment = enrolment
        self.private = private
        self.nonce = nonce

    def answer(self, hello_text):
        hello = json.loads(hello_text)
        if hello["type"] != "hello" or hello["version"] != 1:
            raise ProtocolError("hello")
        if bytes.fromhex(hello["host"]) != self.enrolment["host"]:
            raise NotTheHost("host")
        if bytes.fromhex(hello["receiptKey"]) != self.enrolment["receipt-key"]:
            raise NotTheHost("receipt key")
        ephemeral = public_bytes(self.private)
        peer = X25519PublicKey.from_public_bytes(bytes.fromhex(hello["ephemeral"]))
        self.shared = self.private.exchange(peer)
        self.transcript = transcript_of(hello_text, self.enrolment["feeder"], self.nonce, ephemeral)
        proof = {
            "type": "proof",
            "version": 1,
            "feeder": self.enrolment["feeder"],
            "nonce": self.nonce.hex(),
            "ephemeral": ephemeral.hex(),
            "proof": mac(self.key("feeder proof"), self.transcript).hex(),
        }
        return hello, json.dumps(proof, separators=(",", ":"))

    def finish(self, welcome_text):
        welcome = json.loads(welcome_text)
        if welcome["type"] != "welcome" or welcome["version"] != 1:
            raise ProtocolError("welcome")
        expected = mac(self.key("host proof"), self.transcript + welcome_bytes(welcome))
        if not hmac.compare_digest(expected, bytes.fromhex(welcome["proof"])):
            raise NotTheHost("the host does not have the key")
        sender = Direction(self.key("feeder to host"), welcome["nextSequence"])
        receiver = Direction(self.key("host to feeder"), 1)
        return welcome, sender, receiver

    def key(self, label):
        return derive(self.shared, self.enrolment["key"], self.transcript, label)


class Direction:
    """Frames of one direction, at one end."""

    def __init__(self, key, first_sequence):
        self.cipher = AESGCM(key)
        self.sequence = first_sequence

    def seal(self, kind, payload=b""):
        header = struct.pack(">BQ", kind, self.sequence)
        self.sequence += 1
        return header + self.cipher.encrypt(bytes(4) + header[1:], payload, header)

    def open(self, message):
        header = message[:9]
        try:
            payload = self.cipher.decrypt(bytes(4) + header[1:], message[9:], header)
        except InvalidTag as error:
            raise ProtocolError("a frame does not authenticate") from error
        kind, sequence = struct.unpack(">BQ", header)
        if sequence != self.sequence:
            raise ProtocolError("a frame is out of sequence")
        self.sequence += 1
        return kind, payload


LAYOUT = struct.Struct(">8sBBBBI16s16s32sQQ32sQQQQQ32s64s")
FIELDS = (
    "magic version kind verdict zero feeder_id host session feeder sequence time digest position "
    "payload_bytes memory_bytes stored_bytes credit previous signature"
).split()
SUMS = ["payload_bytes", "memory_bytes", "stored_bytes", "credit"]


def parse_record(record):
    if len(record) != RECORD_BYTES:
        raise ReceiptInvalid("length")
    fields = dict(zip(FIELDS, LAYOUT.unpack(record)))
    if fields["magic"] != b"emreceip" or fields["version"] != 1 or fields["zero"] != 0:
        raise ReceiptInvalid("layout")
    if fields["kind"] not in (1, 2) or fields["verdict"] >= len(VERDICTS):
        raise ReceiptInvalid("kind or verdict")
    fields["feeder"] = fields["feeder"].rstrip(b"\0").decode("ascii")
    return fields


class Receipts:
    """Verifies the records of one host, in order, session by session."""

    def __init__(self, receipt_key, host):
        self.public_key = Ed25519PublicKey.from_public_bytes(receipt_key)
        self.host = host
        self.sessions = {}
        self.records = []

    def add(self, record):
        fields = parse_record(record)
        try:
            self.public_key.verify(fields["signature"], record[:200])
        except InvalidSignature as error:
            raise ReceiptInvalid("signature") from error
        if fields["host"] != self.host:
            raise ReceiptInvalid("host")
        state = self.sessions.setdefault(
            fields["session"],
            {"position": 0, "digest": NOTHING, "sequence": 0, "ended": False, "sums": dict.fromkeys(SUMS, 0)},
        )
        self.follow(state, fields)
        state["position"] = fields["position"]
        state["sequence"] = fields["sequence"]
        state["digest"] = hashlib.sha256(record).digest()
        self.records.append(record)
        return fields

    def is_after_gap(self, record):
        """True when records before it in its session are missing, which the host no longer keeps."""
        fields = parse_record(record)
        state = self.sessions.get(fields["session"])
        return fields["position"] > (0 if state is None else state["position"]) + 1

    def follow(self, state, fields):
        if state["ended"] or fields["position"] != state["position"] + 1:
            raise ReceiptInvalid("position")
        if fields["previous"] != state["digest"]:
            raise ReceiptInvalid("chain")
        if fields["kind"] == 2:
            if fields["sequence"] != state["sequence"] or any(fields[name] != state["sums"][name] for name in SUMS):
                raise ReceiptInvalid("end")
            state["ended"] = True
            return
        held = fields["memory_bytes"] + fields["stored_bytes"]
        if fields["sequence"] <= state["sequence"] or held > fields["payload_bytes"] or fields["credit"] > 8192 * held:
            raise ReceiptInvalid("content")
        if fields["verdict"] in (1, 2, 3) and fields["credit"] != 0:
            raise ReceiptInvalid("credit")
        for name in SUMS:
            state["sums"][name] += fields[name]

    def summary(self):
        kept = [parse_record(record) for record in self.records]
        frames = [fields for fields in kept if fields["kind"] == 1]
        return {
            "records": len(kept),
            "frames": len(frames),
            "sessions": len(self.sessions),
            "openSessions": sum(not state["ended"] for state in self.sessions.values()),
            "payloadBytes": sum(fields["payload_bytes"] for fields in frames),
            "creditUnits": sum(fields["credit"] for fields in frames),
            "verdicts": sorted({VERDICTS[fields["verdict"]] for fields in frames}),
        }
