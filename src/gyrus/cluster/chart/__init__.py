"""The Helm chart, generated from the manifests of ``gyrus cluster install``. Pure: from settings to files.

The manifests' functions run once for each combination of the conditions in which their results differ. What
differs becomes a condition of the template, so that the chart and the command cannot drift apart.
"""
