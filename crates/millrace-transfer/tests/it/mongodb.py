"""Speaks MongoDB's wire protocol as its documentation has it (OP_MSG, the old hello, SCRAM-SHA-256), over a few documents.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and https://bsonspec.org/spec.html
"""

import base64, hashlib, hmac, os, socketserver, struct, sys

PASSWORD, ROUNDS = b"pw", 4096


class Raw:
    """A value with its type's number, as it stands in BSON."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data


def oid(n):
    return Raw(7, bytes.fromhex(f"65f0{n:020x}"))


def encode(fields):
    out = b""
    for name, value in fields.items():
        if isinstance(value, Raw):
            kind, data = value.kind, value.data
        elif isinstance(value, bool):
            kind, data = 8, bytes([value])
        elif isinstance(value, int):
            kind, data = (16, struct.pack("<i", value)) if -(2**31) <= value < 2**31 else (18, struct.pack("<q", value))
        elif isinstance(value, float):
            kind, data = 1, struct.pack("<d", value)
        elif isinstance(value, str):
            text = value.encode()
            kind, data = 2, struct.pack("<i", len(text) + 1) + text + b"\0"
        elif isinstance(value, bytes):
            kind, data = 5, struct.pack("<i", len(value)) + b"\0" + value
        elif value is None:
            kind, data = 10, b""
        elif isinstance(value, list):
            kind, data = 4, encode({str(at): item for at, item in enumerate(value)})
        else:
            kind, data = 3, encode(value)
        out += bytes([kind]) + name.encode() + b"\0" + data
    return struct.pack("<i", len(out) + 5) + out + b"\0"


def decode(data, at=0, is_list=False):
    (length,) = struct.unpack_from("<i", data, at)
    end, at, fields = at + length - 1, at + 4, {}
    while at < end:
        kind, stop = data[at], data.index(0, at + 1)
        name, at = data[at + 1 : stop].decode(), stop + 1
        if kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            size = struct.unpack_from("<i", data, at)[0]
            value, at = data[at + 4 : at + 3 + size].decode(), at + 4 + size
        elif kind in (3, 4):
            value, at = decode(data, at, kind == 4), at + struct.unpack_from("<i", data, at)[0]
        elif kind == 5:
            size = struct.unpack_from("<i", data, at)[0]
            value, at = data[at + 5 : at + 5 + size], at + 5 + size
        elif kind == 8:
            value, at = bool(data[at]), at + 1
        elif kind == 10:
            value = None
        elif kind == 16:
            value, at = struct.unpack_from("<i", data, at)[0], at + 4
        elif kind in (9, 17, 18):
            value, at = struct.unpack_from("<q", data, at)[0], at + 8
        else:
            raise ValueError(f"type {kind} of {name}")
        fields[name] = value
    return list(fields.values()) if is_list else fields


DAY = Raw(9, struct.pack("<q", 1_772_323_200_000))
# 12.30: 1230 with the exponent -2, whose bias is 6176.
MONEY = Raw(19, struct.pack("<QQ", 1230, (6176 - 2) << 49))
ORDERS = [
    {"_id": oid(n), "n": n, "name": name, "at": DAY, "total": MONEY, "lines": [{"sku": "x", "qty": n}], "big": 2**40 + n}
    for n, name in [(1, "a"), (2, "ü"), (3, None), (4, "d"), (5, "a")]
]
OPEN = {}


def found(command):
    """Documents that the filter lets through: equal values, and `$gt`."""
    def passes(document):
        for name, wanted in command.get("filter", {}).items():
            value = document.get(name)
            if isinstance(wanted, dict):
                assert list(wanted) == ["$gt"], wanted
                if not value > wanted["$gt"]:
                    return False
            elif value != wanted:
                return False
        return True

    documents = [document for document in ORDERS if passes(document)]
    fields = command.get("projection")
    if fields:
        documents = [{name: document[name] for name in document if fields.get(name)} for document in documents]
    limit = command.get("limit", 0)
    return documents[:limit] if limit else documents


class Handler(socketserver.StreamRequestHandler):
    user = None

    def handle(self):
        while header := self.rfile.read(16):
            length, number, _, kind = struct.unpack("<iiii", header)
            body = self.rfile.read(length - 16)
            if kind == 2004:
                # Flags, a name, skip and limit stand before the question.
                answer = self.answer(decode(body, body.index(0, 4) + 9))
                data = struct.pack("<iqii", 8, 0, 0, 1) + encode(answer)
                self.say(number, 1, data)
            else:
                assert kind == 2013 and body[4] == 0, kind
                answer = self.answer(decode(body, 5))
                if answer is None:
                    return
                self.say(number, 2013, struct.pack("<i", 0) + b"\0" + encode(answer))

    def say(self, number, kind, data):
        self.wfile.write(struct.pack("<iiii", len(data) + 16, 0, number, kind) + data)

    def answer(self, command):
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            answer = {"ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxBsonObjectSize": 16777216,
                      "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "minWireVersion": 0,
                      "maxWireVersion": 21, "readOnly": False, "ok": 1.0}
            if "saslSupportedMechs" in command:
                answer["saslSupportedMechs"] = ["SCRAM-SHA-256"]
            return answer
        if name == "saslStart":
            self.first = command["payload"].decode().split(",", 2)[2]
            self.nonce = dict(part.split("=", 1) for part in self.first.split(","))["r"] + base64.b64encode(os.urandom(18)).decode()
            self.salt = os.urandom(16)
            self.second = f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={ROUNDS}"
            return {"conversationId": 1, "done": False, "payload": self.second.encode(), "ok": 1.0}
        if name == "saslContinue":
            return self.proven(command["payload"].decode())
        if name in ("endSessions", "ping"):
            return {"ok": 1.0}
        if self.user is None:
            return {"ok": 0.0, "errmsg": f"command {name} requires authentication", "code": 13, "codeName": "Unauthorized"}
        space = f'{command["$db"]}.{command.get("collection", command[name])}'
        if name == "listCollections":
            listed = [{"name": "orders", "type": "collection"}]
            return {"cursor": {"firstBatch": listed, "id": Raw(18, struct.pack("<q", 0)), "ns": "shop.$cmd"}, "ok": 1.0}
        if name == "find":
            assert command["$db"] == "shop", command
            if command["find"] == "denied":
                return {"ok": 0.0, "errmsg": "not authorized on shop to execute command", "code": 13, "codeName": "Unauthorized"}
            documents = found(command) if command["find"] in ("orders", "breaks") else []
            OPEN[7 if command["find"] == "orders" else 8] = documents[2:]
            more = (7 if command["find"] == "orders" else 8) if len(documents) > 2 else 0
            return {"cursor": {"firstBatch": documents[:2], "id": Raw(18, struct.pack("<q", more)), "ns": space}, "ok": 1.0}
        if name == "getMore":
            # A server that goes away in the middle.
            if command["getMore"] == 8:
                return None
            rest, OPEN[7] = OPEN[7][:2], OPEN[7][2:]
            return {"cursor": {"nextBatch": rest, "id": Raw(18, struct.pack("<q", 7 if OPEN[7] else 0)), "ns": space}, "ok": 1.0}
        return {"ok": 0.0, "errmsg": f"no such command: '{name}'", "code": 59, "codeName": "CommandNotFound"}

    def proven(self, final):
        """RFC 7677."""
        without, _, proof = final.rpartition(",p=")
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, self.salt, ROUNDS)
        key = hmac.digest(salted, b"Client Key", "sha256")
        told = f"{self.first},{self.second},{without}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), told, "sha256")
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature)):
            return {"ok": 0.0, "errmsg": "Authentication failed.", "code": 18, "codeName": "AuthenticationFailed"}
        self.user = self.first
        server = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), told, "sha256")
        return {"conversationId": 1, "done": True, "payload": b"v=" + base64.b64encode(server), "ok": 1.0}


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
