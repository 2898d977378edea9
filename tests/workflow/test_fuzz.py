"""Broken files are refused, and nothing else: 500 of those that tools/fuzz.py makes."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def fuzz():
    spec = importlib.util.spec_from_file_location("fuzz", ROOT / "tools/fuzz.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_five_hundred_broken_files_are_read_or_refused(fuzz):
    assert [(name, wrong) for name, _, wrong in fuzz.findings(500, seed=1)] == []


def test_a_seed_makes_the_same_file_again(fuzz):
    texts = fuzz.corpus()
    assert [fuzz.mutated(texts, f"1-{one}") for one in range(50)] == [
        fuzz.mutated(texts, f"1-{one}") for one in range(50)
    ]


def test_files_are_broken_in_many_ways(fuzz):
    texts = fuzz.corpus()
    assert len({fuzz.mutated(texts, f"1-{one}") for one in range(200)}) > 190


def test_an_exception_that_is_not_ours_is_found(fuzz, tmp_path, monkeypatch):
    def broken(_):
        raise KeyError("x")

    monkeypatch.setattr(fuzz.load, "read", broken)
    assert "KeyError" in fuzz.tried(b"", tmp_path)


def test_a_file_that_is_left_is_found(fuzz, tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz.load, "read", lambda file: (file.parent / "left").write_text(""))
    assert fuzz.tried(b"", tmp_path) == "a file was left"
