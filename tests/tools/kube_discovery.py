"""What the fake API server says of itself: its version, groups and resources, and the OpenAPI v3 documents by which `kubectl` finds out that the server
checks fields itself (`fieldValidation`) and takes dry runs.
"""

import kube_types as types


def path_of(group, version):
    return f"apis/{group}/{version}" if group else f"api/{version}"


def versions():
    return [("", "v1"), *sorted({(g, v) for g, v, _ in types.KINDS if g})]


def resources(group, version):
    mine = [(p, kind, verbs) for (g, v, p), (kind, _, verbs) in types.KINDS.items() if (g, v) == (group, version)]
    return [{"name": p, "singularName": kind.lower(), "namespaced": p not in types.CLUSTER_WIDE, "kind": kind, "verbs": list(verbs)}
            for p, kind, verbs in mine]


def openapi(group, version):
    """Only the operations, and of those only what `kubectl` looks at."""
    def patch(kind):
        asked = [{"name": n, "in": "query", "schema": {"type": "string"}} for n in ("dryRun", "fieldManager", "fieldValidation")]
        named = {"group": group, "version": version, "kind": kind}
        return {"operationId": f"patch{kind}", "parameters": asked, "responses": {"200": {"description": "OK"}}, "x-kubernetes-group-version-kind": named}

    def place(resource):
        namespace = "/namespaces/{namespace}" if resource["namespaced"] else ""
        return f"/{path_of(group, version)}{namespace}/{resource['name']}/{{name}}"

    paths = {place(r): {"patch": patch(r["kind"])} for r in resources(group, version) if "patch" in r["verbs"]}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.32.4"}, "paths": paths}


def discovery(path):
    """What is at a path of discovery; `None` for other paths."""
    if path == "/version":
        return {"major": "1", "minor": "32", "gitVersion": "v1.32.4", "platform": "fake/none", "goVersion": "none"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        def group(g, v):
            version = {"groupVersion": f"{g}/{v}", "version": v}
            return {"name": g, "versions": [version], "preferredVersion": version}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group(g, v) for g, v in versions() if g]}
    if path == "/openapi/v3":
        return {"paths": {path_of(g, v): {"serverRelativeURL": f"/openapi/v3/{path_of(g, v)}?hash=1"} for g, v in versions()}}
    for g, v in versions():
        if path == f"/{path_of(g, v)}":
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{g}/{v}" if g else v, "resources": resources(g, v)}
        if path == f"/openapi/v3/{path_of(g, v)}":
            return openapi(g, v)
    return None
