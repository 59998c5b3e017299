"""The exception for errors that the user can fix."""


class UserError(ValueError):
    """Something the user gave is wrong: a value, a file, a combination.

    The message names the value and the remedy in at most three lines; the command line prints it
    without a traceback and ends with exit status 2. Anything that is *our* fault is an `assert`
    or another exception, and keeps its traceback.
    """
