"""Settings: flags, environment variables and .env, their order, and what is said of bad ones."""
import re
import subprocess

import pytest
import requests

from server import DUNLIN, clean_environment, dunlin, free_port

VARIABLES = [
    "HOST", "PORT", "DATA", "API_KEYS", "API_KEY_FILE", "ALLOW_ANONYMOUS", "CONCURRENT_LIMIT",
    "QUEUE_LIMIT", "SANDBOX_TIMEOUT", "MAX_TIMEOUT", "MAX_EXECUTION_TIME", "MAX_CODE_LENGTH",
    "MAX_FILE_SIZE", "MAX_BODY_SIZE", "BODY_BUDGET", "MEMORY_LIMIT", "MAX_MEMORY", "MEMORY_BUDGET",
    "CPU_LIMIT", "MAX_CPU", "PROCESS_LIMIT", "MAX_PROCESSES", "WORKSPACE_LIMIT", "MAX_WORKSPACE",
    "OUTPUT_LIMIT", "MAX_OUTPUT", "POOL_MIN", "POOL_MAX", "WARM_MODULES", "WORK_DIR",
    "SECURITY_LEVEL", "ALLOWED_MODULES", "LOG_LEVEL", "LOG_FORMAT", "BUILD_TIMEOUT",
    "BUILD_CONCURRENCY", "BUILD_MEMORY", "BUILD_CPU", "BUILD_PROCESSES", "BUILD_DISK",
    "BUILD_LOG_LIMIT", "BUILD_WEIGHT", "DISK_RESERVE", "FORBIDDEN_SCRIPTS", "ENVIRONMENT_LIMIT",
    "ENVIRONMENTS_WARM", "ENVIRONMENT_IDLE", "ZYGOTE_FORKS", "ZYGOTE_MINUTES", "LEARN_MODULES",
    "NETWORK_MODE", "MAX_NETWORK", "BUILD_NETWORK", "NETWORK_DNS", "NETWORK_ALLOW", "NETWORK_RATE",
    "NETWORK_CONNECTIONS", "REGISTRY_MIRROR", "REGISTRIES", "REGISTRY_INSECURE",
    "REGISTRY_AUTH_FILE", "DEBIAN_MIRROR"]

WITHOUT_FLAG = {"API_KEYS"}  # every user of the machine could read it in ps


def flag(variable):
    """The flag of a setting."""
    return "--" + variable.lower().replace("_", "-")


def test_help_lists_every_setting_with_its_flag_and_default():
    ended = dunlin("serve", "--help", seconds=10)
    assert ended.returncode == 0
    for name in VARIABLES:
        assert re.search(rf"\b{name}\b", ended.stdout), name
        assert flag(name) in ended.stdout or name in WITHOUT_FLAG, flag(name)
    for default in ("8000", "127.0.0.1", "100000", "/var/lib/dunlin", "512m", "/sandbox"):
        assert default in ended.stdout, default


@pytest.mark.parametrize("name, value", [
    ("PORT", "abc"), ("PORT", "70000"), ("PORT", "-1"), ("MEMORY_LIMIT", "lots"),
    ("CPU_LIMIT", "-1"), ("CPU_LIMIT", "fast"), ("MAX_TIMEOUT", "0"), ("CONCURRENT_LIMIT", "0"),
    ("LOG_LEVEL", "loud"), ("SECURITY_LEVEL", "high"), ("WORK_DIR", "relative"),
    ("ALLOW_ANONYMOUS", "maybe"), ("MAX_CODE_LENGTH", ""), ("POOL_MIN", "1e3"),
    ("MEMORY_LIMIT", "99999999999999999999g"), ("NETWORK_DNS", "127.0.0.53"),
    ("NETWORK_ALLOW", "10.0.0.1/8"), ("REGISTRIES", "https://registry.example"), ("API_KEY_FILE", "/nonexistent/keys")])
def test_a_bad_value_stops_the_start_and_is_named(spare_directory, name, value):
    ended = dunlin("serve", "--data", spare_directory, env={"PORT": str(free_port()), name: value},
                   seconds=20)
    assert ended.returncode not in (0, None)
    assert name in ended.stderr or flag(name) in ended.stderr, ended.stderr


def test_more_live_sessions_than_descriptors_permit_are_lowered_and_said():
    ended = subprocess.run(
        ["prlimit", "--nofile=6000:6000", "setpriv", "--reuid=65534", "--clear-groups", DUNLIN,
         "serve"],
        env=clean_environment({"SESSION_LIVE_LIMIT": "1000"}), text=True, capture_output=True,
        timeout=20, check=False)
    assert ended.returncode != 0 and "made by root" in ended.stderr
    found = re.search(r'sessions\.limited.*lowered_to"?[=:] ?(\d+)', ended.stderr)
    assert found and 100 < int(found.group(1)) < 500, ended.stderr


def test_an_unknown_flag_stops_the_start_and_is_named():
    ended = dunlin("serve", "--no-such-flag", seconds=10)
    assert ended.returncode != 0 and "no-such-flag" in ended.stderr


def test_the_port_in_use_stops_the_start_and_is_named(server, spare_directory):
    ended = dunlin("serve", "--port", server.port, "--data", spare_directory, seconds=60)
    assert ended.returncode != 0
    assert str(server.port) in ended.stderr


def test_a_second_port_serves_the_same_and_is_closed_with_the_first(make_server):
    second = free_port()
    one = make_server(SE_PORT=second)
    for port in (one.port, second):
        assert requests.get(f"http://127.0.0.1:{port}/health", timeout=10).status_code == 200
    assert f'"second_port":{second}' in one.log_text()
    one.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{second}/health", timeout=10)


def test_a_second_server_on_the_same_data_is_refused(server):
    ended = dunlin("serve", "--port", free_port(), "--data", server.data, seconds=20)
    assert ended.returncode != 0
    assert str(server.data) in ended.stderr
    assert server.client().run("print(1)")["success"]


def test_dotenv_environment_and_flags_take_precedence_in_this_order(make_server):
    one = make_server(
        dotenv="# a comment\n\nMAX_CODE_LENGTH=50\nMAX_TIMEOUT=7\nSANDBOX_TIMEOUT=1\n"
               "MEMORY_LIMIT=128m\nCPU_LIMIT=1\nNETWORK_MODE=none\nDOCKER_IMAGE=python:3.11-slim\n"
               "SOME_UNKNOWN_KEY=1\nWORK_DIR=\"/job\"\n",
        MAX_TIMEOUT=6, args=["--max-file-size", "10"])
    client = one.client()
    answer = client.post({"code": "#" + "x" * 50})
    assert answer.status == 400 and answer["detail"].startswith("代码长度不能超过 50 字符")
    answer = client.post({"code": "print(1)", "timeout": 7})
    assert answer.status == 400 and answer["detail"].startswith("超时时间不能超过 6 秒")
    assert client.post({"code": "print(1)", "timeout": 6})["success"]
    answer = client.run("print(1)", files={"f": "eHh4eHh4eHh4eHg="})
    assert "超过大小限制" in answer["error"]
    answer = client.run("import time; time.sleep(9)")
    assert answer["error"].startswith("代码执行超时（1秒）")
    assert client.run("import os; print(os.getcwd())")["stdout"] == "/job\n"
    log = one.log_text()
    assert "SOME_UNKNOWN_KEY" in log, "an unknown key in .env is reported"


def test_max_execution_time_lowers_the_ceiling_too(make_server):
    client = make_server(MAX_EXECUTION_TIME=4).client()
    answer = client.post({"code": "print(1)", "timeout": 5})
    assert answer.status == 400 and answer["detail"].startswith("超时时间不能超过 4 秒")
    assert client.post({"code": "print(1)"}).status == 200, "the default is within the ceiling"


def test_defaults_and_ceilings_of_limits_can_be_set(make_server):
    client = make_server(MEMORY_LIMIT="64m", MAX_MEMORY="96m", PROCESS_LIMIT=4, MAX_PROCESSES=8,
                         OUTPUT_LIMIT="1k", MAX_OUTPUT="2k", WORKSPACE_LIMIT="4m",
                         CPU_LIMIT="0.5").client()
    for name, over in (("memory_mb", 97), ("processes", 9), ("output_kb", 3)):
        assert client.post({"code": "print(1)", "limits": {name: over}}).status == 422, name
        assert client.run("print(1)", limits={name: over - 1})["success"], name
    answer = client.run("print('x' * 2000)")
    assert len(answer["stdout"]) == 1024
    answer = client.run("open('f', 'wb').write(bytes(5 << 20))")
    assert "No space left on device" in answer["stderr"]
    answer = client.run("x = b'x' * (90 << 20)")
    assert "memory" in answer["limits_hit"]
    assert "memory" not in client.run("x = b'x' * (40 << 20)")["limits_hit"]
