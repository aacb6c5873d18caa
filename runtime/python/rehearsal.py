"""What a waiting child runs once: a little of everything that most programs do, without output."""
import math
import os
import sys


class Point:
    """Classes, methods, attributes."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def length(self):
        return math.hypot(self.x, self.y)


def words(text):
    """Generators, strings, dictionaries."""
    counts = {}
    for word in text.split():
        counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def main():
    total = sum(Point(i, i + 1).length() for i in range(5))
    line = f"{total:.3f} {words('a b a')} {os.getcwd()} {[*range(3)]}"
    try:
        {}["missing"]
    except KeyError as e:
        line += str(e)
    print(line[:0], end="")
    print(line[:0], end="", file=sys.stderr)


if __name__ == "__main__":
    main()
