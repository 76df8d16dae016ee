"""A language model of the smallest kind: which words have followed which word."""

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise


class Markov:
    def __init__(self, text: str):
        words = text.split()
        self.followers: dict[str, list[str]] = defaultdict(list)
        for word, follower in pairwise(words):
            self.followers[word].append(follower)

    def words(self, start: str, dice: random.Random) -> Iterator[str]:
        """``start`` and a chain of words after it; ends where the text had no next word."""
        word = start
        while True:
            yield word
            if word not in self.followers:
                return
            word = dice.choice(self.followers[word])
