"""The filters over time, by name; it imports nothing, so that a command line can offer them at once."""

FILTERS = ("butterworth", "one-euro")  # the first is taken where none is named
