"""`scripts/bench`: one subcommand for each benchmark."""

from __future__ import annotations

import batching
import building
import busy
import click
import drafts
import launching
import painting
import remote
import scaling
import serving
import sharing
import sizing
import stepping
import warming


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def bench() -> None:
    """Measure loaf on this machine. Ratios between figures of one run mean something, absolute times little."""


bench.add_command(launching.launch)
bench.add_command(building.build)
bench.add_command(painting.page)
bench.add_command(serving.serve)
bench.add_command(stepping.engine)
bench.add_command(busy.busy)
bench.add_command(drafts.draft)
bench.add_command(sharing.sharing)
bench.add_command(warming.warm)
bench.add_command(batching.batch)
bench.add_command(sizing.sizes)
bench.add_command(scaling.scale)
bench.add_command(remote.rpc)

if __name__ == "__main__":
    bench(prog_name="scripts/bench")
