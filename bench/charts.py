"""Charts of the benchmarks, as SVG: the same numbers give the same bytes."""
import os, sys

from benchlib import PACKAGES, ROOT

DIRECTORY = os.path.join(ROOT, "docs", "charts")
MARKS = "os^Dv"


def draw(name, title, xlabel, panels, log=True):
    """One chart beside the other. `panels`: [(what its height is, {line: [(x, value, lowest, highest)]}, whether heights are
    logarithms too: what grows in proportion is then a straight line)]. Returns the Markdown that shows it."""
    sys.path.insert(0, PACKAGES)
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot

    # White behind it: pages that are dark show it as well. Text stays text; ids do not depend on chance, nor on the day.
    matplotlib.rcParams.update({"svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
                                "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white"})
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.4 * len(panels), 3.2), squeeze=False)
    for axis, (ylabel, lines, proportional) in zip(axes[0], panels):
        for mark, (line, points) in zip(MARKS, lines.items()):
            xs, values, lowest, highest = zip(*points)
            errors = [[value - low for value, low in zip(values, lowest)], [high - value for value, high in zip(values, highest)]]
            axis.errorbar(xs, values, yerr=errors, marker=mark, markersize=4, capsize=2, linewidth=1.2, label=line)
        if log:
            axis.set_xscale("log")
            axis.set_xticks(sorted({x for points in lines.values() for x, *_ in points}))
            axis.xaxis.set_major_formatter(lambda x, _: short(x))
            axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        if proportional:
            axis.set_yscale("log")
            axis.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
        else:
            axis.set_ylim(bottom=0)
        axis.set_xlabel(xlabel)
        axis.set_ylabel(ylabel)
        axis.grid(True, linewidth=0.4, color="#cccccc")
        axis.set_axisbelow(True)
        axis.legend(fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    os.makedirs(DIRECTORY, exist_ok=True)
    figure.savefig(os.path.join(DIRECTORY, f"{name}.svg"), metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    return f"![{title}](charts/{name}.svg)"


def short(number):
    """1,000 as 1k, 1,000,000 as 1M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if number >= unit:
            return f"{number / unit:g}{letter}"
    return f"{number:g}"
