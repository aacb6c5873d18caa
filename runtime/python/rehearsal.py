"""What the probe child runs once, without output, so that ``pages`` learns what every run touches.

A little, on purpose: each page that is learned here is copied for every waiting sandbox.
"""
import sys


def main():
    line = f"{sum(range(3))} {[str(i) for i in range(2)]}"
    print(line[:0], end="")
    print(line[:0], end="", file=sys.stderr)


if __name__ == "__main__":
    main()
