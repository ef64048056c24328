"""The one exception that is meant for the person at the keyboard."""

LONGEST = 600
"""Characters of a sentence."""


class InputError(Exception):
    """Something outside the program is wrong: a file, a folder, an argument.

    The message is one sentence that names the file or option and says what to do. The command line prints it
    after ``error:`` and exits with 2; the window shows it. Names and values of damaged files stand in it, so it is kept
    to one line of a length that can be read, whatever they are.
    """

    def __init__(self, sentence: str) -> None:
        line = " ".join(sentence.splitlines())
        middle = LONGEST // 2
        super().__init__(line if len(line) <= LONGEST else f"{line[:middle]} ... {line[-middle:]}")
