#!/usr/bin/python3
"""
Computes every worked vector again from the inputs among them, and compares.

    check_vectors.py < VECTORS_AS_JSON

Prints the names of those that agree, one a line; exits 1 and names the others on standard error.
"""

import hashlib
import json
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

import feed_protocol as feed


def computed(given):
    of = lambda name: bytes.fromhex(given[name])
    host_private = X25519PrivateKey.from_private_bytes(of("hostEphemeralPrivate"))
    feeder_private = X25519PrivateKey.from_private_bytes(of("feederEphemeralPrivate"))
    receipt_private = Ed25519PrivateKey.from_private_bytes(of("receiptPrivate"))
    enrolment = {
        "feeder": given["feeder"],
        "key": of("enrolledKey"),
        "host": of("host"),
        "receipt-key": feed.public_bytes(receipt_private),
    }
    hello_text = given["hello"].encode()
    handshake = feed.Handshake(enrolment, feeder_private, of("feederNonce"))
    hello, proof = handshake.answer(hello_text)
    welcome, sender, to_feeder = handshake.finish(given["welcome"])
    # The shared secret as the host computes it.
    shared = host_private.exchange(X25519PublicKey.from_public_bytes(feed.public_bytes(feeder_private)))
    data_frame = sender.seal(feed.DATA, of("payload"))
    grant = struct.pack(">QQI", 1 << 20, 64, 10_000)
    grant_frame = to_feeder.seal(feed.GRANT, grant)

    def record(kind, position, time_ms, digest, previous):
        layout = struct.Struct(">8sBBBBI16s16s32sQQ32sQQQQQ32s")
        size = len(of("payload"))
        numbers = (position, size, size, 0, size * welcome["rateUnits"])
        signed = layout.pack(
            b"emreceip", 1, kind, 0, 0, given["feederId"], of("host"), of("session"),
            given["feeder"].encode(), 41, time_ms, digest, *numbers, previous,
        )
        return signed + receipt_private.sign(signed)

    receipt = record(1, 1, 1_800_000_000_000, hashlib.sha256(data_frame).digest(), bytes(32))
    receipt_digest = hashlib.sha256(receipt).digest()
    hexadecimal = {
        "receiptKey": feed.public_bytes(receipt_private),
        "hostEphemeral": feed.public_bytes(host_private),
        "feederEphemeral": feed.public_bytes(feeder_private),
        "sharedSecret": shared,
        "transcript": handshake.transcript,
        "feederProofKey": handshake.key("feeder proof"),
        "hostProofKey": handshake.key("host proof"),
        "feederToHostKey": handshake.key("feeder to host"),
        "hostToFeederKey": handshake.key("host to feeder"),
        "feederProof": bytes.fromhex(json.loads(proof)["proof"]),
        "welcomeBytes": feed.welcome_bytes(welcome),
        "hostProof": feed.mac(handshake.key("host proof"), handshake.transcript + feed.welcome_bytes(welcome)),
        "dataFrame": data_frame,
        "pingFrame": sender.seal(feed.PING),
        "askFrame": sender.seal(feed.ASK, struct.pack(">QH", 41, 200)),
        "closeFrame": sender.seal(feed.CLOSE),
        "grantPayload": grant,
        "grantFrame": grant_frame,
        "receipt": receipt,
        "receiptDigest": receipt_digest,
        "endReceipt": record(2, 2, 1_800_000_001_000, bytes(32), receipt_digest),
        "receiptFrame": to_feeder.seal(feed.RECEIPT, receipt),
        "hostNonce": bytes.fromhex(hello["nonce"]),
    }
    return {**{name: value.hex() for name, value in hexadecimal.items()}, "proof": proof}


def main():
    given = json.load(sys.stdin)
    values = computed(given)
    wrong = [name for name, value in values.items() if given.get(name) != value]
    for name in wrong:
        print(f"{name}: computed otherwise", file=sys.stderr)
    print("\n".join(name for name in values if name not in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
