"""Amounts of money as text."""

from __future__ import annotations


def usd(amount: float) -> str:
    """Format US dollars: four decimals below one dollar, else two.

    >>> usd(0), usd(0.00001), usd(0.0052), usd(0.1), usd(1234.5)
    ('$0.00', '<$0.0001', '$0.0052', '$0.10', '$1,234.50')
    """
    if 0 < amount < 0.00005:
        return "<$0.0001"
    if abs(amount) >= 1:
        return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"
    text = f"{abs(amount):.4f}"
    shown = text.removesuffix("00")
    return f"{'-' if amount < 0 and float(shown) else ''}${shown}"


def signed_usd(amount: float) -> str:
    """Format a difference in US dollars.

    >>> signed_usd(0.5), signed_usd(-2), signed_usd(0)
    ('+$0.50', '-$2.00', '$0.00')
    """
    return f"+{usd(amount)}" if amount > 0.00005 else usd(amount)
