"""The floors of the house: every #include in src/ and include/bailiff against the table of who may include what.

A module includes its own private headers ("module/x.h"), the public headers ("bailiff/x.h") of the modules below it, the C and
system headers, and of the libraries only those that the table grants it. What the table does not know fails.
"""

import os
import re
import sys
import tempfile
import unittest

SOURCE = os.environ.get("BAILIFF_SOURCE") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# floor, and the modules whose public headers may be included besides one's own
MODULES = {
    "base": (0, set()),
    "model": (1, {"base"}),
    "http": (2, {"base", "model"}),
    "audit": (2, {"base", "model"}),
    "auth": (2, {"base", "model"}),
    "policy": (2, {"base", "model"}),
    "store": (3, {"base", "model", "audit"}),
    "jobs": (4, {"base", "model", "store"}),
    "services": (5, {"base", "model", "http", "audit", "auth", "policy", "store", "jobs"}),
    "middleware": (5, {"base", "model", "http", "audit", "auth", "policy", "store", "jobs", "services", "handlers"}),
    "handlers": (5, {"base", "model", "http", "audit", "auth", "policy", "store", "jobs", "services", "middleware"}),
    "server": (6, {"base", "model", "http"}),
    "app": (7, {"base", "model", "http", "audit", "auth", "policy", "store", "jobs", "services", "middleware",
                "handlers", "server"}),
}

# public headers that are not named after their module
HEADER_MODULE = {
    "common.h": "base", "fault.h": "base", "text.h": "base", "clock.h": "base", "log.h": "base", "json.h": "base",
    "ticket.h": "base", "file.h": "base", "random.h": "base", "thread.h": "base", "quantity.h": "base", "permission.h": "model",
    "controls.h": "model", "caller.h": "auth", "event_hub.h": "jobs",
}

# third-party headers: pattern, then the modules (in src only) or the very files that may include them
CRYPTO = {"http", "audit", "auth", "policy", "server"}
THIRD_PARTY = [
    (r"openssl/ssl\.h", {"server"}),
    (r"openssl/[a-z0-9_]+\.h", CRYPTO),
    (r"h2o\.h|h2o/.+\.h|picohttpparser\.h", {"server"}),
    (r"sqlite3\.h", {"store"}),
    (r"jwt\.h|argon2\.h|ldap\.h|lber\.h|curl/.+\.h", {"auth"}),
    (r"libfyaml\.h", {"policy", "app"}),
    (r"jansson\.h", {"include/bailiff/json.h"}),
    (r"immintrin\.h", {"src/auth/rsa_ifma.c"}),
]

SYSTEM = re.compile(
    r"(sys|linux|net|netinet|arpa)/[a-z0-9_]+\.h|(assert|complex|ctype|dirent|dlfcn|endian|errno|fcntl|fenv|float|fnmatch|"
    r"getopt|glob|grp|ifaddrs|inttypes|libgen|limits|link|locale|malloc|math|mntent|netdb|paths|poll|pthread|pwd|sched|semaphore|"
    r"setjmp|signal|spawn|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|"
    r"sysexits|syslog|termios|threads|time|uchar|unistd|wchar|wctype)\.h")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?\b[ \t]*(.*)$', re.MULTILINE)
OPERAND = re.compile(r'"([^"]+)"|<([^>]+)>')


def module_of(path):
    """The module that a file, named from the top of the tree, belongs to; None: to none."""
    parts = path.split("/")
    if parts[:2] == ["include", "bailiff"] and len(parts) == 3:
        name = HEADER_MODULE.get(parts[2], parts[2].removesuffix(".h"))
    elif path == "src/main.c":
        name = "app"
    elif parts[0] == "src" and len(parts) > 2:
        name = parts[1]
    else:
        return None
    return name if name in MODULES else None


def judge_quoted(path, module, header):
    """What is wrong with #include "header"; None: nothing."""
    folder, _, name = header.rpartition("/")
    if folder == "bailiff":
        wanted = module_of("include/bailiff/" + name)
        if wanted is None:
            return "no module of that name is in the table"
        if wanted != module and wanted not in MODULES[module][1]:
            return f"{module} (floor {MODULES[module][0]}) may not include {wanted} (floor {MODULES[wanted][0]})"
        return None
    if path.startswith("include/"):
        return "a public header includes public headers only"
    if not folder or folder.split("/")[0] != module or ".." in header:
        return f'a private header is included as "{module}/x.h", and by its own module only'
    return None


def judge_angled(path, module, header):
    """What is wrong with #include <header>; None: nothing."""
    for pattern, allowed in THIRD_PARTY:
        if re.fullmatch(pattern, header):
            if path in allowed or (module in allowed and not path.startswith("include/")):
                return None
            return f"only for {', '.join(sorted(allowed))}, and in no public header but json.h"
    return None if SYSTEM.fullmatch(header) else "this header is not in the table"


def judge_file(path, text):
    """Every violation of one file as "path:line: include: why"."""
    module = module_of(path)
    text = re.sub(r"\\\n", " ", text)
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.DOTALL)
    found = []
    for include in INCLUDE.finditer(text):
        line = text.count("\n", 0, include.start()) + 1
        operand = OPERAND.match(include.group(1))
        if module is None:
            why = "the file belongs to no module of the table"
        elif operand is None:
            why = "an include that is computed cannot be checked"
        elif operand.group(1):
            why = judge_quoted(path, module, operand.group(1))
        else:
            why = judge_angled(path, module, operand.group(2))
        if why:
            found.append(f"{path}:{line}: {include.group(1).strip()}: {why}")
    return found


def judge_tree(root):
    """(violations, number of files looked at) of a whole source tree."""
    found, files = [], 0
    for top in ("src", "include"):
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".inc")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        found += judge_file(os.path.relpath(path, root), file.read())
                    files += 1
    return found, files


class TheTree(unittest.TestCase):
    def test_keeps_to_its_floors(self):
        found, files = judge_tree(SOURCE)
        self.assertGreater(files, 20, "this is not the source tree")
        self.assertEqual(found, [], "\n" + "\n".join(found))

    def test_table_goes_downwards_only(self):
        for module, (floor, below) in MODULES.items():
            for other in below:
                if floor == 5 and MODULES[other][0] == 5:
                    continue  # the two share a floor and `struct services`
                self.assertLess(MODULES[other][0], floor, f"{module} -> {other}")


class TheChecker(unittest.TestCase):
    def refused(self, path, include):
        self.assertEqual(len(judge_file(path, f"/* x */\n{include}\n")), 1, f"{path}: {include}")

    def taken(self, path, include):
        self.assertEqual(judge_file(path, f"/* x */\n{include}\n"), [], f"{path}: {include}")

    def test_refuses(self):
        for path, include in [
            ("src/base/text.c", '#include "bailiff/model.h"'),
            ("src/model/ids.c", '#include "bailiff/http.h"'),
            ("src/http/chain.c", '#include "bailiff/policy.h"'),
            ("src/http/chain.c", '#include "bailiff/services.h"'),
            ("src/audit/hash.c", '#include "bailiff/http.h"'),
            ("src/store/find.c", '#include "bailiff/http.h"'),
            ("src/store/find.c", '#include "bailiff/jobs.h"'),
            ("src/jobs/link.c", '#include "bailiff/http.h"'),
            ("src/jobs/link.c", '#include "bailiff/auth.h"'),
            ("src/handlers/tasks.c", '#include "bailiff/server.h"'),
            ("src/server/loop.c", '#include "bailiff/handlers.h"'),
            ("src/server/loop.c", '#include "bailiff/store.h"'),
            ("include/bailiff/http.h", '#include "bailiff/services.h"'),
            ("include/bailiff/http.h", '#include "http/parts.h"'),
            ("include/bailiff/store.h", "#include <sqlite3.h>"),
            ("src/http/chain.c", '#include "chain.h"'),
            ("src/http/chain.c", '#include "policy/yaml.h"'),
            ("src/http/chain.c", '#include "http/../policy/yaml.h"'),
            ("src/http/chain.c", '#include "../policy/yaml.h"'),
            ("src/http/chain.c", '#include "bailiff/unheard_of.h"'),
            ("src/http/chain.c", "#include <bailiff/http.h>"),
            ("src/http/chain.c", "#include <h2o.h>"),
            ("src/http/chain.c", "#include <openssl/ssl.h>"),
            ("src/http/chain.c", "#include <jansson.h>"),
            ("src/base/json.c", "#include <jansson.h>"),
            ("src/handlers/tasks.c", "#include <openssl/evp.h>"),
            ("src/handlers/tasks.c", "#include <sqlite3.h>"),
            ("src/server/loop.c", "#include <jwt.h>"),
            ("src/auth/verify.c", "#include <libfyaml.h>"),
            ("src/store/find.c", "#include <openssl/sha.h>"),
            ("src/store/find.c", "#include <boost.h>"),
            ("src/store/find.c", "  #  include\t<h2o/http1.h>"),
            ("src/store/find.c", "#include \\\n <h2o.h>"),
            ("src/store/find.c", "#include/**/<h2o.h>"),
            ("src/store/find.c", "#include SOMETHING"),
            ("src/store/find.c", "#include_next <h2o.h>"),
            ("src/strange/x.c", "#include <stdio.h>"),
            ("src/loose.c", "#include <stdio.h>"),
        ]:
            with self.subTest(path=path, include=include):
                self.refused(path, include)

    def test_takes(self):
        for path, include in [
            ("src/base/text.c", '#include "bailiff/text.h"'),
            ("src/base/text.c", "#include <stdio.h>"),
            ("src/jobs/spawn.c", "#include <sys/prctl.h>"),
            ("include/bailiff/json.h", "#include <jansson.h>"),
            ("include/bailiff/permission.h", '#include "bailiff/common.h"'),
            ("src/http/chain.c", '#include "http/parts.h"'),
            ("src/http/digest.c", "#include <openssl/evp.h>"),
            ("src/store/find.c", '#include "bailiff/audit.h"'),
            ("src/store/find.c", "#include <sqlite3.h>"),
            ("src/handlers/tasks.c", '#include "bailiff/services.h"'),
            ("src/handlers/tasks.c", '#include "bailiff/jobs.h"'),
            ("src/server/loop.c", "#include <h2o.h>"),
            ("src/server/tls.c", "#include <openssl/ssl.h>"),
            ("src/main.c", '#include "bailiff/server.h"'),
            ("src/main.c", '#include "app/serve.h"'),
            ("src/http/chain.c", "/* #include <h2o.h> */"),
            ("src/http/chain.c", "// see <h2o.h>"),
        ]:
            with self.subTest(path=path, include=include):
                self.taken(path, include)

    def test_finds_a_planted_violation_in_a_tree(self):
        with tempfile.TemporaryDirectory() as root:
            for path, text in [
                ("src/http/chain.c", '#include "bailiff/http.h"\n\n/* two\nlines */\n#include <h2o.h>\n'),
                ("src/http/deep/x.h", '#include "bailiff/store.h"\n'),
                ("include/bailiff/http.h", '#include "bailiff/model.h"\n'),
                ("include/other/x.h", "#include <stdio.h>\n"),
            ]:
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            found, files = judge_tree(root)
            self.assertEqual(files, 4)
            self.assertEqual([violation.split(": ")[0] for violation in found],
                             ["src/http/chain.c:5", "src/http/deep/x.h:1", "include/other/x.h:1"])


if __name__ == "__main__":
    sys.exit(unittest.main())
