"""The reference model: what jobs, data nodes and submissions may become, written anew from the rules and from nothing else.

World.apply takes the durable events in their order. Some of them are choices (a job was submitted, canceled, it began, it
ended); from these all others follow, and what follows must come next: those whose inputs are there now become PENDING, those
that waited for what nobody will write any more ABANDONED. Whatever else comes is a Violation.
"""

FINAL = ("CANCELED", "FAILED", "COMPLETED", "SKIPPED", "ABANDONED")
FIRST = ("SUBMITTED", "BLOCKED", "PENDING")
LEGAL = {
    "SUBMITTED": ("BLOCKED", "PENDING", "CANCELED"),
    "BLOCKED": ("PENDING", "CANCELED", "ABANDONED"),
    "PENDING": ("RUNNING", "SKIPPED", "CANCELED"),
    "RUNNING": ("COMPLETED", "FAILED", "CANCELED", "PENDING"),
}


class Violation(AssertionError):
    """What was seen cannot follow from the rules."""


def submission_status(jobs):
    """Of a submission whose jobs have these statuses."""
    for status in ("FAILED", "CANCELED", "RUNNING", "PENDING", "BLOCKED", "SUBMITTED"):
        if status in jobs:
            return status
    return "UNDEFINED" if "ABANDONED" in jobs else "COMPLETED"


class Node:
    """A data node."""

    def __init__(self, edited_ms, at_path):
        self.edited_ms = edited_ms  # 0: unwritten
        self.at_path = at_path  # a value reaches it some time after its job is COMPLETED: that has no event
        self.writer = None  # "job/attempt" whose value it has
        self.locks = set()  # jobs (their places) that will write it
        self.publishing = {}  # place of a job that is COMPLETED: its value is on the way


class Task:
    def __init__(self, config, inputs, outputs, skippable):
        self.config, self.inputs, self.outputs, self.skippable = config, inputs, outputs, skippable


class Job:
    def __init__(self, place, job_id, task, force):
        self.place, self.id, self.task, self.force = place, job_id, task, force
        self.status = None
        self.attempt = 0
        self.lost = 0  # of these, with their processes
        self.history = []  # statuses, in order
        self.cancel_requested = False
        self.stops_before = 0  # of the server, when its attempt began
        self.read = {}  # attempt: values of the inputs when it began

    def __repr__(self):
        return f"{self.id} ({self.task.config}, place {self.place}, {' '.join(self.history)}, attempt {self.attempt})"


class World:
    def __init__(self, attempts_max, restart_lost):
        self.attempts_max, self.restart_lost = attempts_max, restart_lost
        self.nodes, self.tasks, self.jobs = {}, {}, {}  # by id, by id, by place
        self.due, self.doomed = set(), set()  # places of jobs whose next event must come at once
        self.losses = 0  # how many attempts at most may still turn out to have been lost, with a keeper, a runner or the server
        self.stops = self.stops_seen = 0  # of the server by SIGTERM: until now, and until the last look
        self.kills = 0  # of attempts' processes, which may still turn out to have met another job
        self.killed = set()  # ids of jobs whose own process was killed
        self.canceled = set()  # ids of jobs whose cancellation was asked for
        self.fails = lambda config: False  # whether attempts of the configuration fail by themselves

    # -- the rules --

    def missing(self, job, node):
        """Whether the job has to wait for the node: True, False, or None where it cannot be known."""
        if any(place < job.place for place in node.locks):
            return True
        if node.edited_ms == 0:
            return None if node.publishing else True
        return None if any(place < job.place for place in node.publishing) else False

    def ready(self, job):
        answers = [self.missing(job, self.nodes[node]) for node in job.task.inputs]
        return False if True in answers else None if None in answers else True

    def skippable(self, job, now_ms):
        """Taipy's rule: all outputs are written and not older than the inputs."""
        if job.force or not job.task.skippable or not job.task.outputs:
            return False
        oldest = min(self.nodes[node].edited_ms for node in job.task.outputs)
        newest = max((self.nodes[node].edited_ms for node in job.task.inputs), default=0)
        return oldest != 0 and oldest >= newest

    def blocked(self):
        return [job for job in self.jobs.values() if job.status == "BLOCKED"]

    # -- events --

    def apply(self, place, status, attempt, cancel_requested, time_ms):
        job = self.jobs[place]
        before = job.status
        if status == before:  # only the wish to cancel it changes nothing else
            if not (status == "RUNNING" and cancel_requested and not job.cancel_requested):
                raise Violation(f"an event without a change: {job}")
            self._check_wish(job)
            job.cancel_requested = True
            return
        self._check_order(job, status)
        if before is None:
            if status not in FIRST:
                raise Violation(f"a job begins as {status}: {job}")
        elif status not in LEGAL.get(before, ()):
            raise Violation(f"{before} → {status} is not legal: {job}")
        job.history.append(status)
        job.status = status
        if attempt != job.attempt + (status == "RUNNING"):
            raise Violation(f"attempt {attempt} as {status}: {job}")
        job.attempt = attempt
        getattr(self, "_" + status.lower())(job, before, time_ms)

    def _check_order(self, job, status):
        """What follows from an event comes before anything else."""
        if self.doomed:
            if job.place not in self.doomed or status != "ABANDONED":
                raise Violation(f"{job} becomes {status} while {self._named(self.doomed)} should be ABANDONED")
        elif self.due and (job.place not in self.due or status != "PENDING"):
            raise Violation(f"{job} becomes {status} while {self._named(self.due)} should be PENDING")

    def _named(self, places):
        return ", ".join(str(self.jobs[place]) for place in sorted(places))

    def check_settled(self):
        """At the end of a transaction nothing is left to follow."""
        if self.due or self.doomed:
            raise Violation(f"these should have gone on: {self._named(self.due | self.doomed)}")

    def _check_wish(self, job):
        if job.id not in self.canceled:
            raise Violation(f"nobody asked for the cancellation of {job}")

    def _submitted(self, job, before, time_ms):
        pass

    def _lock(self, job):
        for node in job.task.outputs:
            self.nodes[node].locks.add(job.place)

    def _blocked(self, job, before, time_ms):
        self._lock(job)
        if self.ready(job) is True and not any(self.nodes[node].at_path for node in job.task.inputs):
            raise Violation(f"BLOCKED although all is there: {job}")

    def _pending(self, job, before, time_ms):
        if before in (None, "SUBMITTED"):
            self._lock(job)
        if before == "RUNNING":
            self._check_loss(job, again=True)
            return
        self.due.discard(job.place)
        if self.ready(job) is False:
            raise Violation(f"PENDING although an input is missing: {job}")
        if self.ready(job) is None:  # so what was on its way had come
            for node in job.task.inputs:
                self._arrived(self.nodes[node], job.place, time_ms)
            self._find_due()
            self.due.discard(job.place)

    def _arrived(self, node, before_place, time_ms):
        for place in [place for place in node.publishing if place < before_place or node.edited_ms == 0]:
            node.writer, node.edited_ms = node.publishing.pop(place), time_ms

    def _running(self, job, before, time_ms):
        if self.skippable(job, time_ms):
            raise Violation(f"RUNNING although there is nothing to do: {job}")
        job.stops_before = self.stops_seen
        job.read[job.attempt] = [None if self.nodes[node].at_path else self.nodes[node].writer for node in job.task.inputs]

    def _skipped(self, job, before, time_ms):
        if not self.skippable(job, time_ms):
            raise Violation(f"SKIPPED although its outputs are not up to date: {job}")
        self._release(job)
        self._find_due()

    def _completed(self, job, before, time_ms):
        value = f"{job.id}/{job.attempt}"
        for node in (self.nodes[node] for node in job.task.outputs):
            if node.at_path:
                node.publishing[job.place] = value
            else:
                node.edited_ms, node.writer = time_ms, value
        self._release(job)
        self._find_due()

    def _failed(self, job, before, time_ms):
        if not self.fails(job.task.config) and job.id not in self.killed:
            if self.kills > 0:  # its worker was to be killed over the job before
                self.kills -= 1
            else:
                self._check_loss(job, again=False)
        self._give_up(job)

    def _canceled(self, job, before, time_ms):
        self._check_wish(job)
        if before == "RUNNING" and not job.cancel_requested:
            raise Violation(f"CANCELED without a durable wish: {job}")
        self._give_up(job)

    def _abandoned(self, job, before, time_ms):
        if job.place not in self.doomed:
            raise Violation(f"ABANDONED although what it waits for may come: {job}")
        self.doomed.discard(job.place)
        self._give_up(job)

    def _check_loss(self, job, again):
        """An attempt that neither ended by itself nor was canceled: somebody must have taken its processes away."""
        lost = self.losses > 0
        self.losses -= 1
        stopped = self.stops > job.stops_before
        job.lost += not stopped
        restarts = self.restart_lost and job.lost < self.attempts_max
        if not lost or (again and not restarts and not stopped) or (not again and restarts):
            raise Violation(f"{'begins again' if again else 'FAILED'} without a reason: {job}")

    def _release(self, job):
        for node in job.task.outputs:
            self.nodes[node].locks.discard(job.place)

    def _find_due(self):
        self.due |= {job.place for job in self.blocked() if self.ready(job) is True}

    def _give_up(self, job):
        """Who came later and waits for what it would have written is abandoned; who came earlier only if nobody else will write it."""
        for node_id in job.task.outputs:
            node = self.nodes[node_id]
            if job.place not in node.locks:
                continue  # it was never submitted
            node.locks.discard(job.place)
            orphaned = node.edited_ms == 0 and not node.locks and not node.publishing
            for other in self.blocked():
                if node_id in other.task.inputs and (other.place > job.place or orphaned):
                    self.doomed.add(other.place)
