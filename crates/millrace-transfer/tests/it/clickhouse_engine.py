"""ClickHouse's own engine (chdb) behind its HTTP interface, as far as copies use it.

A file `cut` beside this names words of a statement: one that has them is done, and then the connection ends without an answer, as if somebody
had been killed meanwhile.
"""

import http.server, os, sys, threading, urllib.parse

from chdb import session

FOLDER = os.path.dirname(os.path.abspath(__file__))
ENGINE = session.Session(os.path.join(FOLDER, "engine"))
LOCK = threading.Lock()
ENGINE.query("CREATE DATABASE web")
ENGINE.query("CREATE DATABASE other")


class Broken(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: the client would wait for the second.
    wbufsize = 1 << 16

    def log_message(self, *_):
        pass

    def pieces(self):
        if self.headers.get("transfer-encoding") != "chunked":
            yield self.rfile.read(int(self.headers.get("content-length", 0)))
            return
        while True:
            line = self.rfile.readline().strip()
            if not line:
                raise Broken
            size = int(line, 16)
            piece = self.rfile.read(size)
            if len(piece) < size:
                raise Broken
            self.rfile.readline()
            if size == 0:
                return
            yield piece

    def do_POST(self):
        asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if self.headers.get("x-clickhouse-key") != "pw":
            list(self.pieces())
            return self.answer(403, b"Code: 516. DB::Exception: reader: Authentication failed. (AUTHENTICATION_FAILED)\n")
        sql, broken = asked.pop("query", None), False
        if sql is None:
            sql = b"".join(self.pieces()).decode()
        else:
            path = os.path.join(FOLDER, f"rows-{threading.get_ident()}")
            with open(path, "wb") as out:
                try:
                    for piece in self.pieces():
                        out.write(piece)
                except Broken:
                    broken = True
            strict = asked["input_format_null_as_default"]
            head = sql.removesuffix(" FORMAT ArrowStream")
            sql = f"{head} FROM INFILE '{path}' SETTINGS input_format_null_as_default = {strict} FORMAT ArrowStream"
        params = {name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")}
        with LOCK:
            try:
                database = self.headers.get("x-clickhouse-database", "default")
                ENGINE.query(f"USE {database}")
                if "output_format_arrow_string_as_string" in asked:
                    ENGINE.query("SET output_format_arrow_string_as_string = 1")
                status, body = 200, ENGINE.query(sql, "TabSeparated", params=params).bytes()
            except Exception as error:
                status, body = 500, str(error).encode()
        if broken or self.cut(sql):
            self.close_connection = True
            return
        self.answer(status, body)

    def cut(self, sql):
        mark = os.path.join(FOLDER, "cut")
        if os.path.exists(mark) and open(mark).read() in sql:
            os.remove(mark)
            return True
        return False

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
