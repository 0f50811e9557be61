"""tests/conformance: its reference is right, its diagnosis sees what is wrong, and its table is of this day.

It knows no engine beyond ONNX Runtime and ONNX's own, which are here: `make conformance` asks the others.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from conformance import diagnose, driver, graphs, ours, record  # noqa: E402
from conformance.cases import all_cases, case_of  # noqa: E402
from conformance.document import document  # noqa: E402
from conformance.engines import Engine  # noqa: E402
from conformance.reference import WAYS, Node, run  # noqa: E402
from conformance.runners import onnxruntime, reference  # noqa: E402

CASES = all_cases()
NAMES = [case.name for case in CASES]
# ONNX's cases are written down in float32.
TOLERANCE = 1e-6


# The reference ----------------------------------------------------------------------------------------------


def cases_of_onnx():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other operators' cases overflow as they are made
        found = collect_testcases(None)
    prefixes = ("test_gru_", "test_lstm_", "test_rnn_", "test_simple_rnn_")
    return [case for case in found if case.name.startswith(prefixes)]


def test_the_reference_passes_the_cases_of_onnx():
    seen = set()
    for case in cases_of_onnx():
        (node,) = case.model.graph.node
        given, expected = case.data_sets[0]
        feeds = dict(zip([value.name for value in case.model.graph.input], given, strict=True))
        x, *rest = [feeds.get(name) for name in node.input]
        fields = dict(zip(["W", "R", "B", "lengths", "h0", "c0", "P"], rest, strict=False))
        attributes = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        ways = WAYS[attributes.pop("direction", b"forward").decode()]
        assert attributes.pop("hidden_size") == fields["R"].shape[2]
        answers = run(Node(node.op_type, **fields, ways=ways, **attributes), x)
        outputs = dict(zip(["Y", "Y_h", "Y_c"], answers, strict=True))
        names = [value.name for value in case.model.graph.output]
        roles = dict(zip(node.output, outputs, strict=False))
        for name, value in zip(names, expected, strict=True):
            np.testing.assert_allclose(outputs[roles[name]], value, rtol=0, atol=TOLERANCE, err_msg=case.name)
        seen.add(case.name)
    assert len(seen) >= 15, seen


# The table --------------------------------------------------------------------------------------------------


def of_today(runner, case, folder):
    """What an engine that is here makes of a case."""
    path = folder / "model.onnx"
    path.write_bytes(graphs.model_of(case).SerializeToString())
    try:
        found = runner.run(path, graphs.feeds_of(case), graphs.outputs_of(case))
    except Exception:
        return "refused"
    return diagnose.verdict(case, found)[0]


@pytest.mark.parametrize("runner", [onnxruntime, reference], ids=["onnxruntime", "reference"])
def test_the_table_is_what_the_engines_here_give(runner, tmp_path):
    own = record.read(NAMES)[runner.__name__.rsplit(".", 1)[-1]]
    same = own.version == runner.version()
    # Of another version only what no version may get wrong.
    asked = [case for case in CASES if same or case.option == "plain"]
    today = {case.name: of_today(runner, case, tmp_path) for case in asked}
    assert today == {name: own.cases[name][0] for name in today}


def test_onnxruntime_and_the_reference_agree():
    """But for what is stated: a row of length 0 with an initial state."""
    own = record.read(NAMES)["onnxruntime"]
    wrong = {name for name, (outcome, _) in own.cases.items() if outcome == "wrong"}
    assert wrong == {case.name for case in CASES if case.option == "a length of 0, initial states"}
    assert {how for outcome, how in own.cases.values() if outcome == "wrong"} == {
        "state 0 of a row of length 0"
    }


def test_record_document_and_table_belong_together(tmp_path):
    found = record.read(NAMES)
    record.write(found, NAMES, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == record.PLACE.read_text()
    assert (ROOT / "docs" / "engines.md").read_text() == document(found, CASES)


def warned(case, engine):
    """Whether to_onnx says anything of an engine."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            ours.model_of(case, target=engine)
        except ValueError:
            return True
    return bool(said)


# Of these it warns of more than is wrong here: the same models of other sizes were.
CAREFUL = {"mnn", "tract", "iree", "onnx2tf"}


def test_to_onnx_warns_of_what_the_table_has():
    written = [case for case in CASES if case.form == "to_onnx"]
    for engine, own in record.read(NAMES).items():
        bad = {case.name for case in written if own.cases[case.name][0] != "right"}
        said = {case.name for case in written if warned(case, engine)}
        assert bad <= said, (engine, bad - said)
        assert engine in CAREFUL or said == bad, (engine, said - bad)


# Diagnosis --------------------------------------------------------------------------------------------------

PLANTED = {
    "lengths dropped": {"lengths": np.array([4, 6, 2], np.int32), "states": True},
    "reverse run forward": {"states": True},
    "initial states dropped": {"states": True},
    "reset on the other side": {},
    "clip dropped": {"clip": 0.3},
    "activations dropped": {"functions": ["HardSigmoid"]},
    "alpha and beta dropped": {"functions": ["HardSigmoid"], "alpha": 0.3, "beta": 0.4},
    "bias dropped": {},
    "update and reset gate swapped": {},
}


@pytest.mark.parametrize("text", PLANTED)
def test_planted_faults_are_named(text):
    case = case_of("GRU, reset after", "bidirectional", text, **PLANTED[text])
    wrong = case.answers([diagnose.CHANGES[text](node) for node in case.nodes])
    found = [wrong[name].astype(np.float32) for name in case.outputs]
    assert diagnose.verdict(case, found) == ("wrong", text)
    right = [value.astype(np.float32) for value in case.expected().values()]
    assert diagnose.verdict(case, right) == ("right", "")
    noise = [value + 0.5 for value in right]
    assert diagnose.verdict(case, noise) == ("wrong", "Y: unexplained; Y_h: unexplained")
    assert diagnose.verdict(case, right[:1])[0] == "wrong"
    assert diagnose.verdict(case, [right[0], right[1][:1]])[0] == "wrong"


# Processes --------------------------------------------------------------------------------------------------

ENGINE = """
import os, sys, time
sys.path.insert(0, sys.argv.pop(1))
places = sys.argv.pop(1).split(",")
from pathlib import Path
from conformance import protocol
if sys.argv[1] == "--version":
    print("engine 1")
    raise SystemExit
cases, answers, *names = sys.argv[1:]
for name in names:
    (Path(answers) / f"{name}.begun").touch()
    feeds, outputs = protocol.get_case(Path(cases) / name)
    if name == places[1]:
        os.abort()
    if name == places[2]:
        time.sleep(60)
    if name == places[3]:
        (Path(answers) / f"{name}.error").write_text("no such thing")
        continue
    protocol.put_answer(Path(answers), name, [])
"""


class Stub(Engine):
    """An engine that aborts, hangs, refuses and gives nothing, in that order."""

    def command(self):
        places = ",".join(driver.place_of(case) for case in CASES[:5])
        return [sys.executable, "-c", ENGINE, str(ROOT / "tests"), places]


def test_aborts_and_hangs_end_their_case_alone(tmp_path):
    cases = CASES[:5]
    driver.put_cases(tmp_path / "cases", cases)
    version, found = driver.outcomes(Stub("stub", "Stub", seconds=10), tmp_path / "cases", cases)
    assert version == "engine 1"
    assert [found[case.name] for case in cases] == [
        ("refused", diagnose.NOTHING),
        ("aborted", ""),
        ("hung", ""),
        ("refused", "no such thing"),
        ("refused", diagnose.NOTHING),
    ]
    kept = record.kept(version, "2026-11-30", found)
    assert kept.lost == {"aborted": 1, "hung": 1}
    assert kept.cases[cases[1].name] == kept.cases[cases[2].name] == kept.cases[cases[0].name]
    assert [kept.count(one) for one in record.OUTCOMES] == [0, 0, 3, 1, 1]
