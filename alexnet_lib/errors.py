"""The one exception that is meant for people: what is wrong, and what to do about it."""

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR)


class UserError(ValueError):
    """Bad input. The message is one line: what is wrong, then what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class Diverged(UserError):
    """A loss that is no longer finite."""


def disk_cure(error: Exception, other: str, root: str = "ALEXNET_DATA_ROOT") -> str:
    """What helps against an error of the disk, whose folder is set by `root`; else `other`."""
    number = getattr(error, "errno", None)
    if number in DISK_FULL:
        return f"make room, or set {root} to a larger disk, and try again"
    if number in NOT_WRITABLE:
        return f"make the folder writable, or set {root} to one that is"
    return other
