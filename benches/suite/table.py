"""Tables in Markdown, and numbers as people read them."""


def markdown(head, rows):
    """Text columns to the left, number columns (all cells begin with a digit, or are empty) to
    the right."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *rows)]
    right = [all(not cell or cell[0] in "0123456789<–" for cell in column) for column in zip(*rows)]
    line = lambda cells: "| " + " | ".join(cells) + " |"
    pad = lambda cells: [
        cell.rjust(width) if is_right else cell.ljust(width)
        for cell, width, is_right in zip(cells, widths, right)
    ]
    rule = ["-" * (width - 1) + (":" if is_right else "-") for width, is_right in zip(widths, right)]
    return "\n".join([line(pad(head)), line(rule), *(line(pad(row)) for row in rows)])


def seconds(value):
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1e3:.{1 if value < 0.1 else 0}f} ms"
    return f"{value:.{1 if value >= 10 else 2}f} s"


def size(value):
    if value < 1e9:
        return f"{value / 1e6:.0f} MB"
    return f"{value / 1e9:.1f} GB"


def ratio(value):
    """How many times; `2.1×`."""
    digits = 0 if value >= 20 else 1 if value >= 3 else 2
    return f"{value:,.{digits}f}×"


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
