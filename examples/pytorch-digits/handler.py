"""Reads handwritten digits with PyTorch, those that arrive together as one batch."""

from dataclasses import dataclass

import torch
from network import make_network


@dataclass
class Image:
    pixels: list[list[float]]
    """Eight rows of eight, from 0 (paper) to 16 (ink)."""


class Handler:
    def __init__(self, config):
        torch.set_num_threads(config["threads"])
        self.network = make_network()
        self.network.load_state_dict(torch.load(config["weights"], weights_only=True))
        self.network.eval()

    @torch.inference_mode()
    def predict(self, payload: list[Image]):
        images = torch.tensor([image.pixels for image in payload], dtype=torch.float32)
        shares = self.network(images.unsqueeze(1) / 16).softmax(dim=1)
        confidences, digits = shares.max(dim=1)
        return [
            {"digit": digit, "confidence": round(confidence, 4)}
            for digit, confidence in zip(digits.tolist(), confidences.tolist(), strict=True)
        ]
