"""Where evidence packages are made from, in a running system or beside it."""

from contextlib import closing

import polars as pl

from alerting.evidence.gather import EvidenceSources
from alerting.ledger import Ledger
from collector.clock import Clock
from demandwatch import __version__
from demandwatch.declaring import Declaring
from demandwatch.settings import Configuration
from processors.history.editbook import EditBook
from processors.history.store import History

SOFTWARE = f"demandwatch {__version__}"


def evidence_sources(
    config: Configuration, clock: Clock, history: History, ledger: Ledger
) -> EvidenceSources:
    """Return where evidence packages are made from, in this process or beside a running one."""

    def edits() -> tuple[pl.DataFrame, int]:
        with closing(EditBook(config.data / "edits.db", clock.now)) as book:
            settled = book.applied()  # first: an act made meanwhile must not count as settled
            return book.acts(), settled

    return EvidenceSources(
        history=history,
        ledger=ledger,
        sites={site.id: site for site in config.sites},
        key=config.data / config.settings.alerting.evidence_key,
        now=clock.now,
        packs=config.packs,
        profiles=config.profiles,
        settings=config.settings.processors.verdicts,
        declared=Declaring(config, clock).site,
        edits=edits,
        settings_sha256=config.digest,
        software=SOFTWARE,
    )
