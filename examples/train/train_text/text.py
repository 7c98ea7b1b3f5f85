"""Text to train on, which a seeded generator makes: no file has to be where the worker is."""

from __future__ import annotations

from random import Random

ALPHABET = "\n .abcdefghijklmnopqrstuvwxyz"

ADJECTIVES = ("old", "small", "red", "quiet", "tired", "clever", "hungry", "young")
NOUNS = ("fox", "owl", "sailor", "baker", "child", "horse", "painter", "river", "wolf", "tree")
VERBS = ("sees", "follows", "finds", "forgets", "hears", "paints", "waits for", "dreams of")
PLACES = ("by the lake", "in the hills", "at night", "near the mill", "under the bridge")


def make_text(seed: int, characters: int) -> str:
    """Return a text of so many characters, all of `ALPHABET`; the same for the same seed."""
    random = Random(seed)
    sentences: list[str] = []
    length = 0
    while length < characters:
        sentences.append(_sentence(random))
        length += len(sentences[-1])
    return "".join(sentences)[:characters]


def _sentence(random: Random) -> str:
    def a(words: tuple[str, ...]) -> str:
        # `random()` is the one method whose numbers are the same in every version of Python.
        return words[int(random.random() * len(words))]

    words = ["the", a(ADJECTIVES), a(NOUNS), a(VERBS), "the", a(NOUNS)]
    if random.random() < 0.5:
        words.append(a(PLACES))
    return " ".join(words) + (".\n" if random.random() < 0.2 else ". ")
