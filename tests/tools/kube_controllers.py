"""The controllers of the fake API server: Deployments make ReplicaSets and pods, pods come up (or do not, as the test planned), endpoint slices
follow the pods that Services select, a gateway reports on HTTPRoutes. Modelled on kube-controller-manager's documents, not on its code.

What pods do is planned by image or by the annotation `kf.dev/version`: a reason (`CrashLoopBackOff`) that their container waits for ever with, `never`
for pods that are not ready, or a number of seconds until they are.
"""

import hashlib
import json
import time
import traceback
import uuid

TICK = 0.02


def run(store, lock):
    while True:
        time.sleep(TICK)
        try:
            with lock:
                for key, obj in store.items("apps", "deployments"):
                    deployment(store, key, obj)
                for key, obj in store.items("", "pods"):
                    kubelet(store, key, obj)
                for key, obj in store.items("", "services"):
                    slices(store, key, obj)
                for key, obj in store.items("gateway.networking.k8s.io", "httproutes"):
                    gateway(store, key, obj)
        except Exception:
            traceback.print_exc()


def status(store, key, obj, new):
    if obj.get("status") != new:
        store.put(key, {**obj, "status": new})


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def owned(store, namespace, uid):
    return [(k, o) for k, o in store.items("", "pods", namespace) if o["metadata"]["ownerReferences"][0]["uid"] == uid]


def deployment(store, key, obj):
    _, _, namespace, name = key
    spec, meta = obj["spec"], obj["metadata"]
    template = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
    sets = [(k, o) for k, o in store.items("apps", "replicasets", namespace) if o["metadata"]["ownerReferences"][0]["uid"] == meta["uid"]]
    newest = next((o for _, o in sets if o["metadata"]["labels"]["pod-template-hash"] == template), None)
    if newest is None:
        newest = replica_set(store, key, obj, template)
        sets.append((("apps", "replicasets", namespace, newest["metadata"]["name"]), newest))
        # Its revision is written down, which counts as a change of the Deployment.
        annotations = {**meta.get("annotations", {}), "deployment.kubernetes.io/revision": str(len(sets))}
        meta = {**meta, "annotations": annotations, "generation": meta["generation"] + 1}
        obj = {**obj, "metadata": meta}
        store.put(key, obj)
    pods = {o["metadata"]["uid"]: owned(store, namespace, o["metadata"]["uid"]) for _, o in sets}
    new = pods[newest["metadata"]["uid"]]
    old = [p for uid, all in pods.items() if uid != newest["metadata"]["uid"] for p in all]
    for _ in range(spec["replicas"] - len(new)):
        pod(store, namespace, newest, spec["template"])
    # Pods that are too many go, those that are not ready first; old ones when the new ones have come up.
    extra = sorted(new, key=lambda p: is_ready(p[1]))[: max(0, len(new) - spec["replicas"])]
    ready = sum(is_ready(p) for _, p in new)
    if ready >= spec["replicas"]:
        extra += old
    for k, _ in extra:
        store.remove(k)
    left = [p for p in new + old if p not in extra]
    updated = len([p for p in new if p not in extra])
    up = sum(is_ready(p) for _, p in left)
    since = store.since.setdefault((meta["uid"], meta["generation"]), time.time())
    late = ready < spec["replicas"] and time.time() - since > spec["progressDeadlineSeconds"]
    progress = {"type": "Progressing", "status": "False" if late else "True", "reason": "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated",
                "message": f'ReplicaSet "{newest["metadata"]["name"]}" {"has timed out progressing" if late else "is progressing"}.'}
    now = {"observedGeneration": meta["generation"], "conditions": [progress]}
    for count, value in {"replicas": len(left), "updatedReplicas": updated, "readyReplicas": up, "availableReplicas": up}.items():
        if value:
            now[count] = value
    status(store, key, obj, now)


def replica_set(store, key, obj, template):
    name = f"{key[3]}-{template}"
    labels = {**obj["spec"]["template"].get("metadata", {}).get("labels", {}), "pod-template-hash": template}
    made = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {}, "metadata": {
        "name": name, "namespace": key[2], "uid": str(uuid.uuid4()), "labels": labels, "creationTimestamp": None,
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": key[3], "uid": obj["metadata"]["uid"]}]}}
    store.put(("apps", "replicasets", key[2], name), made)
    return made


def pod(store, namespace, replica_set, template):
    owner = replica_set["metadata"]
    uid = str(uuid.uuid4())
    name = f"{owner['name']}-{uid[:5]}"
    made = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "metadata": {
        "name": name, "namespace": namespace, "uid": uid, "labels": owner["labels"], "creationTimestamp": None,
        "annotations": template.get("metadata", {}).get("annotations", {}),
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner["name"], "uid": owner["uid"]}]}}
    made["status"] = {"phase": "Pending"}
    store.put(("", "pods", namespace, name), made)


def kubelet(store, key, obj):
    container = obj["spec"]["containers"][0]
    plan = store.pods.get(container["image"], store.pods.get(obj["metadata"]["annotations"].get("kf.dev/version"), 0))
    began = store.since.setdefault(obj["metadata"]["uid"], time.time())
    reason = plan if isinstance(plan, str) and plan != "never" else None
    ready = not isinstance(plan, str) and time.time() - began >= plan
    if reason:
        state = {"waiting": {"reason": reason, "message": f"planned for {container['image']}"}}
    else:
        state = {"running": {}}
    now = {"phase": "Pending" if reason else "Running", "podIP": "10.0.0.1",
           "conditions": [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "True" if ready else "False"}],
           "containerStatuses": [{"name": container["name"], "image": container["image"], "ready": ready, "restartCount": 0, "state": state}]}
    status(store, key, obj, now)


def slices(store, key, obj):
    if store.slices == "frozen":
        return
    _, _, namespace, name = key
    place = ("discovery.k8s.io", "endpointslices", namespace, f"{name}-fake1")
    selector = obj["spec"].get("selector") or {}
    pods = [p for _, p in store.items("", "pods", namespace) if selector and selector.items() <= p["metadata"].get("labels", {}).items()]

    def endpoint(pod):
        up, meta = is_ready(pod), pod["metadata"]
        return {"addresses": ["10.0.0.1"], "conditions": {"ready": up, "serving": up, "terminating": False},
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": meta["name"], "uid": meta["uid"]}}

    endpoints = [endpoint(p) for p in pods if "conditions" in p["status"]]
    old = store.objects.get(place)
    if old is None or old["endpoints"] != endpoints:
        meta = {"name": place[3], "namespace": namespace, "uid": str(uuid.uuid4()), "labels": {"kubernetes.io/service-name": name}}
        store.put(place, {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
                          "endpoints": endpoints, "ports": []})


def gateway(store, key, obj):
    mode = store.gateway["mode"]
    if mode == "none":
        return
    parents = []
    for parent in obj["spec"].get("parentRefs", []):
        seen = obj["metadata"]["generation"]
        before = [p for p in obj.get("status", {}).get("parents", []) if p["parentRef"] == parent]
        if mode == "asleep" and before:
            seen = before[0]["conditions"][0]["observedGeneration"]
        good = {"status": "True", "reason": "Accepted", "message": "", "observedGeneration": seen}
        bad = {"status": "False", "reason": "BackendNotFound", "message": "planned", "observedGeneration": seen}
        parents.append({"parentRef": parent, "controllerName": "fake.example.org/gateway", "conditions": [
            {"type": "Accepted", **good}, {"type": "ResolvedRefs", **(bad if mode == "refuse" else good)}]})
    status(store, key, obj, {"parents": parents})
