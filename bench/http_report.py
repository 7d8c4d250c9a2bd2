# SPDX-License-Identifier: Apache-2.0
"""Turns what the HTTP benchmark measured into a page and a JSON file."""

import statistics

from paired import difference, ratio

METRICS = ("p50_ns", "p99_ns", "rate", "cpu_ns")
STEAL_FLAG = 0.01
FRONT_END_US = 10.0  # docs: what the front end and the channel may add at one connection
FLOOR_SHARE = 0.6  # docs: the floor's processor time over this is the front end's allowance


def show(estimate, digits=2):
    middle, low, high = estimate
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


class Cell:
    """One comparison: the pairs of blocks of two contestants, and what follows from them."""

    def __init__(self, name, connections, placement, contestants, results):
        self.name = name
        self.connections = connections
        self.placement = placement
        self.contestants = contestants
        self.results = results
        self.ratios = {metric: ratio(results, metric) for metric in METRICS}
        self.p50_difference_us = tuple(v / 1e3 for v in difference(results, "p50_ns"))
        self.cpu_difference_us = tuple(v / 1e3 for v in difference(results, "cpu_ns"))

    def median(self, side, metric):
        return statistics.median(pair[side][metric] for pair in self.results)

    def flagged(self):
        return sum(block["steal"] > STEAL_FLAG for pair in self.results for block in pair)

    def client_busy(self):
        """How much of the measured time the client computed: near 1, it is the limit itself."""
        return max(statistics.median(
            pair[side]["client_cpu_ns"] * pair[side]["rate"] / pair[side]["requests_total"] / 1e9
            for pair in self.results) for side in (0, 1))

    def line(self):
        return (f"{self.name}, {self.connections} conn., {self.placement}, "
                f"{' / '.join(self.contestants)}: p50 {self.median(0, 'p50_ns') / 1e3:.1f} / "
                f"{self.median(1, 'p50_ns') / 1e3:.1f} us, ratio {show(self.ratios['p50_ns'])}")

    def row(self):
        def us(metric):
            return f"{self.median(0, metric) / 1e3:.1f} / {self.median(1, metric) / 1e3:.1f}"

        cells = [self.name, str(self.connections), self.placement, us("p50_ns"),
                 show(self.ratios["p50_ns"]), us("p99_ns"), show(self.ratios["p99_ns"]),
                 f"{self.median(0, 'rate') / 1e3:.1f} / {self.median(1, 'rate') / 1e3:.1f}",
                 show(self.ratios["rate"]), us("cpu_ns"), show(self.ratios["cpu_ns"]),
                 f"{self.client_busy():.0%}", f"{self.flagged()} of {2 * len(self.results)}"]
        return "| " + " | ".join(cells) + " |"


HEAD = """\
| exchange | conn. | placement | p50 µs | ratio | p99 µs | ratio | 1000/s | ratio \
| processor µs per request | ratio | client busy | blocks with steal |
|---|---|---|---|---|---|---|---|---|---|---|---|---|"""


class Report:
    """Collects everything; what is not an argument is set by the driver."""

    def __init__(self, machine, arguments):
        self._machine = machine
        self._arguments = arguments
        self.cells = []
        self.crowd = []  # the same exchange at more and more connections
        self.starts = None
        self.run_times_us = ()
        self.memory = self.memory_after = self.floors = ()

    def _compared(self):
        return [cell for cell in self.cells if cell.contestants[0] != cell.contestants[1]]

    def _against_itself(self):
        return [cell for cell in self.cells if cell.contestants[0] == cell.contestants[1]]

    def _floor_us(self, name):
        return statistics.median(floor[name] for floor in self.floors) / 1e3

    def _run_us(self):
        return statistics.median(self.run_times_us)

    def budgets(self):
        """Rows of (what, measured with interval, allowed, whether the interval lies within)."""
        rows = []
        run = self._run_us()
        small = [cell for cell in self._compared() if cell.name.startswith("digits")]
        single = [cell for cell in small if cell.connections == 1]
        binary = [cell for cell in single if cell.name == "digits binary"]
        if binary:
            best = min(binary, key=lambda cell: cell.p50_difference_us[0])
            rows.append((f"p50 above nginx, one connection, best placement ({best.placement})",
                         best.p50_difference_us, FRONT_END_US + run))
        parked = self._floor_us("futex_cross")
        for cell in single:
            rows.append((f"p50 above nginx, {cell.name}, {cell.placement}: one parked round trip",
                         cell.p50_difference_us, parked))
        for cell in small:
            if cell.connections > 1:
                allowed = cell.median(1, "cpu_ns") / 1e3 / FLOOR_SHARE + run
                measured = tuple(value * cell.median(1, "cpu_ns") / 1e3
                                 for value in cell.ratios["cpu_ns"])
                rows.append((f"processor time per request, {cell.name}, {cell.connections} "
                             f"connections, {cell.placement}", measured, allowed))
        return [(what, measured, allowed, measured[2] <= allowed)
                for what, measured, allowed in rows]

    def markdown(self):
        parts = ["# HTTP: mlosd beside nginx answering constants\n",
                 "Made by `bench/http_bench`; `bench/README.md` says how it measures and how to "
                 "read this. Left of a slash is mlosd, right of it nginx; a ratio is the median "
                 "over the pairs with its bootstrap 95 % interval; processor time is that of all "
                 "of the server's processes.\n", self._conditions(),
                 "\n## Compared\n", HEAD, *(cell.row() for cell in self._compared())]
        if self._against_itself():
            parts += ["\n## A server against itself (the resolution)\n", HEAD,
                      *(cell.row().replace("| ", f"| {cell.contestants[0]}: ", 1)
                        for cell in self._against_itself())]
        if self.crowd:
            parts += ["\n## More and more connections\n", HEAD,
                      *(cell.row() for cell in self.crowd)]
        if self.floors:
            parts.append(self._budget_table())
        parts.append(self._memory_and_start())
        return "\n".join(parts) + "\n"

    def _conditions(self):
        lines = [f"- {name}: {value}" for name, value in self._machine.items()]
        lines.append(f"- {self._arguments.pairs} pairs a cell, blocks of "
                     f"{self._arguments.block_ms} ms after {self._arguments.warm_ms} ms unmeasured")
        if self.floors:
            lines.append(f"- two threads passing a word and back, during the run: spinning "
                         f"{self._floor_us('spin'):.2f} µs, futex on one core "
                         f"{self._floor_us('futex_same'):.1f} µs, futex across cores "
                         f"{self._floor_us('futex_cross'):.1f} µs")
        return "\n".join(lines)

    def _budget_table(self):
        lines = ["\n## Budgets\n",
                 f"The bare library ran the model in process, measured before each row, in "
                 f"{self._run_us():.1f} µs ({min(self.run_times_us):.1f}–"
                 f"{max(self.run_times_us):.1f}).\n",
                 "| what | measured µs | allowed µs | |", "|---|---|---|---|"]
        lines += [f"| {what} | {show(measured, 1)} | {allowed:.1f} | {'met' if met else 'missed'} |"
                  for what, measured, allowed, met in self.budgets()]
        return "\n".join(lines)

    def _memory_and_start(self):
        lines = ["\n## Memory and start\n"]
        if self.starts:
            lines += [
                f"- from starting the process to the addresses file and a ready answer, "
                f"{self.starts['count']} starts: {show(self.starts['ready_ms'], 1)} ms, longest "
                f"{self.starts['ready_ms_max']:.1f} ms",
                f"- an idle mlosd with nothing loaded: {self.starts['rss_kb'] / 1024:.1f} MiB "
                f"resident, {self.starts['pss_kb'] / 1024:.1f} MiB as its proportional share"]
        for when, memory in (("plugin and models loaded", self.memory),
                             ("after all of the above", self.memory_after)):
            sizes = ", ".join(f"{m['rss_kb'] / 1024:.1f} ({m['pss_kb'] / 1024:.1f})" for m in memory)
            lines.append(f"- {when}: MiB resident (proportional share) of mlosd and of each "
                         f"process below it: {sizes}")
        return "\n".join(lines)
