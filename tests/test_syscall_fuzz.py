"""Ten seconds of hostile system calls; the long form is tests/syscalls/run."""
import pytest

import syscall_campaign
from host_watch import HostWatch

SECONDS = 9
FEWEST_CALLS = 3000  # in each second it makes 10,000 on two busy processors


@pytest.mark.deadline(120)
def test_random_system_calls_hurt_nobody(server, tmp_path, record_property):
    watch = HostWatch(server)
    program = syscall_campaign.compile_generator(tmp_path)
    total = syscall_campaign.run(server, watch, program, seed=5, seconds=SECONDS, length=3)
    watch.close()
    record_property("calls", total.calls)
    assert total.rounds == 3 and total.calls > FEWEST_CALLS and total.done > 0, total
    assert total.numbers > 600, "most numbers were tried"
    assert total.hellos > 0
