"""Jobs as a busy day leaves them, for tests and for the pictures in the documentation."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

from outlast.checkpoint.history import Stretch
from outlast.checkpoint.last_lines import line_of
from outlast.checkpoint.record import Record
from outlast.checkpoint.record_parts import Checkpoint, Lease
from outlast.checkpoint.status import Status
from tests.records import changed

if TYPE_CHECKING:
    from collections.abc import Sequence

LAMBDA, RUNPOD, LAPTOP, CONTAINER = "lambda/arm64/1769", "runpod/A40", "local", "container"


class Run(NamedTuple):
    """One slice to be: where, by whom, how long, how much of the job, and how it ended."""

    platform: str
    worker: str
    seconds: float
    share: float
    ending: str = "deadline"
    idle_seconds: float = 1.0


def record_of(
    job_id: str,
    params: dict[str, Any],
    runs: Sequence[Run],
    *,
    begun: float,
    status: Status = Status.QUEUED,
    kernel: str = "nth-prime",
    error: str | None = None,
    **more: Any,
) -> Record:
    """Return a job that has taken `runs`; the last one still runs where `status` is RUNNING."""
    record = Record(
        job_id=job_id, kernel=kernel, params=params, created_at=begun, updated_at=begun, **more
    )
    now, progress, steps = begun + 2.0, 0.0, 0
    for number, run in enumerate(runs, 1):
        progress = min(progress + run.share, 1.0)
        steps += int(run.seconds * 12)
        ended = now + run.seconds
        state = f'{{"shard":{steps},"sum":{number}}}'.encode() * 400
        checkpoint = Checkpoint.of(
            state,
            version=1,
            slice=number,
            progress=progress,
            saved_at=ended - 0.5,
        )
        record = record.saved(checkpoint).spent(
            steps=steps, seconds=record.usage.compute_seconds + run.seconds * 0.96
        )
        if number == len(runs) and status is Status.RUNNING:
            lease = Lease(
                worker=run.worker,
                platform=run.platform,
                token="0",
                claimed_at=now,
                expires_at=ended + 60,
                at_risk_seconds=1,
            )
            changes = {"lease": lease, "slices_begun": number, "slice_number": number}
            break
        stretch = Stretch(
            first=number,
            slices=1,
            platform=run.platform,
            worker=run.worker,
            began_at=now,
            ended_at=ended,
            seconds=run.seconds,
            progress=progress,
            ending=run.ending,
        )
        record = record.model_copy(
            update={
                "history": record.history.extended(stretch),
                "usage": record.usage.with_slice(run.platform, run.seconds),
            }
        )
        changes = {"slices_begun": number, "slice_number": number + 1}
        now = ended + run.idle_seconds
    else:
        changes = {"slices_begun": len(runs), "slice_number": len(runs) + 1}
    return changed(record, status=status, error=error, **changes)


def busy_day(now: float) -> list[Record]:
    """Return some jobs in every state there is, as they stand at `now`."""
    chance = random.Random(6)

    def runs(count: int, share: float, platform: str = LAMBDA, worker: str = "prime-worker") -> Any:
        return [
            Run(
                platform,
                f"{worker}-{chance.randrange(16**4):04x}",
                chance.uniform(780, 880),
                share / count * chance.uniform(0.9, 1.1),
                idle_seconds=chance.uniform(1, 9),
            )
            for _ in range(count)
        ]

    long_run = [
        *runs(4, 0.17),
        Run(LAMBDA, "prime-worker-51c0", 310, 0.02, "lost", 45),
        *runs(2, 0.08),
        Run(RUNPOD, "a40-pod-2", 2_150, 0.16, "SIGTERM", 20),
        Run(RUNPOD, "a40-pod-5", 1_900, 0.14, "deadline", 8),
        Run(LAPTOP, "studio-laptop", 1_500, 0.06, "OSError: [Errno 28] No space left", 90),
        Run(LAPTOP, "studio-laptop", 1_200, 0.05, "deadline", 5),
        *runs(1, 0.04),
        Run(LAMBDA, "prime-worker-77d2", 320, 0.015),
    ]
    done = [*runs(1, 0.8), Run(LAMBDA, "prime-worker-9a3e", 240, 0.3, "succeeded")]
    length = sum(run.seconds + run.idle_seconds for run in long_run)
    return [
        record_of(
            "prime-1e18",
            {"position": 10**18},
            long_run,
            begun=now - length - 1,
            status=Status.RUNNING,
            tags=("thesis", "priority:high"),
        ),
        record_of(
            "pi-of-1e19",
            {"x": 10**19},
            [*runs(2, 0.3, RUNPOD, "a40-pod")],
            begun=now - 1_690,
            status=Status.RUNNING,
            kernel="prime-count",
            tags=("thesis",),
        ),
        record_of(
            "check-primecount",
            {"x": 10**17},
            [*runs(3, 0.42, CONTAINER, "compose")],
            begun=now - 9_500,
            status=Status.PAUSED,
            kernel="prime-count",
        ),
        record_of("nightly-0412", {"position": 10**15}, [], begun=now - 40, tags=("nightly",)),
        *(
            record_of(
                f"nightly-{day}",
                {"position": 10**15},
                done,
                begun=now - days * 86_400,
                status=Status.SUCCEEDED,
                result={"position": 10**15, "prime": 37124508045065437},
                tags=("nightly",),
            )
            for days, day in ((1, "0411"), (2, "0410"))
        ),
        record_of(
            "prime-1e20",
            {"position": 10**20},
            [*runs(2, 0.01, LAPTOP, "studio-laptop")],
            begun=now - 7_200,
            status=Status.FAILED,
            error="MemoryError: the sieve needs 9.1 GiB and may take 4 GiB "
            "(error 5 in a row without progress)",
        ),
        record_of(
            "wrong-question",
            {"position": 10**21},
            [*runs(1, 0.002)],
            begun=now - 3_600,
            status=Status.CANCELLED,
        ),
    ]


def crew(now: float) -> list[Record]:
    """Return jobs that many workers have at `now`, one of whom is lost, and some that wait."""
    chance = random.Random(7)
    places = [
        *((LAMBDA, f"outlast-worker-{chance.randrange(16**6):06x}", 700) for _ in range(6)),
        *((RUNPOD, f"a40-pod-{number}", 1_500) for number in range(3)),
        (CONTAINER, "compose-1", 300),
        (LAPTOP, "studio-laptop:4711", 400),
    ]
    jobs = []
    for number, (platform, worker, seconds) in enumerate(places):
        ended = [
            Run(platform, worker, chance.uniform(0.6, 1) * seconds, chance.uniform(0.05, 0.15))
            for _ in range(4)
        ]
        running = Run(platform, worker, chance.uniform(0.1, 0.7) * seconds, 0.08)
        begun = now - sum(run.seconds + 1 for run in ended) - running.seconds - 3
        kernel, job_id = (
            ("anneal", "anneal-07") if number == 6 else ("prime-count", f"survey-{number:02}")
        )
        params = {"spins": 4096} if number == 6 else {"x": 10 ** (14 + number % 5)}
        runs = [*ended, running]
        record = record_of(
            job_id,
            params,
            runs,
            begun=begun,
            status=Status.RUNNING,
            kernel=kernel,
            tags=("survey",),
        )
        jobs.append(record)
    lost = jobs[4].lease.model_copy(update={"expires_at": now - 40.0})
    jobs[4] = jobs[4].model_copy(update={"lease": lost})
    jobs[6] = jobs[6].printed(
        [
            line_of(
                now - 61 + 3 * n, 5, f"sweep {n + 8_411}: T={0.412 - n / 900:.4f} E={-1834 - n:.1f}"
            )
            for n in range(20)
        ]
    )
    waiting = [
        record_of(f"survey-{n}", {"x": 10**15}, [], begun=now - 200 + n, kernel="prime-count")
        for n in range(11, 40)
    ]
    return [*jobs, *waiting]
