"""From messages of a front end to methods of the playground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from localkit.widgets.playground import actions as ask

if TYPE_CHECKING:
    from localkit.widgets.playground.playground import Playground
    from localkit.widgets.playground.rated_task import Scorers


def act(pg: Playground, action: Any) -> None:
    """Do what ``action`` asks for; answers are written in another thread.

    Raises:
        LocalkitError: it cannot be done; the widget says why.
    """
    match action:
        case ask.Write(draft=draft):
            pg.desk.write(draft, elsewhere=False)
            return  # the view shows it already
        case ask.Run(draft=draft):
            pg.desk.write(draft, elsewhere=False)
            pg.run(wait=False)
        case ask.Stop():
            pg.stop()
        case ask.Add(ref=ref):
            pg.add(ref)
        case ask.Remove(column=id):
            pg.desk.remove(pg.desk.column_by_id(id))
            pg.panel.keep()
        case ask.Set(column=id, setup=setup):
            pg.desk.set_up(pg.desk.column_by_id(id), setup)
        case ask.Vote(verdict=verdict):
            pg.vote(verdict)
        case ask.Blind(on=on):
            pg.blind(on)
        case _:
            if not _talk(pg, action):
                _keep(pg, action)
    pg.panel.refresh()


def _talk(pg: Playground, action: Any) -> bool:
    """Do what goes on with a conversation; return whether it is that."""
    desk = pg.desk
    match action:
        case ask.Continue(column=None, text=text):
            pg.say(text, wait=False)
        case ask.Continue(column=str(id), text=text):
            index = desk.shown.index(desk.column_by_id(id))
            pg.say(text, index, wait=False)
        case ask.Edit(turn=id, text=text):
            pg.edit(desk.turn_by_id(id), text, wait=False)
        case ask.Regenerate(turn=id):
            pg.regenerate(desk.turn_by_id(id), wait=False)
        case ask.Pick(turn=id, by=by):
            pg.pick(desk.turn_by_id(id), by)
        case ask.Rate(turn=id, score=score, comment=comment):
            pg.rate(desk.turn_by_id(id), score, comment)
        case _:
            return False
    return True


def _keep(pg: Playground, action: Any) -> None:
    """Do what has to do with what is stored or taken along."""
    match action:
        case ask.Open(version=version):
            pg.open(version)
            pg.told = f"version {version} is open"
        case ask.Differ(version=0):
            pg.difference = None
        case ask.Differ(version=version):
            pg.difference = version, pg.diff(version)
        case ask.Preset(what="save", name=name):
            pg.save_preset(name)
            pg.told = f"preset '{name}' is saved"
        case ask.Preset(what="load", name=name):
            pg.load_preset(name)
            pg.told = f"preset '{name}' is loaded"
        case ask.Preset(name=name):
            pg.delete_preset(name)
            pg.told = f"preset '{name}' is deleted"
        case ask.Cell(column=""):
            pg.cell = ""
        case ask.Cell(column=None):
            pg.cell = pg.cell_text()
        case ask.Cell(column=str(id)):
            column = pg.desk.column_by_id(id)
            pg.cell = pg.cell_text(pg.desk.shown.index(column))
        case ask.SaveTask(name=name, scorer=scorer, model=model):
            # A name alone: a message cannot say where on the disk.
            path = pg.save_task(Path(f"{name}.toml"), scorers=_scorers(scorer, model))
            n = len(pg.to_task(name, scorers=_scorers(scorer, model)).samples)
            prompts = "1 prompt" if n == 1 else f"{n} prompts"
            pg.told = (
                f"{prompts} in {path.name}: `%llm eval MODEL --task {path.name}`, or "
                f'localkit.compare(MODEL, task="{path.name}")'
            )


def _scorers(scorer: str, model: str) -> Scorers:
    if not scorer:
        return None
    return [{"type": scorer, "model": model} if model else {"type": scorer}]
