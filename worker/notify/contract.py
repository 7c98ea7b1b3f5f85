"""How telling a target may fail."""


class NotTold(Exception):
    """The target did not take the notice, or may not have. Try again later."""


class Gone(NotTold):
    """The target wants no more notices. Do not try again."""
