import json
import subprocess

import pytest

from sciflow.containers import configuration
from sciflow.containers.rootfs import Node
from sciflow.errors import SurroundingsError


def _read(settings=None, **more):
    text = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": []}, "config": settings or {}, **more}
    return configuration.read(json.dumps(text).encode(), "x")


def _script(*environment):
    root = Node()
    configuration.furnish(root, _read({"Env": list(environment)}).environment, ())
    return root.children[".singularity.d"].children["env"].children["10-docker2singularity.sh"].data.decode()


def test_platform_folder_and_environment_are_read():
    found = _read({"Env": ["B=2", "A=1=1"], "WorkingDir": "/data", "Entrypoint": ["x"], "User": "1"})
    assert (found.platform, found.folder) == ("linux/amd64", "/data")
    assert found.environment == (("A", "1=1"), ("B", "2"))


@pytest.mark.parametrize("entry", ["no equals", "1A=x", "A-B=x", "A=nul\0", "A=\ud800", 7, None])
def test_what_no_process_can_be_given_is_left_out(entry):
    assert _read({"Env": [entry, "B=2"]}).environment == (("B", "2"),)


@pytest.mark.parametrize("more", [{"rootfs": None}, {"rootfs": {}}, {"rootfs": {"diff_ids": [1]}}, {"config": [1]}])
def test_a_config_that_names_no_layers_is_that_of_no_image(more):
    with pytest.raises(SurroundingsError, match="`x` is not an image: its config names no layers"):
        _read(**more)


def test_a_shell_gets_the_environment_to_the_letter():
    value = 'it\'s $HOME, `ls`; "x" \\ and\na new line'
    found = subprocess.run(["sh", "-c", _script(f"A={value}") + 'printf %s "$A"'], capture_output=True, check=True)
    assert found.stdout.decode() == value


def test_the_path_is_the_image_s_and_another_variable_only_where_nothing_set_it():
    words = ["sh", "-c", _script("PATH=/opt/bin:/bin:/usr/bin", "A=image", "B=image") + 'echo "$PATH $A $B"']
    found = subprocess.run(words, capture_output=True, text=True, check=True, env={"PATH": "/bin:/usr/bin", "A": "set"})
    assert found.stdout == "/opt/bin:/bin:/usr/bin set image\n"


def test_without_an_environment_nothing_is_added():
    root = Node()
    configuration.furnish(root, (), ())
    assert root.children == {}


def test_a_link_in_the_script_s_way_is_refused():
    root = Node()
    root.children[".singularity.d"] = Node(kind="symlink", target="/etc")
    with pytest.raises(SurroundingsError, match=r"`\.singularity\.d/env/.*` cannot be written"):
        configuration.furnish(root, (("A", "1"),), ())
