/* test_support: the languages and the rules that the tests of api decode against. */
#pragma once

#include "api/rules.h"
#include "base/test_support.h"

/* Round numbers: 100 characters of code, files of 50 bytes, timeouts up to 300 s. */
struct request_rules test_rules(void);
