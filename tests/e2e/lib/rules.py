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
SLACK_MS = 5  # of the clocks of start and end


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
        self.values = []  # "job/attempt" whose values it got, or is to get, in their order
        self.locks = set()  # jobs (their places) that will write it
        self.publishing = []  # places of jobs that are COMPLETED: their values, the last ones, are on the way in this order

    def surely(self):
        """Where in its values the one stands that it has at least."""
        return max(len(self.values) - len(self.publishing) - 1, 0)

    def now(self):
        """The values that it may have: one, unless some are on their way."""
        nothing = [None] if len(self.publishing) == len(self.values) else []
        return nothing + self.values[self.surely() :]


class Rule:
    """How the jobs of a configuration are run."""

    def __init__(self, retries=None, lost_jobs=None, concurrency=None):
        self.retries = retries or {"max": 0}
        self.causes = self.retries.get("on", ["error", "timeout"])
        self.lost_jobs, self.concurrency = lost_jobs, concurrency

    def retries_after(self, cause, used):
        """Whether an attempt that ended so is followed by another."""
        fits = cause in self.causes or (cause != "lost" and "error" in self.causes)
        return fits and used < self.retries["max"]

    def delay_ms(self, used):
        return self.retries.get("delay_ms", 0) * self.retries.get("backoff", 1) ** used


class Task:
    def __init__(self, config, inputs, outputs, skippable):
        self.config, self.inputs, self.outputs, self.skippable = config, inputs, outputs, skippable


class Job:
    def __init__(self, place, job_id, task, force):
        self.place, self.id, self.task, self.force = place, job_id, task, force
        self.status = None
        self.attempt = 0
        self.ends = {(0, 0)}  # (attempts lost, retries used), as far as they are known
        self.history = []  # statuses, in order
        self.cancel_requested = False
        self.perils = set()  # what may have befallen its attempt: "loss", "keeper", "stop"
        self.not_before_ms = 0  # it is to be tried again
        self.read = {}  # attempt: (data node, how many values it surely had) of each input when it began

    def __repr__(self):
        return f"{self.id} ({self.task.config}, place {self.place}, {' '.join(self.history)}, attempt {self.attempt})"


class World:
    def __init__(self, attempts_max, restart_lost, shutdown):
        self.attempts_max, self.restart_lost, self.shutdown = attempts_max, restart_lost, shutdown
        self.nodes, self.tasks, self.jobs = {}, {}, {}  # by id, by id, by place
        self.due, self.doomed = set(), set()  # places of jobs whose next event must come at once
        self.perils = set()  # what befalls every attempt that is under way now
        self.keepers = 0  # so many attempts of those in that peril were lost
        self.killed = {}  # (job's id, attempt): the signal that surely ended it
        self.canceled = set()  # ids of jobs whose cancellation was asked for
        self.paused = False
        self.rules = {}  # by configuration, where there is one
        self.own_cause = lambda config, attempt: None  # why the attempt fails by itself, if it does

    def befall(self, peril):
        """From now on, until it is over for those that begin later."""
        self.perils.add(peril)
        for job in self.running():
            job.perils.add(peril)

    def over(self, peril):
        self.perils.discard(peril)

    def all_is_well(self):
        """Nothing that befell an attempt before is still to come out."""
        self.perils.clear()
        self.keepers = 0
        for job in self.running():
            job.perils.clear()

    def running(self):
        return [job for job in self.jobs.values() if job.status == "RUNNING"]

    def rule(self, job):
        return self.rules.get(job.task.config) or Rule()

    # -- the rules --

    def missing(self, job, node):
        """Whether the job has to wait for the node: True, False, or None where it is not known what has arrived there."""
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
        elif self.due and not (status == "PENDING" and (job.place in self.due or self._may_be_due(job))):
            raise Violation(f"{job} becomes {status} while {self._named(self.due)} should be PENDING")

    def _may_be_due(self, job):
        """A file at a user's path was found with the others."""
        return job.status in ("BLOCKED", None, "SUBMITTED") and self.ready(job) is None

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
        if self.ready(job) is True:
            raise Violation(f"BLOCKED although all is there: {job}")

    def _pending(self, job, before, time_ms):
        if before in (None, "SUBMITTED"):
            self._lock(job)
        if before == "RUNNING":
            self._again(job, time_ms)
            return
        self.due.discard(job.place)
        ready = self.ready(job)
        if ready is False:
            raise Violation(f"PENDING although an input is missing: {job}")
        if ready is None:  # so what was on its way had come
            for node in job.task.inputs:
                self._arrived(self.nodes[node], job.place, time_ms)
            self.find_due()
            self.due.discard(job.place)

    def _arrived(self, node, before_place, time_ms):
        """All that earlier jobs wrote, and what was written before that. The file of a value may be seen before it is said that it is there."""
        for place in [place for place in node.publishing if place < before_place]:
            self.arrived(node, place, time_ms)
        node.edited_ms = node.edited_ms or time_ms

    def arrived(self, node, place, time_ms):
        """Values come in their order."""
        if place in node.publishing:
            node.publishing = node.publishing[node.publishing.index(place) + 1 :]
            node.edited_ms = time_ms

    def _running(self, job, before, time_ms):
        if self.paused:
            raise Violation(f"RUNNING although the queue is paused: {job}")
        if self.skippable(job, time_ms):
            raise Violation(f"RUNNING although there is nothing to do: {job}")
        limit = self.rule(job).concurrency
        if limit and sum(other.task.config == job.task.config for other in self.running()) > limit:
            raise Violation(f"RUNNING beyond the limit of {limit}: {job}")
        if time_ms + SLACK_MS < job.not_before_ms:
            raise Violation(f"RUNNING {job.not_before_ms - time_ms} ms too early: {job}")
        job.perils = set(self.perils)
        nodes = [self.nodes[node] for node in job.task.inputs]
        job.read[job.attempt] = [(node, node.surely()) for node in nodes]

    def _skipped(self, job, before, time_ms):
        if self.paused:
            raise Violation(f"SKIPPED although the queue is paused: {job}")
        if not self.skippable(job, time_ms):
            raise Violation(f"SKIPPED although its outputs are not up to date: {job}")
        self._release(job)
        self.find_due()

    def _completed(self, job, before, time_ms):
        if (job.id, job.attempt) in self.killed or self.own_cause(job.task.config, job.attempt):
            raise Violation(f"COMPLETED although the attempt failed: {job}")
        for node in (self.nodes[node] for node in job.task.outputs):
            node.values.append(f"{job.id}/{job.attempt}")
            if node.at_path:
                node.publishing.append(job.place)
            else:
                node.edited_ms = time_ms
        self._release(job)
        self.find_due()

    def _failed(self, job, before, time_ms):
        ends = set()
        for lost, used in job.ends:
            for cause in self._causes(job):
                if cause == "stop":
                    ends |= {(lost, used)} if self.shutdown == "fail" else set()
                elif not self._restarts(job, cause, lost) and not self.rule(job).retries_after(cause, used):
                    if cause != "lost" or not job.cancel_requested:  # then it is canceled
                        ends.add((lost + (cause == "lost"), used))
        self._take_ends(job, ends, "FAILED")
        self._give_up(job)

    def _again(self, job, time_ms):
        """From RUNNING to PENDING: lost, stopped, or tried again."""
        ends, delays = set(), []
        for lost, used in job.ends:
            for cause in self._causes(job):
                end, delay = (lost + (cause == "lost"), used), 0
                if cause == "stop":
                    if self.shutdown != "requeue":
                        continue
                elif not self._restarts(job, cause, lost):
                    if not self.rule(job).retries_after(cause, used):
                        continue
                    end, delay = (end[0], used + 1), self.rule(job).delay_ms(used)
                ends.add(end)
                delays.append(delay)
        if job.cancel_requested:
            raise Violation(f"begins again although it is to be canceled: {job}")
        self._take_ends(job, ends, "begins again")
        job.not_before_ms = time_ms + min(delays) if min(delays) else 0

    def _causes(self, job):
        """Why its attempt may have ended without a result."""
        causes = {self.own_cause(job.task.config, job.attempt), self.killed.get((job.id, job.attempt))} - {None}
        if "loss" in job.perils or ("keeper" in job.perils and self.keepers > 0):
            causes.add("lost")
        if "stop" in job.perils:
            causes.add("stop")
        return causes

    def _take_ends(self, job, ends, what):
        if not ends:
            raise Violation(f"{what} without a reason: {job}")
        if self._causes(job) == {"lost"} and "loss" not in job.perils:
            self.keepers -= 1
        job.ends = ends

    def _restarts(self, job, cause, lost):
        """Whether it begins again at once, because it was lost."""
        rule = self.rule(job).lost_jobs or ("restart" if self.restart_lost else "fail")
        return cause == "lost" and rule == "restart" and lost + 1 < self.attempts_max

    def know_ends(self, job, lost, used):
        """What the store says of it."""
        if (lost, used) not in job.ends:
            raise Violation(f"{lost} losses and {used} retries instead of {sorted(job.ends)}: {job}")
        job.ends = {(lost, used)}

    def _canceled(self, job, before, time_ms):
        self._check_wish(job)
        if before == "RUNNING" and not job.cancel_requested:
            raise Violation(f"CANCELED without a durable wish: {job}")
        if before == "RUNNING":  # it may have been lost besides
            job.ends |= {(lost + 1, used) for lost, used in job.ends if "lost" in self._causes(job)}
            job.ends |= {(lost, used + 1) for lost, used in job.ends if used < self.rule(job).retries["max"]}
        self._give_up(job)

    def _abandoned(self, job, before, time_ms):
        if job.place not in self.doomed:
            raise Violation(f"ABANDONED although what it waits for may come: {job}")
        self.doomed.discard(job.place)
        self._give_up(job)

    def _release(self, job):
        for node in job.task.outputs:
            self.nodes[node].locks.discard(job.place)

    def find_due(self):
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
