"""Words in, one call of the api, an exit code out. The only floor that prints."""

from __future__ import annotations

import os
import sys
import traceback

import click

from sciflow.cli import (  # noqa: F401  they register themselves
    commands,
    cron,
    following,
    images,
    keys,
    steps,
    stock,
    submitting,
)
from sciflow.cli.group import sciflow
from sciflow.cli.show import refused
from sciflow.errors import SciflowError, SurroundingsError
from sciflow.runner import names


def main() -> None:
    """Run the command line, and end with a documented exit code."""
    if sys.getfilesystemencoding() != "utf-8":
        # File names must mean the same under every locale, or a bundle would depend on it.
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-P", "-m", "sciflow", *sys.argv[1:]])  # noqa: S606  no shell is wanted
    os.umask(0o022)
    as_json = "--json" in sys.argv
    try:
        code = sciflow.main(standalone_mode=False, prog_name="sciflow")
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        code = names.EXIT_INTERRUPTED
    except KeyboardInterrupt:
        code = names.EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = names.EXIT_WORDS
    except SciflowError as error:
        refused(error, as_json=as_json)
        code = error.exit_code
    except BrokenPipeError:
        # The reader of our output has left (`| head`): no one is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = names.EXIT_OK
    except OSError as error:
        # What no verb foresaw of a disk that is full, a folder that may not be written, a file that went away.
        where = f"`{error.filename}`: " if error.filename else ""
        refused(SurroundingsError(f"{where}{error.strerror or error}"), as_json=as_json)
        code = names.EXIT_SURROUNDINGS
    except Exception:  # noqa: BLE001  the last line: what gets here is a fault of sciflow's own
        traceback.print_exc()
        click.echo("this is a fault of sciflow: please report the lines above", err=True)
        code = names.EXIT_FAULT
    sys.exit(code if isinstance(code, int) else names.EXIT_OK)
