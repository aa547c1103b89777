"""A test-only front of HTTP on Qdrant's own segment engine (the wheel `qdrant-edge-py`), with the part of Qdrant's REST API that
the tests need. What the engine does is Qdrant; what stands here is made from Qdrant's published OpenAPI document: paths, methods,
shapes of requests and answers, statuses of errors. A request with a key that the document does not have, or with a value of
another type, is refused: this front is meant to be stricter than the server.

    python qdrant_front.py PORT FOLDER [API-KEY]
"""

import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import threading
import uuid
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import qdrant_edge as edge

BODY_MAX = 32 << 20
LOCK = threading.Lock()


class Refused(Exception):
    def __init__(self, status, said):
        super().__init__(said)
        self.status = status


def bad(said):
    raise Refused(400, "Format error in JSON body: " + said)


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def number(value, where):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        bad(f"{where}: not a number")
    return float(value)


def vector(value, where):
    if not isinstance(value, list) or not value:
        bad(f"{where}: not a dense vector")
    return [number(x, where) for x in value]


def text(value, where):
    if not isinstance(value, str):
        bad(f"{where}: not a text")
    return value


def boolean(value, where):
    if not isinstance(value, bool):
        bad(f"{where}: not a boolean")
    return value


def whole(least):
    def check(value, where):
        if not is_int(value) or value < least:
            bad(f"{where}: not an integer from {least}")
        return value

    return check


def point_id(value, where):
    if is_int(value) and value >= 0:
        return value
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError):
        bad(f"{where}: {value!r} is neither an unsigned integer nor a UUID")


def many(one):
    def check(value, where):
        if not isinstance(value, list):
            bad(f"{where}: not a list")
        return [one(x, f"{where}[{i}]") for i, x in enumerate(value)]

    return check


def words(*allowed):
    def check(value, where):
        if value not in allowed:
            bad(f"{where}: {value!r} is none of {allowed}")
        return value

    return check


def record(needed=(), **fields):
    """An object with these keys and no others."""

    def check(value, where):
        if not isinstance(value, dict):
            bad(f"{where}: not an object")
        for key in value:
            if key not in fields:
                bad(f"{where}: unknown field `{key}`")
        for key in needed:
            if key not in value:
                bad(f"{where}: missing field `{key}`")
        return {key: fields[key](v, f"{where}.{key}") for key, v in value.items()}

    return check


def scalar(value, where):
    if isinstance(value, (str, bool)) or is_int(value):
        return value
    bad(f"{where}: not a value to match")


def selector(value, where):
    return value if isinstance(value, bool) else many(text)(value, where)


def payload(value, where):
    if not isinstance(value, dict):
        bad(f"{where}: not an object")
    return value


MATCH = record(value=scalar, any=many(scalar))
CONDITION = record(needed=("key", "match"), key=text, match=MATCH)
FILTER = record(must=many(CONDITION), should=many(CONDITION), must_not=many(CONDITION))
PARAMS = record(hnsw_ef=whole(0), exact=boolean, indexed_only=boolean)
CREATE = record(
    needed=("vectors",),
    vectors=record(needed=("size", "distance"), size=whole(1), distance=words("Cosine", "Euclid", "Dot", "Manhattan"), on_disk=boolean),
    on_disk_payload=boolean,
)
INDEX = record(
    needed=("field_name",),
    field_name=text,
    field_schema=record(needed=("type",), type=words("keyword"), is_tenant=boolean, on_disk=boolean),
)
UPSERT = record(needed=("points",), points=many(record(needed=("id", "vector"), id=point_id, vector=vector, payload=payload)))
DELETE = record(filter=FILTER, points=many(point_id))
COUNT = record(filter=FILTER, exact=boolean)
SCROLL = record(offset=point_id, limit=whole(1), filter=FILTER, with_payload=selector, with_vector=boolean)
QUERY = record(
    query=vector, filter=FILTER, params=PARAMS, limit=whole(1), offset=whole(0), with_payload=selector, with_vector=boolean
)


ALIAS = record(needed=("collection_name", "alias_name"), collection_name=text, alias_name=text)
ALIASES = record(needed=("actions",), actions=many(record(create_alias=ALIAS)))


def filter_of(asked):
    def one(condition):
        match = condition["match"]
        kind = edge.MatchAny(match["any"]) if "any" in match else edge.MatchValue(match["value"])
        return edge.FieldCondition(condition["key"], match=kind)

    if asked is None:
        return None
    return edge.Filter(**{key: [one(c) for c in conditions] for key, conditions in asked.items()})


class Server:
    """The collections, each a shard of the engine in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        # As in the server: snapshots lie apart from the collections, in a folder of each.
        self.kept = folder + "-snapshots"
        self.shards = {}
        self.aliases = {}
        self.made = 0
        for name in sorted(os.listdir(folder)):
            self.shards[name] = edge.EdgeShard.load(os.path.join(folder, name))

    def shard(self, name):
        if name not in self.shards:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return self.shards[name]

    def create(self, name, body):
        asked = CREATE(body, "body")["vectors"]
        if name in self.shards:
            raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
        if asked["size"] > 65536:
            raise Refused(422, "vectors.size: value must be between 1 and 65536")
        vectors = edge.EdgeVectorParams(size=asked["size"], distance=getattr(edge.Distance, asked["distance"]))
        # Every change is flushed before it is confirmed, so no log of 32 MiB a collection is needed.
        config = edge.EdgeConfig(vectors=vectors, wal_enabled=False)
        self.shards[name] = edge.EdgeShard.create(os.path.join(self.folder, name), config)
        return True

    def remove(self, name):
        shard = self.shards.pop(name, None)
        if shard is None:
            return False
        shard.close()
        shutil.rmtree(os.path.join(self.folder, name))
        shutil.rmtree(os.path.join(self.kept, name), ignore_errors=True)
        self.aliases = {alias: to for alias, to in self.aliases.items() if to != name}
        return True

    def info(self, name):
        with open(os.path.join(self.folder, name, "edge_config.json")) as file:
            config = json.load(file)
        count = self.shards[name].info().points_count
        return {"status": "green", "optimizer_status": "ok", "points_count": count, "segments_count": 1, "config": {"params": config}, "payload_schema": {}}

    def snapshot(self, name):
        """`create_snapshot`: a description of it. The server names it by collection, node and time."""
        self.shard(name).flush()
        self.made += 1
        file = f"{name}-{os.getpid()}-2026-11-21-08-00-{self.made:02}.snapshot"
        os.makedirs(os.path.join(self.kept, name), exist_ok=True)
        path = os.path.join(self.kept, name, file)
        with tarfile.open(path, "w") as archive:
            archive.add(os.path.join(self.folder, name), ".")
        return self.described(name, file)

    def described(self, name, file):
        with open(self.snapshot_file(name, file), "rb") as content:
            raw = content.read()
        return {"name": file, "creation_time": "2026-11-21T08:00:00", "size": len(raw), "checksum": hashlib.sha256(raw).hexdigest()}

    def snapshots(self, name):
        self.shard(name)
        folder = os.path.join(self.kept, name)
        return [self.described(name, file) for file in sorted(os.listdir(folder))] if os.path.isdir(folder) else []

    def snapshot_file(self, name, file):
        path = os.path.join(self.kept, name, file)
        if "/" in file or not os.path.isfile(path):
            raise Refused(404, f"Not found: Snapshot {file} not found")
        return path

    def forget(self, name, file):
        os.remove(self.snapshot_file(name, file))
        return True

    def recover(self, name, asked, raw):
        """`recover_from_uploaded_snapshot`: makes the collection when it is not there."""
        if set(asked) - {"wait", "priority", "checksum"} or asked.get("priority", ["replica"])[0] not in {"no_sync", "snapshot", "replica"}:
            raise Refused(400, "Wrong input: unknown query parameters")
        checksum = asked.get("checksum")
        if checksum and checksum[0] != hashlib.sha256(raw).hexdigest():
            raise Refused(400, "Bad request: Snapshot checksum mismatch")
        self.remove(name)
        path = os.path.join(self.folder, name)
        try:
            with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
                archive.extractall(path, filter="data")
            self.shards[name] = edge.EdgeShard.load(path)
        except Exception as e:
            shutil.rmtree(path, ignore_errors=True)
            raise Refused(400, f"Bad request: the snapshot cannot be read: {e}") from e
        return True

    def change_aliases(self, body):
        for action in ALIASES(body, "body")["actions"]:
            alias = action["create_alias"]
            self.shard(alias["collection_name"])
            self.aliases[alias["alias_name"]] = alias["collection_name"]
        return True

    def index(self, name, body):
        asked = INDEX(body, "body")
        tenant = asked.get("field_schema", {}).get("is_tenant")
        params = edge.KeywordIndexParams(is_tenant=tenant)
        return self.change(name, edge.UpdateOperation.create_field_index(asked["field_name"], params))

    def change(self, name, operation):
        shard = self.shard(name)
        try:
            shard.update(operation)
        except Exception as e:  # the engine has one kind of exception
            raise Refused(400, f"Wrong input: {e}") from e
        shard.flush()
        return {"operation_id": 0, "status": "completed"}

    def upsert(self, name, body):
        points = [edge.Point(p["id"], p["vector"], p.get("payload")) for p in UPSERT(body, "body")["points"]]
        return self.change(name, edge.UpdateOperation.upsert_points(points))

    def delete(self, name, body):
        asked = DELETE(body, "body")
        if "filter" in asked:
            return self.change(name, edge.UpdateOperation.delete_points_by_filter(filter_of(asked["filter"])))
        return self.change(name, edge.UpdateOperation.delete_points(asked["points"]))

    def count(self, name, body):
        asked = COUNT(body, "body")
        request = edge.CountRequest(exact=asked.get("exact", True), filter=filter_of(asked.get("filter")))
        return {"count": self.shard(name).count(request)}

    def scroll(self, name, body):
        asked = SCROLL(body, "body")
        request = edge.ScrollRequest(
            offset=asked.get("offset"),
            limit=asked.get("limit", 10),
            filter=filter_of(asked.get("filter")),
            with_payload=asked.get("with_payload", True),
            with_vector=asked.get("with_vector", False),
        )
        points, following = self.shard(name).scroll(request)
        return {"points": [shown(p) for p in points], "next_page_offset": plain(following)}

    def query(self, name, body):
        asked = QUERY(body, "body")
        request = edge.QueryRequest(
            limit=asked.get("limit", 10),
            offset=asked.get("offset", 0),
            query=edge.Query.Nearest(asked["query"]) if "query" in asked else None,
            filter=filter_of(asked.get("filter")),
            params=edge.SearchParams(**asked.get("params", {})),
            with_payload=asked.get("with_payload", False),
            with_vector=asked.get("with_vector", False),
        )
        try:
            found = self.shard(name).query(request)
        except Exception as e:
            raise Refused(400, f"Wrong input: {e}") from e
        return {"points": [{**shown(p), "version": p.version, "score": p.score} for p in found]}

    def answer(self, method, path, body):
        if (method, path) == ("GET", "/collections"):
            return {"collections": [{"name": name} for name in sorted(self.shards)]}
        if (method, path) == ("GET", "/aliases"):
            return {"aliases": [{"alias_name": alias, "collection_name": to} for alias, to in sorted(self.aliases.items())]}
        if (method, path) == ("POST", "/collections/aliases"):
            return self.change_aliases(body)
        found = re.fullmatch(r"/collections/([^/]{1,255})((?:/.*)?)", path)
        if not found:
            raise Refused(404, "")
        name, rest = found.groups()
        if method == "DELETE" and rest == "":
            return self.remove(name)
        if method == "GET" and rest == "":
            self.shard(name)
            return self.info(name)
        if rest == "/snapshots" and method in {"GET", "POST"}:
            return self.snapshots(name) if method == "GET" else self.snapshot(name)
        if rest.startswith("/snapshots/") and method == "DELETE":
            return self.forget(name, rest.removeprefix("/snapshots/"))
        todo = {
            ("PUT", ""): self.create,
            ("PUT", "/index"): self.index,
            ("PUT", "/points"): self.upsert,
            ("POST", "/points/delete"): self.delete,
            ("POST", "/points/count"): self.count,
            ("POST", "/points/scroll"): self.scroll,
            ("POST", "/points/query"): self.query,
        }.get((method, rest))
        if todo is None:
            raise Refused(404, "")
        if name not in self.shards and todo != self.create:
            self.shard(name)
        return todo(name, body)


def plain(identifier):
    return identifier if identifier is None or is_int(identifier) else str(identifier)


def shown(point):
    all_of_it = {"id": plain(point.id), "payload": point.payload}
    if point.vector is not None:
        all_of_it["vector"] = point.vector
    return all_of_it


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one(self):
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        address = urlsplit(self.path)
        address = address._replace(path=unquote(address.path))
        try:
            if address.path == "/" and self.command == "GET":
                return self.reply(200, {"title": "qdrant - vector search engine", "version": "1.19.0", "commit": ""})
            if self.server.key and self.headers.get("api-key") != self.server.key:
                return self.reply_raw(401, b"Must provide an API key or an Authorization bearer token")
            uploaded = re.fullmatch(r"/collections/([^/]{1,255})/snapshots/upload", address.path)
            if self.command == "POST" and uploaded:
                with LOCK:
                    result = self.server.qdrant.recover(uploaded[1], parse_qs(address.query), self.part(raw))
                return self.reply(200, {"result": result, "status": "ok", "time": 0.0})
            fetched = re.fullmatch(r"/collections/([^/]{1,255})/snapshots/([^/]+)", address.path)
            if self.command == "GET" and fetched:
                with LOCK, open(self.server.qdrant.snapshot_file(*fetched.groups()), "rb") as file:
                    whole = file.read()
                return self.reply_raw(200, whole, "application/octet-stream")
            if length > BODY_MAX:
                raise Refused(413, "Payload reached size limit.")
            changes = (self.command, address.path.rsplit("/", 1)[-1]) in {("PUT", "points"), ("POST", "delete"), ("PUT", "index")}
            asked = parse_qs(address.query)
            if set(asked) - ({"wait", "ordering", "timeout"} if changes else {"timeout", "consistency"}):
                bad(f"unknown query parameters in {self.path}")
            body = json.loads(raw) if raw else None
            with LOCK:
                result = self.server.qdrant.answer(self.command, address.path, body)
            if changes and asked.get("wait") != ["true"]:
                result = {"operation_id": 0, "status": "acknowledged"}
            self.reply(200, {"result": result, "status": "ok", "time": 0.0})
        except json.JSONDecodeError as e:
            self.reply(400, {"status": {"error": f"Format error in JSON body: {e}"}, "time": 0.0})
        except Refused as e:
            self.reply(e.status, {"status": {"error": str(e)}, "time": 0.0})

    def part(self, raw):
        """The part `snapshot` of a form (RFC 7578), the only one there may be."""
        head = b"content-type: " + self.headers.get("content-type", "").encode() + b"\r\n\r\n"
        parts = BytesParser().parsebytes(head + raw).get_payload()
        if not isinstance(parts, list) or len(parts) != 1 or parts[0].get_param("name", header="content-disposition") != "snapshot":
            raise Refused(400, "Wrong input: no part `snapshot`")
        return parts[0].get_payload(decode=True)

    def reply(self, status, value):
        self.reply_raw(status, json.dumps(value).encode(), "application/json")

    def reply_raw(self, status, raw, kind="text/plain"):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_PUT = do_POST = do_DELETE = handle_one


class Front(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    port, folder = int(sys.argv[1]), sys.argv[2]
    os.makedirs(folder, exist_ok=True)
    front = Front(("127.0.0.1", port), Handler)
    front.qdrant, front.key = Server(folder), sys.argv[3] if len(sys.argv) > 3 else None
    front.serve_forever()


if __name__ == "__main__":
    main()
