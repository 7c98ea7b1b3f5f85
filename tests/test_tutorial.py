"""What docs/tutorial.md has a reader type, from the first file to the part that needs AWS."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest

from outlast.worker.cli.scaffolding import FILES
from tests.new_user import environment_in, shell

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "tutorial.md").read_text()
# On the page it takes long enough for Ctrl-C.
LONG = "limit=1_000_000 --slice-seconds 1 --job-id first\ncount=143071\n"
SHORT = "limit=100_000 --slice-seconds 0.2 --job-id first\ncount=14377\n"
HERE, _, ON_LAMBDA = PAGE.replace(LONG, SHORT).partition("## 5. On Lambda")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


class Block(NamedTuple):
    """A block of code, and the file that the sentence before it names; "": none."""

    language: str
    text: str
    file: str


def blocks(page: str) -> list[Block]:
    """Return the blocks of code of a page."""
    found = []
    for block in BLOCK.finditer(page):
        names = re.findall(r"`([\w/]+\.py)`", page[: block.start()].rpartition("```\n")[2])
        found.append(Block(block[1], block[2], names[-1] if names else ""))
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The reader's folder after the parts before AWS, and the lines that they saw."""
    home = tmp_path_factory.mktemp("home")
    environment = environment_in(home)
    setup, *rest = blocks(HERE)
    assert "venv" in setup.text  # which has been made
    folder, seen = home, []
    for language, text, file in rest:
        match language:
            case "python":
                (home / file).write_text(text)
            case "sh":
                seen += shell(f"{text}pwd\n", folder, environment).splitlines()
                folder = Path(seen.pop())
            case "console":
                typed = "\n".join(re.findall(r"^\$ (.*)$", text, re.MULTILINE))
                seen += shell(typed, folder, environment).splitlines()
    return home, seen


def test_it_shows_what_a_reader_sees(done: tuple[Path, list[str]]) -> None:
    """A newcomer's first ten minutes would end at a step that does not work."""
    _, seen = done
    consoles = [block.text for block in blocks(HERE) if block.language == "console"]
    answers = [line for text in consoles for line in text.splitlines() if not line.startswith("$ ")]
    assert answers == ["1442", "count=14377", "second", "count=72786"]
    assert [line for line in seen if line in answers] == answers
    assert any(re.search(r"\b3 passed", line) for line in seen)


def test_its_worker_is_killed_and_another_goes_on(done: tuple[Path, list[str]]) -> None:
    """The page would show that nothing is lost where nothing was at stake."""
    _, seen = done
    endings = [line.split()[-1] for line in seen if re.match(r" +\d+  20\d\d-", line)]
    assert endings.count("succeeded") == 2
    assert endings[-2:] == ["lost", "succeeded"]
    assert endings.count("deadline") >= 1


def test_the_answer_of_its_long_run_is_right() -> None:
    """A newcomer would believe that Ctrl-C had spoilt their job."""
    assert LONG in PAGE
    sums = Counter({0: 1})  # how many numbers have such a sum of the squares of their digits
    for _ in range(6):
        longer: Counter[int] = Counter()
        for total, digit in product(sums, range(10)):
            longer[total + digit**2] += sums[total]
        sums = longer
    below_a_million = sum(sums[number] for number in sums if comes_to_1(number))
    assert LONG.endswith(f"\ncount={below_a_million + 1}\n")  # and a million itself


def comes_to_1(number: int) -> bool:
    """Whether the sum of the squares of the digits does, again and again."""
    seen = set[int]()
    while number not in seen:
        seen.add(number)
        number = sum(int(digit) ** 2 for digit in str(number))
    return number == 1


def test_the_package_tells_of_nothing_but_its_kernel(done: tuple[Path, list[str]]) -> None:
    """Who finds the package later would read that it does something else."""
    files = [
        file for file in (done[0] / "happy").iterdir() if file.suffix in {".md", ".py", ".toml"}
    ]
    assert len(files) == len(FILES)
    assert [file for file in files if "collatz" in file.read_text().lower()] == []


def test_on_lambda_it_does_what_the_page_for_that_does() -> None:
    """The short way would part from the long one, of which each step is explained and tested."""
    long = (DOCS / "deploy-lambda.md").read_text()
    text = "".join(block.text for block in blocks(ON_LAMBDA) if block.language == "sh")
    steps = re.findall(
        r"^(?:aws|export|REGISTRY|out\(\)|outlast doctor).*(?:\\\n.*)*", text, re.MULTILINE
    )
    assert len(steps) == 8
    for step in steps:
        assert step.replace('"$OUTLAST/deploy/template.yaml"', "deploy/template.yaml") in long, step
