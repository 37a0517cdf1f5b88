"""Stands before brokers of Kafka that know neither users nor TLS, as a broker that knows both: `serve(brokers, certificate, key, user, password)`.

The brokers' own listener stays as it is; what a client says is decrypted, and passed on once it has logged in (SASL PLAIN, SCRAM-SHA-256 or
SCRAM-SHA-512, as KIP-43 and KIP-84 have it). Of what the brokers answer, only addresses are changed, and what versions they speak.
"""

import base64
import hashlib
import hmac
import os
import select
import socket
import ssl
import struct
import threading

API_VERSIONS, METADATA, HANDSHAKE, AUTHENTICATE = 18, 3, 17, 36
MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
UNSUPPORTED_VERSION, UNSUPPORTED_MECHANISM, AUTHENTICATION_FAILED = 35, 33, 58
ROUNDS = 4096


class Refused(Exception):
    """Somebody who may not come in."""


class Login:
    """The server's side of a conversation."""

    def __init__(self, mechanism, user, password):
        self.mechanism, self.user, self.password, self.first = mechanism, user, password, None

    def answer(self, said):
        """What is answered, and whether that is all."""
        if self.mechanism == "PLAIN":
            _, user, password = said.decode().split("\0")
            if (user, password) != (self.user, self.password):
                raise Refused
            return b"", True
        return self.begin(said.decode()) if self.first is None else self.end(said.decode())

    def begin(self, said):
        bare = said.split(",", 2)[2]
        fields = dict(part.split("=", 1) for part in bare.split(","))
        self.salt, self.nonce = os.urandom(16), fields["r"] + base64.b64encode(os.urandom(18)).decode()
        answer = f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={ROUNDS}"
        self.first, self.known = f"{bare},{answer}", fields["n"] == self.user
        return answer.encode(), False

    def end(self, said):
        algorithm = self.mechanism.removeprefix("SCRAM-").replace("-", "").lower()
        sign = lambda key, text: hmac.new(key, text, algorithm).digest()
        without, proof = said.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac(algorithm, self.password.encode(), self.salt, ROUNDS)
        client = sign(salted, b"Client Key")
        everything = f"{self.first},{without}".encode()
        signature = sign(hashlib.new(algorithm, client).digest(), everything)
        expected = bytes(a ^ b for a, b in zip(client, signature))
        nonce = dict(part.split("=", 1) for part in without.split(","))["r"]
        if not self.known or nonce != self.nonce or not hmac.compare_digest(expected, base64.b64decode(proof)):
            raise Refused
        return b"v=" + base64.b64encode(sign(sign(salted, b"Server Key"), everything)), True


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def exactly(connection, count):
    found = b""
    while len(found) < count:
        more = connection.recv(count - len(found))
        if not more:
            raise ConnectionError
        found += more
    return found


def frame(connection):
    return exactly(connection, struct.unpack(">i", exactly(connection, 4))[0])


def send(connection, content):
    connection.sendall(struct.pack(">i", len(content)) + content)


def versions(body, version):
    """What the brokers speak, with the logins, and without the newest shape of addresses."""
    error, count = struct.unpack_from(">hi", body)
    entries = [struct.unpack_from(">hhh", body, 6 + 6 * place) for place in range(count)]
    entries = [(key, least, min(most, 8) if key == METADATA else most) for key, least, most in entries]
    entries = [entry for entry in entries if entry[0] not in (HANDSHAKE, AUTHENTICATE)]
    entries += [(HANDSHAKE, 1, 1), (AUTHENTICATE, 0, 1)]
    shown = b"".join(struct.pack(">hhh", *entry) for entry in entries)
    return struct.pack(">hi", error, len(entries)) + shown + body[6 + 6 * count :]


def addresses(body, version, port):
    """The brokers are where this listens: there is one."""
    at = 4 if version >= 3 else 0
    (count,) = struct.unpack_from(">i", body, at)
    assert count == 1, "one broker stands behind this"
    (node, length) = struct.unpack_from(">ih", body, at + 4)
    return body[: at + 4] + struct.pack(">i", node) + text("localhost") + struct.pack(">i", port) + body[at + 14 + length :]


class Conversation:
    """A client and its broker. One thread hears both: a TLS connection is not to be read and written by two at once."""

    def __init__(self, client, broker, port, user, password):
        self.client, self.broker, self.port, self.user, self.password = client, broker, port, user, password
        self.asked, self.login, self.is_in = {}, None, False

    def run(self):
        while True:
            # What is decrypted already, the socket does not tell of.
            ready = [self.client] if self.client.pending() else select.select([self.client, self.broker], [], [])[0]
            if self.broker in ready:
                self.answer(frame(self.broker))
            if self.client in ready and not self.hear(frame(self.client)):
                return

    def answer(self, content):
        """Passes on what the broker says."""
        (number,) = struct.unpack_from(">i", content)
        key, version = self.asked.pop(number)
        body = content[4:]
        if key == API_VERSIONS:
            body = versions(body, version)
        elif key == METADATA:
            body = addresses(body, version, self.port)
        send(self.client, content[:4] + body)

    def hear(self, content):
        """Answers what is about logins, passes on the rest; whether the conversation goes on."""
        key, version, number, length = struct.unpack_from(">hhih", content)
        body = content[10 + max(length, 0) :]
        head = struct.pack(">i", number)
        if key == API_VERSIONS and version > 2:
            # In the oldest shape, so that whoever asks understands it and asks again.
            send(self.client, head + struct.pack(">hi", UNSUPPORTED_VERSION, 1) + struct.pack(">hhh", API_VERSIONS, 0, 2))
        elif key == HANDSHAKE:
            (length,) = struct.unpack_from(">h", body)
            mechanism = body[2 : 2 + length].decode()
            self.login = Login(mechanism, self.user, self.password)
            error = 0 if mechanism in MECHANISMS else UNSUPPORTED_MECHANISM
            known = b"".join(map(text, MECHANISMS))
            send(self.client, head + struct.pack(">hi", error, len(MECHANISMS)) + known)
        elif key == AUTHENTICATE:
            (length,) = struct.unpack_from(">i", body)
            lifetime = struct.pack(">q", 0) if version >= 1 else b""
            try:
                answer, self.is_in = self.login.answer(body[4 : 4 + length])
            except Refused:
                said = text("Authentication failed: Invalid username or password")
                answer = struct.pack(">h", AUTHENTICATION_FAILED) + said + struct.pack(">i", 0)
                send(self.client, head + answer + lifetime)
                return False
            send(self.client, head + struct.pack(">hh", 0, -1) + struct.pack(">i", len(answer)) + answer + lifetime)
        elif self.is_in or key == API_VERSIONS:
            self.asked[number] = (key, version)
            send(self.broker, content)
        else:
            return False
        return True


def serve(brokers, certificate, key, user, password):
    """Listens, gives its port, and goes on in the background."""
    host, port = brokers.split(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    own = listener.getsockname()[1]

    def greet(client):
        try:
            with context.wrap_socket(client, server_side=True) as client:
                with socket.create_connection((host, int(port))) as broker:
                    Conversation(client, broker, own, user, password).run()
        except OSError:
            # One of them hung up.
            pass

    def listen():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=greet, args=(client,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    return own
