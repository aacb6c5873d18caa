"""The verdict on a soak, by rule: slopes, latency late against early, wrong answers, rest."""
import math
import statistics

WARM_UP = 0.2  # of the run; the first samples count for no slope
CONFIDENCE = 1.96  # standard deviations: 95 %
P99_GROWTH = 1.25  # of the last third's p99 over the first third's
P99_SLACK_MS = 2.0  # and this much more is always allowed
MOST_POINTS = 600  # for a slope; more are thinned out


def slope(times, values):
    """The Theil-Sen slope per second: the median of the slopes between all pairs, and the bounds of
    its 95 % confidence interval (after Kendall's tau, Sen 1968).  Outliers do not move it."""
    step = math.ceil(len(times) / MOST_POINTS)
    points = list(zip(times, values))[::step]
    slopes = sorted((b[1] - a[1]) / (b[0] - a[0])
                    for i, a in enumerate(points) for b in points[i + 1:])
    n = len(points)
    half = CONFIDENCE * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    middle = len(slopes) / 2
    low, high = max(0, int(middle - half)), min(len(slopes) - 1, int(middle + half))
    return statistics.median(slopes), slopes[low], slopes[high]


def judge_gauge(gauge, samples, duration):
    """One line of the table: what the gauge was, and whether it is flat.

    samples: dictionaries with `seconds` since the load began; duration: of the load, in seconds.
    flat: the slope is within the limit.  grows: the whole confidence interval is above it.  open:
    the samples are too few, or too noisy, to tell.
    """
    late = [one for one in samples if one["seconds"] >= WARM_UP * duration]
    values = [one[gauge.name] for one in late]
    if len(values) < 3:
        return None
    middle = statistics.median(values)
    per_second = slope([one["seconds"] for one in late], values)
    per_hour, low, high = (3600 * one for one in per_second)
    line = {"gauge": gauge.name, "unit": gauge.unit, "median": middle, "least": min(values),
            "most": max(values), "per_hour": per_hour, "low": low, "high": high, "limit": None,
            "verdict": "shown"}
    if gauge.per_hour is not None:
        limit = max(gauge.per_hour, gauge.share * middle)
        verdict = "flat" if per_hour <= limit else "grows" if low > limit else "open"
        line |= {"limit": limit, "verdict": verdict}
    return line


def judge_latency(probe, missed):
    """p99 of the probe's last third against the first.  probe: (seconds, ms) of each question;
    missed: how many could not even be sent in time."""
    third = len(probe) // 3
    first, last = (quantile([ms for _, ms in part], 0.99)
                   for part in (probe[:third], probe[-third:]))
    limit = first * P99_GROWTH + P99_SLACK_MS
    return {"first_p99": first, "last_p99": last, "limit": limit,
            "p50": quantile([ms for _, ms in probe], 0.5),
            "p99": quantile([ms for _, ms in probe], 0.99), "missed": missed,
            "verdict": "overloaded" if missed else "flat" if last <= limit else "grows"}


def quantile(values, q):
    """The smallest value that a share q does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * q) - 1)]


def judge_rest(gauges, before, after):
    """Gauges that stand higher at rest after the load than before, by more than they may."""
    found = []
    for gauge in gauges:
        if gauge.rest is not None:
            found.append({"gauge": gauge.name, "unit": gauge.unit, "before": before[gauge.name],
                          "after": after[gauge.name], "allowed": gauge.rest,
                          "verdict": "back" if after[gauge.name] <= before[gauge.name] + gauge.rest
                          else "higher"})
    return found


def overall(report):
    """passed, failed, or open (nothing wrong was found, and the run was too short to tell all)."""
    verdicts = {line["verdict"] for line in report["gauges"] + report["rest"]}
    wrong = sum(wrong for _, wrong in report["counts"].values())
    if (wrong or report["left"] or {"grows", "higher"} & verdicts
            or report["latency"]["verdict"] != "flat"):
        return "failed"
    return "open" if "open" in verdicts else "passed"
