"""Tests of Dunlin's Python parts that need no server."""
