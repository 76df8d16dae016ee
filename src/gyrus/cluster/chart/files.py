"""All files of the chart by their paths in it. Pure."""

from __future__ import annotations

import json

import yaml

from gyrus import __version__
from gyrus.cluster.chart.dashboard import dashboard
from gyrus.cluster.chart.templates import templates
from gyrus.cluster.chart.values import default_values, values_schema

NOTES = """\
gyrus {{ .Chart.AppVersion }} is installed in the namespace {{ .Release.Namespace }}.

Add its operator to the command line:

  gyrus cluster connect --namespace {{ .Release.Namespace }}

Then deploy: gyrus deploy
"""
DESCRIPTION = "Deploy machine-learning models as production APIs: operator and gateways"


def chart_files() -> dict[str, str]:
    """Return the content of each file, by its path in the chart's folder."""
    rendered = {f"templates/{name}": text for name, text in templates().items()}
    return {
        "Chart.yaml": _chart(),
        "values.yaml": default_values(),
        "values.schema.json": json.dumps(values_schema(), indent=2) + "\n",
        "templates/NOTES.txt": NOTES,
        "dashboards/gyrus.json": json.dumps(dashboard(), indent=2) + "\n",
        **rendered,
    }


def _chart() -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v2",
            "name": "gyrus",
            "description": DESCRIPTION,
            "type": "application",
            "version": __version__.partition("+")[0],
            "appVersion": __version__,
            "kubeVersion": ">=1.20.0-0",
        },
        sort_keys=False,
    )
