"""The errors of a notice."""


class NotDelivered(Exception):
    """The target did not accept the notice, or its answer was lost. Try again later."""


class Gone(NotDelivered):
    """The target accepts no more notices. Do not try again."""
