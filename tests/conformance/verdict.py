# SPDX-License-Identifier: Apache-2.0
"""What became of a case: served and compared with the library in process and with the data set.

Outcomes, from good to bad; report.py explains them to readers. Everything but PASSED and
BINARY_ONLY carries a reason, and FAILED is a fault of ours.
"""

import re

import numpy as np
import onnx
from onnx.backend.test.runner import Runner

import oip
from daemon import Refused
from serving import Served

PASSED = "passed"
BINARY_ONLY = "passed, binary only"
RANDOM = "random"
DEVIATES = "library deviates"
NOT_RUN = "library does not run it"
NOT_LOADED = "library does not load it"
NOT_REPRESENTABLE = "not representable"
NOT_SERVED = "not served"
FAILED = "FAILED"
OUTCOMES = (PASSED, BINARY_ONLY, RANDOM, DEVIATES, NOT_RUN, NOT_LOADED, NOT_REPRESENTABLE,
            NOT_SERVED, FAILED)

LONGEST_REASON = 200
HALVES = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


class Different(Exception):
    """The daemon answered something else than the library in process."""


def tidy(text):
    """One line of what a library said, without what changes from run to run."""
    text = re.sub(r"\S+\.(?:cc|h|hpp):\d+\s*", "", text)  # where in whose sources
    text = re.sub(r"(?:virtual )?(?:\S+ )?onnxruntime::[^()]*\([^()]*\)(?: const)?", "", text)
    text = re.sub(r"/tmp/\S*|/\S*/(?=[^/\s]+\.onnx)", "", text)
    text = re.sub(r"model 'c\d+'(?: version 1)?: ?", "", text)
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON - 1] + "…"


def has_json_form(case):
    if {value.type.tensor_type.elem_type for value in case.inputs + case.outputs} & HALVES:
        return False
    try:
        for inputs, outputs in case.sets:
            for array in inputs + outputs:
                if oip.datatype_of(array) == "BYTES":
                    oip.json_elements(array)
    except UnicodeDecodeError:
        return False
    return True


def forms_of(case):
    """How each set is sent, one after the other: (name, binary, what must be the same).

    As binary it goes twice: the second time the plugin knows the outputs' shapes, and the library
    writes into the channel's memory.
    """
    forms = [("binary", True, oip.same_bits), ("binary, again", True, oip.same_bits)]
    if has_json_form(case):
        forms.insert(0, ("JSON", False, oip.same_bits_but_nan))
    return forms


def same_kind(left, right):
    return oip.datatype_of(left) == oip.datatype_of(right) and left.shape == right.shape


def require_same(case, expected, got, same, form):
    names = [value.name for value in case.outputs]
    if sorted(got) != sorted(names):
        raise Different(f"{form}: outputs {sorted(got)} instead of {sorted(names)}")
    for name, array in zip(names, expected):
        if not same(array, got[name]):
            raise Different(f"{form}: output '{name}' is not what the library gives in process")


def serve(case, served):
    """What the daemon answers: for each form, for each set, the outputs by name."""
    return [[served.infer(case.feeds(inputs), binary) for inputs, _ in case.sets]
            for _, binary, _ in forms_of(case)]


def compare(case, answers, in_process, same_in_all=None):
    """Raises Different unless each answer is what the same run gave in process."""
    for (form, _, same), answered, expected in zip(forms_of(case), answers, in_process):
        for got, wanted in zip(answered, expected):
            require_same(case, wanted, got, same_in_all or same, form)


def draws_at_random(in_process):
    """Whether the runs in process differ among themselves."""
    first = in_process[0]
    return not all(oip.same_bits(left, right)
                   for again in in_process[1:] for one, other in zip(first, again)
                   for left, right in zip(one, other))


def deviation(case, in_process):
    """Where the library's own results differ from the data set's, by ONNX's measure."""
    for (_, expected), got in zip(case.sets, in_process):
        try:
            Runner.assert_similar_outputs(*normalised(expected, got), rtol=case.rtol,
                                          atol=case.atol)
        except (AssertionError, TypeError) as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            return lines[0] if lines else type(error).__name__
    return None


def normalised(expected, got):
    """Text in one form on both sides, everything as arrays."""
    def one(array):
        array = np.asarray(array)
        if array.dtype.kind not in "OSU":
            return array
        text = np.empty(array.size, object)
        text[:] = [oip.element_bytes(element) for element in array.reshape(-1)]
        return text.reshape(array.shape)
    return [one(array) for array in expected], [one(array) for array in got]


def judge_random(case, answers, in_process):
    compare(case, answers, in_process, same_kind)
    try:
        compare(case, answers, in_process)
    except Different:
        return RANDOM, "no seed"
    return RANDOM, "seeded: each run gives, bit for bit, what the same run gives in process"


def judge_loaded(case, served, runs):
    """The verdict on a case that both sides have loaded; `runs` has all sets for each form."""
    error = next((found for found in runs if isinstance(found, str)), None)
    if error is not None:
        try:
            serve(case, served)
        except Refused:
            return NOT_RUN, tidy(error)
        return FAILED, f"the library fails in process ({tidy(error)}) and the daemon answers"
    count = len(case.sets)
    in_process = [runs[at:at + count] for at in range(0, len(runs), count)]
    answers = serve(case, served)
    if draws_at_random(in_process):
        return judge_random(case, answers, in_process)
    compare(case, answers, in_process)
    deviates = deviation(case, in_process[0])
    if deviates is not None:
        return DEVIATES, tidy(deviates)
    return (PASSED if has_json_form(case) else BINARY_ONLY), ""


def judge(case, server, calls, reference, name):
    """Runs a case on both sides; the outcome and its reason."""
    case.open()
    with Served(server, calls, name, case.path) as served:
        if case.foreign:
            if served.refusal is None:
                return FAILED, f"the daemon loads a model with {', '.join(case.foreign)}"
            return NOT_REPRESENTABLE, ", ".join(case.foreign)
        feeds = [case.feeds(inputs) for inputs, _ in case.sets] * len(forms_of(case))
        in_process = reference.run(case.path, [value.name for value in case.outputs], feeds)
        if isinstance(in_process, str):
            if served.refusal is None:
                return FAILED, f"not loadable in process ({tidy(in_process)}), but by the daemon"
            return NOT_LOADED, tidy(in_process)
        if served.refusal is not None:
            return NOT_SERVED, tidy(served.refusal)
        try:
            return judge_loaded(case, served, in_process)
        except (Different, Refused, oip.Malformed) as error:
            return FAILED, tidy(str(error))
