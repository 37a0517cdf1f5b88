"""Speaks MongoDB's wire protocol as its documentation has it (OP_MSG, the old hello, SCRAM-SHA-256), over a few documents.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and https://bsonspec.org/spec.html

It keeps what is written. A file `cut` beside this names a command and a collection: it is done, and then the connection ends without an answer, as
if somebody had been killed meanwhile.
"""

import base64, hashlib, hmac, itertools, os, socketserver, struct, sys, threading, time

PASSWORD, ROUNDS = b"pw", 4096


class Raw:
    """A value with its type's number, as it stands in BSON."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data

    def order(self):
        return self.kind, len(self.data), self.data

    def __eq__(self, other):
        return isinstance(other, Raw) and self.order() == other.order()

    def __ge__(self, other):
        return self.order() >= other.order()

    def __le__(self, other):
        return self.order() <= other.order()


class Long(int):
    """One of eight bytes, whatever its value."""


def oid(n):
    return Raw(7, bytes.fromhex(f"65f0{n:020x}"))


def encode(fields):
    out = b""
    for name, value in fields.items():
        if isinstance(value, Raw):
            kind, data = value.kind, value.data
        elif isinstance(value, bool):
            kind, data = 8, bytes([value])
        elif isinstance(value, Long):
            kind, data = 18, struct.pack("<q", value)
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
            value, at = Raw(5, data[at : at + 5 + size]), at + 5 + size
        elif kind == 8:
            value, at = bool(data[at]), at + 1
        elif kind == 10:
            value = None
        elif kind == 16:
            value, at = struct.unpack_from("<i", data, at)[0], at + 4
        elif kind == 18:
            value, at = Long(struct.unpack_from("<q", data, at)[0]), at + 8
        elif kind in (7, 9, 17, 19):
            size = {7: 12, 9: 8, 17: 8, 19: 16}[kind]
            value, at = Raw(kind, data[at : at + size]), at + size
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
OPEN, IDS, LOCK = {}, itertools.count(9), threading.Lock()
# Of a database and a collection: its documents, its options and its indexes.
STORE = {("shop", "orders"): {"documents": ORDERS, "options": {}, "indexes": []}}


class Refused(Exception):
    def __init__(self, code, message):
        self.answer = {"ok": 0.0, "errmsg": message, "code": code, "codeName": f"Error{code}"}


def kept(space):
    return STORE.setdefault(space, {"documents": [], "options": {}, "indexes": []})


def passes(document, wanted):
    """Equal values, and ranges."""
    for name, value in wanted.items():
        found = document.get(name)
        if not isinstance(value, dict) or not list(value)[:1] or not list(value)[0].startswith("$"):
            if found != value:
                return False
            continue
        for sign, bound in value.items():
            if found is None or isinstance(found, Raw) != isinstance(bound, Raw):
                return False
            if not {"$gt": lambda: found > bound, "$gte": lambda: found >= bound, "$lte": lambda: found <= bound}[sign]():
                return False
    return True


def found(command, documents):
    documents = [document for document in documents if passes(document, command.get("filter", {}))]
    fields = command.get("projection")
    if fields:
        documents = [{name: document[name] for name in document if fields.get(name)} for document in documents]
    limit = abs(command.get("limit", 0))
    return documents[:limit] if limit else documents


def changed(found, change, is_new):
    """A document as an update leaves it."""
    if not any(name.startswith("$") for name in change):
        return {**({"_id": found["_id"]} if "_id" in found else {}), **change}
    for sign, fields in change.items():
        assert sign in ("$set", "$currentDate", "$setOnInsert"), sign
        if sign == "$currentDate":
            fields = {name: Raw(9, struct.pack("<q", int(time.time() * 1000))) for name in fields}
        if sign != "$setOnInsert" or is_new:
            found = {**found, **fields}
    return found


def write(command, space):
    """The errors of single writes are in the answer, and the command is well."""
    name, count, upserted = next(iter(command)), 0, []
    documents = kept(space)["documents"]
    there = {encode({"": document["_id"]}) for document in documents}
    for at, one in enumerate(command.get("documents") or command.get("updates") or command["deletes"]):
        if name == "insert":
            if encode({"": one["_id"]}) in there:
                return {"n": count, "writeErrors": [{"index": at, "code": 11000, "errmsg": "E11000 duplicate key error"}], "ok": 1.0}
            documents.append(one)
        elif name == "delete":
            assert one["limit"] == 0, one
            documents[:] = [document for document in documents if not passes(document, one["q"])]
        else:
            number = next((number for number, document in enumerate(documents) if passes(document, one["q"])), None)
            if number is not None:
                documents[number] = changed(documents[number], one["u"], False)
            elif one.get("upsert"):
                new = changed(one["q"], one["u"], True)
                documents.append({"_id": oid(len(documents) + 1000), **new} if "_id" not in new else new)
                upserted.append({"index": at, "_id": documents[-1]["_id"]})
        count += 1
    return {"n": count, "ok": 1.0, **({"nModified": count - len(upserted), "upserted": upserted} if name == "update" else {})}


def cursor(documents, space, key="firstBatch"):
    return {"cursor": {key: documents, "id": Long(0), "ns": ".".join(space)}, "ok": 1.0}


def manage(name, command, space):
    """Commands about collections."""
    database = space[0]
    if name == "listCollections":
        wanted = command.get("filter", {}).get("name")
        listed = [
            {"name": one, "type": "collection", "options": STORE[at, one]["options"]}
            for at, one in STORE if at == database and wanted in (None, one)
        ]
        if wanted == "seen":
            listed = [{"name": "seen", "type": "view", "options": {"viewOn": "orders"}}]
        return cursor(listed, (database, "$cmd"))
    if name == "listIndexes":
        return cursor([{"v": 2, "key": {"_id": 1}, "name": "_id_"}, *kept(space)["indexes"]], space)
    if name == "create":
        if space in STORE:
            raise Refused(48, f"Collection {'.'.join(space)} already exists.")
        own = ("create", "writeConcern", "lsid")
        kept(space)["options"] = {key: value for key, value in command.items() if key not in own and not key.startswith("$")}
        return {"ok": 1.0}
    if name == "createIndexes":
        kept(space)["indexes"] += command["indexes"]
        return {"ok": 1.0}
    if name == "drop":
        if STORE.pop(space, None) is None:
            raise Refused(26, "ns not found")
        return {"ok": 1.0}
    if name == "renameCollection":
        assert database == "admin" and command["dropTarget"] is True, command
        old, new = (tuple(command[side].split(".", 1)) for side in ("renameCollection", "to"))
        STORE[new] = STORE.pop(old)
        return {"ok": 1.0}
    raise Refused(59, f"no such command: '{name}'")


def sections(body):
    """A command, whose lists of documents may come behind it."""
    command, at = {}, 4
    while at < len(body):
        kind, (size,), start = body[at], struct.unpack_from("<i", body, at + 1), at + 1
        if kind == 0:
            command.update(decode(body, start))
        else:
            assert kind == 1, kind
            stop = body.index(0, start + 4)
            name, inner = body[start + 4 : stop].decode(), stop + 1
            command[name] = []
            while inner < start + size:
                command[name].append(decode(body, inner))
                inner += struct.unpack_from("<i", body, inner)[0]
        at = start + size
    return command


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
                assert kind == 2013, kind
                command = sections(body)
                with LOCK:
                    answer = self.answer(command)
                if answer is None or self.cut(command):
                    return
                self.say(number, 2013, struct.pack("<i", 0) + b"\0" + encode(answer))

    def say(self, number, kind, data):
        self.wfile.write(struct.pack("<iiii", len(data) + 16, 0, number, kind) + data)

    def cut(self, command):
        mark, name = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cut"), next(iter(command))
        if os.path.exists(mark) and f"{name} {command[name]}".startswith(open(mark).read()):
            os.remove(mark)
            return True
        return False

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
            self.first = command["payload"].data[5:].decode().split(",", 2)[2]
            self.nonce = dict(part.split("=", 1) for part in self.first.split(","))["r"] + base64.b64encode(os.urandom(18)).decode()
            self.salt = os.urandom(16)
            self.second = f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={ROUNDS}"
            return {"conversationId": 1, "done": False, "payload": self.second.encode(), "ok": 1.0}
        if name == "saslContinue":
            return self.proven(command["payload"].data[5:].decode())
        if name in ("endSessions", "ping"):
            return {"ok": 1.0}
        if self.user is None:
            return {"ok": 0.0, "errmsg": f"command {name} requires authentication", "code": 13, "codeName": "Unauthorized"}
        space = (command["$db"], command.get("collection", command[name]))
        if name == "find":
            assert command["$db"] == "shop", command
            if command["find"] == "denied":
                return {"ok": 0.0, "errmsg": "not authorized on shop to execute command", "code": 13, "codeName": "Unauthorized"}
            source = ("shop", "orders") if command["find"] == "breaks" else space
            documents = found(command, STORE[source]["documents"] if source in STORE else [])
            number = 8 if command["find"] == "breaks" else next(IDS)
            OPEN[number] = documents[2:]
            answer = cursor(documents[:2], space)
            answer["cursor"]["id"] = Long(number if len(documents) > 2 else 0)
            return answer
        if name == "getMore":
            number = int(command["getMore"])
            # A server that goes away in the middle.
            if number == 8:
                return None
            rest, OPEN[number] = OPEN[number][:2], OPEN[number][2:]
            answer = cursor(rest, space, "nextBatch")
            answer["cursor"]["id"] = Long(number if OPEN[number] else 0)
            return answer
        if command[name] == "denied":
            return {"ok": 0.0, "errmsg": "not authorized on shop to execute command", "code": 13, "codeName": "Unauthorized"}
        try:
            return write(command, space) if name in ("insert", "update", "delete") else manage(name, command, space)
        except Refused as refused:
            return refused.answer

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
