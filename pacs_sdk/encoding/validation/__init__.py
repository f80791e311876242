"""Whether a data set keeps to the rules for its values."""

__all__: list[str] = []
