"""Writes a text word by word, each sent as a server-sent event while the next is being thought of."""

import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from markov import Markov


@dataclass
class Prompt:
    start: str = "Alice"
    words: int = 12
    seed: int | None = None


class Handler:
    def __init__(self, config):
        self.model = Markov(Path(config["text"]).read_text("utf-8"))

    def predict(self, payload: Prompt):
        dice = random.Random(payload.seed)
        for number, word in enumerate(islice(self.model.words(payload.start, dice), payload.words)):
            yield {"number": number, "word": word}
