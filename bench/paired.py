# SPDX-License-Identifier: Apache-2.0
"""Paired measurement: interleaved blocks, ratios with an interval, and what the machine was doing.

Two contestants are never compared across time: each pair of blocks lies within a fraction of a
second, their order is drawn anew (ABBA or BAAB), and what is reported is the median of the
pairs' ratios with a bootstrap 95 % interval.
"""

import os
import pathlib
import platform
import random
import statistics

RESAMPLES = 2000


def interval(values, seed=1):
    """The median of the values and a bootstrap 95 % interval for it: (median, low, high)."""
    chance = random.Random(seed)
    medians = sorted(statistics.median(chance.choices(values, k=len(values)))
                     for _ in range(RESAMPLES))
    return (statistics.median(values), medians[int(RESAMPLES * 0.025)],
            medians[int(RESAMPLES * 0.975) - 1])


def paired_blocks(first, second, pairs, before_each_four=lambda: None, seed=1):
    """Calls first() and second() in random ABBA or BAAB order; returns the pairs of results."""
    chance = random.Random(seed)
    results = []
    for _ in range((pairs + 1) // 2):
        before_each_four()
        if chance.random() < 0.5:
            a1, b1, b2, a2 = first(), second(), second(), first()
        else:
            b1, a1, a2, b2 = second(), first(), first(), second()
        results += [(a1, b1), (a2, b2)]
    return results


def ratio(results, metric):
    return interval([a[metric] / b[metric] for a, b in results])


def difference(results, metric):
    return interval([a[metric] - b[metric] for a, b in results])


class Steal:
    """The share of processor time that the hypervisor took between two calls of share()."""

    def __init__(self):
        self._last = self._read()

    @staticmethod
    def _read():
        with open("/proc/stat", encoding="ascii") as stat:
            ticks = [int(field) for field in stat.readline().split()[1:9]]
        return ticks[7], sum(ticks)

    def share(self):
        steal, total = self._read()
        last_steal, last_total = self._last
        self._last = steal, total
        return (steal - last_steal) / max(total - last_total, 1)


def _read(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return "not available"


def machine():
    """What a reader needs to judge the figures: processor, kernel, idle and frequency governors."""
    model = next((line.partition(":")[2].strip()
                  for line in _read("/proc/cpuinfo").splitlines() if line.startswith("model name")),
                 platform.machine())
    return {
        "processor": f"{model}, {len(os.sched_getaffinity(0))} cores usable",
        "kernel": platform.release(),
        "idle governor": _read("/sys/devices/system/cpu/cpuidle/current_governor"),
        "guest_halt_poll_ns": _read("/sys/module/haltpoll/parameters/guest_halt_poll_ns"),
        "frequency governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load average at start": f"{os.getloadavg()[0]:.2f}",
    }
