"""A test-only fake of a Kubernetes API server with the controllers that `kf` needs: made from the published API, for the real `kubectl`.

It has discovery, OpenAPI v3, get, list with selectors, watch, create, patches with the server's answers to failed tests, delete, dry runs, the
status subresource, optimistic locking, generations, RBAC by Roles and RoleBindings, SelfSubjectAccessReviews; Deployments that make ReplicaSets and
pods, endpoint slices of Services, a gateway that reports on HTTPRoutes. It refuses what it does not have instead of guessing: other patches,
unknown fields and parameters.

    python kube_api.py PORT FOLDER      (cert.pem and key.pem are in FOLDER)

Tokens are users: `admin` may do everything, `NAMESPACE:NAME` is that service account. Under /fake (only `admin`) the tests plan what goes wrong.
"""

import copy
import json
import re
import ssl
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import kube_controllers
import kube_patches as patches
import kube_types as types
from kube_discovery import discovery

LOCK = threading.RLock()
PARAMETERS = {"fieldManager", "fieldValidation", "dryRun", "limit", "labelSelector", "fieldSelector", "timeout", "propagationPolicy", "continue",
              "watch", "resourceVersion", "resourceVersionMatch", "allowWatchBookmarks", "timeoutSeconds", "hash"}
WATCH_MOST = 300
BODY_MAX = 3 << 20


class Answer(Exception):
    """A Status of the API (`metav1.Status`)."""

    def __init__(self, code, reason, message, **details):
        super().__init__(message)
        self.code = code
        self.body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
        if details:
            self.body["details"] = details


def patch_failed():
    # `patch.go` wraps what the JSON patch library says in a generic response without details.
    return Answer(422, "Invalid", "the server rejected our request due to an error in our request")


class Store:
    """Objects by (plural with group, namespace, name)."""

    def __init__(self):
        self.objects = {}
        self.version = 100
        self.plan = []
        self.log = []
        self.pods = {}
        self.gateway = {"mode": "accept"}
        self.slices = "kept"
        self.since = {}
        self.happened = []

    def put(self, key, obj):
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self.happened.append((self.version, "MODIFIED" if key in self.objects else "ADDED", key, copy.deepcopy(obj)))
        self.objects[key] = obj

    def remove(self, key):
        gone = self.objects.pop(key)
        self.version += 1
        last = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
        self.happened.append((self.version, "DELETED", key, last))
        return gone

    def items(self, group, plural, namespace=None):
        found = [(k, o) for k, o in self.objects.items() if k[:2] == (group, plural) and namespace in (None, k[2])]
        return sorted(found, key=lambda pair: pair[0])

    def write(self, key, new, kind_key):
        """Puts a changed object with the generation that the server would give it; status does not change here."""
        old = self.objects[key]
        new["metadata"].update({k: old["metadata"][k] for k in ("uid", "creationTimestamp", "name")})
        if new["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise conflict(key)
        new["metadata"].pop("generation", None)
        if "generation" in old["metadata"]:
            new["metadata"]["generation"] = old["metadata"]["generation"]
        if "status" in old:
            new["status"] = old["status"]
        elif "status" in new:
            del new["status"]
        if key[1] == "deployments" and new["spec"]["selector"] != old["spec"]["selector"]:
            raise invalid(key, "Deployment", "spec.selector: Invalid value: field is immutable")
        if new == old:
            return old
        # Deployments count changes of annotations, too (`strategy.go` of apps/deployment).
        changed = new.get("spec") != old.get("spec")
        changed |= key[1] == "deployments" and new["metadata"].get("annotations") != old["metadata"].get("annotations")
        if changed and "generation" in old["metadata"]:
            new["metadata"]["generation"] += 1
        self.put(key, new)
        return new


STORE = Store()


def qualified(key):
    return key[1] if not key[0] else f"{key[1]}.{key[0]}"


def not_found(key):
    return Answer(404, "NotFound", f'{qualified(key)} "{key[3]}" not found', name=key[3], group=key[0], kind=key[1])


def conflict(key):
    said = f'Operation cannot be fulfilled on {qualified(key)} "{key[3]}": the object has been modified; please apply your changes to the latest version and try again'
    return Answer(409, "Conflict", said, name=key[3], group=key[0], kind=key[1])


def invalid(key, kind, why):
    field, _, said = why.partition(": ")
    causes = [{"reason": "FieldValueInvalid", "message": said or why, "field": field}]
    return Answer(422, "Invalid", f'{kind}.{key[0]} "{key[3]}" is invalid: {why}', name=key[3], group=key[0], kind=kind, causes=causes)


def selected(labels, selector):
    """Label selectors as text: a=b, a!=b, a in (b,c), a notin (b,c), a, !a."""
    for part in re.findall(r"[^,(]+(?:\([^)]*\))?", selector):
        part = part.strip()
        if m := re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", part):
            inside = labels.get(m[1]) in [v.strip() for v in m[3].split(",")]
            good = inside == (m[2] == "in")
        elif "!=" in part:
            key, value = part.split("!=")
            good = labels.get(key) != value
        elif "=" in part:
            key, value = part.replace("==", "=").split("=")
            good = labels.get(key) == value
        else:
            good = (part.lstrip("!") in labels) != part.startswith("!")
        if not good:
            return False
    return True


def chosen(obj, query):
    """True for an object that the selectors of a list or a watch mean; of fields there is only the name, as for most kinds."""
    if not selected(obj["metadata"].get("labels", {}), query.get("labelSelector", [""])[0]):
        return False
    for part in filter(None, query.get("fieldSelector", [""])[0].split(",")):
        key, _, value = part.partition("=")
        if key not in ("metadata.name", "metadata.namespace"):
            raise Answer(400, "BadRequest", f'field label not supported: {key}')
        if obj["metadata"].get(key.split(".")[1]) != value:
            return False
    return True


def allowed(user, verb, group, resource, namespace, name):
    if user == "admin":
        return True
    who_namespace, _, who = user.partition(":")
    for _, binding in STORE.items("rbac.authorization.k8s.io", "rolebindings", namespace):
        subject = {"kind": "ServiceAccount", "namespace": who_namespace, "name": who}
        if not any({**s} == {**subject, **{k: v for k, v in s.items() if k == "apiGroup"}} for s in binding.get("subjects", [])):
            continue
        role = STORE.objects.get(("rbac.authorization.k8s.io", "roles", namespace, binding["roleRef"]["name"]), {})
        for rule in role.get("rules", []):
            fits = (verb in rule["verbs"] or "*" in rule["verbs"]) and group in rule.get("apiGroups", []) and resource in rule.get("resources", [])
            names = rule.get("resourceNames", [])
            if fits and (not names or name in names):
                return True
    return False


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, body):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(min(int(self.headers.get("Content-Length") or 0), BODY_MAX))
        text = b""
        while (length := int(self.rfile.readline().split(b";")[0], 16)) and len(text) < BODY_MAX:
            text += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return text

    def handle_one(self):
        try:
            url, body = urlsplit(self.path), self.body()
            user = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if not user:
                raise Answer(401, "Unauthorized", "Unauthorized")
            with LOCK:
                if url.path.startswith("/fake/") and user == "admin":
                    return self.answer(200, self.fake(url.path, body))
                STORE.log.append({"method": self.command, "path": self.path, "user": user})
                fault = self.fault(url.path)
            if "hang" in fault:
                time.sleep(fault["hang"])
            if "status" in fault:
                raise Answer(fault["status"], fault.get("reason", "InternalError"), "an error that the test planned")
            with LOCK:
                if "first" in fault:
                    do_patch(fault["first"]["path"], fault["first"]["patch"], {}, "admin")
                code, result = route(self.command, url.path, parse_qs(url.query, keep_blank_values=True), body, self.headers, user)
            if code == "watch":
                return self.watch(*result)
            if fault.get("lose"):
                self.close_connection = True
                return self.connection.close()
            self.answer(code, result)
        except Answer as e:
            self.answer(e.code, e.body)

    def watch(self, key, query):
        """Sends what happens until the client goes, or the time that it gave is over."""
        seen = int(query.get("resourceVersion", [""])[0] or 0)
        until = time.time() + min(int(query.get("timeoutSeconds", [WATCH_MOST])[0]), WATCH_MOST)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        at = 0
        while time.time() < until:
            with LOCK:
                news, at = STORE.happened[at:], len(STORE.happened)
            for version, kind, (group, plural, namespace, _), obj in news:
                mine = (group, plural) == key[:2] and key[2] in ("", namespace) and version > seen
                if mine and chosen(obj, query):
                    self.wfile.write(json.dumps({"type": kind, "object": obj}).encode() + b"\n")
                    self.wfile.flush()
            time.sleep(0.02)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_one

    def fault(self, path):
        for fault in STORE.plan:
            if fault["times"] > 0 and fault["method"] == self.command and re.search(fault["path"], path):
                fault["times"] -= 1
                return fault
        return {}

    def fake(self, path, body):
        """/fake/plan, /fake/pods, /fake/gateway, /fake/slices set what goes wrong; /fake/log tells what was asked."""
        given = json.loads(body) if body else None
        match path:
            case "/fake/plan":
                STORE.plan = given
            case "/fake/pods":
                STORE.pods = given
            case "/fake/gateway":
                STORE.gateway = given
            case "/fake/slices":
                STORE.slices = given["mode"]
            case "/fake/log":
                seen, STORE.log = STORE.log, []
                return seen
            case _:
                raise Answer(404, "NotFound", path)
        return {}


PATHS = re.compile(r"^/(?:api/(?P<core>v1)|apis/(?P<group>[^/]+)/(?P<version>[^/]+))(?:/namespaces/(?P<ns>[^/]+))?/(?P<plural>[a-z]+)"
                   r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>status))?$")


def route(method, path, query, body, headers, user):
    if method == "GET" and (found := discovery(path)) is not None:
        return 200, found
    if path == "/readyz":
        return 200, b"ok"
    m = PATHS.match(path)
    # A namespace is an object, too: its path looks like that of things in it.
    if n := re.fullmatch(r"/api/v1/namespaces(?:/([^/]+))?", path):
        key, sub = ("", "namespaces", "", n[1] or ""), None
    elif m:
        key, sub = (m["group"] or "", m["plural"], m["ns"] or "", m["name"] or ""), m["sub"]
    else:
        raise Answer(404, "NotFound", "the server could not find the requested resource")
    kind_key = (key[0], "v1" if n else m["core"] or m["version"], key[1])
    if kind_key not in types.KINDS:
        raise Answer(404, "NotFound", "the server could not find the requested resource")
    if "sendInitialEvents" in query:
        raise invalid(key, "ListOptions", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
    if unknown := set(query) - PARAMETERS:
        raise Answer(400, "BadRequest", f"unknown parameters: {unknown}")
    watches = method == "GET" and query.get("watch", [""])[0] in ("1", "true")
    verb = {"GET": "watch" if watches else "get" if key[3] else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}.get(method)
    if verb not in types.KINDS[kind_key][2]:
        raise Answer(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    if key[1] != "selfsubjectaccessreviews" and not allowed(user, verb, key[0], key[1], key[2], key[3]):
        said = f'{qualified(key)} "{key[3]}" is forbidden: User "system:serviceaccount:{user}" cannot {verb} resource "{key[1]}" in API group "{key[0]}" in the namespace "{key[2]}"'
        raise Answer(403, "Forbidden", said, name=key[3], group=key[0], kind=key[1])
    match verb:
        case "get":
            if key not in STORE.objects:
                raise not_found(key)
            return 200, STORE.objects[key]
        case "watch":
            return "watch", (key, query)
        case "list":
            found = [o for _, o in STORE.items(key[0], key[1], key[2] or None) if chosen(o, query)]
            kind = types.KINDS[kind_key][0]
            version = f"{key[0]}/{kind_key[1]}" if key[0] else kind_key[1]
            return 200, {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": str(STORE.version)}, "items": found}
        case "create":
            return 201, create(key, kind_key, json.loads(body), query, user)
        case "delete":
            if key not in STORE.objects:
                raise not_found(key)
            gone = STORE.remove(key)
            return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {"name": key[3], "kind": key[1], "uid": gone["metadata"]["uid"]}}
    built_in = "." not in key[0] or key[0].endswith(".k8s.io") and not key[0].startswith("gateway.")
    taken = {kind: patch for kind, patch in patches.KINDS.items() if built_in or "strategic" not in kind}
    if (patch := taken.get(headers.get("Content-Type"))) is None:
        raise Answer(415, "UnsupportedMediaType", f"the body of the request was in an unknown format - accepted media types include: {', '.join(taken)}")
    return 200, change(key, kind_key, lambda old: patch(copy.deepcopy(old), json.loads(body)), query, sub)


def do_patch(path, ops, query, user):
    headers = {"Content-Type": "application/json-patch+json"}
    return route("PATCH", path, query, json.dumps(ops).encode(), headers, user)


def change(key, kind_key, patch, query, sub):
    if key not in STORE.objects:
        raise not_found(key)
    old = STORE.objects[key]
    try:
        new = patch(old)
    except patches.Failed:
        raise patch_failed() from None
    except patches.Bad as e:
        raise Answer(400, "BadRequest", f"error decoding patch: {e}") from None
    if sub == "status":
        STORE.put(key, {**copy.deepcopy(old), "status": new.get("status", {})})
        return STORE.objects[key]
    try:
        types.check(kind_key, new)
    except types.Invalid as e:
        raise invalid(key, types.KINDS[kind_key][0], str(e)) from None
    if query.get("dryRun"):
        return new
    return STORE.write(key, new, kind_key)


def create(key, kind_key, obj, query, user):
    kind = types.KINDS[kind_key][0]
    name = obj.get("metadata", {}).get("name", "")
    key = (*key[:3], name)
    try:
        types.check(kind_key, obj)
    except types.Invalid as e:
        raise invalid(key, kind, str(e)) from None
    if kind == "SelfSubjectAccessReview":
        asked = obj["spec"]["resourceAttributes"]
        yes = allowed(user, asked["verb"], asked.get("group", ""), asked["resource"], asked.get("namespace", ""), asked.get("name", ""))
        return {**obj, "metadata": {}, "status": {"allowed": yes}}
    if key in STORE.objects:
        raise Answer(409, "AlreadyExists", f'{qualified(key)} "{name}" already exists', name=name, group=key[0], kind=key[1])
    obj["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    if key[2]:
        obj["metadata"]["namespace"] = key[2]
    if "spec" in obj and kind not in ("Service", "Namespace"):
        obj["metadata"]["generation"] = 1
    if kind == "Deployment":
        obj["spec"].setdefault("replicas", 1)
        obj["spec"].setdefault("progressDeadlineSeconds", 600)
    if kind == "HTTPRoute":
        for rule in obj["spec"].get("rules", []):
            for ref in rule.get("backendRefs", []):
                ref.update({"group": "", "kind": "Service", "weight": 1, **ref})
    obj.pop("status", None)
    if not query.get("dryRun"):
        STORE.put(key, obj)
    return obj


class Front(ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address):
        # The handshake here, not while accepting: a client that does not speak must not keep others out.
        with self.tls.wrap_socket(request, server_side=True) as secure:
            self.RequestHandlerClass(secure, client_address, self)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)


def main(port, folder):
    front = Front(("127.0.0.1", int(port)), Server)
    front.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    front.tls.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    threading.Thread(target=kube_controllers.run, args=(STORE, LOCK), daemon=True).start()
    front.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
