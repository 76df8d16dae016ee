"""The cost of a cluster, divided among its APIs. Pure.

``observation`` is the input: priced machines, what replicas reserve on them, requests. ``division`` divides a
machine's price, ``ledger`` adds the costs up in hours and days, ``forecast`` and ``report`` answer questions.
Amounts of money are whole billionths of a US dollar, so that the parts add up to the bill exactly. Sources of
prices do not belong here, nor does storage.
"""
