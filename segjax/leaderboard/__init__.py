"""What a set of scores says about a method: resampling, intervals, summaries."""
