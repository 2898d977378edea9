"""The section [image], as far as a file can tell: what each source and each addition becomes."""

import pytest

from sciflow.workflow import image
from sciflow.workflow.faults import Faults
from sciflow.workflow.places import parse
from sciflow.workflow.spec import Image


def read(table):
    faults = Faults("workflow.toml", parse("[image]\n"))
    found = image.read(table, faults)
    return found, [fault.text for fault in faults.found.values()]


def test_without_a_section_there_is_no_image():
    assert read(None) == (None, [])


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("from", "docker://python:3.12-slim"),
        ("from", "oci-archive:images/tools.tar"),
        ("debian", "bookworm"),
        ("nix", ".#env"),
        ("nix", "flakes/tools#default"),
        ("definition", "images/tools.def"),
        ("dockerfile", "Dockerfile"),
        ("file", "images/tools.sif"),
    ],
)
def test_each_source_is_read_with_what_it_names(source, reference):
    assert read({source: reference}) == (Image(source=source, reference=reference), [])


def test_what_is_added_is_sorted_by_name():
    found, faults = read({"debian": "bookworm", "environment": {"B": "1", "A": "2"}, "labels": {"b": "1", "a": "2"}})
    assert (found.environment, found.labels, faults) == ((("A", "2"), ("B", "1")), (("a", "2"), ("b", "1")), [])


@pytest.mark.parametrize("more", [{"python": "requirements.txt"}, {"environment": {"A": "1"}}, {"labels": {"a": "1"}}])
def test_an_image_is_extended_by_whatever_is_laid_over_it(more):
    assert read({"debian": "bookworm", **more})[0].extended
    assert not read({"debian": "bookworm"})[0].extended


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"nix": "../up#env"}, "the flake leaves the workflow's folder: `../up`"),
        ({"nix": "/abs#env"}, "the flake has an absolute path, `/abs`"),
        ({"definition": "../a.def"}, "the image leaves the workflow's folder: `../a.def`"),
        ({"dockerfile": "a/../b"}, "the image leaves the workflow's folder: `a/../b`"),
        ({"debian": "x", "python": "/r.txt"}, "the list of packages has an absolute path, `/r.txt`"),
        ({"debian": "x", "files": ["a"]}, "`files` are files of a flake, and the image is not made by `nix`"),
        ({"nix": ".#e", "packages": ["a"]}, "`packages` are Debian packages, and the image is not made by `debian`"),
        ({"nix": ".#e", "files": ["../a"]}, "this pattern leaves the flake's folder: `../a`"),
        ({"nix": ".#e", "files": ["a**b"]}, "`a**b` is no pattern: `**` stands alone between slashes"),
    ],
)
def test_what_no_schema_can_say_is_told(table, fault):
    assert fault in read(table)[1]
