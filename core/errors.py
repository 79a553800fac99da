"""The one exception that means "the user can mend this": its text is the whole message."""


class EdgemoodError(Exception):
    """Something outside the program is wrong: a file, a device, a network, an argument.

    The message names what was found, what was wanted and what to do, in that order, in one
    sentence. The command prints it as `edgemood: <message>` on stderr, without a traceback.
    exit_code: 2 when nothing could be started, 1 for a fault after work had begun.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
