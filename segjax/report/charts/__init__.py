"""Charts: numbers in, SVG out. Colours come from the classes in `theme`."""

from segjax.report.charts.colours import colour_bar
from segjax.report.charts.distribution import distribution_chart
from segjax.report.charts.interval import interval_chart
from segjax.report.charts.scatter import scatter_chart


__all__ = ["colour_bar", "distribution_chart", "interval_chart", "scatter_chart"]
