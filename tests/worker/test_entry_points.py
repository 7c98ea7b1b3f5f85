"""What calls for slices beside a plain worker: invocations of Lambda, and calls of RunPod."""

from __future__ import annotations

import errno
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from outlast.worker import runpod_handler
from outlast.worker.loops import invocations
from outlast.worker.slices.brevity import RECENT
from outlast.worker.slices.health import BROKEN, MOST_FAULTS, BrokenWorker
from outlast.worker.slices.timing import Timing
from tests.kernels import expected, raising
from tests.worker.floor import JOB, Floor

if TYPE_CHECKING:
    from outlast.worker.jobs.client import Client
    from outlast.worker.slices.worker_process import WorkerProcess

FULL = OSError(errno.ENOSPC, "No space left on device")
CALL = {"job_id": JOB}


class Context:
    """What Lambda says of an invocation that may take so many seconds from now."""

    aws_request_id = "request"

    def __init__(self, floor: Floor, seconds: float) -> None:
        self._clock = floor.clock
        self._end = floor.clock() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left."""
        return int((self._end - self._clock()) * 1000)


def client(floor: Floor) -> Client:
    """A client that knows the job."""
    settings = SimpleNamespace(slice_seconds=60.0)
    return cast("Client", SimpleNamespace(status=lambda _: floor.record, settings=settings))


def invoked(floor: Floor, process: WorkerProcess, event: Any, *, seconds: float = 60.0) -> Any:
    """The answer of a function to one invocation."""
    return invocations.Handler(client(floor), process).handle(event, Context(floor, seconds))


def batch(*job_ids: str) -> dict[str, Any]:
    """The event of a batch with a message for each of these jobs."""
    return {
        "Records": [
            {
                "eventSource": "aws:sqs",
                "messageId": job_id,
                "receiptHandle": job_id,
                "body": json.dumps({"job_id": job_id, "slice": 1}),
            }
            for job_id in job_ids
        ]
    }


@pytest.mark.parametrize(
    ("attributes", "writes"),
    [
        ({"ApproximateReceiveCount": "1"}, 1),
        ({"ApproximateReceiveCount": "2"}, 2),
        ({}, 2),
        ([], 2),
    ],
)
def test_a_function_counts_a_message_that_came_before_at_its_claim(
    floor: Floor, attributes: object, writes: int
) -> None:
    """One that takes sandboxes down would never be stopped, or each small one be written twice."""
    floor.step_seconds = 0.0
    before = floor.submit(steps=1)
    process = floor.process()
    for _ in range(RECENT):
        process.brevity.saw(before.kernel, 0.0)
    event = batch(JOB)
    event["Records"][0]["attributes"] = attributes
    invoked(floor, process, event)
    assert floor.record.result == expected(1)
    assert floor.record.revision.writes == before.revision.writes + writes


def test_a_sandbox_in_which_no_message_can_be_handled_ends(floor: Floor) -> None:
    """Lambda would send it message after message, and each would use up its receives."""
    floor.submit()
    process = floor.process(kernel=raising(FULL, 0))
    for _ in range(MOST_FAULTS - 1):
        answer = invoked(floor, process, batch(JOB))
        assert answer == {"batchItemFailures": [{"itemIdentifier": JOB}]}
    with pytest.raises(SystemExit) as ended:
        invoked(floor, process, batch(JOB))
    assert ended.value.code == BROKEN


def test_a_sandbox_in_which_no_call_can_be_answered_ends(floor: Floor) -> None:
    """A function that is only called would fail every call until a person deploys it anew."""
    floor.submit()
    process = floor.process(kernel=raising(FULL, 0))
    for _ in range(MOST_FAULTS - 1):
        with pytest.raises(BrokenWorker):
            invoked(floor, process, CALL)
    with pytest.raises(SystemExit) as ended:
        invoked(floor, process, CALL)
    assert ended.value.code == BROKEN


def test_a_worker_of_runpod_asks_to_be_replaced_once_it_is_broken(floor: Floor) -> None:
    """It would fail every call; or one fault would cost the start of another worker."""
    floor.submit()
    process = floor.process(kernel=raising(FULL, 0))
    handler = runpod_handler.Handler(client(floor), process, lambda _job, _progress: None)
    asked = {"id": "1", "input": CALL}
    answers = [handler.handle(asked) for _ in range(MOST_FAULTS)]
    assert all("BrokenWorker" in answer["error"] for answer in answers)
    assert ["refresh_worker" in answer for answer in answers] == [False, False, True]


@pytest.mark.parametrize(("asked", "seconds"), [({}, 2.0), ({"max_idle_seconds": 30.0}, 30.0)])
def test_a_worker_of_runpod_waits_for_messages_as_long_as_it_is_asked_to(
    floor: Floor, asked: dict[str, float], seconds: float
) -> None:
    """Workers for a job that is not cut yet would be gone when its parts are there."""
    handler = runpod_handler.Handler(client(floor), floor.process(), lambda _job, _progress: None)
    begun = floor.clock()
    answer = handler.handle({"id": "1", "input": {"drain": True} | asked})
    assert answer == {"drained": True, "jobs": []}
    assert seconds <= floor.clock() - begun < seconds + 2.0


def test_a_call_that_asks_for_more_time_than_there_is_ends_in_time(floor: Floor) -> None:
    """Lambda would kill it, with all that it did since the last save, and try it again."""
    floor.submit()
    begun = floor.clock()
    answer = invoked(floor, floor.process(), CALL | {"max_seconds": 600.0}, seconds=5.0)
    assert answer["status"] == "queued"
    assert floor.clock() - begun <= 5.0


def test_a_message_of_a_batch_for_which_there_is_no_time_is_there_for_others(floor: Floor) -> None:
    """Each would wait for the queue's whole visibility timeout, six times that of the function."""
    jobs = ("a", "b", "c")
    for job_id in jobs:
        floor.submit(job_id)
    hidden = []
    floor.queue.hide = lambda delivery, seconds: hidden.append((delivery.receipt, seconds))
    timing = Timing()
    timing.saw_ending(10.0, 0)  # so that but for the last one their shares are too short
    answer = invoked(floor, floor.process(timing=timing), batch(*jobs), seconds=20.0)
    assert answer == {"batchItemFailures": [{"itemIdentifier": job_id} for job_id in "ab"]}
    assert hidden[:2] == [("a", 0), ("b", 0)]
    assert floor.jobs.load("c").record.usage.slices_begun == 1
