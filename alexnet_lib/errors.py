"""The one exception that is meant for people: what is wrong, and what to do about it."""


class UserError(ValueError):
    """Bad input. The message is one line: what is wrong, then what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class Diverged(UserError):
    """A loss that is no longer finite."""
