"""Each kernel of the environment runs this first; .ci/env puts it into its etc/ipython/startup.

So a missing name is explained in any cell, after a restart too, when the first cell has not run.
"""

import alexnet_lib  # before torch, in whatever cell: it keeps waiting threads from spinning


def _explain(shell, *error, **offset):
    from alexnet_lib import course  # only now: a kernel is to start as fast as without this
    course.missing_name(shell, *error, **offset)


get_ipython().set_custom_exc((NameError,), _explain)  # noqa: F821
del _explain, alexnet_lib
