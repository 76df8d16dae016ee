"""The metrics of a replica: those of its processes in one text, with a label for each process. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def combined(texts: Mapping[int, str], labels: Mapping[str, str]) -> str:
    """Return the metrics of all processes in Prometheus's text format, each metric in one block.

    ``texts``: the metrics of each process. ``labels``: labels for all of them, beside ``process``.
    """
    blocks: dict[str, list[str]] = {}
    described: dict[str, list[str]] = {}
    for process, text in texts.items():
        given = _written({**labels, "process": str(process)})
        name = ""
        for line in text.splitlines():
            if line.startswith("# "):
                name = line.split(" ", 3)[2]
                head = described.setdefault(name, [])
                if line not in head:
                    head.append(line)
            elif line:
                blocks.setdefault(name, []).append(labelled(line, given))
    return "".join(
        f"{line}\n" for name, samples in blocks.items() for line in (*described.get(name, ()), *samples)
    )


def labelled(sample: str, labels: str) -> str:
    """Return a sample with further labels.

    >>> labelled('a_total{code="200"} 3', 'api="iris"'), labelled("b 1", 'api="iris"')
    ('a_total{api="iris",code="200"} 3', 'b{api="iris"} 1')
    """
    head, space, value = sample.rpartition(" ")
    name, brace, own = head.partition("{")
    return f"{name}{{{labels},{own}{space}{value}" if brace else f"{name}{{{labels}}}{space}{value}"


def _written(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
