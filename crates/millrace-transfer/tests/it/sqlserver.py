"""Speaks the Tabular Data Stream as MS-TDS has it, unencrypted, over three rows: prelogin, login, and `sp_executesql`."""

import datetime, re, socketserver, struct, sys, uuid

DAY_ONE = datetime.date(1, 1, 1)


def b_text(text):
    return bytes([len(text)]) + text.encode("utf-16-le")


def us_text(text):
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def tenths(hours, minutes, seconds, micros=0):
    """A time of day in steps of 100 ns, five bytes."""
    return (((hours * 60 + minutes) * 60 + seconds) * 10_000_000 + micros * 10).to_bytes(5, "little")


def days(date):
    return (date - DAY_ONE).days.to_bytes(3, "little")


def decimal(units):
    return b"\x09" + bytes([units >= 0]) + abs(units).to_bytes(8, "little")


NVARCHAR = b"\xe7" + struct.pack("<H", 8000) + bytes(5)
DAY = datetime.date(2026, 3, 1)
# Name, type in the server's words, type in the stream.
COLUMNS = [
    ("id", "int", b"\x26\x04"),
    ("name", "nvarchar(50)", NVARCHAR),
    ("total", "decimal(12,2)", b"\x6a\x09\x0c\x02"),
    ("price", "money", b"\x6a\x09\x13\x04"),
    ("day", "date", b"\x28"),
    ("at", "datetime2(7)", b"\x2a\x07"),
    ("there", "datetimeoffset(7)", b"\x2b\x07"),
    ("ok", "bit", b"\x68\x01"),
    ("key", "uniqueidentifier", b"\x24\x10"),
    ("body", "varbinary(20)", b"\xa5" + struct.pack("<H", 20)),
    ("share", "float", b"\x6d\x08"),
]
KEY = uuid.UUID("01020304-0506-0708-090a-0b0c0d0e0f10")


def row(number, name):
    text = b"\xff\xff" if name is None else struct.pack("<H", 2 * len(name)) + name.encode("utf-16-le")
    moment = tenths(6, 30, 0, 123_456) + days(DAY)
    return [
        b"\x04" + struct.pack("<i", number), text, decimal(-number * 100 - 25), decimal(number * 10_000 + 1), b"\x03" + days(DAY),
        b"\x08" + moment, b"\x0a" + moment + struct.pack("<h", 60), b"\x01\x01", b"\x10" + KEY.bytes_le,
        struct.pack("<H", 2) + b"\x01\xff", b"\x08" + struct.pack("<d", number / 4),
    ]


ROWS = [(1, "a"), (2, "ü"), (3, None)]


def columns(named):
    return [column for column in COLUMNS if not named or column[0] in named]


def metadata(kinds):
    out = b"\x81" + struct.pack("<H", len(kinds))
    for name, kind in kinds:
        out += struct.pack("<IH", 0, 9) + kind + b_text(name)
    return out


def done(status=0):
    return b"\xfd" + struct.pack("<HHQ", status, 0, 0)


def refusal(number, message):
    body = struct.pack("<IBB", number, 1, 14) + us_text(message) + b_text("fake") + b_text("") + struct.pack("<I", 1)
    return b"\xaa" + struct.pack("<H", len(body)) + body + done(2)


def text(words):
    return struct.pack("<H", 2 * len(words)) + words.encode("utf-16-le")


class Handler(socketserver.StreamRequestHandler):
    def packet(self):
        data, kind = b"", None
        while True:
            header = self.rfile.read(8)
            if len(header) < 8:
                return None, b""
            kind, status, length = struct.unpack(">BBH", header[:4])
            data += self.rfile.read(length - 8)
            if status & 1:
                return kind, data

    def say(self, data, last=True):
        for start in range(0, max(len(data), 1), 4000):
            part = data[start : start + 4000]
            ends = last and start + 4000 >= len(data)
            self.wfile.write(struct.pack(">BBHHBB", 4, 1 if ends else 0, len(part) + 8, 0, 1, 0) + part)

    def handle(self):
        kind, _ = self.packet()
        assert kind == 0x12, kind
        self.say(b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff" + b"\x10\x00\x00\x00\x00\x00" + b"\x02")
        kind, login = self.packet()
        if kind is None:
            # Somebody who wants to encrypt goes away here.
            return
        assert kind == 0x10, kind

        def field(at):
            start, count = struct.unpack_from("<HH", login, at)
            return login[start : start + 2 * count]

        hidden = bytes((byte ^ 0xA5) for byte in field(44))
        password = bytes(((byte << 4) | (byte >> 4)) & 0xFF for byte in hidden).decode("utf-16-le")
        user, database = field(40).decode("utf-16-le"), field(68).decode("utf-16-le")
        if password != "pw":
            return self.say(refusal(18456, f"Login failed for user '{user}'."))
        if database != "shop":
            return self.say(refusal(4060, f'Cannot open database "{database}" requested by the login. The login failed.'))
        name = b_text("Microsoft SQL Server")
        body = b"\x01" + struct.pack(">I", 0x74000004) + name + b"\x10\x00\x00\x00"
        self.say(b"\xad" + struct.pack("<H", len(body)) + body + done())
        while True:
            kind, data = self.packet()
            if kind is None:
                return
            assert kind == 3, kind
            sql, values = self.asked(data)
            if not self.answer(sql, values):
                return

    def asked(self, data):
        at = struct.unpack_from("<I", data)[0]
        assert struct.unpack_from("<HH", data, at) == (0xFFFF, 10), data[at : at + 4]
        at, found = at + 6, []
        while at < len(data):
            at += 1 + 2 * data[at] + 1
            kind = data[at]
            if kind == 0xE7:
                (longest,) = struct.unpack_from("<H", data, at + 1)
                at += 8
                if longest == 0xFFFF:
                    at, text = at + 8, b""
                    while size := struct.unpack_from("<I", data, at)[0]:
                        text, at = text + data[at + 4 : at + 4 + size], at + 4 + size
                    at += 4
                else:
                    (size,) = struct.unpack_from("<H", data, at)
                    text, at = data[at + 2 : at + 2 + size], at + 2 + size
                found.append(text.decode("utf-16-le"))
            else:
                assert kind in (0x26, 0x68, 0x6D), hex(kind)
                size = data[at + 2]
                found.append(int.from_bytes(data[at + 3 : at + 3 + size], "little"))
                at += 3 + size
        return found[0], found[2:]

    def answer(self, sql, values):
        if "dm_exec_describe_first_result_set" in sql:
            self.say(self.described(values[0]))
            return True
        if "INFORMATION_SCHEMA.TABLES" in sql:
            out = metadata([("name", NVARCHAR)]) + b"\xd1" + text("dbo.orders")
            self.say(out + b"\x79\x00\x00\x00\x00" + b"\xfe" + struct.pack("<HHQ", 0, 0, 0))
            return True
        wanted = re.search(r"SELECT (?:TOP \((\d+)\) )?(.*) FROM ", sql)
        names = re.findall(r"\[(\w+)\](?:,|$)", wanted[2])
        chosen = columns(names)
        rows = ROWS
        if "[denied]" in sql:
            self.say(refusal(229, "The SELECT permission was denied on the object 'denied', database 'shop', schema 'dbo'."))
            return True
        if match := re.search(r"WHERE \((.*)\)", sql):
            assert match[1] == "name = @P1 and id > @P2", match[1]
            rows = [row for row in ROWS if row[1] == values[0] and row[0] > values[1]]
        rows = rows[: int(wanted[1])] if wanted[1] else rows
        out = metadata([(name, kind) for name, _, kind in chosen])
        for number, name in rows:
            cells = row(number, name)
            out += b"\xd1" + b"".join(cells[COLUMNS.index(column)] for column in chosen)
        if "[breaks]" in sql:
            # A server that goes away in the middle of a row.
            self.say(out[:-3], last=False)
            return False
        self.say(out + b"\x79\x00\x00\x00\x00" + b"\xfe" + struct.pack("<HHQ", 0, 0, 0))
        return True

    def described(self, query):
        kinds = [(name, NVARCHAR) for name in ("name", "system_type_name", "user_type_name", "error_message")]

        def cell(found):
            return b"\xff\xff" if found is None else text(found)

        if "[nothing]" in query:
            found = [(None, None, None, "Invalid object name 'dbo.nothing'.")]
        elif "INFORMATION_SCHEMA.TABLES" in query:
            found = [("name", "nvarchar(257)", None, None)]
        elif "[shapes]" in query:
            found = [("shape", None, "geography", None)]
        else:
            names = re.findall(r"\[(\w+)\](?:,| FROM)", query.split(" FROM ")[0] + " FROM")
            found = [(name, sql_type, None, None) for name, sql_type, _ in columns(names)]
        rows = b"".join(b"\xd1" + b"".join(cell(text) for text in texts) for texts in found)
        return metadata(kinds) + rows + b"\x79\x00\x00\x00\x00" + b"\xfe" + struct.pack("<HHQ", 0, 0, 0)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
