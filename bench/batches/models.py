"""The models of ``bench/batching.py``: each answers a list of rows of 16 numbers (tokens, on a GPU)."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any, Protocol

COLUMNS = 16
TOKENS = 128


class Model(Protocol):
    def run(self, rows: list[list[float]]) -> list[Any]: ...


class Device:
    """A device that runs beside the interpreter, with the times of a 12-layer transformer on a GPU."""

    def run(self, rows: list[list[float]]) -> list[Any]:
        time.sleep(0.0021 + 0.00003 * len(rows))
        return [sum(row) for row in rows]


class Sklearn:
    """A classifier of scikit-learn, with one thread. It holds the interpreter most of the time."""

    def __init__(self) -> None:
        from sklearn.datasets import make_classification
        from sklearn.ensemble import HistGradientBoostingClassifier

        rows, classes = make_classification(2000, COLUMNS, random_state=1)
        self._model = HistGradientBoostingClassifier(max_iter=50, random_state=1).fit(rows, classes)

    def run(self, rows: list[list[float]]) -> list[Any]:
        return self._model.predict_proba(rows).tolist()


class Onnx:
    """A network of three layers in ONNX Runtime, with one thread."""

    def __init__(self) -> None:
        import numpy as np
        import onnxruntime as ort
        from onnx import TensorProto, helper, numpy_helper

        widths = [COLUMNS, 512, 512, 8]
        random = np.random.default_rng(1)
        nodes, weights, name = [], [], "rows"
        for number, (before, after) in enumerate(pairwise(widths)):
            matrix = random.normal(0, 0.1, (before, after)).astype(np.float32)
            weights.append(numpy_helper.from_array(matrix, f"w{number}"))
            nodes.append(helper.make_node("MatMul", [name, f"w{number}"], [f"m{number}"]))
            nodes.append(helper.make_node("Relu", [f"m{number}"], [f"r{number}"]))
            name = f"r{number}"
        graph = helper.make_graph(
            nodes,
            "network",
            [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, COLUMNS])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, widths[-1]])],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._array = np.array
        self._float = np.float32
        self._session = ort.InferenceSession(model.SerializeToString(), options)

    def run(self, rows: list[list[float]]) -> list[Any]:
        return self._session.run(None, {"rows": self._array(rows, self._float)})[0].tolist()


class Torch:
    """A transformer: 12 layers on a GPU, one small layer on a CPU, with one thread."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        large = self._device == "cuda"
        if not large:
            torch.set_num_threads(1)
        layers, width = (12, 768) if large else (1, 64)
        layer = torch.nn.TransformerEncoderLayer(width, 4, width * 4, batch_first=True)
        self._embed = torch.nn.Embedding(30_000, width).to(self._device).eval()
        encoder = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self._encoder = encoder.to(self._device).eval()
        if large:
            self._embed.half()
            self._encoder.half()

    def run(self, rows: list[list[float]]) -> list[Any]:
        torch = self._torch
        with torch.inference_mode():
            tokens = torch.tensor(rows, dtype=torch.long).to(self._device)
            return self._encoder(self._embed(tokens)).mean(1)[:, :8].float().cpu().tolist()


MODELS = {"device": Device, "sklearn": Sklearn, "onnx": Onnx, "torch": Torch}


def row(name: str) -> list[float]:
    """Return the row that every request sends."""
    return list(range(TOKENS if name == "torch" else COLUMNS))
