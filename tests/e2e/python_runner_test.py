"""Tests of src/python/bailiff_runner: values and storage in this process, manifest and worker as real processes.

    /usr/bin/python3 tests/e2e/python_runner_test.py [-v] [TestCase.test]
"""

import json
import math
import os
import pickle
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from datetime import date, datetime, timedelta
from io import BytesIO

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..", "src", "python")
PACKAGE = os.path.normpath(os.path.join(SOURCE, "bailiff_runner"))
DEMO = os.path.normpath(os.path.join(HERE, "..", "..", "packaging", "demo"))
PYTHON = [sys.executable, "-I", "-B", PACKAGE]

sys.dont_write_bytecode = True
sys.path.insert(0, SOURCE)

from bailiff_runner import csv_tables, errors, filters, json_values, plain, storage, toml_lines, values  # noqa: E402


class Folder(unittest.TestCase):
    """A test with a folder of its own that holds an application."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="bailiff-runner-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(textwrap.dedent(text))
        return self.path(name)

    def read_json(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return json.load(file)


# -- values -----------------------------------------------------------------------------------------------------------


class Values(unittest.TestCase):
    def test_typed_text(self):
        for text, expected in [
            ("2:int", 2),
            ("-7:int", -7),
            ("1.5:float", 1.5),
            ("True:bool", True),
            ("fALSE:bool", False),
            ("x:str", "x"),
            ("2:int:str", "2:int"),
            ("2024-01-02T03:04:05:datetime", datetime(2024, 1, 2, 3, 4, 5)),
            ("1d2h0m3s:timedelta", timedelta(days=1, hours=2, seconds=3)),
            ("GLOBAL:SCOPE", "GLOBAL"),
            ("DAILY:FREQUENCY", "DAILY"),
            ("nb:SECTION", "nb"),
            ("plain", "plain"),
            ("http://h:80", "http://h:80"),
            ("a:integer", "a:integer"),
            ("x:", "x:"),
            (":int", ":int"),
            ("", ""),
            (3, 3),
            (["1:int", {"a": "2:int"}], [1, {"a": 2}]),
        ]:
            with self.subTest(text):
                found = values.interpret(text)
                self.assertEqual(found, expected)
                self.assertIs(type(found), type(expected))

    def test_reference(self):
        self.assertEqual(values.interpret("pkg.mod.name:function"), values.Reference("pkg.mod.name", "function"))
        self.assertIs(pickle.loads(pickle.dumps(values.Reference("json.JSONDecoder", "class"))), json.JSONDecoder)

    def test_wrong_text(self):
        for text in ["x:int", "1.5:int", "x:float", "yes:bool", "noon:datetime", "1w:timedelta", "d:timedelta", "X:SCOPE"]:
            with self.subTest(text), self.assertRaises(values.BadValue):
                values.interpret(text)

    def test_environment(self):
        environment = {"N": "5", "B": "true"}
        self.assertEqual(values.interpret("ENV[N]", environment), "5")
        self.assertEqual(values.interpret("ENV[N]:int", environment), 5)
        self.assertIs(values.interpret("ENV[B]:bool", environment), True)
        self.assertEqual(values.interpret("x ENV[N]", environment), "x ENV[N]")
        self.assertEqual(values.interpret(["ENV[N]:int", {"a": "ENV[B]"}, "2:int"], None), ["ENV[N]:int", {"a": "ENV[B]"}, 2])
        self.assertEqual(values.interpret(["ENV[N]:float"], environment), [5.0])
        with self.assertRaisesRegex(values.BadValue, "MISSING"):
            values.interpret("ENV[MISSING]", environment)
        with self.assertRaises(values.BadValue):
            values.interpret("ENV[B]:int", environment)

    def test_duration_round_trip(self):
        for duration in [timedelta(0), timedelta(days=3, seconds=7, microseconds=250), timedelta(days=-1, hours=5)]:
            self.assertEqual(values.duration(values.duration_text(duration)), duration)

    def test_milliseconds(self):
        self.assertEqual(values.as_milliseconds(timedelta(days=1, seconds=2)), 86402000)
        for wrong in [5, "soon", timedelta(seconds=-1)]:
            with self.subTest(wrong), self.assertRaises(values.BadValue):
                values.as_milliseconds(wrong)

    def test_booleans_are_not_integers(self):
        with self.assertRaises(values.BadValue):
            values.as_integer(True)
        with self.assertRaises(values.BadValue):
            values.as_boolean(1)

    def test_properties_are_strict_json(self):
        found = values.as_property({"a": math.nan, "b": 2**60, "c": timedelta(seconds=1), "d": [datetime(2024, 1, 2)]})
        self.assertEqual(
            found, {"a": "nan:float", "b": f"{2**60}:int", "c": "0d0h0m1s:timedelta", "d": ["2024-01-02T00:00:00:datetime"]}
        )
        with self.assertRaises(values.BadValue):
            values.as_property("a\0b")


class TomlLines(unittest.TestCase):
    def test_finds_sections_and_keys(self):
        lines = toml_lines.TomlLines(
            textwrap.dedent(
                '''\
            # [TASK.no]
            [ TASK . a ]   # comment
            inputs = [ "x",  # ]
              "[TASK.b]",
            ]
            text = """
            [TASK.c]
            outputs = 1
            """
            "quoted key" = 'it''s'
            [TASK."d.e"]
            a.b = { c = 1 }
            last = "]["
            [SCENARIO.s.sequences]
            q = []
            '''
            )
        )
        for path, line in [
            (("TASK", "a"), 2),
            (("TASK", "a", "inputs"), 3),
            (("TASK", "a", "text"), 6),
            (("TASK", "a", "quoted key"), 10),
            (("TASK", "d.e"), 11),
            (("TASK", "d.e", "a", "b"), 12),
            (("TASK", "d.e", "a", "b", "c"), 12),
            (("TASK", "d.e", "last"), 13),
            (("SCENARIO", "s"), 14),
            (("SCENARIO", "s", "sequences", "q"), 15),
            (("TASK", "a", "missing"), 2),
            (("JOB", "x"), 0),
        ]:
            with self.subTest(path):
                self.assertEqual(lines.find(path), line)
        for name in ("b", "c", "no"):
            self.assertEqual(lines.find(("TASK", name)), 2, "a header inside a value or a comment was believed")


# -- storage ----------------------------------------------------------------------------------------------------------


class Json(Folder):
    def round_trip(self, value):
        buffer = BytesIO()
        storage.dump(value, "json", {}, buffer)
        with open(self.path("x.json"), "wb") as file:
            file.write(buffer.getvalue())
        return storage.load("json", self.path("x.json"), {})

    def test_round_trip(self):
        import decimal

        value = {
            "a": [1, 2.5, None, True, "ü\u2028"],
            "when": datetime(2024, 1, 2, 3, 4, 5, 6),
            "day": date(2024, 1, 2),
            "long": timedelta(days=1, seconds=3.5),
            "set": {1, 2},
            "bytes": b"\x00\xff",
            "exact": decimal.Decimal("0.10"),
        }
        found = self.round_trip(value)
        self.assertEqual(found, value)
        self.assertIs(type(found["day"]), date)

    def test_not_finite_becomes_null(self):
        value = {"a": [math.nan, math.inf], "b": {-math.inf}, math.nan: 1, "c": (1, math.nan)}
        text = json_values.to_text(value)
        found = json.loads(text, parse_constant=lambda name: self.fail(f"{name} is not JSON"))
        self.assertEqual(found["a"], [None, None])
        self.assertEqual(found["b"], {"__type__": "Set", "__value__": [None]})
        self.assertEqual(found["c"], [1, None])

    def test_refusals(self):
        circle = []
        circle.append(circle)
        for value in [circle, object(), {(1, 2): 3}]:
            with self.subTest(type(value)), self.assertRaises(Exception):
                json_values.to_text(value)

    def test_half_a_surrogate_pair_is_storable(self):
        self.assertEqual(self.round_trip("\ud800"), "\ud800")

    def test_data_cannot_choose_what_is_called(self):
        marker = self.path("called")
        self.write("x.json", json.dumps({"__type__": "dataclass-subprocess-Popen", "__value__": {"args": ["touch", marker]}}))
        with self.assertRaises(errors.StorageError):
            storage.load("json", self.path("x.json"), {})
        self.assertFalse(os.path.exists(marker))


class Csv(Folder):
    def records(self, text, **properties):
        return csv_tables.records(self.write("x.csv", text), properties)

    def test_inference(self):
        found = self.records("i,f,g,b,s,m,z\n1,1.5,1,True,x,,007\n2,NA,,false,2,,5\n")
        self.assertEqual(
            found,
            [
                {"i": 1, "f": 1.5, "g": 1.0, "b": True, "s": "x", "m": None, "z": 7},
                {"i": 2, "f": None, "g": None, "b": False, "s": "2", "m": None, "z": 5},
            ],
        )
        self.assertIs(type(found[0]["g"]), float, "a column of whole numbers with a gap is one of floats")

    def test_text_stays_text(self):
        for text in ["1_000", "0x10", "1e", "2024-01-02", "9" * 30, "yes", "١"]:
            with self.subTest(text):
                self.assertEqual(csv_tables.infer([text]), [text])

    def test_limits_of_integers(self):
        self.assertEqual(csv_tables.infer([str(2**64 - 1), "0"]), [2**64 - 1, 0])
        self.assertEqual(csv_tables.infer([str(2**64 - 1), "-1"]), [str(2**64 - 1), "-1"])
        self.assertEqual(csv_tables.infer(["tRUE", "FALSE", "NA"]), [True, False, None])

    def test_as_pandas_has_it(self):
        try:
            import pandas  # noqa: F401
        except ImportError:
            self.skipTest("pandas is not installed")
        for text in [
            "i,f,g,b,s,m,z\n1,1.5,1,True,x,,007\n2,NA,,false,2,,5\n",
            "a,a,\n1,2,3\n",
            "a,a.1,a\n1,2,3\n",
            "a\n1_000\n",
            "a\n 5\n6 \n",
            "a\n+5\n",
            "a\ninf\n-Infinity\n1\n",
            "a\n" + "9" * 30 + "\n",
            "a\n-1\n18446744073709551615\n",
            "a,b\nTrue,TRUE\n,fALSE\n",
            "a\n1.\n.5\n1e5\n",
            "",
            "a\n",
            "a,b\n1\n\n2,3\n",
            'a\n"x, ""y"""\n',
        ]:
            for header in (True, False):
                with self.subTest(text, has_header=header):
                    properties = {"has_header": header}
                    frame = csv_tables.load(self.write("x.csv", text), properties)
                    self.assertEqual(plain.to_json(self.records(text, **properties)), plain.to_json(frame))

    def test_header(self):
        self.assertEqual(self.records("a,a,\n1,2,3\n"), [{"a": 1, "a.1": 2, "Unnamed: 2": 3}])
        self.assertEqual(self.records("1,x\n2,y\n", has_header=False), [{0: 1, 1: "x"}, {0: 2, 1: "y"}])
        self.assertEqual(self.records(""), [])
        self.assertEqual(self.records("a,b\n"), [])

    def test_ragged(self):
        self.assertEqual(self.records("a,b\n1\n\n2,3\n"), [{"a": 1, "b": None}, {"a": 2, "b": 3.0}])
        with self.assertRaisesRegex(errors.StorageError, "Line 2 .* 3 fields"):
            self.records("a,b\n1,2,3\n")

    def test_encoding_and_quotes(self):
        with open(self.path("x.csv"), "wb") as file:
            file.write('\ufeffa,b\n"x, ""y""\nz",ü\n'.encode("utf-8"))
        self.assertEqual(csv_tables.records(self.path("x.csv"), {}), [{"a": 'x, "y"\nz', "b": "ü"}])
        with open(self.path("x.csv"), "wb") as file:
            file.write("a\nü\n".encode("latin-1"))
        self.assertEqual(csv_tables.records(self.path("x.csv"), {"encoding": "latin-1"}), [{"a": "ü"}])
        with self.assertRaises(UnicodeDecodeError):
            csv_tables.records(self.path("x.csv"), {})

    def dump(self, value, **properties):
        buffer = BytesIO()
        storage.dump(value, "csv", properties, buffer)
        return buffer.getvalue().decode()

    def test_dump(self):
        self.assertEqual(self.dump([{"a": 1, "b": None}, {"b": "x,y", "c": math.nan}]), 'a,b,c\n1,,\n,"x,y",\n')
        self.assertEqual(self.dump([[1, 2], [3]]), "0,1\n1,2\n3,\n")
        self.assertEqual(self.dump([[1, 2], [3, 4]], has_header=False), "1,2\n3,4\n")
        self.assertEqual(self.dump({"a": [1, 2], "b": [3, 4]}), "a,b\n1,3\n2,4\n")
        self.assertEqual(self.dump([]), "")

    def test_dump_refusals(self):
        for value in [3, "text", [{"a": 1}, 2], {"a": 1}, {"a": [1], "b": []}, None]:
            with self.subTest(value), self.assertRaises(errors.StorageError):
                self.dump(value)

    def test_exposed_types(self):
        path = self.write("x.csv", "a\n1\n")
        self.assertEqual(csv_tables.load(path, {"exposed_type": "list"}), [{"a": 1}])
        instances = csv_tables.load(path, {"exposed_type": "pathlib.PurePosixPath:class", "has_header": False})
        self.assertEqual([str(instance) for instance in instances], ["a", "1"])
        with self.assertRaises(errors.StorageError):
            csv_tables.load(path, {"exposed_type": "excel"})


class Plain(unittest.TestCase):
    def show(self, value):
        return json.loads(plain.to_json(value), parse_constant=lambda name: self.fail(f"{name} is not JSON"))

    def test_shown_as(self):
        import collections
        import dataclasses
        import decimal
        import enum

        @dataclasses.dataclass
        class Point:
            x: int
            y: float

        @dataclasses.dataclass(slots=True)
        class Slim:
            x: int

        Pair = collections.namedtuple("Pair", "a b")
        Colour = enum.Enum("Colour", {"RED": "red"})
        for value, expected in [
            (21, 21),
            ({"a": (1, None, True)}, {"a": [1, None, True]}),
            ({1: 2, None: 3, True: 4, (1, 2): 5}, {"1": 4, "null": 3, "(1, 2)": 5}),
            ([math.nan, math.inf, 1.5], [None, None, 1.5]),
            (datetime(2024, 1, 2), "2024-01-02T00:00:00"),
            (date(2024, 1, 2), "2024-01-02"),
            (timedelta(minutes=1), "PT60S"),
            ({3, 1, 2}, [1, 2, 3]),
            (b"\x00\xff", "AP8="),
            (decimal.Decimal("1.10"), "1.10"),
            (Point(1, math.nan), {"x": 1, "y": None}),
            (Slim(3), {"x": 3}),
            (Pair(1, 2), [1, 2]),
            (Colour.RED, "red"),
            ("\ud800", "?"),
            (10**5000, hex(10**5000)),
            (1 + 2j, "(1+2j)"),
        ]:
            with self.subTest(str(expected)[:40]):
                self.assertEqual(self.show(value), expected)
        self.assertIn("built-in function", self.show(len))

    def test_circles_and_depth(self):
        circle = {"a": []}
        circle["a"].append(circle)
        deep = []
        for _ in range(100_000):
            deep = [deep]
        for value in (circle, deep):
            with self.assertRaises(errors.StorageError):
                plain.to_json(value)
        shared = [1]
        self.assertEqual(self.show([shared, shared, math.nan]), [[1], [1], None])


class Filters(unittest.TestCase):
    ROWS = [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}, {"n": None, "s": "b"}, {"n": math.nan, "s": "c"}]

    def keep(self, *operators, join=None, rows=None):
        filter = {"operators": [dict(zip(("key", "operator", "value"), item)) for item in operators]}
        if join:
            filter["join_operator"] = join
        return filters.apply(self.ROWS if rows is None else rows, filter)

    def test_operators(self):
        one, two, none, nan = self.ROWS
        for operator, value, expected in [
            ("EQUAL", 1, [one]),
            ("NOT_EQUAL", 1, [two, none, nan]),
            ("EQUAL", None, [none, nan]),
            ("NOT_EQUAL", None, [one, two]),
            ("LESS_THAN", 2, [one]),
            ("LESS_OR_EQUAL", 2, [one, two]),
            ("GREATER_THAN", 1, [two]),
            ("greater_or_equal", 1, [one, two]),
        ]:
            with self.subTest(operator=operator, value=value):
                self.assertEqual(self.keep(("n", operator, value)), expected)

    def test_joins_keep_order(self):
        one, two, none, nan = self.ROWS
        self.assertEqual(self.keep(("s", "EQUAL", "b"), ("n", "EQUAL", 2)), [two])
        self.assertEqual(self.keep(("s", "EQUAL", "c"), ("n", "LESS_THAN", 3), join="OR"), [one, two, nan])
        self.assertEqual(self.keep(("s", "EQUAL", "b"), ("n", "EQUAL", 2), join="or"), [two, none])

    def test_other_tables(self):
        self.assertEqual(self.keep(("1", "GREATER_THAN", 2), rows=[[1, 2], [3, 4]]), [[3, 4]])
        self.assertEqual(self.keep(("0", "EQUAL", 3), rows=[{0: 1}, {0: 3}]), [{0: 3}])
        self.assertEqual(self.keep(("n", "EQUAL", 1), rows={"x": self.ROWS, "y": []}), {"x": [self.ROWS[0]], "y": []})
        self.assertEqual(self.keep(("d", "LESS_THAN", "2024-02-01"), rows=[{"d": date(2024, 1, 2)}]), [{"d": date(2024, 1, 2)}])
        self.assertEqual(self.keep(rows=[1, 2]), [1, 2])
        self.assertEqual(filters.apply(3, None), 3)
        self.assertEqual(filters.apply(3, {}), 3)

    def test_faults(self):
        good = {"key": "n", "value": 1, "operator": "EQUAL"}
        for filter, expected in [
            ({"operator": []}, {"operator": ["Unknown field."], "operators": ["Missing data for required field."]}),
            ({"operators": {}}, {"operators": ["Not a valid list."]}),
            ({"operators": [good, {**good, "x": 1}]}, {"operators": {"1": {"x": ["Unknown field."]}}}),
            (
                {"operators": [{"key": "n", "value": 1}]},
                {"operators": {"0": {"operator": ["Missing data for required field."]}}},
            ),
            ({"operators": [{**good, "key": 1}]}, {"operators": {"0": {"key": ["Not a valid string."]}}}),
            ({"operators": [3]}, {"operators": {"0": {"_schema": ["Invalid input type."]}}}),
            ({"operators": [good], "join_operator": "XOR"}, {"join_operator": ["Must be one of: AND, OR."]}),
            ({"operators": [{**good, "key": "zz"}]}, {"operators": {"0": {"key": ['There is no column "zz".']}}}),
            (
                {"operators": [{**good, "value": "x", "operator": "LESS_THAN"}]},
                {"operators": {"0": {"value": ['Cannot be compared with the values of "n".']}}},
            ),
        ]:
            with self.subTest(filter), self.assertRaises(filters.InvalidFilter) as caught:
                filters.apply(self.ROWS, filter)
            self.assertEqual(json.loads(str(caught.exception)), expected)
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaises(filters.InvalidFilter):
            self.keep(("n", "EQUAL", 1), rows=21)
        with self.assertRaises(filters.InvalidFilter):
            self.keep(("n", "LIKE", 1))
        with self.assertRaises(filters.InvalidFilter):
            self.keep(*[("n", "EQUAL", 1)] * 101)


class Errors(unittest.TestCase):
    def test_one_line(self):
        self.assertEqual(errors.describe(ValueError("a\nb\0c\ud800")), "ValueError: a b c?")
        self.assertEqual(errors.describe(KeyError("x")), "KeyError: 'x'")
        self.assertEqual(errors.describe(MemoryError()), "MemoryError")
        self.assertEqual(len(errors.describe(ValueError("x" * 10**6))), errors.LINE_MAX)

        class Rude(Exception):
            def __str__(self):
                raise SystemExit

        self.assertIn("cannot be printed", errors.describe(Rude()))
        self.assertIn("Rude", errors.stack_of(Rude()))

    def test_no_paths(self):
        self.assertEqual(errors.describe(FileNotFoundError(2, "No such file", "/srv/x")), "FileNotFoundError: No such file")
        self.assertEqual(errors.without_paths("in '/srv/app/fns.py' or (/etc/x), 1/2"), "in '…' or (…), 1/2")

    def test_bounded(self):
        text = errors.bounded("begin" + "ü" * 100_000 + "end", 1000)
        self.assertLessEqual(len(text.encode()), 1000)
        self.assertTrue(text.startswith("begin") and text.endswith("end"))


# -- manifest ---------------------------------------------------------------------------------------------------------

FUNCTIONS = """\
    import time

    class Holder:
        @staticmethod
        def inner(a):
            return a

    def one(a): return a
    def two(a, b): return a, b
    def any_(*values, flag=None): return values
    def none(): return None
    def keyword_only(*, a): return a
    async def later(a): return a
    number = 3
"""

APPLICATION = """\
    [TAIPY]

    [JOB]
    mode = "standalone"
    max_nb_of_workers = "2:int"

    [CORE]
    storage_folder = "user_data/"
    version_number = "1.2:str"

    [GUI]
    port = 80

    [AUTHENTICATION.AUTHENTICATION]
    protocol = "taipy"

    [TASK.default]
    skippable = "True:bool"
    outputs = ["out:SECTION"]

    [TASK.first]
    function = "fns.one:function"
    inputs = [ "number:SECTION",]
    outputs = [ "doubled:SECTION",]
    skippable = "ENV[SKIP]"

    [TASK.second]
    function = "fns.Holder.inner:function"
    inputs = "doubled"

    [TASK.lonely]
    function = "fns.none"
    inputs = []
    outputs = []

    [DATA_NODE.default]
    storage_type = "csv"
    has_header = "False:bool"
    scope = "CYCLE:SCOPE"

    [DATA_NODE.number]
    storage_type = "pickle"
    default_data = "21:int"
    validity_period = "1d2h0m3s:timedelta"

    [DATA_NODE.doubled]
    storage_type = "in_memory"
    scope = "global"

    [DATA_NODE.out]
    default_data = [ ["1:int", "x"], [2, "y"] ]
    owner = "ops"
    since = 2024-01-02T03:04:05

    [DATA_NODE.table]
    default_path = "in.csv"
    has_header = true

    [DATA_NODE.own]
    storage_type = "json"
    path = "data/own.json"
    default_path = "ignored.json"
    default_data = { a = "1.5:float" }

    [SCENARIO.all]
    tasks = [ "first:SECTION", "second:SECTION", "first:SECTION",]
    additional_data_nodes = [ "table:SECTION",]
    frequency = "DAILY:FREQUENCY"
    owner = "ops"

    [SCENARIO.all.comparators]
    out = [ "fns.one:function",]

    [SCENARIO.all.sequences]
    "a b" = [ "second:SECTION",]
"""


class Manifest(Folder):
    def setUp(self):
        super().setUp()
        self.write("fns.py", FUNCTIONS)
        self.write("in.csv", "a\n1\n")

    def run_manifest(self, text, **environment):
        if text is not None:
            self.write("app.toml", text)
        return subprocess.run(
            PYTHON + ["manifest", self.path("app.toml"), self.path("out")],
            capture_output=True,
            env={"PATH": os.environ["PATH"], **environment},
            timeout=15,
        )

    def manifest(self, text, **environment):
        done = self.run_manifest(text, **environment)
        if done.returncode:
            self.fail(f"{done.returncode}: {done.stderr.decode()} {self.read_json('out/errors.json')}")
        return self.read_json("out/manifest.json")

    def problems(self, text, **environment):
        done = self.run_manifest(text, **environment)
        self.assertEqual(done.returncode, 1, done.stderr.decode())
        self.assertFalse(os.path.exists(self.path("out/manifest.json")))
        found = self.read_json("out/errors.json")
        for problem in found:
            self.assertEqual(problem["file"], self.path("app.toml"))
        return [(problem["line"], problem["message"]) for problem in found]

    def assertProblem(self, text, line, pattern, **environment):
        found = self.problems(text, **environment)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0][1], pattern)
        self.assertEqual(found[0][0], line, found)

    def test_whole_application(self):
        found = self.manifest(APPLICATION, SKIP="true")
        self.assertEqual(
            {key: found[key] for key in ("format", "version", "root", "workers")},
            {"format": 1, "version": "1.2", "root": self.folder, "workers": 2},
        )
        nodes = {node["id"]: node for node in found["data_nodes"]}
        self.assertEqual(list(nodes), ["number", "doubled", "out", "table", "own"])
        self.assertEqual(
            nodes["number"],
            {
                "id": "number",
                "scope": "SCENARIO",
                "storage_type": "pickle",
                "default_file": "number.p",
                "path": None,
                "validity_period_ms": 93_603_000,
                "properties": {},
            },
        )
        self.assertEqual((nodes["doubled"]["scope"], nodes["doubled"]["default_file"]), ("GLOBAL", None))
        self.assertEqual(nodes["out"]["storage_type"], "csv")
        self.assertEqual(nodes["out"]["scope"], "CYCLE")
        self.assertEqual(
            nodes["out"]["properties"], {"owner": "ops", "since": "2024-01-02T03:04:05:datetime", "has_header": False}
        )
        self.assertEqual(nodes["table"]["properties"], {"has_header": True})
        self.assertEqual(nodes["own"]["path"], self.path("data/own.json"))
        tasks = {task["id"]: task for task in found["tasks"]}
        self.assertEqual(
            tasks["second"],
            {
                "id": "second",
                "module": "fns",
                "function": "Holder.inner",
                "command": None,
                "environment": {},
                "inputs": ["doubled"],
                "outputs": ["out"],
                "skippable": False,
                "timeout_ms": None,
            },
        )
        self.assertIs(tasks["first"]["skippable"], True)
        self.assertEqual(
            found["scenarios"],
            [
                {
                    "id": "all",
                    "tasks": ["first", "second"],
                    "additional_data_nodes": ["table"],
                    "frequency": "DAILY",
                    "sequences": {"a b": ["second"]},
                }
            ],
        )

    def test_defaults(self):
        self.manifest(APPLICATION, SKIP="true")
        self.assertEqual(sorted(os.listdir(self.path("out/defaults"))), ["number.p", "out.csv", "own.json", "table.csv"])
        with open(self.path("out/defaults/number.p"), "rb") as file:
            self.assertEqual(pickle.load(file), 21)
        with open(self.path("out/defaults/out.csv")) as file:
            self.assertEqual(file.read(), "1,x\n2,y\n")
        with open(self.path("out/defaults/table.csv")) as file:
            self.assertEqual(file.read(), "a\n1\n")
        self.assertEqual(self.read_json("out/defaults/own.json"), {"a": 1.5})

    def test_a_default_path_without_a_file_starts_unwritten(self):
        done = self.run_manifest('[DATA_NODE.x]\nstorage_type = "csv"\ndefault_path = "nope.csv"\n')
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        (node,) = self.read_json("out/manifest.json")["data_nodes"]
        self.assertIsNone(node["default_file"])
        self.assertRegex(done.stderr.decode(), r"app\.toml:3: warning: .*nope\.csv.* does not exist")

    def test_deterministic_and_replaces_the_other_outcome(self):
        self.manifest(APPLICATION, SKIP="true")
        with open(self.path("out/manifest.json"), "rb") as file:
            first = file.read()
        self.problems("[TASK.x]\n")
        self.manifest(APPLICATION, SKIP="true")
        with open(self.path("out/manifest.json"), "rb") as file:
            self.assertEqual(file.read(), first)
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["defaults", "manifest.json"])

    def test_empty_application(self):
        found = self.manifest("")
        self.assertEqual((found["version"], found["workers"], found["tasks"]), ("development", None, []))

    def test_byte_order_mark_and_crlf(self):
        with open(self.path("app.toml"), "wb") as file:
            file.write(b'\xef\xbb\xbf[DATA_NODE.a]\r\n\r\n[DATA_NODE.b]\r\nscope = "x"\r\n')
        self.assertProblem(None, 4, "not a scope")

    def test_values_of_the_environment_are_no_properties(self):
        found = self.manifest(
            """
            [DATA_NODE.a]
            storage_type = "csv"
            has_header = "ENV[HEADER]:bool"
            encoding = "ENV[ENCODING]"
            exposed_type = "ENV[EXPOSED]"
            default_data = [["ENV[WORD]"]]
            password = "ENV[WORD]"
            nested = ["ENV[WORD]", {key = "ENV[WORD]:str", n = "1:int"}]
            unset = "ENV[NOPE]:int"

            [DATA_NODE.b]
            storage_type = "json"
            default_path = "ENV[FILE]"
            has_header = "ENV[WORD]"
            """,
            HEADER="false", ENCODING="latin-1", EXPOSED="list", WORD="hunter2", FILE="in.csv",
        )
        self.assertNotIn("hunter2", json.dumps(found))
        self.assertEqual(
            found["data_nodes"][0]["properties"],
            {
                "has_header": False,
                "encoding": "latin-1",
                "exposed_type": "list",
                "password": "ENV[WORD]",
                "nested": ["ENV[WORD]", {"key": "ENV[WORD]:str", "n": 1}],
                "unset": "ENV[NOPE]:int",
            },
        )
        self.assertEqual(found["data_nodes"][1]["properties"], {"has_header": "ENV[WORD]"})
        with open(self.path("out/defaults/a.csv"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "hunter2\n")
        self.assertTrue(os.path.exists(self.path("out/defaults/b.json")))

    def test_syntax(self):
        self.assertProblem("[JOB]\n\nx = = 1\n", 3, "Invalid value")
        self.assertProblem("[TASK.a]\n[TASK.a]\n", 2, "[Cc]annot declare")
        self.assertProblem("[TASK", 1, "Expected")
        with open(self.path("app.toml"), "wb") as file:
            file.write(b"[JOB]\nx = '\xff'\n")
        self.assertProblem(None, 2, "UTF-8")
        self.write("app.toml", "x = " + "[" * 100_000)
        self.assertEqual(len(self.problems(None)), 1)
        os.unlink(self.path("app.toml"))
        self.assertProblem(None, 0, "No such file")

    def test_size_limit(self):
        self.assertProblem("#" * (4 * 1024 * 1024 + 1), 0, "larger than 4 MiB")

    def test_values_have_lines(self):
        node = "[DATA_NODE.a]\n"
        for text, line, pattern in [
            (node + 'default_data = "x:int"', 2, r"\[DATA_NODE.a\] default_data: .*not an integer"),
            (node + 'default_data = "ENV[NOPE]"', 2, "NOPE is not set"),
            (node + '\nvalidity_period = "1w:timedelta"', 3, "not a duration"),
            (node + "validity_period = 5", 2, "not a duration"),
            (node + 'scope = "WORLD:SCOPE"', 2, "SCENARIO, CYCLE, GLOBAL"),
            (node + 'storage_type = "parquet"', 2, "pickle, json, csv, in_memory"),
            (node + 'storage_type = "json"\ndefault_data = [[nan]]', 3, "nan"),
            (node + 'storage_type = "csv"\ndefault_data = 3', 3, "no table"),
            (node + 'storage_type = "csv"\nhas_header = "maybe"', 3, "not a boolean"),
            (node + 'storage_type = "csv"\nencoding = "klingon"', 3, "not a text encoding"),
            (node + 'storage_type = "csv"\nexposed_type = "excel"', 3, "pandas, numpy, list"),
            (node + 'default_path = "."', 2, "regular file"),
            (node + 'path = "a\\u0000b"', 2, "control character"),
            (node + 'path = ""', 2, "not a path"),
            (node + 'note = "a\\u0000b"', 2, "NUL"),
            ('[DATA_NODE]\na = 3', 2, "must be a table"),
            ("DATA_NODE = 3", 1, "must be a table"),
            ('[DATA_NODE."a-b"]', 1, "identifier"),
            ("[DATA_NODE.class]", 1, "identifier"),
            (f"[DATA_NODE.{'a' * 129}]", 1, "longer"),
            ('[DATA_NODE.default]\nscope = "x"\n[DATA_NODE.a]\n[DATA_NODE.b]', 2, "not a scope"),
            ('[JOB]\nmax_nb_of_workers = "0:int"', 2, r"\[JOB\] max_nb_of_workers"),
            ("[JOB]\nmax_nb_of_workers = true", 2, "not an integer"),
            ('[CORE]\nversion_number = "a\\nb"', 2, "not a version"),
            ('[SCENARIO.s]\nfrequency = "HOURLY:FREQUENCY"', 2, "QUARTERLY"),
            ("[SCENARIO.s]\ntasks = 5", 2, "list of names"),
            ("[SCENARIO.s.sequences]\nq = [1]", 2, "not a name"),
        ]:
            with self.subTest(text):
                self.assertProblem(text, line, pattern)

    def test_functions(self):
        self.write("quits.py", "import sys\nprint('bye')\nsys.exit(4)\n")
        self.write("dies.py", "import os\nos._exit(7)\n")
        self.write("broken.py", "x = 1\ndef (\n")
        self.write("needs.py", "import no_such_module_at_all\n")
        data = "[DATA_NODE.a]\n[DATA_NODE.b]\n"
        for function, inputs, pattern in [
            ("fns.oen:function", ["a"], "does not exist.*oen"),
            ("nowhere.f:function", [], "No module named 'nowhere'"),
            ("needs.f:function", [], r"no_such_module_at_all.*needs.py, line 1"),
            ("quits.f:function", [], r"SystemExit: 4 \(quits.py, line 3\)"),
            ("dies.f:function", [], "ended the process with exit status 7"),
            ("broken.f:function", [], r"SyntaxError.*broken.py, line 2"),
            ("fns.number:function", [], "not callable"),
            ("fns.later:function", ["a"], "asynchronous"),
            ("fns.one:function", [], "does not fit 0 inputs"),
            ("fns.one:function", ["a", "b"], "does not fit 2 inputs"),
            ("fns.keyword_only:function", [], "does not fit 0 inputs"),
            ("__main__.f:function", [], "belongs to a script"),
            ("fns", [], "module.function"),
            ("fns.<lambda>:function", [], "module.function"),
            ("3:int", [], "not a function"),
        ]:
            with self.subTest(function, inputs=inputs):
                found = self.problems(f'{data}[TASK.t]\nfunction = "{function}"\ninputs = {json.dumps(inputs)}\n')
                self.assertEqual(len(found), 1, found)
                self.assertIn(found[0][0], (3, 4))
                self.assertRegex(found[0][1], r"^\[TASK\.t\].*" + pattern)
        self.assertProblem("[TASK.t]\n", 1, "needs a function")
        self.manifest(data + '[TASK.t]\nfunction = "fns.any_:function"\ninputs = ["a", "b"]\n')

    def test_one_deadly_module_does_not_hide_the_others(self):
        self.write("dies.py", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
        found = self.problems(
            '[TASK.a]\nfunction = "dies.f"\n[TASK.b]\nfunction = "fns.nope"\n'
            '[TASK.c]\nfunction = "dies.g"\n[TASK.d]\nfunction = "fns.none"\n'
        )
        self.assertEqual([line for line, _ in found], [1, 3, 5])
        self.assertRegex(found[0][1], "signal 9")

    def test_modules_may_print(self):
        self.write("noisy.py", "print('x' * 100000)\ndef f(): pass\n")
        done = self.run_manifest('[TASK.a]\nfunction = "noisy.f"\n')
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_unknown_names(self):
        base = '[DATA_NODE.number]\n[TASK.double]\nfunction = "fns.none"\n'
        for text, line, pattern in [
            ('inputs = ["nubmer:SECTION"]', 4, 'no data node "nubmer"; did you mean "number"'),
            ('outputs = ["zzz"]', 4, 'no data node "zzz"\\.$'),
            ('[SCENARIO.s]\ntasks = ["dubble"]', 5, 'no task "dubble"; did you mean "double"'),
            ('[SCENARIO.s]\nadditional_data_nodes = ["x"]', 5, 'no data node "x"'),
            ('[SCENARIO.s]\n[SCENARIO.s.sequences]\nq = ["double"]', 6, "not in the scenario"),
            ('[SCENARIO.s]\n[SCENARIO.s.sequences]\nq = ["nope"]', 6, 'no task "nope"'),
        ]:
            with self.subTest(text):
                self.assertProblem(base + text, line, pattern)
        # A data node that is faulty is not also unknown.
        self.assertProblem('[DATA_NODE.a]\nscope = "x"\n[TASK.t]\nfunction = "fns.one"\ninputs = ["a"]\n', 2, "scope")

    def test_graph(self):
        data = "".join(f"[DATA_NODE.{name}]\n" for name in "abc")
        task = '[TASK.{}]\nfunction = "fns.one"\ninputs = ["{}"]\noutputs = ["{}"]\n'.format
        self.assertProblem(data + task("t", "a", "a"), 7, "both input and output")
        self.assertProblem(data + task("t", "a", "b") + task("u", "b", "c") + task("v", "c", "a"), 4, "t → b → u → c → v → a → t")
        two = data + task("t", "a", "b") + task("u", "c", "b")
        self.manifest(two)
        self.assertProblem(two + '[SCENARIO.s]\ntasks = ["t", "u"]\n', 13, '"b" is written by more than one task: t, u')
        self.assertProblem(data + '[TASK.t]\nfunction = "fns.any_"\ninputs = ["a", "a"]\n', 6, "listed twice")

    def test_long_chain_is_no_recursion(self):
        text = "".join(f'[DATA_NODE.d{i}]\n[TASK.t{i}]\nfunction="fns.one"\ninputs=["d{i}"]\noutputs=["d{i + 1}"]\n' for i in range(1500))
        self.assertEqual(len(self.manifest(text + "[DATA_NODE.d1500]\n")["tasks"]), 1500)

    def test_problems_are_bounded(self):
        text = "".join(f'[DATA_NODE.d{i}]\nscope = "x"\n' for i in range(300))
        self.assertEqual(len(self.problems(text)), 100)

    def test_usage_and_unwritable_folder(self):
        self.assertEqual(subprocess.run(PYTHON, capture_output=True).returncode, 2)
        self.write("out", "a file, not a folder")
        done = self.run_manifest("")
        self.assertEqual(done.returncode, 2)
        self.assertNotIn(b"Traceback", done.stderr)

    def test_demo(self):
        done = subprocess.run(PYTHON + ["manifest", os.path.join(DEMO, "weather.toml"), self.path("out")], timeout=15)
        self.assertEqual(done.returncode, 0)


# -- worker -----------------------------------------------------------------------------------------------------------

TASKS = """\
    import ctypes, math, os, subprocess, sys, threading, time
    import helper

    class Point:
        def __init__(self, x): self.x = x

    class Bomb:
        def __reduce__(self): return (sys.exit, (5,))

    def add(a, b): return a + b
    def echo(value): return value
    def nothing(): print("ran"); return "ignored"
    def pair(): return 1, [2]
    def three(): return 1, 2, 3
    def forever():
        while True: yield 1
    def text(): return "ab"
    def fail(n): raise ValueError(f"boom: {n}")
    def outer(): return helper.inner()
    def leave(): sys.exit(3)
    def interrupt(): raise KeyboardInterrupt
    def deep(): return deep()
    def greedy(): return bytearray(1 << 60)
    def long_error(): raise ValueError("x" * 200000 + chr(0xd800) + chr(0))
    def unpicklable(): return lambda: 1
    def make_point(): return Point(7)
    def make_bomb(): return Bomb()
    def nan(): return {"a": math.nan}
    def noisy():
        sys.stdout.write("no newline"); sys.stderr.write("err"); ctypes.CDLL(None).printf(b"from C")
        os.write(1, b"raw")
    def wander(): os.chdir("/"); del sys.path[:]
    def where(): return os.getcwd()
    def descriptors(): return subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, close_fds=False).stdout.decode()
    def stdin(): return sys.stdin.read()
    def fork():
        child = os.fork()
        if child: os.waitpid(child, 0)
        return child
    def leave_a_thread(): threading.Thread(target=time.sleep, args=(60,)).start()
    def close_stdout(): sys.stdout.close()
"""


class Connection:
    """A worker process, and the other end of its descriptor 3."""

    LAUNCH = "import os, sys; f = int(sys.argv[1]); f == 3 or (os.dup2(f, 3), os.close(f)); os.execv(sys.argv[2], sys.argv[2:])"

    def __init__(self):
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        stdin = self._input()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", self.LAUNCH, str(theirs.fileno())] + PYTHON + ["worker"],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        stdin.close()

    @staticmethod
    def _input():
        """Something to read, to see that users' code does not."""
        reader, writer = os.pipe()
        os.write(writer, b"not for you")
        os.close(writer)
        return os.fdopen(reader, "rb")

    def send(self, data):
        self.socket.sendall(data)

    def call(self, **request):
        data = b"J" + json.dumps(request).encode()
        self.send(len(data).to_bytes(4, "big") + data)
        return self.receive()

    def receive(self):
        frame = self._exactly(int.from_bytes(self._exactly(4), "big"))
        assert frame[:1] == b"J", frame[:10]
        return json.loads(frame[1:])

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def printed(self, pipe):
        """What has been printed by now, without waiting for more."""
        data = b""
        while select.select([pipe], [], [], 0)[0]:
            more = os.read(pipe.fileno(), 65536)
            if not more:
                break
            data += more
        return data

    def end(self):
        self.socket.close()
        try:
            return self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()


class Worker(Folder):
    def setUp(self):
        super().setUp()
        self.write("fns.py", TASKS)
        self.write("helper.py", "def inner():\n    raise KeyError('inner')\n")
        self.worker = Connection()
        self.addCleanup(self.worker.end)
        self.count = 0
        self.nth = 1

    def node(self, storage_type="pickle", name="x", path=None, **properties):
        self.count += 1
        path = path or self.path(f"file-{self.count}")
        return {"id": f"DATANODE_{name}_1", "config_id": name, "storage_type": storage_type, "path": path, "properties": properties}

    def stored(self, value, storage_type="pickle", name="x"):
        node = self.node(storage_type, name)
        with open(node["path"], "wb") as file:
            storage.dump(value, storage_type, {}, file)
        return node

    def run_function(self, function, inputs=(), outputs=(), module="fns"):
        return self.worker.call(
            op="run",
            job="JOB_x_1",
            nth=self.nth,
            root=self.folder,
            module=module,
            function=function,
            inputs=list(inputs),
            outputs=list(outputs),
        )

    def succeed(self, *arguments, **options):
        self.assertEqual(self.run_function(*arguments, **options), {"op": "done", "ok": True})

    def result(self, function, inputs=(), storage_type="pickle"):
        output = self.node(storage_type)
        self.succeed(function, inputs, [output])
        return storage.load(storage_type, output["path"], {})

    def fail_with(self, function, inputs=(), outputs=(), **options):
        answer = self.run_function(function, inputs, outputs, **options)
        self.assertEqual(sorted(answer.keys() - {"exceptions"}), ["error", "ok", "op", "stacktrace"])
        self.assertTrue(all(isinstance(name, str) and name for name in answer.get("exceptions", [])))
        self.assertIs(answer["ok"], False)
        self.assertNotIn("\n", answer["error"])
        self.assertLessEqual(len(answer["error"]), 500)
        self.assertLessEqual(len(answer["stacktrace"].encode()), 64 * 1024)
        self.assertNotIn(PACKAGE, answer["stacktrace"])
        for output in outputs:
            self.assertFalse(os.path.exists(output["path"]), "a failed run left an output")
        return answer

    def test_inputs_in_order_one_output(self):
        self.assertEqual(self.result("add", [self.stored("a"), self.stored("b", "json")]), "ab")

    def test_outputs(self):
        first, second = self.node("json", "first"), self.node("pickle", "second")
        self.succeed("pair", outputs=[first, second])
        self.assertEqual(storage.load("json", first["path"], {}), 1)
        self.assertEqual(storage.load("pickle", second["path"], {}), [2])
        self.assertEqual(self.result("pair"), (1, [2]))
        self.succeed("nothing")
        for function, pattern in [("three", "more than 2"), ("forever", "more than 2"), ("text", "type str"), ("nothing", "type str")]:
            answer = self.fail_with(function, outputs=[self.node(name="p"), self.node(name="q")])
            self.assertRegex(answer["error"], pattern)
            self.assertIn("p, q", answer["error"])

    def test_it_is_told_which_job_it_is(self):
        self.write("which.py", "import os\n\n\ndef which():\n    return os.environ['BAILIFF_JOB_ID'], os.environ['BAILIFF_ATTEMPT']\n")
        for self.nth in (1, 2):
            node = self.node()
            self.succeed("which", outputs=[node], module="which")
            self.assertEqual(storage.load("pickle", node["path"], {}), ("JOB_x_1", str(self.nth)))

    def test_user_exception(self):
        answer = self.fail_with("fail", [self.stored(21)])
        self.assertEqual(answer["error"], "ValueError: boom: 21")
        lines = answer["stacktrace"].splitlines()
        self.assertEqual(lines[0], "Traceback (most recent call last):")
        self.assertIn("fns.py", lines[1])
        self.assertEqual(lines[-1], "ValueError: boom: 21")
        answer = self.fail_with("outer")
        self.assertEqual(answer["error"], "KeyError: 'inner'")
        self.assertRegex(answer["stacktrace"], r"(?s)in outer.*in inner")

    def test_every_exception_is_only_a_failure(self):
        for function, pattern in [
            ("leave", "^SystemExit: 3$"),
            ("interrupt", "^KeyboardInterrupt$"),
            ("deep", "^RecursionError: "),
            ("greedy", "^MemoryError"),
            ("long_error", "^ValueError: x+…$"),
            ("nope", "^AttributeError: .*nope"),
        ]:
            with self.subTest(function):
                self.assertRegex(self.fail_with(function)["error"], pattern)
        self.assertRegex(self.fail_with("f", module="nowhere")["error"], "^ModuleNotFoundError: No module named 'nowhere'")
        self.succeed("nothing")

    def test_unstorable_outputs(self):
        first = self.node(name="first")
        answer = self.fail_with("pair", outputs=[first, self.node("csv", "second", path="/proc/nope")])
        self.assertRegex(answer["error"], "^Output second cannot be stored as csv: FileNotFoundError")
        self.assertRegex(self.fail_with("unpicklable", outputs=[self.node(name="out")])["error"], "^Output out .*pickle")
        self.assertRegex(self.fail_with("make_point", outputs=[self.node("json", "out")])["error"], "^Output out cannot be stored as json: A value of type Point has no form in JSON.$")
        self.assertEqual(self.result("nan", storage_type="json"), {"a": None})

    def test_outputs_are_new_files(self):
        existing = self.stored(1)
        target = self.path("target")
        link = self.node(path=self.path("link"))
        os.symlink(target, link["path"])
        for output in (existing, link):
            answer = self.run_function("nothing", outputs=[output])
            self.assertRegex(answer["error"], "FileExistsError")
        self.assertEqual(storage.load("pickle", existing["path"], {}), 1)
        self.assertFalse(os.path.exists(target))

    def test_broken_inputs_are_named(self):
        broken = self.node(name="broken", path=self.write("broken.p", "garbage"))
        self.assertRegex(self.fail_with("echo", [broken])["error"], "^Input broken cannot be read: .*UnpicklingError")
        missing = self.node(name="missing")
        error = self.fail_with("echo", [missing])["error"]
        self.assertRegex(error, "^Input missing cannot be read: FileNotFoundError")
        self.assertNotIn(self.folder, error)
        bomb = self.node(name="bomb")
        self.succeed("make_bomb", outputs=[bomb])
        self.assertRegex(self.fail_with("echo", [bomb])["error"], "^Input bomb cannot be read: SystemExit")

    def test_classes_of_the_application(self):
        point = self.node()
        self.succeed("make_point", outputs=[point])
        output = self.node("json")
        self.succeed("Point.__init__", [point, self.stored(9)], [output])

    def test_output_is_flushed_before_the_answer(self):
        self.succeed("noisy")
        out = self.worker.printed(self.worker.process.stdout)
        for part in (b"no newline", b"from C", b"raw"):
            self.assertIn(part, out)
        self.assertEqual(self.worker.printed(self.worker.process.stderr), b"err")

    def test_runs_do_not_disturb_each_other(self):
        self.succeed("wander")
        self.assertEqual(self.result("where"), os.path.realpath(self.folder))
        self.succeed("close_stdout")
        self.assertEqual(self.result("echo", [self.stored(5)]), 5)

    def test_what_users_code_gets_hold_of(self):
        descriptors = self.result("descriptors")
        self.assertIn("pipe:", descriptors)
        self.assertNotIn("socket:", descriptors)
        self.assertEqual(self.result("stdin"), "")

    def test_fork_answers_once(self):
        self.assertGreater(self.result("fork"), 0)
        self.assertEqual(self.result("echo", [self.stored(5)]), 5)

    def test_another_root(self):
        self.succeed("nothing")
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        self.write("other/fns.py", "def nothing(): return __file__\n")
        output = self.node()
        answer = self.worker.call(op="run", job="JOB_x_1", nth=1, root=other, module="fns", function="nothing", inputs=[], outputs=[output])
        self.assertEqual(answer, {"op": "done", "ok": True})
        self.assertEqual(storage.load("pickle", output["path"], {}), os.path.join(other, "fns.py"))

    def test_package_is_not_in_the_way(self):
        self.write("errors.py", "def f(): return 1\n")
        self.write("csv.py", "raise SystemExit('not the csv you want')\n")
        self.write("calendar.py", "def f(): return 1\n")
        self.succeed("f", module="errors")
        self.succeed("f", module="calendar")
        self.assertEqual(self.result("echo", [self.stored([{"a": 1}], "csv")], "csv"), [{"a": 1}])

    def test_end_of_stream(self):
        self.assertEqual(self.run_function("leave_a_thread"), {"op": "done", "ok": True, "restart": True})
        begun = time.monotonic()
        self.assertEqual(self.worker.end(), 0)
        self.assertLess(time.monotonic() - begun, 3, "the worker waited for a user's thread")

    def test_split_and_joined_frames(self):
        data = b"J" + json.dumps(
            {"op": "run", "job": "JOB_x_1", "nth": 1, "root": self.folder, "module": "fns", "function": "nothing", "inputs": [], "outputs": []}
        ).encode()
        frame = len(data).to_bytes(4, "big") + data
        for piece in (frame[:2], frame[2:9], frame[9:] + frame + frame[:5], frame[5:]):
            self.worker.send(piece)
            time.sleep(0.02)
        for _ in range(3):
            self.assertEqual(self.worker.receive(), {"op": "done", "ok": True})

    def test_broken_frames_end_it(self):
        def framed(payload):
            return len(payload).to_bytes(4, "big") + payload

        for data in [
            b"\0\0\0\0",
            b"\xff\xff\xff\xff",
            framed(b"L12345678x"),
            framed(b"J[]"),
            framed(b"J{"),
            framed(b"J" + b"[" * 100_000),
            framed(b'J{"op":"dance"}'),
            framed(b'J{"op":"run"}'),
            framed(b'J{"op":"run","job":"j","nth":1,"root":"/","module":"m","function":"f","inputs":[1],"outputs":[]}'),
        ]:
            with self.subTest(data[:20]):
                worker = Connection()
                worker.send(data)
                with self.assertRaises(EOFError):
                    worker.receive()
                self.assertEqual(worker.end(), 2)

    def test_termination_by_signal(self):
        self.succeed("nothing")
        self.worker.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.worker.process.wait(5), -signal.SIGTERM)

    def test_speed(self):
        self.succeed("echo", [self.stored(1)])
        begun = time.perf_counter()
        for _ in range(300):
            self.run_function("pair")
        self.assertLess((time.perf_counter() - begun) / 300, 0.003, "a run that does nothing takes too long")


class Reads(Worker):
    """Inherits the helpers; the tests of runs are not repeated."""

    def read(self, node, filter=None, result=None):
        result = result or self.path(f"result-{self.count}-{time.monotonic_ns()}")
        answer = self.worker.call(
            op="read", root=self.folder, filter=filter, result=result,
            **{key: node[key] for key in ("storage_type", "path", "properties")},
        )  # fmt: skip
        if answer["ok"]:
            self.assertEqual(answer, {"op": "done", "ok": True})
            with open(result, encoding="utf-8") as file:
                return json.load(file, parse_constant=lambda name: self.fail(f"{name} is not JSON"))
        self.assertEqual(sorted(answer), ["error", "kind", "ok", "op"])
        self.assertNotIn("\n", answer["error"])
        self.assertNotIn(self.folder, answer["error"])
        self.assertFalse(os.path.exists(result))
        return answer["kind"], answer["error"]

    def test_read(self):
        self.assertEqual(self.read(self.stored({"a": (1, math.nan)})), {"a": [1, None]})
        self.assertEqual(self.read(self.stored(datetime(2024, 1, 2), "json")), "2024-01-02T00:00:00")
        self.assertEqual(self.read(self.stored([{"a": 1, "b": None}], "csv")), [{"a": 1, "b": None}])
        self.assertEqual(self.read(self.node("json", path=self.write("n.json", "[NaN, -Infinity, 1]"))), [None, None, 1])
        headless = self.node("csv", path=self.write("h.csv", "1,2\n"), has_header=False)
        self.assertEqual(self.read(headless), [{"0": 1, "1": 2}])
        unknown_class = {"__type__": "dataclass-nowhere-Point", "__value__": {"x": 1}}
        self.assertEqual(self.read(self.node("json", path=self.write("d.json", json.dumps(unknown_class)))), {"x": 1})

    def test_filter(self):
        node = self.stored([{"a": 1}, {"a": 2}], "csv")
        filter = {"operators": [{"key": "a", "value": 1, "operator": "GREATER_THAN"}]}
        self.assertEqual(self.read(node, filter), [{"a": 2}])
        self.assertEqual(self.read(node, {"operator": [], "operators": []}), ("invalid_filter", '{"operator": ["Unknown field."]}'))
        # A faulty filter is the client's fault, whatever the state of the data.
        self.assertEqual(self.read(self.node(), {"x": 1})[0], "invalid_filter")

    def test_unreadable(self):
        bomb = self.node()
        self.succeed("make_bomb", outputs=[bomb])
        deep = self.node("json", path=self.write("deep.json", "[" * 200_000))
        alien = pickle.dumps(unittest.TestCase("run")).replace(b"unittest.case", b"unittest.kase")
        with open(self.path("alien.p"), "wb") as file:
            file.write(alien)
        for node in [
            self.node(),
            self.node(path=self.write("x.p", "garbage")),
            self.node("json", path=self.write("x.json", "{")),
            self.node("csv", path=self.write("x.csv", "a\n1,2\n")),
            self.node(path=self.folder),
            self.node(path=self.path("alien.p")),
            bomb,
            deep,
        ]:
            with self.subTest(node):
                kind, error = self.read(node)
                self.assertEqual(kind, "unreadable")
                self.assertRegex(error, "^The data cannot be read: ")

    def test_result_is_a_new_file(self):
        existing = self.write("existing", "precious")
        answer = self.worker.call(
            op="read", root=self.folder, filter=None, result=existing, storage_type="pickle",
            path=self.stored(1)["path"], properties={},
        )  # fmt: skip
        self.assertEqual((answer["ok"], answer["kind"]), (False, "unavailable"))
        with open(existing) as file:
            self.assertEqual(file.read(), "precious")


for _name in [name for name in vars(Worker) if name.startswith("test_")]:
    setattr(Reads, _name, None)


class Demo(Folder):
    """The demonstration's pipeline through a real worker."""

    def test_pipeline(self):
        worker = Connection()
        self.addCleanup(worker.end)

        def node(name, storage_type="json", path=None, **properties):
            path = path or self.path(name)
            return {"id": name, "config_id": name, "storage_type": storage_type, "path": path, "properties": properties}

        measurements = node("measurements", "csv", os.path.join(DEMO, "seattle-weather.csv"), exposed_type="list")
        horizon = node("forecast_days", path=self.write("forecast_days", "14"))
        daily, monthly, forecast, report = map(node, ("daily", "monthly", "forecast", "report"))
        threading.Thread(target=worker.process.stdout.read, daemon=True).start()
        root = self.path("demo")
        shutil.copytree(DEMO, root)  # imports leave bytecode behind
        for function, inputs, outputs in [
            ("clean", [measurements], [daily, monthly]),
            ("forecast", [daily, horizon], [forecast]),
            ("report", [daily, monthly, forecast], [report]),
        ]:
            answer = worker.call(op="run", job="JOB_x_1", nth=1, root=root, module="weather", function=function, inputs=inputs, outputs=outputs)
            self.assertEqual(answer, {"op": "done", "ok": True})
        found = self.read_json("report")
        self.assertEqual((found["first_day"], found["last_day"]), ("2012-01-01", "2015-12-31"))
        self.assertEqual((found["records"]["hottest"]["temp_max"], found["records"]["wettest"]["precipitation"]), (35.6, 55.9))
        self.assertEqual(len(found["forecast"]), 14)
        for line in found["forecast_accuracy"]["by_days_ahead"]:
            self.assertLess(line["model"], min(line["as_today"], line["as_a_year_ago"]))
        self.assertGreater(found["forecast_accuracy"]["interval_held_percent"], 80)


if __name__ == "__main__":
    unittest.main()
