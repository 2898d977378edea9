import time
from pathlib import Path

import pytest

from sciflow.errors import SurroundingsError, UsageError, WorkflowError
from sciflow.workflow import load
from sciflow.workflow.spec import (
    Block,
    Chart,
    Code,
    Derived,
    Image,
    Input,
    Metric,
    Parameter,
    Placeholder,
    Resources,
    Run,
    Schedule,
    Sweep,
)
from tests.workflow.studies import FULL, HEAD, full, small


@pytest.fixture
def workflow(tmp_path):
    return full(tmp_path)


def refused(text, file="workflow.toml"):
    with pytest.raises(WorkflowError) as caught:
        load.parse(text, file=Path(file))
    return caught.value.faults


def test_image_code_and_inputs_are_read(workflow):
    assert workflow.image == Image(source="debian", reference="bookworm", packages=("python3-sklearn", "python3-numpy"))
    assert workflow.code == Code(include=("*.py",), exclude=("test_*.py",))
    assert workflow.inputs == (Input(name="reads", path="data/reads.fq"),)


def test_parameters_keep_the_order_of_the_file(workflow):
    assert [one.name for one in workflow.parameters] == ["gamma", "c", "kernel", "repeat"]


def test_whole_numbers_among_fractions_become_fractions(workflow):
    assert workflow.parameters[0] == Parameter(name="gamma", kind="float", values=(1.0, 0.5, 0.25))
    assert all(type(value) is float for value in workflow.parameters[0].values)


def test_the_sweep_is_read(workflow):
    derive = (Derived(name="double", expression="budget * 2"), Derived(name="budget", expression="c * 10"))
    assert workflow.derive == derive
    block = Block(zip=(("gamma", "c"),), where="kernel == 'rbf' or gamma == 1")
    assert workflow.sweeps == (Sweep(blocks=(block,)),)


def test_a_shell_command_is_one_word_of_text_and_placeholders(workflow):
    assert workflow.tasks[1].shell
    assert workflow.tasks[1].words == (
        (
            "python3 train.py --gamma ",
            Placeholder(kind="parameter", name="gamma"),
            " ",
            Placeholder(kind="upstream", owner="prepare", name="clean"),
            " | awk '{print $1}'",
        ),
    )


def test_what_a_task_may_use_is_in_mebibytes_and_seconds(workflow):
    assert workflow.tasks[1].resources == Resources(cpus=4, memory_mib=8192, gpus=1, time_s=5400)


def test_a_gathered_task_is_among_the_needs(workflow):
    assert workflow.tasks[2].gather == "train"
    assert workflow.tasks[2].needs == ("train",)


def test_no_list_of_parameters_is_not_an_empty_one(workflow):
    assert workflow.tasks[0].parameters is None
    assert workflow.tasks[1].parameters == ("kernel",)


def test_metrics_schedule_slurm_and_charts_are_read(workflow):
    assert workflow.metrics == (Metric(name="accuracy", goal="maximize", unit="1", require="> 0.5", tolerance=1e-9),)
    assert workflow.schedule == Schedule(
        policy="off-peak",
        hours=("22:00-08:00",),
        weekends=True,
        timezone="Europe/Zurich",
        max_wait_s=172_800,
        hard=True,
    )
    assert workflow.slurm == (("partition", "main"), ("mail_type", "END,FAIL"))
    assert workflow.run == Run(max_failures=10)
    assert workflow.charts[1] == Chart(name="line", kind="line", x="budget", y="accuracy", color="kernel")


def test_all_that_may_be_left_out_has_its_default():
    workflow = small("")
    assert (workflow.title, workflow.image, workflow.parameters, workflow.charts) == ("", None, (), ())
    assert workflow.schedule == Schedule()
    assert workflow.run == Run(max_failures=0)
    assert workflow.tasks[0].resources == Resources()


def test_the_source_knows_the_place_of_each_key_and_item(workflow):
    lines = FULL.splitlines()
    line = lines.index('needs = ["prepare"]') + 1
    assert workflow.source.places["tasks", "train", "needs"] == (line, 1)
    assert workflow.source.places["tasks", "train", "needs", 0] == (line, 10)
    assert workflow.source.text == FULL


def test_where_a_workflow_was_read_from_does_not_count():
    assert small("") == load.parse("# a comment\n" + HEAD, file=Path("elsewhere/study.toml"))


def test_windows_line_ends_read_the_same():
    assert load.parse(HEAD.replace("\n", "\r\n"), file=Path("w.toml")) == small("")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file `.*nowhere\.toml`") as caught:
        load.read(tmp_path / "nowhere.toml")
    assert caught.value.exit_code == 2


def test_a_folder_is_answered_with_the_file_that_was_meant(tmp_path):
    with pytest.raises(UsageError, match=r"is a folder(.|\n)*workflow\.toml"):
        load.read(tmp_path)


def test_a_file_below_a_file_is_a_fault_of_the_surroundings(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError) as caught:
        load.read(tmp_path / "file" / "workflow.toml")
    assert caught.value.exit_code == 3


def test_faults_come_in_the_order_of_the_file():
    faults = refused('format = 1\nx = 1\n[workflow]\nname = "a b"\n[tasks.one]\nrun = ["{y}"]\nneeds = ["z"]\n')
    assert [fault.line for fault in faults] == [2, 4, 6, 7]


def test_one_fault_is_told_once():
    faults = refused(HEAD + 'needs = ["two"]\n')
    assert len(faults) == 1


def test_a_file_of_more_than_a_megabyte_is_refused(tmp_path):
    file = tmp_path / "workflow.toml"
    file.write_text(HEAD + "#" * 1_000_000)
    with pytest.raises(WorkflowError, match="may have 1,000,000"):
        load.read(file)


def test_control_characters_in_the_name_of_the_file_are_not_printed():
    assert "\x1b" not in str(refused("x", file="a\x1b[31m.toml")[0])


@pytest.mark.parametrize(
    "bomb",
    [
        "a = " + "[" * 100_000,
        ".".join(["a"] * 20_000) + " = 1",
        "a = 0x" + "f" * 900_000,
        "a = [" + "1," * 400_000 + "]",
        'a = "' + '\\"' * 400_000,
        'a = """' + '\\"""' * 200_000,
        "a = '''" + "''x" * 300_000,
        "".join(f"[a{index}.b.c.d.e.f]\nx=1\n" for index in range(40_000)),
        "format = 1\n[parameters]\n" + "".join(f"p{index} = {{ range = [0, 999999] }}\n" for index in range(3)),
        HEAD + "[sweep.derive]\n" + "".join(f"d{index} = 'd{index}'\n" for index in range(20_000)),
        HEAD + "".join(f"[tasks.t{index}]\nrun=['a']\nneeds=['t{index + 1}']\n" for index in range(10_000)),
        HEAD + "".join(f"k{index} = 1\n" for index in range(30_000)),
    ],
    ids=[
        *("brackets", "dots", "digits", "items", "escapes", "quotes", "apostrophes", "headers"),
        *("ranges", "circles", "chain", "unknown_keys"),
    ],
)
def test_a_bomb_is_refused_within_seconds(bomb):
    began = time.process_time()
    assert refused(bomb)
    assert time.process_time() - began < 10


def test_a_condition_in_a_block_alone_leaves_points_without_a_value(tmp_path):
    text = (
        HEAD
        + "[parameters]\na = [1, 2]\nb = [3, 4]\n[[sweep.blocks]]\nwhere = 'a == 1'\n"
        + "[[sweep.blocks]]\nparameters = { b = { values = [5], when = 'a > 1' } }\n[tasks.t]\nrun = ['true']\n"
    )
    points = load.parse(text, file=tmp_path / "workflow.toml").sweeps[0].points
    assert list(points) == [(1, 3), (1, 4), (1, None), (2, 5)]
    assert [one.optional for one in points.columns] == [False, True]
