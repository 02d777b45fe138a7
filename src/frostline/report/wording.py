"""Numbers as people read them."""

from __future__ import annotations

from frostline.report.summary import Mean

NOT_THERE = "–"
MINUS = "−"


def percent(value: float) -> str:
    """0.93412 -> '93.41'."""
    return f"{100 * value:.2f}"


def points(difference: float) -> str:
    """0.0123 -> '+1.23', with a real minus sign."""
    text = f"{100 * difference:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", MINUS)


def percent_mean(mean: Mean | None) -> str:
    """'93.41', or '93.41 ± 0.12' over seeds."""
    if mean is None:
        return NOT_THERE
    return percent(mean.value) + (f" ± {percent(mean.spread)}" if mean.spread is not None else "")


def seconds(value: float) -> str:
    """'4.2 s', '58 s', '12 min 05 s', '2 h 03 min'."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def mebibytes(value: float) -> str:
    """'812 MiB', '3.25 GiB'."""
    return f"{value:.0f} MiB" if value < 1000 else f"{value / 1024:.2f} GiB"


def megabytes(n_bytes: float) -> str:
    """Bytes as '0.8 MB', '91 MB'."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e7 else f"{n_bytes / 1e6:,.0f} MB"


def amount(value: float) -> str:
    """'812', '4,120', '22.7 M'."""
    return f"{value / 1e6:.1f} M" if value >= 1e6 else f"{value:,.0f}"


def times(ratio: float) -> str:
    """2.34 -> '2.3 ×'."""
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:.0f} ×"


def listed(names: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
