"""Speaks the Tabular Data Stream as MS-TDS has it, unencrypted: prelogin, login, batches, `sp_executesql` and bulk loads.

It has three rows in `dbo.orders`, and keeps what is written in a file of SQLite, which has transactions too. Changes are tracked as `CHANGETABLE` is
documented to give them, with a version for each row: of each row the last change alone, by its key. A file `cut` beside this names words of a statement: it is done, and then the connection ends without an answer, as if somebody had been killed meanwhile.
"""

import datetime, os, re, socketserver, sqlite3, struct, sys, uuid

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


FOLDER = os.path.dirname(os.path.abspath(__file__))
STORE = os.path.join(FOLDER, "store.db")
STAGE = "#millrace_staged"


def opened():
    store = sqlite3.connect(STORE, isolation_level=None, timeout=20, check_same_thread=False)
    for table in ["columns] (relation, name, word", "tracked] (relation, least", "version] (newest", "changes] (relation, key, version"]:
        store.execute(f"CREATE TABLE IF NOT EXISTS [.{table})")
    store.execute("CREATE TEMP TABLE [.staged] (relation, name, word)")
    return store


def plain(sql):
    """A statement as SQLite has it: one name for a schema and its table."""
    sql = re.sub(r"\bN'", "'", sql.replace("].[", "."))
    sql = re.sub(
        r"CHANGETABLE\(CHANGES \[([^\]]*)\], (\d+)\)",
        r"(SELECT key AS id, max(version) AS SYS_CHANGE_VERSION FROM [.changes] WHERE relation = '\1' AND version > \2 GROUP BY key)",
        sql,
    )
    return sql.replace(STAGE, f"[{STAGE}]").replace("SYSUTCDATETIME()", "CURRENT_TIMESTAMP")


def relation_in(sql):
    """The table that a statement reads, and whether it is read by its changes."""
    changed = re.search(r"CHANGETABLE\(CHANGES (\S+), \d+\)", sql)
    return plain(changed[1] if changed else sql.split(" FROM ")[1]).strip("[]"), changed is not None


def parts(text):
    """What stands between commas that are in no brackets."""
    found, depth = [""], 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            found.append("")
        else:
            found[-1] += sign
    return [part.strip() for part in found]


def sized(word):
    """A type's parameters."""
    inside = re.search(r"\((.*)\)", word)
    return [int(part) for part in inside[1].split(",")] if inside and "max" not in word else []


INTS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}


def in_stream(word):
    """The type of a column as it stands in the stream."""
    base = word.split("(")[0]
    if base in INTS:
        return b"\x26" + bytes([INTS[base]])
    if base == "decimal":
        precision, scale = sized(word)
        return b"\x6a" + bytes([5 if precision <= 9 else 9 if precision <= 19 else 13 if precision <= 28 else 17, precision, scale])
    fixed = {"bit": b"\x68\x01", "real": b"\x6d\x04", "float": b"\x6d\x08", "date": b"\x28", "time": b"\x29\x06",
             "datetime2": b"\x2a\x06", "datetimeoffset": b"\x2b\x06"}
    # Texts and bytes have no limit here.
    return fixed.get(base) or (b"\xe7\xff\xff" + bytes(5) if base == "nvarchar" else b"\xa5\xff\xff")


def in_cell(word, value):
    """A value as it stands in a row; numbers with a point, dates and times are kept as they came."""
    base = word.split("(")[0]
    if base in ("nvarchar", "varbinary"):
        if value is None:
            return b"\xff" * 8
        data = value.encode("utf-16-le") if base == "nvarchar" else bytes(value)
        return struct.pack("<Q", 2**64 - 2) + (struct.pack("<I", len(data)) + data if data else b"") + bytes(4)
    if value is None:
        return b"\x00"
    if base in INTS:
        data = int(value).to_bytes(INTS[base], "little", signed=base != "tinyint")
    elif base in ("real", "float"):
        data = struct.pack("<f" if base == "real" else "<d", value)
    elif base == "decimal":
        data = bytes(value).ljust(in_stream(word)[1], b"\x00")
    else:
        data = bytes([value]) if base == "bit" else bytes(value)
    return bytes([len(data)]) + data


class Stream:
    """What comes behind one another."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "little")

    def chunks(self):
        if self.number(8) == 2**64 - 1:
            return None
        out = b""
        while size := self.number(4):
            out += self.take(size)
        return out

    def value(self, kind):
        if kind[:1] in (b"\xe7", b"\xa5"):
            data = self.chunks()
            return data.decode("utf-16-le") if data is not None and kind[:1] == b"\xe7" else data
        data = self.take(self.number(1))
        if not data:
            return None
        if kind[:1] == b"\x26":
            return int.from_bytes(data, "little", signed=len(data) > 1)
        if kind[:1] == b"\x6d":
            return struct.unpack("<f" if len(data) == 4 else "<d", data)[0]
        return data[0] if kind[:1] == b"\x68" else data

    def kind(self):
        code = self.take(1)
        more = {0xE7: 7, 0xA5: 2, 0x6A: 3, 0x28: 0}.get(code[0], 1)
        return code + self.take(more)


class Refused(Exception):
    """A number and words."""


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
        collation = b"\x07\x05\x09\x04\xd0\x00\x34\x00"
        told = b"\xe3" + struct.pack("<H", len(collation)) + collation
        self.say(b"\xad" + struct.pack("<H", len(body)) + body + told + done())
        self.store = opened()
        while True:
            kind, data = self.packet()
            if kind is None:
                return self.store.close()
            if kind in (1, 7):
                if not self.changed(data[struct.unpack_from("<I", data)[0] :].decode("utf-16-le") if kind == 1 else data):
                    return self.store.close()
                continue
            assert kind == 3, kind
            sql, values = self.asked(data)
            if not self.answer(sql, values):
                return self.store.close()

    def changed(self, sql):
        """A batch, or the rows of a load; whether the connection goes on."""
        try:
            answer = self.loaded(sql) if isinstance(sql, bytes) else self.done(sql)
        except Refused as refused:
            answer = refusal(*refused.args)
        except sqlite3.Error as error:
            message = str(error)
            if match := re.search(r"no such table: (.*)", message):
                answer = refusal(208, f"Invalid object name '{match[1]}'.")
            elif match := re.search(r"no column named (.*)|no such column: (.*)", message):
                answer = refusal(207, f"Invalid column name '{match[1] or match[2]}'.")
            else:
                answer = refusal(2627, f"Violation of a constraint: {message}.")
        mark = os.path.join(FOLDER, "cut")
        words = open(mark).read() if os.path.exists(mark) else None
        if words and words in (sql if isinstance(sql, str) else "BULK ROWS"):
            os.remove(mark)
            return False
        self.say(answer)
        return True

    def columns_of(self, table):
        found = self.store.execute(
            "SELECT name, word FROM [.columns] WHERE relation = ?1 UNION ALL SELECT name, word FROM [.staged] WHERE relation = ?1", [table]
        )
        return found.fetchall()

    def done(self, sql):
        environment = {"BEGIN TRANSACTION": b"\x08\x08" + bytes(7) + b"\x01\x00", "COMMIT TRANSACTION": b"\x09\x00\x08" + bytes(7) + b"\x01"}
        if sql in environment:
            self.store.execute("BEGIN IMMEDIATE" if sql.startswith("BEGIN") else "COMMIT")
            change = environment[sql]
            return b"\xe3" + struct.pack("<H", len(change)) + change + done()
        if sql.lower().startswith(("set ", "use ", "insert bulk ")):
            return done()
        if sql == f"SELECT TOP 0 * FROM {STAGE}":
            kinds = self.columns_of(STAGE)
            return metadata([(name, in_stream(word)) for name, word in kinds]) + done()
        if match := re.fullmatch(r"ALTER TABLE (\S+) (ENABLE|DISABLE) CHANGE_TRACKING", sql):
            return self.tracked(plain(match[1]).strip("[]"), match[2] == "ENABLE")
        if match := re.fullmatch(r"-- changes of (\S+) are kept since (\d+)", sql):
            self.store.execute("UPDATE [.tracked] SET least = ? WHERE relation = ?", [int(match[2]), match[1]])
            return done()
        sql = plain(sql)
        if match := re.fullmatch(r"(?:IF OBJECT_ID\('(?P<asked>[^']*)'\) IS NULL )?CREATE TABLE (?P<name>\S+) \((?P<columns>.*)\)", sql, re.S):
            return self.created(match["name"].strip("[]"), parts(match["columns"]), match["asked"] is not None)
        merge = (
            r"MERGE INTO (?P<table>\S+) WITH \(HOLDLOCK\) AS target USING \((?P<rows>.*)\) AS staged ON (?P<same>.*?)"
            r"(?: WHEN MATCHED THEN UPDATE SET (?P<set>.*))? WHEN NOT MATCHED THEN INSERT \((?P<list>.*)\) VALUES \((?P<values>.*)\);"
        )
        if match := re.fullmatch(merge, sql):
            table, rows, same = match["table"], match["rows"], match["same"]
            if match["set"]:
                change = match["set"].replace("target.", "")
                self.store.execute(f"UPDATE {table} AS target SET {change} FROM ({rows}) AS staged WHERE {same}")
            there = f"SELECT 1 FROM {table} AS target WHERE {same}"
            sql = f"INSERT INTO {table} ({match['list']}) SELECT {match['values']} FROM ({rows}) AS staged WHERE NOT EXISTS ({there})"
        if "[denied]" in sql or "[dbo.denied]" in sql:
            raise Refused(229, "The INSERT permission was denied on the object 'denied', database 'shop', schema 'dbo'.")
        self.store.execute(sql)
        return done()

    def tracked(self, table, begins):
        self.store.execute("DELETE FROM [.tracked] WHERE relation = ?", [table])
        if not begins:
            return done()
        self.store.execute("INSERT INTO [.version] SELECT 40 WHERE NOT EXISTS (SELECT 1 FROM [.version])")
        self.store.execute("INSERT INTO [.tracked] SELECT ?, newest FROM [.version]", [table])
        for event, row in [("INSERT", "new"), ("UPDATE", "old"), ("UPDATE", "new"), ("DELETE", "old")]:
            self.store.execute(
                f"CREATE TRIGGER [.{event}_{row}_{table}] AFTER {event} ON [{table}] BEGIN UPDATE [.version] SET newest = newest + 1; "
                f"INSERT INTO [.changes] SELECT '{table}', {row}.id, newest FROM [.version]; END"
            )
        return done()

    def versions(self, table):
        asked = ["SELECT newest FROM [.version]", "SELECT least FROM [.tracked] WHERE relation = :table"]
        cells = [in_cell("bigint", (self.store.execute(sql, {"table": table}).fetchone() or [None])[0]) for sql in asked]
        return metadata([(name, b"\x26\x08") for name in ("newest", "least")]) + b"\xd1" + b"".join(cells) + done()

    def created(self, name, columns, perhaps):
        there = self.columns_of(name)
        if there and not perhaps:
            raise Refused(2714, f"There is already an object named '{name}' in the database.")
        if there:
            return done()
        kinds, declared = [], []
        for column in columns:
            if column.startswith("PRIMARY KEY"):
                declared.append(column)
                continue
            title, word, rest = (*column.split(" ", 2), "")[:3]
            kinds.append((name, title.strip("[]"), word))
            # Without a type a value stays what it is.
            declared.append(f"{title} {rest if 'NOT NULL' in rest else rest.removesuffix('NULL')}")
        staged = name.startswith("#")
        self.store.execute(f"CREATE {'TEMP ' if staged else ''}TABLE [{name}] ({', '.join(declared)})")
        self.store.executemany(f"INSERT INTO [{'.staged' if staged else '.columns'}] VALUES (?, ?, ?)", kinds)
        return done()

    def loaded(self, data):
        stream = Stream(data)
        assert stream.number(1) == 0x81
        kinds = []
        for _ in range(stream.number(2)):
            stream.take(6)
            kinds.append(stream.kind())
            stream.take(2 * stream.number(1))
        places = ", ".join("?" * len(kinds))
        while (token := stream.number(1)) == 0xD1:
            self.store.execute(f"INSERT INTO [{STAGE}] VALUES ({places})", [stream.value(kind) for kind in kinds])
        assert token == 0xFD, token
        return done()

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
        if sql == "SELECT OBJECT_ID(@P1) AS id":
            there = self.columns_of(plain(values[0]).strip("[]"))
            self.say(metadata([("id", b"\x26\x04")]) + b"\xd1" + in_cell("int", 7 if there else None) + done())
            return True
        if "CHANGE_TRACKING_CURRENT_VERSION()" in sql:
            self.say(self.versions(plain(values[0]).strip("[]")))
            return True
        if "i.is_primary_key = 1" in sql:
            key = self.store.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", [plain(values[0]).strip("[]")]).fetchall()
            self.say(metadata([("name", NVARCHAR)]) + b"".join(b"\xd1" + text(name) for (name,) in key) + done())
            return True
        if match := re.fullmatch(r"SELECT load_rows FROM (\S+) WHERE load_key = @P1", sql):
            found = self.store.execute(f"SELECT load_rows FROM {plain(match[1])} WHERE load_key = ?", values).fetchone()
            load = b"\xd1" + in_cell("bigint", found[0]) if found else b""
            self.say(metadata([("load_rows", b"\x26\x08")]) + load + done())
            return True
        relation, changed = relation_in(sql)
        if kinds := self.columns_of(relation):
            kinds += [("_op", "nvarchar(6)")] * changed
            names = re.findall(r"\[(.*?)\](?:,|$)", sql.removeprefix("SELECT ").split(" FROM ")[0])
            kinds = [(name, word) for name, word in kinds if name in names]
            listed = ", ".join(f"[{name}]" for name, _ in kinds)
            out = metadata([(name, in_stream(word)) for name, word in kinds])
            for values in self.store.execute(f"SELECT {listed} FROM {plain(sql.split(' FROM ', 1)[1])}"):
                out += b"\xd1" + b"".join(in_cell(word, value) for (_, word), value in zip(kinds, values))
            self.say(out + done())
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
        elif kept := self.columns_of(relation_in(query)[0]):
            found = [(name, sql_type, None, None) for name, sql_type in kept + [("_op", "nvarchar(6)")] * relation_in(query)[1]]
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
