"""As in the real library: where checks are defined."""


class SingleDatasetCheck:
    """A check that finds nothing."""

    def run(self, dataset: object = None) -> object:
        """Answer what was checked."""
        return dataset
