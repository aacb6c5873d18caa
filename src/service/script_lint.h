/* script_lint: the predecessor's list of forbidden texts in setup scripts (contract A2). */
#pragma once

/* The first of the forbidden substrings that the script contains, or NULL.  A courtesy to people
 * who paste scripts, never the barrier: a script runs in a sandbox whatever it says. */
const char *script_lint(const char *script);

/* What the predecessor's answer says before the substring. */
#define SCRIPT_LINT_WORDS "脚本包含危险命令: "
