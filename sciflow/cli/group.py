"""The group of all commands, and what they share: options, the order of their list, the word for a slip."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciflow import __version__
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable

LIFE = (
    "init",
    "check",
    "compile",
    "run",
    "submit",
    "cron",
    "render",
    "status",
    "logs",
    "why",
    "cancel",
    "collect",
    "report",
    "verify",
    "replay",
)
"""The commands in the order of a study's life; what is not named comes after them, as it was made."""

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
FOLDER = click.Path(path_type=Path, file_okay=False)
WORKFLOW_FILE = click.Path(path_type=Path, dir_okay=False)
CODES = (
    "Exit codes: 0 ok · 1 the answer is no · 2 the words or the workflow · 3 the surroundings · 4 the bundle is not "
    "what was sealed · 5 incomplete · 6 no trusted seal · 70 a fault of sciflow's own · 75 outside hours · "
    "130 interrupted."
)


class Grouped(click.Group):
    """The list of commands stands in the order of a study's life, not of the alphabet."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Return the commands, those of a study's life first."""
        return sorted(self.commands, key=lambda name: LIFE.index(name) if name in LIFE else len(LIFE))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where one was mistyped."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            if near and "Did you mean" not in error.message:
                raise click.UsageError(f"{error.message} Did you mean '{near[0]}'?", ctx=ctx) from error
            raise


@click.group(cls=Grouped, context_settings=SETTINGS, epilog=CODES)
@click.version_option(__version__, message="sciflow %(version)s")
def sciflow() -> None:
    """Compile computational experiments: one TOML workflow in, one signed bundle out, that runs anywhere.

    Example: sciflow init study && cd study && sciflow run workflow.toml
    """


def command(name: str | None = None, *, of: click.Group = sciflow) -> Callable[[Callable[..., Any]], click.Command]:
    """Register a command, with the options that all of them take."""

    def register(function: Callable[..., Any]) -> click.Command:
        made = of.command(name)(function)
        made.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Answer with one JSON object."),
            click.Option(["-q", "--quiet"], is_flag=True, help="No talk on stderr."),
        ]
        return made

    return register


run_option = click.option(
    "--run", "run_name", default=names.DEFAULT_RUN, show_default=True, metavar="NAME", help="Which run of the bundle."
)
engine_option = click.option(
    "--engine", metavar="E", help="apptainer, docker, podman or host, instead of the first that works."
)
trust_option = click.option(
    "--trust",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="An allowed_signers file, instead of your own.",
)
