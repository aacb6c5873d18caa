// The choice of a server is that of the Python package, and the digest that of everybody.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { rank } from "dunlin";
import { sha256 } from "../dist/sha256.js";

test("sha256 is SHA-256", () => {
  for (const text of ["", "abc", "ä".repeat(100), "x".repeat(55), "x".repeat(56), "x".repeat(64), "x".repeat(1000)]) {
    assert.equal(sha256(text), createHash("sha256").update(text).digest("hex"));
  }
});

test("the loss of a server moves its sessions only", () => {
  for (let i = 0; i < 200; i++) {
    const before = rank(String(i), ["a", "b", "c"]);
    assert.equal(rank(String(i), ["a", "c"])[0], before.filter((one) => one !== "b")[0]);
  }
  assert.deepEqual(rank("abc", ["http://a", "http://b", "http://c"]), ["http://b", "http://c", "http://a"]);
});
