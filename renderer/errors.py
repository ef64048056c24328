"""The one exception that is meant for the person at the keyboard."""


class InputError(Exception):
    """Something outside the program is wrong: a file, a folder, an argument.

    The message is one sentence that names the file or option and says what to do. The command line prints it
    after ``error:`` and exits with 2; the window shows it.
    """
