"""A little load: nothing that the processes hold grows. tests/soak/run --only load goes on for an hour, and looks at memory, too.

    /usr/bin/python3 tests/e2e/load_test.py [-v]
"""

import shutil
import tempfile
import unittest

from lib.steady import Steady

RSS_MAX = 640 << 20  # with sanitizers; a release build has a twentieth


class Load(unittest.TestCase):
    def test_nothing_piles_up(self):
        folder = tempfile.mkdtemp(prefix="bailiff-load-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        steady = Steady(folder)
        self.addCleanup(steady.end)
        steady.run(8)
        steady.check_level(memory=False)
        self.assertLess(max(sample.rss for sample in steady.samples), RSS_MAX)
        self.assertGreater(len(steady.told.jobs), 50)
        self.assertGreater(len(steady.told.ended), 5)


if __name__ == "__main__":
    unittest.main()
