"""What the fake API server knows of the kinds of Kubernetes: made from the published OpenAPI documents of Kubernetes 1.32, of the
Gateway API 1.3 and of Istio 1.24. A field that is not here is refused, which is stricter than the server, which warns and drops it.
"""

import re

NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
LABEL = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
KEY = re.compile(r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")


class Invalid(Exception):
    """`field: why`, as the server words it."""


def wrong(path, value, why):
    raise Invalid(f"{path}: Invalid value: {value!r}: {why}")


def string(value, path):
    if not isinstance(value, str):
        wrong(path, value, "must be a string")


def anything(value, path):
    pass


def boolean(value, path):
    if not isinstance(value, bool):
        wrong(path, value, "must be a boolean")


def whole(least=0, most=2**31 - 1):
    def check(value, path):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            wrong(path, value, f"must be a whole number from {least} to {most}")

    return check


def number(value, path):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        wrong(path, value, "must be a number")


def one_of(*words):
    def check(value, path):
        if value not in words:
            wrong(path, value, f"supported values: {', '.join(words)}")

    return check


def many(check, least=0):
    def checked(value, path):
        if not isinstance(value, list) or len(value) < least:
            wrong(path, value, f"must be a list of at least {least}")
        for i, item in enumerate(value):
            check(item, f"{path}[{i}]")

    return checked


def each(check, key=KEY):
    def checked(value, path):
        if not isinstance(value, dict):
            wrong(path, value, "must be a map")
        for k, v in value.items():
            if not key.match(k):
                wrong(path, k, "is no qualified name")
            check(v, f"{path}.{k}")

    return checked


def fields(needed=(), **known):
    def check(value, path):
        if not isinstance(value, dict):
            wrong(path, value, "must be an object")
        for key, inner in value.items():
            if key not in known:
                raise Invalid(f'strict decoding error: unknown field "{path}.{key}"')
            known[key](inner, f"{path}.{key}")
        for key in needed:
            if key not in value:
                raise Invalid(f"{path}.{key}: Required value")

    return check


def label(value, path):
    string(value, path)
    if len(value) > 63 or not LABEL.match(value):
        wrong(path, value, "is no value of a label")


LABELS = each(label)
METADATA = fields(
    name=string, generateName=string, namespace=string, labels=LABELS, annotations=each(string), uid=string, resourceVersion=string,
    generation=whole(), creationTimestamp=anything, deletionTimestamp=anything, ownerReferences=many(anything), managedFields=anything)
SELECTOR = fields(matchLabels=LABELS, matchExpressions=many(fields(("key", "operator"), key=string, operator=one_of(
    "In", "NotIn", "Exists", "DoesNotExist"), values=many(label))))
CONTAINER = fields(("name", "image"), name=string, image=string, command=many(string), args=many(string), env=many(anything),
                   ports=many(anything), readinessProbe=anything, livenessProbe=anything, resources=anything, imagePullPolicy=string)
POD_SPEC = fields(("containers",), containers=many(CONTAINER, 1), initContainers=many(CONTAINER), serviceAccountName=string,
                  terminationGracePeriodSeconds=whole(), restartPolicy=string, nodeSelector=LABELS)
TEMPLATE = fields(("spec",), metadata=METADATA, spec=POD_SPEC)
DEPLOYMENT = fields(("selector", "template"), replicas=whole(), selector=SELECTOR, template=TEMPLATE, strategy=anything,
                    minReadySeconds=whole(), revisionHistoryLimit=whole(), progressDeadlineSeconds=whole(), paused=boolean)
PORT = fields(("port",), name=string, port=whole(1, 65535), targetPort=anything, protocol=string, nodePort=whole(), appProtocol=string)
SERVICE = fields(selector=LABELS, ports=many(PORT), type=string, clusterIP=string, clusterIPs=many(string), sessionAffinity=string,
                 internalTrafficPolicy=string, ipFamilies=many(string), ipFamilyPolicy=string, publishNotReadyAddresses=boolean)

REF = {"group": string, "kind": string, "name": string, "namespace": string, "port": whole(1, 65535)}
WEIGHTED = fields(("name",), weight=whole(0, 1_000_000), filters=many(anything), **REF)
FRACTION = fields(("numerator",), numerator=whole(), denominator=whole(1))
FILTER = fields(("type",), type=one_of("RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "RequestRedirect",
                                       "URLRewrite", "ExtensionRef"), requestHeaderModifier=anything, responseHeaderModifier=anything,
                requestMirror=fields(("backendRef",), backendRef=fields(("name",), **REF), percent=whole(0, 100), fraction=FRACTION))
RULE = fields(name=string, matches=many(anything), filters=many(FILTER), backendRefs=many(WEIGHTED), timeouts=anything, retry=anything,
              sessionPersistence=anything)
HTTP_ROUTE = fields(parentRefs=many(fields(("name",), sectionName=string, **REF)), hostnames=many(string), rules=many(RULE, 1))

BACKEND = fields(service=fields(("name",), name=string, port=fields(name=string, number=whole(1, 65535))), resource=anything)
PATH = fields(("pathType", "backend"), path=string, pathType=one_of("Exact", "Prefix", "ImplementationSpecific"), backend=BACKEND)
INGRESS = fields(ingressClassName=string, defaultBackend=BACKEND, tls=many(fields(hosts=many(string), secretName=string)),
                 rules=many(fields(host=string, http=fields(("paths",), paths=many(PATH, 1)))))

DESTINATION = fields(("host",), host=string, subset=string, port=fields(number=whole(1, 65535)))
HTTP = fields(name=string, match=many(anything), route=many(fields(("destination",), destination=DESTINATION, weight=whole(),
              headers=anything)), mirror=DESTINATION, mirrorPercentage=fields(value=number), timeout=string, retries=anything,
              rewrite=anything, headers=anything)
VIRTUAL_SERVICE = fields(hosts=many(string), gateways=many(string), http=many(HTTP), exportTo=many(string))

HPA = fields(("scaleTargetRef", "maxReplicas"), scaleTargetRef=fields(("kind", "name"), apiVersion=string, kind=string, name=string),
             minReplicas=whole(), maxReplicas=whole(1), metrics=many(anything), behavior=anything)
RULES = many(fields(("verbs",), apiGroups=many(string), resources=many(string), resourceNames=many(string), verbs=many(string)))
SUBJECTS = many(fields(("kind", "name"), kind=string, name=string, namespace=string, apiGroup=string))
ROLE_REF = fields(("apiGroup", "kind", "name"), apiGroup=string, kind=string, name=string)
REVIEW = fields(resourceAttributes=fields(namespace=string, verb=string, group=string, version=string, resource=string,
                                          subresource=string, name=string))

ALL = ("create", "delete", "get", "list", "patch", "update", "watch")
# Group, version, plural: kind, what else an object has besides metadata, verbs.
KINDS = {
    ("", "v1", "services"): ("Service", {"spec": SERVICE}, ALL),
    ("", "v1", "pods"): ("Pod", {"spec": POD_SPEC}, ALL),
    ("", "v1", "namespaces"): ("Namespace", {"spec": anything}, ALL),
    ("", "v1", "serviceaccounts"): ("ServiceAccount", {}, ALL),
    ("apps", "v1", "deployments"): ("Deployment", {"spec": DEPLOYMENT}, ALL),
    ("apps", "v1", "replicasets"): ("ReplicaSet", {"spec": DEPLOYMENT}, ALL),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", {"spec": REVIEW}, ("create",)),
    ("autoscaling", "v2", "horizontalpodautoscalers"): ("HorizontalPodAutoscaler", {"spec": HPA}, ALL),
    ("discovery.k8s.io", "v1", "endpointslices"): ("EndpointSlice", {"addressType": string, "endpoints": anything, "ports": anything}, ALL),
    ("gateway.networking.k8s.io", "v1", "httproutes"): ("HTTPRoute", {"spec": HTTP_ROUTE}, ALL),
    ("networking.istio.io", "v1", "virtualservices"): ("VirtualService", {"spec": VIRTUAL_SERVICE}, ALL),
    ("networking.k8s.io", "v1", "ingresses"): ("Ingress", {"spec": INGRESS}, ALL),
    ("rbac.authorization.k8s.io", "v1", "roles"): ("Role", {"rules": RULES}, ALL),
    ("rbac.authorization.k8s.io", "v1", "rolebindings"): ("RoleBinding", {"subjects": SUBJECTS, "roleRef": ROLE_REF}, ALL),
}
CLUSTER_WIDE = {"namespaces", "selfsubjectaccessreviews"}


def check(kind_key, obj):
    kind, known, _ = KINDS[kind_key]
    group, version, _ = kind_key
    if obj.get("kind") != kind or obj.get("apiVersion") != (f"{group}/{version}" if group else version):
        raise Invalid(f"kind: Invalid value: {obj.get('apiVersion')}/{obj.get('kind')}: is no {kind}")
    for key, value in obj.items():
        if key in known:
            known[key](value, key)
        elif key == "metadata":
            METADATA(value, key)
        elif key not in ("apiVersion", "kind", "status"):
            raise Invalid(f'strict decoding error: unknown field "{key}"')
    if kind != "SelfSubjectAccessReview" and not NAME.match(obj.get("metadata", {}).get("name", "")):
        wrong("metadata.name", obj.get("metadata", {}).get("name"), "is no RFC 1123 subdomain")
    if kind == "Deployment":
        spec = obj["spec"]
        labels = spec["template"].get("metadata", {}).get("labels", {})
        if any(labels.get(k) != v for k, v in spec["selector"].get("matchLabels", {}).items()):
            wrong("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    if kind == "Ingress" and not (obj.get("spec", {}).get("rules") or obj.get("spec", {}).get("defaultBackend")):
        wrong("spec", obj.get("spec"), "either `defaultBackend` or `rules` must be specified")
