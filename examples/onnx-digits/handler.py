"""Reads a handwritten digit with ONNX Runtime."""

from dataclasses import dataclass

import numpy as np
import onnxruntime


@dataclass
class Image:
    pixels: list[list[float]]
    """Eight rows of eight, from 0 (paper) to 16 (ink)."""


class Handler:
    def __init__(self, config):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = config["threads"]
        self.session = onnxruntime.InferenceSession(
            config["model"], options, providers=["CPUExecutionProvider"]
        )

    def predict(self, payload: Image):
        image = np.asarray(payload.pixels, dtype=np.float32).reshape(1, 64)
        (probabilities,) = self.session.run(["probabilities"], {"pixels": image})
        digit = probabilities[0].argmax()
        return {"digit": digit, "confidence": round(float(probabilities[0, digit]), 4)}
