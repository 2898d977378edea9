"""The section `schedule`: its hours, its holidays, and what a plan says of them. What is refused stands in `refused/`."""

from pathlib import Path

import pytest

from sciflow.workflow import draft, load, schedule
from sciflow.workflow.spec import Schedule

NIGHTS = 'policy = "off-peak"\nhours = "22:00-08:00"\n'


def read(said, task=""):
    text = f'format = 1\n[workflow]\nname = "study"\n[schedule]\n{said}\n[tasks.train]\nrun = ["true"]\n{task}'
    return load.parse(text, file=Path("workflow.toml"))


def test_one_window_is_the_same_in_a_list_or_alone():
    assert read('hours = ["22:00-08:00"]').schedule == read('hours = "22:00-08:00"').schedule
    assert read('hours = "22:00-08:00"').schedule.hours == ("22:00-08:00",)


def test_holidays_are_kept_in_their_order_in_time():
    found = read('holidays = ["2027-01-01", "2026-12-25"]').schedule
    assert found.holidays == ("2026-12-25", "2027-01-01")


def test_a_plan_says_only_what_the_file_does():
    assert schedule.windows(Schedule(hours=("22:00-08:00",))) == {"opens": 1320, "closes": 480, "weekends": False}


def test_a_plan_holds_every_window_and_the_holidays():
    found = schedule.windows(Schedule(hours=("22:30-08:00", "12:00-13:05"), holidays=("2026-12-25",)))
    assert (found["opens"], found["closes"], found["also"]) == (1350, 480, [[720, 785]])
    assert found["holidays"] == ["2026-12-25"]


def test_without_hours_only_weekends_are_open():
    assert schedule.windows(Schedule(weekends=True)) == {"opens": 0, "closes": 0, "weekends": True}


@pytest.mark.parametrize(
    "said",
    [
        NIGHTS,
        'policy = "off-peak"\nhours = ["12:00-13:00", "22:00-08:00"]\nholidays = ["2026-12-25"]\nwhen_idle = true\n',
    ],
)
def test_what_is_written_reads_back_the_same(said):
    made = read(said)
    assert load.parse(draft.write(made), file=Path("workflow.toml")) == made


def test_a_step_that_just_fits_a_hard_window_is_taken():
    assert read(NIGHTS + "hard = true", 'resources = { time = "10h" }').schedule.hard


def test_a_weekend_makes_room_for_a_long_step():
    assert read(NIGHTS + "hard = true\nweekends = true", 'resources = { time = "58h" }').schedule.weekends


def test_a_long_step_with_a_checkpoint_is_taken():
    assert read(NIGHTS + "hard = true", 'resources = { time = "99h" }\ncheckpoint = { path = "kept" }').schedule.hard


def test_in_a_soft_window_a_step_may_be_longer_than_it():
    assert not read(NIGHTS, 'resources = { time = "99h" }').schedule.hard


@pytest.mark.parametrize(
    ("seconds", "text"), [(36000, "10h"), (5400, "1h30m"), (45, "45s"), (3661, "1h1m1s"), (0, "0s")]
)
def test_a_length_is_told_as_a_file_says_it(seconds, text):
    assert schedule.spoken(seconds) == text
