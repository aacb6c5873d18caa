"""Values for requests: what a JSON schema of api/openapi.yaml allows, nearly allows, or never."""
import random
import string

TEXTS = ["", "a", "a.txt", "data/a.csv", "../../etc/passwd", "/etc/shadow", "a\nb", "a\x00b", "é",
         "\U0001f426", "x" * 300, "%2e%2e%2f", "-rf", "$(id)", "'; DROP TABLE sessions; --", ".",
         "..", "a/../b", "a//b", "CON", "\u202e", "[", "*", "~"]
NUMBERS = [0, 1, -1, 2, 7, 255, 256, 65536, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, 0.5, -0.0,
           1e300, 1e-300]
# Each ends by itself: a request need not name a timeout, and the default may be minutes.
CODES = ["print(1)", "1/0", "import sys; sys.exit(3)", "open('out.txt', 'w').write('x' * 1000)",
         "import os; os.kill(os.getpid(), 9)", "print('\\xff' * 3000)", "def f(:", "",
         "import time; time.sleep(0.3)",
         "import signal; signal.alarm(3)\nwhile True: pass",  # longer than the timeouts below
         "x = 'a' * (1 << 20); print(x)",
         "import os\nfor i in range(50): open(f'f{i}', 'w').write(str(i))", "raise SystemExit"]
COMMANDS = ["true", "echo hello", "cat", "ls -la /workspace", "sleep 0.2", "exit 7", "echo e >&2",
            "yes | head -c 100000", "kill -9 $$", "mkdir -p a/b && ln -s /etc/shadow a/b/link",
            "head -c 300000 /dev/zero > zeros", "sleep 30 &", "no-such-program", ""]
# Fields whose values decide how long a request may take, and what may go out to a network.
FIXED = {"timeout": [1, 2], "timeout_ms": [500, 1500], "timeout_seconds": [1, 2],
         "code": CODES, "command": COMMANDS, "setup_script": ["true", "exit 3", "echo hi"],
         "size": ["8M", "16M"], "reference": ["127.0.0.1:9/none", "no reference", ""],
         "url": ["http://127.0.0.1:9/x", "file:///etc/passwd", "gopher://a"],
         "language": ["python", "bash", "python", "cobol"], "packages": [[]]}
DEPTH = 6  # of schemas within schemas


class Maker:
    """Makes values with a random.Random; `document` is the parsed openapi.yaml."""

    def __init__(self, rng, document):
        self.rng = rng
        self.document = document

    def resolve(self, schema):
        """Follows $ref."""
        while "$ref" in schema:
            node = self.document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                node = node[part]
            schema = node
        return schema

    def wild(self, depth=0):
        """Any JSON value at all."""
        rng = self.rng
        kind = rng.randrange(8 if depth < 3 else 6)
        if kind < 2:
            return rng.choice(TEXTS)
        if kind == 2:
            return rng.choice(NUMBERS)
        if kind < 5:
            return rng.choice([None, True, False])
        if kind == 5:
            return "".join(rng.choice(string.printable) for _ in range(rng.randrange(40)))
        if kind == 6:
            return [self.wild(depth + 1) for _ in range(rng.randrange(4))]
        return {rng.choice(TEXTS): self.wild(depth + 1) for _ in range(rng.randrange(4))}

    def value(self, schema, name="", wildness=0.0, depth=0):
        """A value for the schema; each part of it is replaced by a wild one with that chance."""
        schema = self.resolve(schema)
        if self.rng.random() < wildness:
            return self.wild()
        if name in FIXED:
            return self.rng.choice(FIXED[name])
        for several in ("oneOf", "anyOf"):
            if several in schema:
                return self.value(self.rng.choice(schema[several]), name, wildness, depth + 1)
        if "allOf" in schema:
            return self.value(schema["allOf"][0], name, wildness, depth + 1)
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = self.rng.choice(kind)
        return self.of_kind(kind, schema, name, wildness, depth)

    def of_kind(self, kind, schema, name, wildness, depth):
        """A value of one JSON type."""
        rng = self.rng
        if kind == "object":
            return self.object(schema, wildness, depth)
        if kind == "array":
            count = 0 if depth > DEPTH else rng.randrange(4)
            items = schema.get("items", {})
            return [self.value(items, name, wildness, depth + 1) for _ in range(count)]
        if kind in ("integer", "number"):
            low = schema.get("minimum", 0)
            return rng.choice([low, low + 1, schema.get("maximum", low + 9), low + 3])
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "null":
            return None
        return rng.choice([schema.get("example", "a"), "a", "b.txt", "data/a.csv", "k=v"])

    def object(self, schema, wildness, depth):
        """An object with what is required and some of what is not."""
        made = {}
        required = schema.get("required", [])
        for key, part in schema.get("properties", {}).items():
            if key in required or (depth < DEPTH and self.rng.random() < 0.35):
                made[key] = self.value(part, key, wildness, depth + 1)
        if wildness and self.rng.random() < wildness:
            made.pop(self.rng.choice(list(made)), None) if made else None
        if wildness and self.rng.random() < wildness:
            made[self.rng.choice(TEXTS)] = self.wild()
        return made


def mangle(rng, data):
    """Bytes with a few of them changed, doubled or cut off."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        what = rng.randrange(4)
        if what == 0:
            data[at] = rng.randrange(256)
        elif what == 1:
            del data[at:at + rng.randrange(1, 9)]
        elif what == 2:
            data[at:at] = bytes(data[at:at + rng.randrange(1, 20)])
        else:
            del data[at:]
    return bytes(data)


def make_rng(seed, number):
    """The source of all chance in one sequence."""
    return random.Random(f"{seed}:{number}")
