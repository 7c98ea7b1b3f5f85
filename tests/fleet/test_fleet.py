"""A job that many workers share comes to its end once, whatever happens between any two effects."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from tests.fleet.adding_up_mutations import ADDING_UP_MUTATIONS
from tests.fleet.explore import HALT, SMALL, Halt, explore
from tests.fleet.mutations import MUTATIONS
from tests.fleet.outcome import play, report, run
from tests.fleet.scene import FAULTS

SEEDS = 250
MOST_SEEDS = 4000
# A seed that catches each mutation, tried first. Where it does not any more, a search follows.
CAUGHT_AT = {
    "answer_all_calls": 371,
    "answer_before_sending": 35,
    "call_for_the_first_slice": 25,
    "call_no_one_to_add_up": 25,
    "clear_before_the_end": 131,
    "compare_no_births": 344,
    "compare_no_eras": 2,
    "conclude_what_was_stopped": 4,
    "count_the_last_child_only": 2,
    "drop_a_failure": 2,
    "drop_a_success_that_comes_again": 25,
    "drop_what_is_leased": 10,
    "forget_what_parts_took": 2,
    "give_all_jobs_one_birth": 2,
    "give_up_the_parts_of_a_failed_job": 25,
    "leave_out_the_leased": 71,
    "leave_out_those_that_have_begun": 2,
    "leave_the_records": 4,
    "leave_the_rest_to_nobody": 11,
    "let_a_call_end_a_pause": 134,
    "let_it_cost_anything": 226,
    "look_at_the_job_for_its_end_only": 256,
    "look_for_pieces_after_the_end": 18,
    "never_look_at_the_job": 110,
    "open_all_at_once": 7,
    "open_no_group": 15,
    "open_the_wrong_group": 27,
    "read_the_siblings_first": 29,
    "resume_without_a_call": 41,
    "retry_in_the_same_era": 2,
    "retry_without_a_call": 2,
    "run_in_a_pause": 111,
    "run_what_is_leased": 14,
    "send_no_continuation": 4,
    "stop_at_a_group_that_is_there": 45,
    "stop_at_the_first_closed_group": 4198,
    "sweep_while_parts_are_at_work": 271,
    "sweep_without_a_call": 2,
    "take_all_that_is_there_for_done": 26,
    "write_a_group_twice": 11,
    "write_the_group_first": 45,
}


def test_every_part_counts_once_whatever_goes_wrong() -> None:
    """A divided job would be lost, or come to a wrong result, at the first bad day."""
    figures: Counter[str] = Counter()
    for seed in range(SEEDS):
        outcome = run(seed)
        if outcome.complaint:
            pytest.fail(report(seed), pytrace=False)
        figures += outcome.figures
    assert [kind for kind in FAULTS if not figures[kind]] == [], "these never happen"


@pytest.mark.parametrize("name", SMALL)
def test_every_order_of_a_small_job(name: str) -> None:
    """What chance does not find in some hundred worlds would happen to a user."""
    outcome = explore(SMALL[name])
    if outcome.complaint:
        pytest.fail("\n".join([*outcome.trace, outcome.complaint]), pytrace=False)


def test_a_pause_while_a_group_is_added_up() -> None:
    """The job would sleep: the group behind was called while it was paused, and never again."""
    outcome = play(HALT, Halt())
    assert outcome.complaint == ""
    assert outcome.figures["freeze"] == outcome.figures["job succeeded"] == 1


@pytest.mark.parametrize("mutation", MUTATIONS | ADDING_UP_MUTATIONS)
def test_a_broken_rule_is_caught(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above would be worth nothing: they could not fail."""
    (MUTATIONS | ADDING_UP_MUTATIONS)[mutation](monkeypatch)
    seeds = chain([CAUGHT_AT.get(mutation, 0)], range(MOST_SEEDS))
    assert play(HALT, Halt()).complaint or any(run(seed).complaint for seed in seeds)


@pytest.mark.chaos
def test_thousands_of_worlds() -> None:
    """What happens once in a thousand worlds would happen to a user first."""
    for seed in range(SEEDS, 4_000):
        if run(seed).complaint:
            pytest.fail(report(seed), pytrace=False)
