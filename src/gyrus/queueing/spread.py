"""Which of a queue go elsewhere, so that the order of arrival holds over all queues together."""

from __future__ import annotations


def spread(waiting: int, going: int) -> list[int]:
    """The positions of those who go, ``going`` of ``waiting``, first to last.

    Who has waited longest goes first of all, for a place may be free; and while the place where the others
    stay works off what it has begun, those places take up the first ones of each group of equals.

    >>> spread(10, 8), spread(5, 2), spread(5, 1), spread(3, 3), spread(3, 0)
    ([0, 1, 2, 3, 5, 6, 7, 8], [0, 2], [0], [0, 1, 2], [])
    """
    return [number * waiting // going for number in range(going)]
