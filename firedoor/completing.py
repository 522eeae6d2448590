"""`firedoor completion`: the script by which a shell completes commands and options."""

from __future__ import annotations

import click

HOW = {
    "bash": 'eval "$(firedoor completion bash)"          # in ~/.bashrc; bash 4.4 or newer',
    "zsh": 'eval "$(firedoor completion zsh)"           # in ~/.zshrc, after compinit',
    "fish": "firedoor completion fish | source           # in ~/.config/fish/config.fish",
}


@click.command("completion")
@click.argument("shell", type=click.Choice(list(HOW)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete firedoor's commands and options."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    script = made(ctx.find_root().command, {}, "firedoor", "_FIREDOOR_COMPLETE")
    click.echo(f"# {HOW[shell]}")
    click.echo(script.source_template % script.source_vars())
