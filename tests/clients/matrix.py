"""What the checks of every Python client share: the command line, one line of JSON a check, bounded waits."""

import argparse
import json
import sys
import time
import traceback

BOUND_S = 40
PAUSE_S = 0.02
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


class Skipped(Exception):
    """Raised by a check that the client cannot do; its text says why."""


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--only", default="")
    return parser.parse_args()


def run(checks, only):
    """Runs (name, function) pairs in their order and ends the process."""
    failed = 0
    for name, check in checks:
        if only and name not in only.split(","):
            continue
        outcome = {"check": name, "ok": True}
        try:
            check()
        except Skipped as why:
            outcome = {"check": name, "skipped": str(why)}
        except Exception as error:  # a failed check must not hide the others
            failed += 1
            outcome = {"check": name, "ok": False, "error": f"{type(error).__name__}: {error}"}
            traceback.print_exc()
        print(json.dumps(outcome), flush=True)
    sys.exit(1 if failed else 0)


def same(expected, found, what):
    if expected != found:
        raise AssertionError(f"{what}: {found!r} instead of {expected!r}")


def until(what, condition):
    """Asks again and again until `condition` holds, and returns what it said."""
    end = time.monotonic() + BOUND_S
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {BOUND_S} s")
        time.sleep(PAUSE_S)


def values(prefix, count):
    return [f"{prefix}{number}" for number in range(count)]


LONG = "the same words again and again " * 20


def standard(functions):
    """The list in its order, made of functions by name; those that end in _PROTOCOL take it, `produce` takes the codec."""
    checks = [("create_topic", functions["create_topic"])]
    checks += [(f"produce_{codec}", lambda codec=codec: functions["produce"](codec)) for codec in CODECS]
    checks += [(name, functions[name]) for name in ["idempotent", "transactional", "read_committed"]]
    for protocol in ["classic", "consumer"]:
        for name in ["group_rebalance", "group_resume", "groups_described", "transform"]:
            checks.append((f"{name}_{protocol}", lambda name=name, protocol=protocol: functions[name](protocol)))
    checks += [(name, functions[name]) for name in ["offsets_by_time", "configs", "delete_records"]]

    def streams():
        raise Skipped("it is a Java library")

    return checks + [("streams_exactly_once", streams)]


def classic_only(protocol):
    if protocol != "classic":
        raise Skipped("the client has only the classic group protocol")
