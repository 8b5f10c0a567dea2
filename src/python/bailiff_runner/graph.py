"""What must hold between sections: the names exist, the graph has no cycle, one writer for a data node."""

from .sections import Section, read_sections, unknown
from . import values
from .values import BadValue, Reference, shown

SEQUENCE_NAME_MAX = 128


def read_tasks(document, problems, data_node_ids):
    """The manifest's tasks, not yet knowing module from function: that takes an import (see functions.py)."""

    def inherits(own, default):
        return {key: value for key, value in default.items() if key != "skippable"}

    tasks = []
    for section in read_sections(document, "TASK", problems, inherits):
        inputs = _known(section, "inputs", "data node", data_node_ids)
        outputs = _known(section, "outputs", "data node", data_node_ids)
        for key, names in (("inputs", inputs), ("outputs", outputs)):
            for name in sorted({name for name in names if names.count(name) > 1}):
                section.problem(key, f'"{name}" is listed twice.')
        for name in inputs:
            if name in outputs:
                section.problem("outputs", f'"{name}" is both input and output of the task.')
        tasks.append(
            {
                "id": section.id,
                "reference": _function(section),
                "inputs": inputs,
                "outputs": outputs,
                "skippable": section.get("skippable", values.as_boolean, False),
            }
        )
    return tasks


def _function(section):
    """The dotted name of the task's function; None when there is none, which is noted."""

    def convert(value):
        path = value.path if isinstance(value, Reference) and value.kind == "function" else value
        if not isinstance(path, str) or not path:
            raise BadValue(f"{shown(value)} is not a function")
        parts = path.split(".")
        if parts[0] == "__main__":
            raise BadValue(f"{shown(path)} belongs to a script; move it to a module of its own that can be imported")
        if len(parts) < 2 or not all(part.isidentifier() for part in parts):
            raise BadValue(f'{shown(path)} is not of the form "module.function"')
        return path

    if not section.has("function"):
        section.problem(None, "a task needs a function.")
    return section.get("function", convert)


def _known(section, key, what, ids):
    names = section.names(key)
    for name in names:
        if name not in ids:
            section.problem(key, unknown(what, name, ids))
    return [name for name in names if name in ids]


def read_scenarios(document, problems, tasks, data_node_ids):
    by_id = {task["id"]: task for task in tasks}
    scenarios = []
    for section in read_sections(document, "SCENARIO", problems, lambda own, default: default):
        task_ids = _once(_known(section, "tasks", "task", by_id))
        _one_writer_each(section, [by_id[id] for id in task_ids])
        scenarios.append(
            {
                "id": section.id,
                "tasks": task_ids,
                "additional_data_nodes": _once(_known(section, "additional_data_nodes", "data node", data_node_ids)),
                "frequency": section.get("frequency", lambda value: values.one_of(value, values.FREQUENCIES, "a frequency")),
                "sequences": _sequences(section, problems, task_ids, by_id),
            }
        )
    return scenarios


def _once(names):
    return list(dict.fromkeys(names))


def _one_writer_each(section, tasks):
    writers = {}
    for task in tasks:
        for output in task["outputs"]:
            writers.setdefault(output, {})[task["id"]] = True
    for output, ids in writers.items():
        if len(ids) > 1:
            section.problem("tasks", f'the data node "{output}" is written by more than one task: {", ".join(ids)}.')


def _sequences(section, problems, scenario_tasks, tasks):
    table = section.get("sequences", otherwise={})
    if not isinstance(table, dict):
        section.problem("sequences", "must be a table.")
        return {}
    sequences = {}
    for name, listed in table.items():
        path = section.where("sequences") + (name,)
        if not name or len(name) > SEQUENCE_NAME_MAX or not name.isprintable() or "/" in name:
            problems.add(path, f"{shown(name)} is not a name for a sequence.")
            continue
        known = []
        for id in Section.checked_names(listed, lambda message: problems.add(path, message)):
            if id not in tasks:
                problems.add(path, unknown("task", id, scenario_tasks))
            elif id not in scenario_tasks:
                problems.add(path, f'the task "{id}" is not in the scenario.')
            else:
                known.append(id)
        sequences[name] = _once(known)
    return sequences


def check_cycles(tasks, problems):
    """Names each way in which data would have to flow in a circle.

    The graph alternates tasks and data nodes. Depth first with a stack of our own: a chain of
    10,000 tasks is deeper than Python's.
    """
    readers = {}
    for task in tasks:
        for name in task["inputs"]:
            readers.setdefault(name, []).append(task)
    finished, on_path = set(), {}
    for start in tasks:
        if start["id"] in finished:
            continue
        path = []
        stack = [_enter(start, None, path, on_path, readers)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                done, _ = path.pop()
                del on_path[done]
                finished.add(done)
                continue
            through, task = step
            if task["id"] in on_path:
                _report(path[on_path[task["id"]] :], through, task, problems)
            elif task["id"] not in finished:
                stack.append(_enter(task, through, path, on_path, readers))


def _enter(task, through, path, on_path, readers):
    on_path[task["id"]] = len(path)
    path.append((task["id"], through))
    # A task that reads what it writes has been reported as such.
    return (
        (output, reader) for output in task["outputs"] for reader in readers.get(output, ()) if reader is not task
    )


def _report(cycle, through, task, problems):
    steps = [cycle[0][0]]
    for id, data_node in cycle[1:]:
        steps += [data_node, id]
    steps += [through, task["id"]]
    problems.add(("TASK", task["id"]), f"the graph has a cycle: {' → '.join(steps)}.")
