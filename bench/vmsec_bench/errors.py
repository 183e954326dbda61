"""What ends a run, by exit code."""


class UsageError(Exception):
    """The caller's mistake: exit code 2."""


class EnvironmentFailure(Exception):
    """What is missing or broken around us: exit code 1."""
