"""Which of a queue go elsewhere, so that the order of arrival holds over all queues together."""

from __future__ import annotations


def spread(waiting: int, going: int) -> list[int]:
    """The positions of those who go, ``going`` of ``waiting``, first to last.

    Those who stay are the last of equal groups: while the place where they stay works off what it has begun,
    free places elsewhere take up the first ones of each group.

    >>> spread(10, 8), spread(5, 2), spread(3, 3)
    ([0, 1, 2, 3, 5, 6, 7, 8], [0, 2], [0, 1, 2])
    """
    staying = waiting - going
    stay = {(n + 1) * waiting // staying - 1 for n in range(staying)}
    return [position for position in range(waiting) if position not in stay]
