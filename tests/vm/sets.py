"""What is run in the machine, in pytest's words."""

# Run where systemd is pid 1, besides: Dunlin as its unit.
UNIT = ["tests/vm/guest/unit_checks.py"]

# The back end by itself, then the most telling of each part.
SHORT = [
    "tests/vm/guest/group_checks.py",
    "tests/test_contract_execute.py::test_a_run_that_succeeds_answers_the_six_fields",
    "tests/test_attack_resources.py::test_memory_taken_by_children_counts_and_the_whole_run_ends",
    "tests/test_attack_resources.py::test_swap_is_no_way_round_the_memory_limit",
    "tests/test_attack_resources.py::test_a_bomb_is_contained_ended_in_time_and_named[fork]",
    "tests/test_attack_resources.py::test_the_process_limit_counts_threads_and_is_the_runs_own",
    "tests/test_attack_resources.py::test_cpu_time_is_limited_for_all_processes_together",
    "tests/test_attack_resources.py::test_the_workspace_is_empty_and_whole_again_for_the_next_run",
]

# Isolation, limits, crashes, the API.
FULL = [
    "tests/vm/guest/group_checks.py", "tests/test_doctor.py", "tests/test_contract_execute.py",
    "tests/test_attack_resources.py", "tests/test_attack_kill.py", "tests/test_attack_kernel.py",
    "tests/test_attack_identity.py", "tests/test_attack_files.py", "tests/test_attack_siblings.py",
    "tests/test_attack_warm.py", "tests/test_attack_world.py", "tests/test_crash.py",
    "tests/test_execute_extras.py", "tests/test_sessions_api.py", "tests/test_session_exec.py",
    "tests/test_session_files_api.py", "tests/test_attack_sessions.py", "tests/test_workspaces.py",
]
