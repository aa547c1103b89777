"""Reads a dashboard from standard input with the types that Grafana publishes, and prints what they made of it.

What they do not know they drop, so a field that is written wrongly is not in what is printed.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

register_default_plugins()
print(JSONEncoder(sort_keys=True, indent=1).encode(Dashboard.from_json(json.load(sys.stdin))))
