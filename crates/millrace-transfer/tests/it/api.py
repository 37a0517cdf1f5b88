"""A web API with every way of dividing lists into pages and of asking who is there, GraphQL, and an OData service."""

import base64, json, sys, threading, urllib.parse
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = int(sys.argv[1])
ROWS = [{"id": n, "name": f"row {n} \u00e9", "amount": n / 8, "tags": ["a", "b"][: n % 3]} for n in range(1, 251)]
TROUBLE = ["429", "503", "cut"]
LOG, TOKENS, TAKEN, LOCK = [], [], [], threading.Lock()

try:
    from graphql import build_schema, graphql_sync

    SCHEMA = build_schema("""
        type Row { id: Int!, name: String }
        type PageInfo { hasNextPage: Boolean!, endCursor: String }
        type Rows { nodes: [Row!]!, pageInfo: PageInfo! }
        type Query { rows(first: Int!, after: String, contains: String): Rows! }
    """)
except ImportError:
    SCHEMA = None

try:
    from odatapy.data import Entity, ValueType
    from odatapy.edm import csdl
    from odatapy.server import OData
    from odatapy.server.adapters import ODataWSGIApp
    from odatapy.server.inmemory import InMemoryDataStore, InMemoryProcessor

    class Provider(csdl.CsdlAbstractEdmProvider):
        def get_schemas(self):
            kinds = [("Id", "Edm.Int32"), ("Name", "Edm.String"), ("Price", "Edm.Decimal")]
            properties = [csdl.CsdlProperty(name=name, type=kind) for name, kind in kinds]
            properties[2].scale = 2
            properties[2].precision = 10
            product = csdl.CsdlEntityType(name="Product", key=[csdl.CsdlPropertyRef(name="Id")], properties=properties)
            sets = [csdl.CsdlEntitySet(name="Products", type="Shop.Product")]
            container = csdl.CsdlEntityContainer(name="Container", entity_sets=sets)
            return [csdl.CsdlSchema(namespace="Shop", entity_types=[product], entity_container=container)]

    def odata():
        service = OData.new_instance()
        handler = service.create_handler(service.create_service_metadata(Provider()))
        entities = []
        for n in range(1, 251):
            entity = Entity()
            entity.set_property("Id", n, ValueType.PRIMITIVE, "Edm.Int32")
            entity.set_property("Name", f"O'Neil {n}", ValueType.PRIMITIVE, "Edm.String")
            entity.set_property("Price", Decimal(n) / 4, ValueType.PRIMITIVE, "Edm.Decimal")
            entities.append(entity)
        store = InMemoryDataStore()
        store.set_entities("Products", entities)
        handler.register(InMemoryProcessor(store))
        return ODataWSGIApp(handler)

    ODATA = odata()
except ImportError:
    ODATA = None


def rows(_root, _info, first, after=None, contains=""):
    begin = int(after or 0)
    found = [row for row in ROWS if (contains or "") in row["name"]]
    page = found[begin : begin + first]
    return {"nodes": page, "pageInfo": {"hasNextPage": begin + first < len(found), "endCursor": str(begin + len(page))}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, document, status=200, headers=(), kind="application/json"):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.handle_request(None)

    def do_POST(self):
        self.handle_request(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_PUT = do_PATCH = do_DELETE = do_POST

    def handle_request(self, body):
        path, _, query = self.path.partition("?")
        asked = urllib.parse.parse_qs(query)
        get = lambda name, usual: asked.get(name, [usual])[0]
        with LOCK:
            LOG.append(self.path)
        here = f"http://127.0.0.1:{PORT}"
        if path == "/log":
            self.answer([{"path": path} for path in LOG])
        elif path == "/number":
            size, page = int(get("per_page", 100)), int(get("page", 1))
            self.answer({"data": ROWS[(page - 1) * size : page * size], "total": len(ROWS)})
        elif path == "/offset":
            begin, size = int(get("offset", 0)), min(int(get("limit", 40)), 40)
            self.answer({"data": ROWS[begin : begin + size]})
        elif path == "/cursor":
            begin = int(get("cursor", "c0")[1:])
            page = ROWS[begin : begin + 100]
            self.answer({"items": page, "meta": {"next": f"c{begin + 100}" if begin + 100 < len(ROWS) else None}})
        elif path == "/next":
            begin = int(get("after", 0))
            more = begin + 100 < len(ROWS)
            target = f"/next?after={begin + 100}" if begin else f"{here}/next?after=100"
            self.answer({"results": ROWS[begin : begin + 100], "next": target if more else None})
        elif path == "/link":
            begin = int(get("after", 0))
            links = [("Link", f'<{here}/link?after={begin + 100}>; rel="next"')] if begin + 100 < len(ROWS) else []
            self.answer(ROWS[begin : begin + 100], headers=links)
        elif path == "/keyed":
            begin = int(get("since_id", 0))
            self.answer([row for row in ROWS if row["id"] > begin][:100])
        elif path == "/search":
            wanted = json.loads(body)
            begin = (wanted.get("page", 1) - 1) * 100
            found = [row for row in ROWS if wanted["contains"] in row["name"]]
            self.answer({"data": found[begin : begin + 100]})
        elif path == "/ignores":
            self.answer({"data": ROWS[:10]})
        elif path == "/circle":
            self.answer({"data": ROWS[:10], "next": "/circle"})
        elif path == "/elsewhere":
            self.answer({"data": ROWS[:10], "next": "http://other.example/rows"})
        elif path == "/empty":
            self.answer({"data": []})
        elif path.rstrip("/") == "/one":
            self.answer({"id": 7, "exact": 0.1})
        elif path == "/exact":
            self.answer(b'[{"id": 12345678901234567890, "price": 1.10}, {"id": 1, "price": "n/a", "at":\n null}]')
        elif path == "/web":
            self.answer(b"<html>please log in</html>", kind="text/html")
        elif path == "/busy":
            with LOCK:
                trouble = TROUBLE.pop(0) if TROUBLE else None
            if trouble == "429":
                self.answer({"error": "slow down"}, 429, [("Retry-After", "0")])
            elif trouble == "503":
                self.answer(b"", 503)
            elif trouble == "cut":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b'[{"id": 1')
                self.close_connection = True
            else:
                self.answer(ROWS[:3])
        elif path == "/patience":
            self.answer({"error": "come back tomorrow"}, 429, [("Retry-After", "86400")])
        elif path == "/token":
            form = dict(urllib.parse.parse_qsl(body.decode()))
            basic = self.headers.get("Authorization", "")
            basic = base64.b64decode(basic[6:]).decode() if basic.startswith("Basic ") else ""
            client = basic or f"{form.get('client_id')}:{form.get('client_secret')}"
            if client != "us:the-client%3Asecret" and client != "us:the-client:secret":
                return self.answer({"error": "invalid_client"}, 401)
            assert form["grant_type"] == "client_credentials" and form["scope"] == "read", form
            with LOCK:
                TOKENS.append(f"token-{len(TOKENS) + 1}")
                self.answer({"access_token": TOKENS[-1], "token_type": "bearer", "expires_in": 3600})
        elif path.startswith("/take/"):
            self.take(path.removeprefix("/take/"), body.decode())
        elif path == "/taken":
            self.answer(TAKEN)
        elif path.startswith("/private/"):
            self.private(path.rstrip("/").rsplit("/", 1)[1], asked)
        elif path == "/graphql" and SCHEMA:
            wanted = json.loads(body)
            root = {"rows": lambda info, **found: rows(None, info, **found)}
            done = graphql_sync(SCHEMA, wanted["query"], root, variable_values=wanted["variables"])
            self.answer({"data": done.data, **({"errors": [e.formatted for e in done.errors]} if done.errors else {})})
        elif path.startswith("/odata/") and ODATA:
            self.odata(path, query)
        else:
            self.answer({"error": f"{self.path} is not there"}, 404)

    def take(self, what, body):
        key, kind = self.headers["Idempotency-Key"], self.headers.get("Content-Type")
        request = {"method": self.command, "what": what, "key": key, "kind": kind, "body": body}
        with LOCK:
            TAKEN.append(request)
            tries = sum(taken["key"] == key for taken in TAKEN)
        if what == "busy" and tries < 3:
            self.answer({"error": "not now"}, 503)
        elif what == "choosy" and '"id":3' in body:
            self.answer({"error": "3 is taken, says the-secret-token"}, 422)
        elif what == "partly":
            self.answer({"errors": '"id":3' in body, "items": ["the-secret-token"]})
        elif what == "mute":
            self.answer(b"thanks", 202)
        else:
            self.answer({}, 201)

    def private(self, kind, asked):
        authorization = self.headers.get("Authorization", "")
        expected = base64.b64encode(b"us:the-secret-password").decode()
        # Each token is good for one page.
        with LOCK:
            fresh = bool(TOKENS) and authorization == f"Bearer {TOKENS[-1]}" and not asked.get("used")
            if kind == "oauth" and fresh:
                TOKENS.append("used")
        opened = {
            "basic": authorization == f"Basic {expected}",
            "bearer": authorization == "Bearer the-secret-token",
            "header": self.headers.get("X-Key") == "the-secret-key",
            "param": asked.get("key") == ["the-secret-key"],
            "oauth": fresh,
        }[kind]
        if not opened:
            key = self.headers.get("X-Key") or asked.get("key")
            return self.answer({"error": f"no: {authorization} {key}"}, 401)
        page = int(asked.get("page", ["1"])[0])
        self.answer({"data": ROWS[(page - 1) * 100 : page * 100]})

    def odata(self, path, query):
        environ = {
            "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/odata", "PATH_INFO": urllib.parse.unquote(path[6:]),
            "QUERY_STRING": query, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": str(PORT), "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http", "wsgi.input": None, "RAW_URI": self.path, "REQUEST_URI": self.path,
            "HTTP_HOST": f"127.0.0.1:{PORT}", "HTTP_ACCEPT": self.headers.get("Accept", ""),
            "HTTP_PREFER": self.headers.get("Prefer", ""), "HTTP_ODATA_MAXVERSION": self.headers.get("OData-MaxVersion", ""),
        }
        begun = {}
        body = b"".join(ODATA(environ, lambda status, headers, *_: begun.update(status=status, headers=headers)))
        kind = dict((name.lower(), value) for name, value in begun["headers"]).get("content-type", "application/json")
        self.answer(body, int(begun["status"].split()[0]), kind=kind)


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
