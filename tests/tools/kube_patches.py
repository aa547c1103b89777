"""The patches that the fake API server takes: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and, for the kinds that are built in, the strategic
merge patch of Kubernetes (`sig-api-machinery/strategic-merge-patch.md`) as far as `kubectl apply` and `annotate` write it.
"""

import copy

# Lists whose elements are merged by a key (`patchMergeKey` in the published API); the first key that an element has counts.
MERGE_KEYS = {"containers": ("name",), "initContainers": ("name",), "env": ("name",), "volumes": ("name",), "ports": ("containerPort", "port"),
              "volumeMounts": ("mountPath",), "ownerReferences": ("uid",), "conditions": ("type",)}


class Failed(Exception):
    """A `test` that is not so, or a path that leads nowhere: the server tells no more than that."""


class Bad(Exception):
    """A patch that is none."""


def walk(doc, pointer):
    """The container and the last key of a JSON pointer; fails where it leads nowhere."""
    parts = [p.replace("~1", "/").replace("~0", "~") for p in pointer.split("/")[1:]]
    if not parts:
        raise Failed
    for part in parts[:-1]:
        doc = step(doc, part)
    return doc, parts[-1]


def step(doc, part):
    try:
        return doc[int(part)] if isinstance(doc, list) else doc[part]
    except (KeyError, IndexError, ValueError, TypeError):
        raise Failed from None


def json_patch(obj, ops):
    obj = copy.deepcopy(obj)
    if not isinstance(ops, list):
        raise Bad("it is no list")
    for op in ops:
        if set(op) - {"op", "path", "value", "from"} or op.get("op") not in ("add", "remove", "replace", "test"):
            raise Bad(str(op))
        doc, key = walk(obj, op["path"])
        if op["op"] == "test":
            if step(doc, key) != op.get("value"):
                raise Failed
        elif op["op"] == "remove":
            step(doc, key)
            del doc[int(key) if isinstance(doc, list) else key]
        elif isinstance(doc, list) and op["op"] == "add":
            at = len(doc) if key == "-" else int(key)
            if at > len(doc):
                raise Failed
            doc.insert(at, op["value"])
        elif isinstance(doc, (list, dict)):
            if op["op"] == "replace":
                step(doc, key)
            doc[int(key) if isinstance(doc, list) else key] = op["value"]
        else:
            raise Failed
    return obj


def merge_patch(obj, patch):
    if not isinstance(patch, dict):
        return patch
    made = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merge_patch(made.get(key), value)
    return made


def strategic(obj, patch):
    if not isinstance(patch, dict):
        return patch
    made = dict(obj) if isinstance(obj, dict) else {}
    keep = patch.get("$retainKeys")
    made = {k: v for k, v in made.items() if keep is None or k in keep}
    for key, value in patch.items():
        if key.startswith("$setElementOrder/") or key == "$retainKeys":
            continue
        if key.startswith("$"):
            raise Bad(f"this fake does not know {key}")
        if value is None:
            made.pop(key, None)
        elif isinstance(value, list) and key in MERGE_KEYS:
            made[key] = merged_list(made.get(key) or [], value, MERGE_KEYS[key])
        else:
            made[key] = strategic(made.get(key), value)
    return made


def merged_list(old, patch, keys):
    made = list(old)
    for element in patch:
        by = next((k for k in keys if k in element), None)
        if by is None:
            raise Bad(f"an element without {keys}")
        at = next((i for i, o in enumerate(made) if o.get(by) == element[by]), None)
        if element.get("$patch") == "delete":
            made = [o for o in made if o.get(by) != element[by]]
        elif at is None:
            made.append(element)
        else:
            made[at] = strategic(made[at], element)
    return made


KINDS = {"application/json-patch+json": json_patch, "application/merge-patch+json": merge_patch,
         "application/strategic-merge-patch+json": strategic}
